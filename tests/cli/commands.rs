//! What the commands print and do.

use std::time::Duration;

use incident_sink::simulator::dingtalk::Fault;
use serde_json::Value;

use crate::harness::{Place, SECRET, component, failed, feed, fixture, group, worked};

#[test]
fn inspect_says_what_the_component_is() {
    let place = Place::new("");
    let file = component();
    let output = place.run(&["plugin", "inspect", "--json", file.to_str().unwrap()]);
    let seen: Value = serde_json::from_str(&worked(&output)).unwrap();
    assert_eq!(seen["name"], "dingtalk");
    assert!(
        seen["imports"].as_array().unwrap().iter().all(|name| name.as_str().unwrap().starts_with("incident-sink:plugin/types@")),
        "{seen}"
    );
    assert!(seen["size"].as_u64().unwrap() <= 256 * 1024, "the component has grown to {} bytes; 128 KiB is the goal", seen["size"]);
    assert_eq!(seen["pace"]["messages"], 20);
    assert!(seen["config_schema"]["properties"]["secret"]["writeOnly"].as_bool().unwrap());
    let text = worked(&place.run(&["plugin", "inspect", file.to_str().unwrap()]));
    assert!(text.contains("dingtalk") && text.contains("imports"), "{text}");
}

#[test]
fn the_schema_knows_the_plugins_keys() {
    let place = Place::with_connector("https://x.example/send?access_token=hidden", SECRET);
    let text = worked(&place.run(&["schema"]));
    let schema: Value = serde_json::from_str(&text).unwrap();
    assert!(text.contains("at_mobiles") && schema["properties"]["connectors"].is_object());
    assert!(!text.contains("hidden") && !text.contains(SECRET));
}

#[test]
fn a_completion_script_is_printed() {
    assert!(worked(&Place::new("").run(&["completions", "bash"])).contains("incident-sink"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_tested_and_the_answer_told() {
    let group = group().await;
    let url = group.url_of("ops").unwrap();
    let text = worked(&Place::with_connector(&url, SECRET).run(&["test-connection", "ops"]));
    assert!(text.contains("was delivered"), "{text}");
    let shown = &group.messages("ops")[0];
    assert!(format!("{} {}", shown.title, shown.text).contains("test"), "{shown:?}");
    let text = failed(&Place::with_connector(&url, "SECwrong").run(&["test-connection", "ops"]), 1);
    assert!(text.contains("310000") && text.contains("sign not match") && text.contains("what to do"), "{text}");
    assert!(!text.contains("token-of-ops") && !text.contains("SECwrong"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_shows_the_message_and_sends_nothing() {
    let group = group().await;
    let place = Place::with_connector(&group.url_of("ops").unwrap(), SECRET);
    let event = fixture("ilert/2026-created-rich.json");
    let text = worked(&place.run(&["preview", event.to_str().unwrap()]));
    assert!(text.contains("POST http://") && text.contains("sign=") && text.contains("msgtype"), "{text}");
    assert!(!text.contains("token-of-ops") && !text.contains(SECRET), "{text}");
    let json: Value =
        serde_json::from_str(&worked(&place.run(&["preview", "--json", "--connector", "ops", event.to_str().unwrap()]))).unwrap();
    assert!(json["request"]["body"].as_str().unwrap().contains("msgUuid"), "{json}");
    assert_eq!(group.counters("ops").unwrap().requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn send_delivers_what_it_reads_and_says_what_it_did() {
    let group = group().await;
    let place = Place::with_connector(&group.url_of("ops").unwrap(), SECRET);
    let line = |number: u32| {
        format!(
            "{{\"id\":\"{number}\",\"eventId\":\"e{number}\",\"summary\":\"s{number}\",\"eventType\":\"alert-created\",\"status\":\"PENDING\"}}\n"
        )
    };
    let input: String = (0..5).map(line).chain([line(0), "no json\n".to_owned()]).collect();
    let output = feed(place.command(&["send"]), input.as_bytes());
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "5 accepted, 1 duplicates, 1 rejected, 0 dead letters, 0 still waiting");
    assert_eq!(output.status.code(), Some(1), "a line that could not be read is not done");
    assert_eq!(group.messages("ops").len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_listed_shown_replayed_and_discarded() {
    let group = group().await;
    let place = Place::with_connector(&group.url_of("ops").unwrap(), SECRET);
    group.fault("ops", Fault::Errcode { code: 400_102, text: Some("robot disabled".to_owned()) }, 2).unwrap();
    let event = b"{\"id\":\"1\",\"eventId\":\"e1\",\"summary\":\"first\",\"eventType\":\"alert-created\",\"status\":\"PENDING\"}\n{\"id\":\"2\",\"eventId\":\"e2\",\"summary\":\"second\",\"eventType\":\"alert-created\",\"status\":\"PENDING\"}\n";
    assert_eq!(feed(place.command(&["send"]), event).status.code(), Some(1));
    let list: Value = serde_json::from_str(&worked(&place.run(&["dead-letters", "list", "--json"]))).unwrap();
    let ids: Vec<i64> = list["messages"].as_array().unwrap().iter().map(|one| one["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), 2, "{list}");
    let shown = worked(&place.run(&["dead-letters", "show", &ids[0].to_string()]));
    assert!(shown.contains("400102") && shown.contains("robot disabled") && shown.contains("what to do"), "{shown}");
    assert!(worked(&place.run(&["dead-letters", "discard", &ids[0].to_string()])).contains("1 discarded"));
    assert!(worked(&place.run(&["dead-letters", "replay", "--connector", "ops"])).contains("1 replayed"));
    let status = worked(&place.run(&["outbox", "status"]));
    assert!(status.contains("CONNECTOR") && status.contains("ops"), "{status}");
    let host = place.start();
    group.wait_for("ops", 1, Duration::from_secs(20)).await.expect("the replayed message goes out at the next start");
    assert_eq!(host.stop().0, 0);
    assert!(worked(&place.run(&["dead-letters", "list"])).contains("no dead letters"));
}

#[test]
fn the_demo_ends_by_itself_and_loses_nothing() {
    let place = Place::new("");
    let file = place.0.path().join("dingtalk.wasm");
    std::fs::copy(component(), &file).unwrap();
    let picture = place.0.path().join("chat.svg");
    let output = place.run(&["demo", "--storm", "60", "--plugin", file.to_str().unwrap(), "--svg", picture.to_str().unwrap()]);
    let text = worked(&output);
    let last = text.trim_end().lines().last().unwrap();
    assert!(last.contains("events in") && last.ends_with("lost 0"), "{last}");
    assert!(text.contains("Li Lei presses the page's button") && text.contains("/accept → 200"), "a person accepts: {text}");
    assert!(text.contains("Han Meimei: @iLert resolve") && text.contains("/resolve → 200"), "another one resolves: {text}");
    assert!(!place.0.path().join("dingtalk.wasm.versions").exists(), "the demo leaves something beside the plugin");
    assert!(std::fs::read_to_string(picture).unwrap().starts_with("<svg"));
}
