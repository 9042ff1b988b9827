//! What programs and terminals get from the commands: JSON on request, colours and progress only where a person looks.

use std::process::Command;

use serde_json::Value;

use crate::harness::{Place, SECRET, component, failed, feed, group, worked};
use crate::port::free_port;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A config whose admin address is known before the host starts.
fn place_with_admin(url: &str) -> Place {
    let port = free_port();
    let place = Place::with_connector(url, SECRET);
    let config = std::fs::read_to_string(place.config()).unwrap();
    std::fs::write(place.config(), config.replace("[admin]\nlisten = \"127.0.0.1:0\"", &format!("[admin]\nlisten = \"127.0.0.1:{port}\"")))
        .unwrap();
    place
}

#[test]
fn validate_tells_programs_what_is_wrong_and_where() {
    let place = Place::with_connector("https://x.example/send?access_token=hidden", SECRET);
    let good = json(&worked(&place.run(&["validate", "--json"])));
    assert_eq!((good["valid"].as_bool(), good["connectors"].as_u64()), (Some(true), Some(1)), "{good}");
    let place = Place::new("[server]\nlisten = \"127.0.0.1:0\"\npublic_ulr = \"https://x.example\"\n");
    let output = place.run(&["validate", "--json"]);
    let bad = json(&String::from_utf8_lossy(&output.stdout));
    let error = &bad["errors"][0];
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        (bad["valid"].as_bool(), error["line"].as_u64(), error["key"].as_str()),
        (Some(false), Some(3), Some("server.public_ulr")),
        "{bad}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_test_is_json_on_request_whatever_comes_of_it() {
    let group = group().await;
    let url = group.url_of("ops").unwrap();
    let told = json(&worked(&Place::with_connector(&url, SECRET).run(&["test-connection", "ops", "--json"])));
    assert_eq!((told["outcome"].as_str(), told["reason"].is_null()), (Some("delivered"), true), "{told}");
    let output = Place::with_connector(&url, "SECwrong").run(&["test-connection", "ops", "--json"]);
    let told = json(&String::from_utf8_lossy(&output.stdout));
    assert_eq!((told["outcome"].as_str(), told["reason"]["code"].as_str()), (Some("rejected"), Some("310000")), "{told}");
    assert!(failed(&output, 1).contains("what to do"));
}

#[tokio::test(flavor = "multi_thread")]
async fn send_and_dead_letters_are_json_on_request() {
    let group = group().await;
    let place = Place::with_connector(&group.url_of("ops").unwrap(), "SECwrong");
    let event = b"{\"id\":\"1\",\"eventId\":\"e1\",\"summary\":\"first\",\"eventType\":\"alert-created\",\"status\":\"PENDING\"}\n";
    let output = feed(place.command(&["send", "--json"]), event);
    let told = json(&String::from_utf8_lossy(&output.stdout));
    assert_eq!((told["accepted"].as_u64(), told["dead"].as_u64(), told["waiting"].as_u64()), (Some(1), Some(1), Some(0)), "{told}");
    let list = json(&worked(&place.run(&["dead-letters", "list", "--json"])));
    let id = list["messages"][0]["id"].as_i64().unwrap();
    let replayed = json(&worked(&place.run(&["dead-letters", "replay", &id.to_string(), "--json"])));
    assert_eq!(replayed, serde_json::json!({ "replayed": [id] }));
    assert!(json(&worked(&place.run(&["outbox", "status", "--json"])))[0]["waiting"].is_u64());
    let text = failed(&place.run(&["dead-letters", "show", "4711"]), 1);
    assert!(text.contains("there is no message 4711") && text.contains("`incident-sink dead-letters list`"), "{text}");
}

#[test]
fn keys_and_signatures_are_json_on_request() {
    let place = Place::new("");
    std::fs::copy(component(), place.0.path().join("p.wasm")).unwrap();
    let made = json(&worked(&place.run(&["plugin", "keygen", "k", "--json"])));
    assert_eq!((made["private"].as_str(), made["public"].as_str()), (Some("k"), Some("k.pub")), "{made}");
    let text = failed(&place.run(&["plugin", "verify", "--key", "k.pub", "p.wasm"]), 1);
    assert!(text.contains("`incident-sink plugin sign"), "{text}");
    let signed = json(&worked(&place.run(&["plugin", "sign", "--key", "k", "p.wasm", "--json"])));
    assert_eq!(signed["signature"], "p.wasm.sig");
    let verified = json(&worked(&place.run(&["plugin", "verify", "--key", "k.pub", "p.wasm", "--json"])));
    assert_eq!(verified["signed_by"], made["trusted_key"]);
}

#[test]
fn the_version_names_the_contract() {
    let place = Place::new("");
    assert_eq!(json(&worked(&place.run(&["version", "--json"])))["contract"], "incident-sink:plugin@1.0.0");
    assert!(worked(&place.run(&["version"])).starts_with("incident-sink "));
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let place = Place::new("");
    worked(&place.run(&["man", "pages"]));
    let count = std::fs::read_dir(place.0.path().join("pages")).unwrap().count();
    let page = std::fs::read_to_string(place.0.path().join("pages/incident-sink-dead-letters-replay.1")).unwrap();
    assert!(count >= 20 && page.contains(".TH") && page.contains("incident\\-sink dead\\-letters replay 42"), "{count}: {page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn top_shows_the_lanes_of_the_running_host() {
    let group = group().await;
    let place = place_with_admin(&group.url_of("ops").unwrap());
    let text = failed(&place.run(&["top"]), 1);
    assert!(text.contains("no host answers") && text.contains("`incident-sink run`"), "{text}");
    let host = place.start();
    let text = worked(&place.run(&["top", "--once"]));
    assert!(text.contains("CONNECTOR") && text.contains("ops") && text.contains("no limit") && !text.contains('\u{1b}'), "{text}");
    if let Some((frames, code)) = on_a_terminal(&place, "incident-sink top --interval 200ms", "sleep 2; printf s; sleep 1; printf q") {
        assert_eq!(code, 0, "{frames}");
        assert!(frames.contains("\u{1b}[?1049h") && frames.contains("sort by need"), "{frames}");
        assert!(frames.trim_end().ends_with("\u{1b}[?1049l"), "the terminal is given back: {frames}");
    }
    assert_eq!(host.stop().0, 0);
}

#[test]
fn colours_are_drawn_on_a_terminal_and_never_with_no_color() {
    let place = Place::new("[server]\nlisten = 7\n");
    if let Some((text, code)) = on_a_terminal(&place, "incident-sink validate", "true") {
        assert!(code == 2 && text.contains("\u{1b}["), "{text}");
        let (text, _) = on_a_terminal(&place, "NO_COLOR=1 incident-sink validate", "true").unwrap();
        assert!(text.contains("server.listen") && !text.contains("\u{1b}["), "{text}");
    }
    assert!(!failed(&place.run(&["validate"]), 2).contains('\u{1b}'));
}

/// Runs a command line on a terminal of 80 by 24, with what another command types; what was drawn, and the exit code.
fn on_a_terminal(place: &Place, line: &str, typed: &str) -> Option<(String, i32)> {
    if std::env::var("INCIDENT_SINK_LEFT_OUT").unwrap_or_default().split(',').any(|name| name == "script") {
        eprintln!("left out: there is no script here");
        return None;
    }
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_incident-sink")).parent().unwrap();
    // It gives a command a terminal.
    let line =
        format!("({typed}) | script -qec 'stty cols 80 rows 24; export TERM=xterm PATH={}:$PATH; {line}' /dev/null", program.display());
    let output = Command::new("bash").args(["-c", &line]).current_dir(place.0.path()).env_remove("NO_COLOR").output().unwrap();
    Some((String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code().unwrap_or(-1)))
}
