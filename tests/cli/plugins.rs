//! Plugins installed, refused, forced, signed, shadowed and rolled back with the real program.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use serde_json::Value;

use crate::chameleon::chameleon;
use crate::harness::{PASSWORD, Place, failed, post, worked};
use crate::port::free_port;

/// A deadline for busy machines.
const PATIENT: &str = "limits.deadline = \"5s\"";

/// A receiver that takes everything; answers its address, and the bodies that it got.
pub(crate) async fn receiver() -> (String, Arc<Mutex<Vec<Value>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/send", listener.local_addr().unwrap());
    let got: Arc<Mutex<Vec<Value>>> = Arc::default();
    let bodies = Arc::clone(&got);
    let app = axum::Router::new().fallback(async move |body: Bytes| {
        // A look whether it can be reached has no body.
        if !body.is_empty() {
            bodies.lock().unwrap().push(serde_json::from_slice(&body).unwrap_or_default());
        }
        "{}"
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, got)
}

/// A folder with `chameleon.wasm` and a config for it; `plugin` are further keys of the plugin.
pub(crate) fn place(url: &str, plugin: &str) -> Place {
    // The admin address has to be known to the commands.
    let admin = format!("127.0.0.1:{}", free_port());
    let place = Place::new(&format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"{admin}\"\n\
         [plugins.chameleon]\npath = \"chameleon.wasm\"\n{plugin}\n\
         [sources.ilert]\ntype = \"ilert_webhook\"\nusername = \"ilert\"\npassword = \"{PASSWORD}\"\n\
         [connectors.ops]\ntype = \"chameleon\"\nurl = \"{url}\"\nsecret = \"hush-hush-secret\"\n\
         [[actions]]\nconnector = \"ops\"\n"
    ));
    component(&place, "chameleon.wasm", &chameleon("good"));
    place
}

pub(crate) fn component(place: &Place, name: &str, bytes: &[u8]) -> PathBuf {
    let path = place.0.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn list(place: &Place) -> Value {
    serde_json::from_str(&worked(&place.run(&["plugin", "list", "--json"]))).unwrap()
}

/// Waits until the list says so.
pub(crate) fn until(place: &Place, what: &str, mut is_so: impl FnMut(&Value) -> bool) -> Value {
    for _ in 0..600 {
        let list = list(place);
        if is_so(&list[0]) {
            return list;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("waited too long for {what}: {}", list(place));
}

pub(crate) async fn event(url: &str, id: &str) {
    let body = format!("{{\"id\":\"{id}\",\"eventId\":\"{id}\",\"summary\":\"s\",\"eventType\":\"alert-created\",\"status\":\"PENDING\"}}");
    assert_eq!(post(url, body.into_bytes()).await.0, 202);
}

#[test]
fn every_broken_upgrade_fails_with_its_reason_and_changes_nothing() {
    let place = place("http://127.0.0.1:9/send", PATIENT);
    let import = r#"(component (import "wasi:sockets/tcp@0.2.0" (instance (export "start" (func)))))"#;
    let table: [(&str, Vec<u8>, &str); 8] = [
        ("core.wasm", wat::parse_str("(module)").unwrap(), "core module"),
        ("half.wasm", chameleon("good-2")[..40_000].to_vec(), "damaged, cut short"),
        ("import.wasm", wat::parse_str(import).unwrap(), "imports `wasi:sockets/tcp@0.2.0`"),
        ("trap.wasm", chameleon("trap-begin"), "the plugin crashed"),
        ("memory.wasm", chameleon("memory-bomb"), "needs more memory"),
        ("host.wasm", chameleon("other-host"), "evil.example"),
        ("config.wasm", chameleon("check-complains"), "connector `ops` does not fit"),
        ("error.wasm", chameleon("secret-to-error"), "its own words are not shown"),
    ];
    for (name, bytes, words) in table {
        component(&place, name, &bytes);
        let text = failed(&place.run(&["plugin", "install", name]), 1);
        assert!(text.contains(words) && !text.contains("hush"), "{name}: {text}");
        assert_eq!(std::fs::read(place.0.path().join("chameleon.wasm")).unwrap(), chameleon("good"), "{name}");
    }
    component(&place, "other.wasm", &chameleon("wrong-name"));
    let text = failed(&place.run(&["plugin", "install", "other.wasm"]), 2);
    assert!(text.contains("the config has no plugin `impostor`"), "{text}");
    failed(&place.run(&["plugin", "install", "absent.wasm"]), 1);
}

#[test]
fn an_older_version_has_to_be_forced_and_a_rollback_goes_back() {
    let place = place("http://127.0.0.1:9/send", PATIENT);
    component(&place, "old.wasm", &chameleon("good"));
    component(&place, "new.wasm", &chameleon("good-2"));
    let text = worked(&place.run(&["plugin", "install", "new.wasm"]));
    assert!(text.contains("chameleon 2.0.0 is in use instead of 1.0.0"), "{text}");
    assert!(worked(&place.run(&["plugin", "install", "new.wasm"])).contains("in use already"));
    let text = failed(&place.run(&["plugin", "install", "old.wasm"]), 1);
    assert!(text.contains("version 1.0.0 is older than 2.0.0"), "{text}");
    let text = worked(&place.run(&["plugin", "install", "--force", "old.wasm"]));
    assert!(text.contains("chameleon 1.0.0 is in use instead of 2.0.0"), "{text}");
    assert_eq!(std::fs::read(place.0.path().join("chameleon.wasm")).unwrap(), chameleon("good"));
    assert!(worked(&place.run(&["plugin", "rollback", "chameleon"])).contains("chameleon 2.0.0 is in use"));
    let text = worked(&place.run(&["plugin", "list"]));
    assert!(text.lines().any(|line| line.contains("2.0.0") && line.ends_with("in use")), "{text}");
    failed(&place.run(&["plugin", "install", "--force", "--shadow", "3", "old.wasm"]), 2);
}

#[test]
fn a_pin_and_a_signature_are_demanded() {
    let place = place("http://127.0.0.1:9/send", PATIENT);
    let said = worked(&place.run(&["plugin", "keygen", "plugins.key"]));
    let with = |keys: &str| {
        let config = std::fs::read_to_string(place.config()).unwrap();
        let config: Vec<&str> = config.lines().filter(|line| !line.starts_with("trusted_keys") && !line.starts_with("sha256")).collect();
        std::fs::write(
            place.config(),
            config.join("\n").replace("path = \"chameleon.wasm\"", &format!("path = \"chameleon.wasm\"\n{keys}")),
        )
        .unwrap();
    };
    worked(&place.run(&["plugin", "sign", "--key", "plugins.key", "chameleon.wasm"]));
    component(&place, "new.wasm", &chameleon("good-2"));
    with(said.trim());
    let text = failed(&place.run(&["plugin", "install", "new.wasm"]), 1);
    assert!(text.contains("new.wasm.sig") || text.contains("signature"), "{text}");
    worked(&place.run(&["plugin", "sign", "--key", "plugins.key", "new.wasm"]));
    worked(&place.run(&["plugin", "verify", "--key", "plugins.key.pub", "new.wasm"]));
    // The signature of another file.
    std::fs::copy(place.0.path().join("chameleon.wasm.sig"), place.0.path().join("new.wasm.sig")).unwrap();
    failed(&place.run(&["plugin", "verify", "--key", "plugins.key.pub", "new.wasm"]), 1);
    failed(&place.run(&["plugin", "install", "new.wasm"]), 1);
    worked(&place.run(&["plugin", "sign", "--key", "plugins.key", "new.wasm"]));
    assert!(worked(&place.run(&["plugin", "install", "new.wasm"])).contains("2.0.0 is in use"));
    assert!(worked(&place.run(&["plugin", "rollback", "chameleon"])).contains("1.0.0 is in use"), "with the signature that it had");
    with(&format!("sha256 = \"{}\"", incident_sink::plugin::load::digest(&chameleon("good"))));
    let text = failed(&place.run(&["plugin", "install", "new.wasm"]), 1);
    assert!(text.contains("`sha256` pins"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_reports_what_differs_and_sends_nothing() {
    let (url, got) = receiver().await;
    let place = place(&url, PATIENT);
    component(&place, "new.wasm", &chameleon("good-2"));
    failed(&place.run(&["plugin", "install", "--shadow", "2", "new.wasm"]), 1);
    let host = place.start();
    let text = worked(&place.run(&["plugin", "install", "--shadow", "2", "new.wasm"]));
    assert!(text.contains("chameleon 2.0.0 writes the next 2 messages along; nothing is swapped"), "{text}");
    for id in ["one", "two", "three"] {
        event(&host.url, id).await;
        until(&place, "the message", |_| {
            got.lock().unwrap().iter().any(|body| body["events"][0].as_str().is_some_and(|event| event.ends_with(id)))
        });
    }
    let seen = until(&place, "the comparison", |state| state["shadow"]["left"] == 0);
    assert_eq!((&seen[0]["shadow"]["different"], &seen[0]["version"]), (&2.into(), &"1.0.0".into()), "{seen}");
    let text = worked(&place.run(&["plugin", "list"]));
    assert!(text.contains("chameleon 2.0.0 writes along: 0 alike, 2 different, 0 failed, 0 to go"), "{text}");
    assert!(text.contains("the body differs at byte"), "{text}");
    let sent = got.lock().unwrap().clone();
    assert!(sent.iter().all(|body| body["version"] == "1.0.0"), "{sent:?}");
    let (code, log) = host.stop();
    assert!(code == 0 && log.contains("The plugin's shadow has written its messages."), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_host_takes_a_good_file_refuses_a_broken_one_and_takes_back_one_that_fails() {
    let (url, got) = receiver().await;
    let place = place(&url, PATIENT);
    component(&place, "new.wasm", &chameleon("good-2"));
    let host = place.start();
    until(&place, "the first version to be kept", |state| state["versions"].as_array().is_some_and(|kept| kept.len() == 1));
    worked(&place.run(&["plugin", "install", "new.wasm"]));
    until(&place, "the new version", |state| state["version"] == "2.0.0");
    component(&place, "chameleon.wasm", &chameleon("trap-sign"));
    let seen = until(&place, "the refusal", |state| state["last_failure"].is_object());
    assert_eq!((&seen[0]["last_failure"]["step"], &seen[0]["version"]), (&"version".into(), &"2.0.0".into()), "{seen}");
    let text = worked(&place.run(&["plugin", "list"]));
    assert!(text.contains("did not last"), "{text}");
    event(&host.url, "after").await;
    until(&place, "the message", |_| got.lock().unwrap().iter().any(|body| body["version"] == "2.0.0"));
    let seen = list(&place);
    let calls = seen[0]["usage"]["functions"].as_array().unwrap().iter().find(|function| function["function"] == "begin").unwrap();
    assert!(calls["calls"].as_u64().unwrap() >= 1 && seen[0]["counts"]["refused"] == 1, "{seen}");
    let (code, log) = host.stop();
    assert!(code == 0 && log.contains("The plugin's new version is refused; the one in use goes on."), "{log}");
    assert!(!log.contains("hush-hush"), "{log}");
}
