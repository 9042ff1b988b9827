//! Debian's Alertmanager and a host, with the configs that the documents show, from its API to the chat.

use std::process::Command;

use incident_sink::simulator::dingtalk::DingTalk;
use serde_json::{Value, json};

use crate::documents::shown;
use crate::harness::group;
use crate::system::{Daemon, PATIENCE, free_address, program};

/// The documents' config, led to a host and made quicker.
fn config(url: &str, folder: &std::path::Path) -> String {
    let shown = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/pipelines/alertmanager.yml")).unwrap();
    let token = folder.join("token");
    std::fs::write(&token, "t0ken").unwrap();
    let changes = [
        ("https://incidents.example.com/webhooks/alertmanager", url.to_owned()),
        ("/etc/alertmanager/incident-sink-token", token.to_string_lossy().into_owned()),
        ("group_wait: 10s", "group_wait: 100ms".to_owned()),
        ("group_interval: 1m", "group_interval: 500ms".to_owned()),
        ("repeat_interval: 4h", "repeat_interval: 1s".to_owned()),
    ];
    changes.into_iter().fold(shown, |text, (old, new)| {
        assert!(text.contains(old), "{old}");
        text.replace(old, &new)
    })
}

async fn tell(address: std::net::SocketAddr, alert: Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client
        .post(format!("http://{address}/api/v2/alerts"))
        .header("content-type", "application/json")
        .body(json!([alert]).to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
}

fn texts(group: &DingTalk) -> Vec<String> {
    group.messages("ops").into_iter().map(|shown| format!("{}\n{}", shown.title, shown.text)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_fires_and_ends_is_told_of_twice_however_often_it_is_repeated() {
    let Some(alertmanager) = program("prometheus-alertmanager") else { return };
    incident_sink::delivery::http::install_crypto();
    let group = group().await;
    let place = shown("alertmanager.toml", &group, &[("{ env = \"ALERTMANAGER_TOKEN\" }", "\"t0ken\"")]);
    let host = place.start();
    let url = host.url.replace("/webhooks/ilert", "/webhooks/alertmanager");
    let (folder, address) = (place.0.path(), free_address());
    std::fs::write(folder.join("alertmanager.yml"), config(&url, folder)).unwrap();
    let mut command = Command::new(alertmanager);
    command.arg(format!("--config.file={}", folder.join("alertmanager.yml").display()));
    command.arg(format!("--storage.path={}", folder.join("data").display()));
    command.args([format!("--web.listen-address={address}"), "--cluster.listen-address=".to_owned()]);
    let _running = Daemon::start(&mut command, &folder.join("alertmanager.log"), address);

    let labels = json!({"alertname": "DiskFull", "instance": "db-1:9100", "severity": "critical"});
    let annotations = json!({"summary": "Disk of db-1 is full", "description": "Only 1 % is left."});
    let began = jiff::Timestamp::now();
    tell(address, json!({"labels": labels, "annotations": annotations, "startsAt": began.to_string(), "generatorURL": "http://prometheus.example/graph"})).await;
    group.wait_for("ops", 1, PATIENCE).await.unwrap();
    // It is repeated every second; nobody wants to hear of that.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(texts(&group).len(), 1);
    tell(
        address,
        json!({"labels": labels, "annotations": annotations, "startsAt": began.to_string(), "endsAt": jiff::Timestamp::now().to_string()}),
    )
    .await;
    group.wait_for("ops", 2, PATIENCE).await.unwrap();
    let texts = texts(&group);
    assert!(texts[0].contains("Disk of db\\-1 is full") || texts[0].contains("Disk of db-1 is full"), "{texts:?}");
    assert!(texts[1].to_lowercase().contains("resolved"), "{texts:?}");
    let (code, log) = host.stop();
    assert_eq!(code, 0, "{log}");
}
