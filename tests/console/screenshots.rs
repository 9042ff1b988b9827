//! The pictures in the README: `INCIDENT_SINK_SCREENSHOTS=1 cargo xtask test --test console pictures` makes them anew.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use incident_sink::simulator::dingtalk::Fault;
use serde_json::json;

use crate::browser::Browser;
use crate::scene::Scene;

/// A working day of a database team.
const STORY: [(&str, &str, &str); 8] = [
    ("Zabbix", "PENDING", "Replication lag on db-3 is 312 s"),
    ("Zabbix", "PENDING", "PROBLEM Host Alert: app.compute is DOWN"),
    ("Zabbix 生产", "PENDING", "数据库主库不可用"),
    ("Zabbix", "RESOLVED", "Replication lag on db-3 is 312 s"),
    ("Zabbix", "PENDING", "TLS certificate of shop.example.com expires in 3 days"),
    ("Zabbix 生产", "RESOLVED", "数据库主库不可用"),
    ("Backup", "PENDING", "Nightly backup of orders has failed"),
    ("Zabbix", "PENDING", "Disk /var/lib/postgresql on db-1 is 97 % full"),
];

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_taken_on_request() {
    if std::env::var_os("INCIDENT_SINK_SCREENSHOTS").is_none() {
        return;
    }
    let Some(browser) = Browser::start().await else { return };
    let scene = Scene::start().await;
    for (n, (source, status, summary)) in STORY.into_iter().enumerate() {
        scene.post(source, 2_983_700 + n as u64, status, summary).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    let shots = [
        ("connectors", "/", "light", 1280, 900),
        ("messages", "/messages", "light", 1280, 640),
        ("message", "/messages/1", "light", 1280, 900),
        ("dead-letters", "/dead-letters", "dark", 1280, 560),
        ("plugins", "/plugins", "light", 1280, 900),
        ("playground", "/playground?connector=ops&lang=en", "dark", 1600, 1000),
        ("phone", "/?lang=zh-CN", "dark", 390, 844),
    ];
    for (name, path, theme, width, height) in shots {
        browser.theme(theme).await;
        browser.size(width, height).await;
        if name == "phone" {
            scene.group.fault("ops", Fault::Errcode { code: 130_101, text: None }, 1).unwrap();
            scene.post("Zabbix", 2_983_799, "PENDING", "One too many").await;
            browser.client.goto(&scene.page("/?lang=zh-CN")).await.unwrap();
            browser.read("#connectors", "暂停").await;
        }
        browser.client.goto(&scene.page(path)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let shot = browser.cdp("Page.captureScreenshot", json!({ "format": "png", "optimizeForSpeed": false })).await;
        let bytes = base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        let file = folder.join(format!("{name}.png"));
        std::fs::write(&file, bytes).unwrap();
        shrink(&file);
    }
    browser.end().await;
}

/// A palette is enough for a page. Without pngquant the picture stays as it is.
fn shrink(file: &Path) {
    let quantised =
        Command::new("pngquant").args(["--force", "--skip-if-larger", "--strip", "--output"]).arg(file).arg("256").arg(file).status();
    if quantised.is_err() {
        eprintln!("{} is larger than it could be: there is no pngquant", file.display());
    }
}
