//! DingTalk's signature through the whole way: component, egress, socket.

use std::path::Path;

use incident_sink::delivery::{IncidentSink, Outcome};
use serde_json::{Value, json};

use super::support::{Bench, Receiver, at, component, done, items};

fn vectors() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/dingtalk/sign-vectors.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[tokio::test]
async fn every_published_signature_arrives_encoded_once() {
    let (receiver, url) = Receiver::start().await;
    let bench = Bench::new("dingtalk", &component("dingtalk.wasm"));
    let vectors = vectors();
    assert_eq!(vectors.len(), 7);
    for vector in &vectors {
        let (secret, now) = (vector["secret"].as_str().unwrap(), vector["timestamp"].as_i64().unwrap());
        let sink = bench.sink("dingtalk", &url, json!({ "secret": secret }));
        let draft = sink.prepare(&items(1), &at(now, 1)).unwrap().draft;
        assert!(!String::from_utf8(draft.prepared.clone()).unwrap().contains(secret));
        receiver.answer(200, "", r#"{"errcode":0,"errmsg":"ok"}"#);
        let outcome = done(sink.attempt(&draft, &at(now, 1)).await);
        assert!(matches!(outcome, Outcome::Delivered { .. }), "{outcome:?}");
        let got = receiver.got().pop().unwrap();
        let query = got.uri.query().unwrap();
        assert!(query.starts_with("token=hush-token&"), "{query}");
        assert!(query.split('&').any(|pair| pair == format!("timestamp={now}")), "{query}");
        assert!(query.split('&').any(|pair| pair == format!("sign={}", vector["query"].as_str().unwrap())), "{query}");
        assert_eq!(got.query("sign").as_deref(), vector["base64"].as_str());
    }
}

#[tokio::test]
async fn a_robot_without_a_secret_is_not_signed() {
    let (receiver, url) = Receiver::start().await;
    let sink = Bench::new("dingtalk", &component("dingtalk.wasm")).sink("dingtalk", &url, json!({}));
    let draft = sink.prepare(&items(1), &at(1_000, 1)).unwrap().draft;
    sink.attempt(&draft, &at(1_000, 1)).await;
    assert_eq!(receiver.got()[0].uri.query(), Some("token=hush-token"));
}

#[tokio::test]
async fn a_message_sent_again_differs_in_its_signature_alone() {
    let (receiver, url) = Receiver::start().await;
    let sink = Bench::new("dingtalk", &component("dingtalk.wasm")).sink("dingtalk", &url, json!({ "secret": "SEC1" }));
    let draft = sink.prepare(&items(1), &at(1_000, 1)).unwrap().draft;
    for attempt in 1..=3 {
        sink.attempt(&draft, &at(i64::from(attempt) * 60_000, attempt)).await;
    }
    let got = receiver.got();
    assert!(got.iter().all(|one| one.body == got[0].body && one.headers["content-type"] == got[0].headers["content-type"]));
    let (first, last) = (got[0].query("sign"), got[2].query("sign"));
    assert!(first.is_some() && first != last);
    assert_eq!(got[2].query("timestamp").as_deref(), Some("180000"));
}

#[tokio::test]
async fn a_connectors_templates_reach_the_message_and_the_events_words_are_escaped() {
    let (receiver, url) = Receiver::start().await;
    let table = json!({ "message_type": "markdown", "title": "Fire: {{ alertSummary }}", "text": "**bold** {{ alertSummary }}" });
    let sink = Bench::new("dingtalk", &component("dingtalk.wasm")).sink("dingtalk", &url, table);
    let mut batch = items(1);
    std::sync::Arc::make_mut(&mut batch[0].event).summary = "a [link](https://evil.example) @all".into();
    let draft = sink.prepare(&batch, &at(1_000, 1)).unwrap().draft;
    sink.attempt(&draft, &at(1_000, 1)).await;
    let body: Value = serde_json::from_slice(&receiver.got()[0].body).unwrap();
    let text = body["markdown"]["text"].as_str().unwrap();
    assert!(text.contains("**bold** ") && !text.contains("[link](https://evil.example)"), "{text}");
    assert!(body["markdown"]["title"].as_str().unwrap().starts_with("Fire: "), "{body}");
}
