//! Whom an operator trusts: signed versions, versions that are watched, versions that only write along.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use incident_sink::simulator::dingtalk::Fault;

use crate::browser::Browser;
use crate::scene::{Scene, chameleon};

/// Runs the program; what it says.
fn program(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_incident-sink")).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Has the host want signed versions of the chameleon; the key to sign them with.
async fn demand_signatures(scene: &Scene) -> String {
    let file = |name: &str| scene.folder.path().join(name).to_string_lossy().into_owned();
    let key = file("author.pem");
    let told: serde_json::Value = serde_json::from_str(&program(&["plugin", "keygen", &key, "--json"])).unwrap();
    sign(&key, Path::new(&file("chameleon.wasm")));
    let config = std::fs::read_to_string(file("incident-sink.toml")).unwrap();
    let keys = format!("path = \"chameleon.wasm\"\ntrusted_keys = [{}]", told["trusted_key"]);
    std::fs::write(file("incident-sink.toml"), config.replace("path = \"chameleon.wasm\"", &keys)).unwrap();
    let begun = Instant::now();
    while !scene.log().contains("The changed config is in use.") {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", scene.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    key
}

fn sign(key: &str, file: &Path) {
    program(&["plugin", "sign", "--key", key, &file.to_string_lossy()]);
}

async fn choose(browser: &Browser, file: &str, signature: Option<&str>, shadow: Option<&str>) {
    browser.press("#install-at-chameleon summary").await;
    browser.see("#file-at-chameleon").await.send_keys(file).await.unwrap();
    if let Some(signature) = signature {
        browser.see("#sig-at-chameleon").await.send_keys(signature).await.unwrap();
    }
    if let Some(messages) = shadow {
        let field = browser.see("#shadow-at-chameleon").await;
        field.clear().await.unwrap();
        field.send_keys(messages).await.unwrap();
    }
    browser.press("#install-at-chameleon button").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_must_be_signed_where_the_config_names_keys_and_is_watched_at_first() {
    let Some(browser) = Browser::start().await else { return };
    let scene = Scene::start().await;
    let key = demand_signatures(&scene).await;
    let new = scene.file("new.wasm", &chameleon("good-2"));
    browser.client.goto(&scene.page("/plugins")).await.unwrap();
    choose(&browser, &new, None, None).await;
    let refusal = browser.read("#at-chameleon .flash", "The version was refused").await;
    assert!(refusal.contains("must be signed"), "{refusal}");
    sign(&key, Path::new(&new));
    let forged = scene.file("forged.sig", &std::fs::read(scene.folder.path().join("chameleon.wasm.sig")).unwrap());
    choose(&browser, &new, Some(&forged), None).await;
    browser.read("#at-chameleon .flash", "was not made by a trusted key").await;
    choose(&browser, &new, Some(&format!("{new}.sig")), None).await;
    browser.read("#at-chameleon .flash", "Version 2.0.0 is in use.").await;
    let card = browser.read("#at-chameleon", "valid, by a trusted key").await;
    assert!(card.contains("Watched") && card.contains("2.0.0: 0 of the first 20 messages have passed; 1.0.0 takes over"), "{card}");
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_writes_along_and_what_it_would_write_otherwise_is_shown() {
    let Some(browser) = Browser::start().await else { return };
    let scene = Scene::start().await;
    browser.client.goto(&scene.page("/plugins")).await.unwrap();
    choose(&browser, &scene.file("new.wasm", &chameleon("good-2")), None, Some("5")).await;
    browser.read("#at-chameleon .flash", "Version 2.0.0 writes along.").await;
    let card = browser.read("#at-chameleon", "5 to go").await;
    assert!(card.contains("Shadow") && card.contains("1.0.0"), "the version in use stays: {card}");
    scene.post("Hook", 1, "PENDING", "for the hook").await;
    browser.client.goto(&scene.page("/plugins")).await.unwrap();
    browser.read("#at-chameleon", "1 different").await;
    browser.press("#samples-at-chameleon summary").await;
    browser.read("#samples-at-chameleon pre", "2.0.0").await;
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_dead_letters_of_a_connector_are_replayed_at_once() {
    let Some(browser) = Browser::start().await else { return };
    let scene = Scene::start().await;
    scene.group.fault("ops", Fault::Errcode { code: 310_000, text: Some("keywords not in content".into()) }, 2).unwrap();
    for (incident, summary) in [(1, "disk full on db-3"), (2, "disk full on db-4")] {
        scene.post("Zabbix", incident, "PENDING", summary).await;
    }
    scene.post("Backup", 3, "PENDING", "backup failed").await;
    browser.client.goto(&scene.page("/dead-letters")).await.unwrap();
    for summary in ["disk full on db-3", "disk full on db-4", "backup failed"] {
        browser.read("#letters", summary).await;
    }
    browser.client.goto(&scene.page("/dead-letters?connector=ops")).await.unwrap();
    browser.press("form[action='/dead-letters/replay-all'] button").await;
    browser.read(".flash", "2 messages are sent again.").await;
    scene.group.wait_for("ops", 2, Duration::from_secs(60)).await.unwrap();
    browser.client.goto(&scene.page("/dead-letters")).await.unwrap();
    let left = browser.read("#letters", "backup failed").await;
    assert!(!left.contains("disk full"), "{left}");
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.end().await;
}
