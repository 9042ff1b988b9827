//! The plugin sink with real components and a receiver on loopback.
#![allow(clippy::unwrap_used)]

mod callbacks;
mod dingtalk;
mod support;
mod vectors;

use std::sync::Arc;

use incident_sink::delivery::connector::ConnectorConfig;
use incident_sink::delivery::preview::Plan;
use incident_sink::delivery::{Attempt, IncidentSink, Outcome};
use incident_sink::event::Kind;
use incident_sink::outbox::Draft;
use serde_json::{Value, json};
use support::{Bench, Receiver, at, chameleon, done, item, items, load, sink};

fn text(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

#[tokio::test]
async fn a_message_is_written_signed_sent_and_its_answer_read() {
    let (receiver, url) = Receiver::start().await;
    let sink = sink("good", &url);
    let prepared = sink.prepare(&items(3), &at(1_000, 1)).unwrap();
    assert_eq!(prepared.covers, 3);
    let outcome = done(sink.attempt(&prepared.draft, &at(1_000, 1)).await);
    assert_eq!(outcome, Outcome::Delivered { receipt: None, memo: None });
    let [got] = &receiver.got()[..] else { panic!("expected one request") };
    assert_eq!((got.method.as_str(), got.uri.path()), ("POST", "/send"));
    assert_eq!(got.query("token").as_deref(), Some("hush-token"));
    assert_eq!(got.headers["content-type"], "application/json");
    assert_eq!(text(&got.body)["events"], json!(["i0", "i1", "i2"]));
}

#[tokio::test]
async fn every_attempt_sends_the_same_body_and_signs_anew() {
    let (receiver, url) = Receiver::start().await;
    let sink = sink("good", &url);
    let draft = sink.prepare(&items(1), &at(1_000, 1)).unwrap().draft;
    for attempt in 1..=3u32 {
        sink.attempt(&draft, &at(i64::from(attempt) * 1_000, attempt)).await;
    }
    let got = receiver.got();
    assert!(got.iter().all(|one| one.body == got[0].body));
    let mut signs: Vec<_> = got.iter().map(|one| one.query("sign").unwrap()).collect();
    signs.dedup();
    assert_eq!(signs.len(), 3);
}

#[tokio::test]
async fn an_answer_becomes_an_outcome_and_a_wait_that_the_receiver_names_is_kept() {
    let (receiver, url) = Receiver::start().await;
    let sink = sink("good", &url);
    let draft = sink.prepare(&items(1), &at(0, 1)).unwrap().draft;
    receiver.answer(503, "7", "");
    receiver.answer(429, "", "");
    receiver.answer(404, "", "");
    let outcome = done(sink.attempt(&draft, &at(0, 1)).await);
    assert!(matches!(&outcome, Outcome::Retry { after_ms: 7_000, reason } if reason.code == "503"), "{outcome:?}");
    let outcome = done(sink.attempt(&draft, &at(0, 2)).await);
    assert!(matches!(&outcome, Outcome::Throttled { after_ms: 0, .. }), "{outcome:?}");
    let outcome = done(sink.attempt(&draft, &at(0, 3)).await);
    assert!(matches!(&outcome, Outcome::Rejected { reason } if reason.code == "404"), "{outcome:?}");
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_a_retry() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/send?token=hush-token", listener.local_addr().unwrap());
    drop(listener);
    let sink = sink("good", &url);
    let draft = sink.prepare(&items(1), &at(0, 1)).unwrap().draft;
    let outcome = done(sink.attempt(&draft, &at(0, 1)).await);
    assert!(matches!(&outcome, Outcome::Retry { reason, .. } if reason.code == "unreachable"), "{outcome:?}");
    assert!(!format!("{outcome:?}").contains("hush"));
    assert!(sink.healthcheck().await.is_err());
}

#[tokio::test]
async fn a_receiver_that_stays_silent_leaves_the_outcome_unknown() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/send", listener.local_addr().unwrap());
    let bench = Bench::chameleon("good");
    let sink = bench.sink("chameleon", &url, json!({ "delivery": { "timeout": "200ms" } }));
    let draft = sink.prepare(&items(1), &at(0, 1)).unwrap().draft;
    let outcome = done(sink.attempt(&draft, &at(0, 1)).await);
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_crash_before_sending_is_a_retry_and_after_it_unknown() {
    let (receiver, url) = Receiver::start().await;
    for (behaviour, code, sent) in [("trap-sign", "plugin-trap", 0), ("sign-fails", "plugin-failure", 0), ("trap-resume", "plugin-trap", 1)]
    {
        let sink = sink(behaviour, &url);
        let draft = sink.prepare(&items(1), &at(0, 1)).unwrap().draft;
        match (sent, done(sink.attempt(&draft, &at(0, 1)).await)) {
            (0, Outcome::Retry { reason, .. }) | (1, Outcome::Unknown { reason }) => assert_eq!(reason.code, code),
            (_, outcome) => panic!("{behaviour}: {outcome:?}"),
        }
    }
    assert_eq!(receiver.got().len(), 1);
}

#[tokio::test]
async fn a_plugin_that_cannot_write_says_so_before_anything_is_opened() {
    for (behaviour, code) in
        [("trap-begin", "plugin-trap"), ("begin-fails", "plugin-failure"), ("other-host", "egress"), ("host-header", "plugin-output")]
    {
        let error = sink(behaviour, "http://127.0.0.1:1/?token=hush").prepare(&items(2), &at(0, 1)).unwrap_err();
        assert_eq!(error.code, code, "{behaviour}: {error:?}");
        assert!(!format!("{error:?}").contains("hush"));
    }
}

#[tokio::test]
async fn a_plugin_that_never_ends_is_cut_after_so_many_steps() {
    let (receiver, url) = Receiver::start().await;
    let sink = sink("endless-steps", &url);
    let mut draft = sink.prepare(&items(1), &at(0, 1)).unwrap().draft;
    for step in 1..=8 {
        match sink.attempt(&draft, &at(0, 1)).await {
            Attempt::Next { draft: next, paced } => {
                assert!(paced && step < 8);
                draft = next;
            }
            Attempt::Done(outcome) => {
                assert_eq!(step, 8);
                assert!(matches!(outcome, Outcome::Rejected { reason } if reason.code == "too-many-steps"));
            }
        }
    }
    assert_eq!(receiver.got().len(), 8);
}

#[tokio::test]
async fn a_verdict_without_sending_is_about_one_event_and_is_written_down() {
    let (receiver, url) = Receiver::start().await;
    let sink = sink("drops-all", &url);
    let prepared = sink.prepare(&items(3), &at(0, 1)).unwrap();
    assert_eq!(prepared.covers, 1);
    assert!(sink.can_attempt(&prepared.draft));
    let outcome = done(sink.attempt(&prepared.draft, &at(0, 1)).await);
    assert!(matches!(outcome, Outcome::Rejected { reason } if reason.code == "unwanted"));
    assert!(receiver.got().is_empty());
}

#[tokio::test]
async fn a_swap_leaves_a_message_with_the_version_that_wrote_it() {
    let (receiver, url) = Receiver::start().await;
    let bench = Bench::chameleon("good");
    let sink = bench.sink("chameleon", &url, json!({}));
    let old = sink.prepare(&items(1), &at(0, 1)).unwrap().draft;
    bench.registry.swap("chameleon", load(&bench.engine, &chameleon("good-2")));
    let new = sink.prepare(&items(1), &at(0, 1)).unwrap().draft;
    assert_ne!(old.author, new.author);
    for draft in [&old, &new] {
        assert!(sink.can_attempt(draft));
        assert!(matches!(done(sink.attempt(draft, &at(0, 1)).await), Outcome::Delivered { .. }));
    }
    let versions: Vec<Value> = receiver.got().iter().map(|got| text(&got.body)["version"].clone()).collect();
    assert_eq!(versions, ["1.0.0", "2.0.0"]);
}

#[tokio::test]
async fn a_draft_whose_plugin_is_gone_is_written_anew() {
    let (_, url) = Receiver::start().await;
    let bench = Bench::chameleon("good");
    let sink = bench.sink("chameleon", &url, json!({}));
    let draft = sink.prepare(&items(1), &at(0, 1)).unwrap().draft;
    bench.registry.remove("chameleon");
    assert!(!sink.can_attempt(&draft));
    assert!(matches!(done(sink.attempt(&draft, &at(0, 1)).await), Outcome::Retry { reason, .. } if reason.code == "plugin-missing"));
    assert_eq!(sink.prepare(&items(1), &at(0, 1)).unwrap_err().code, "plugin-missing");
    assert!(!sink.can_attempt(&Draft { prepared: b"nonsense".to_vec(), author: draft.author }));
}

#[tokio::test]
async fn no_secret_and_no_address_is_written_down_or_shown() {
    let (_receiver, url) = Receiver::start().await;
    let sink = sink("secret-to-stamp", &url);
    let prepared = sink.prepare(&items(1), &at(0, 1)).unwrap();
    let stored = String::from_utf8(prepared.draft.prepared.clone()).unwrap();
    assert!(!stored.contains("hush") && !stored.contains("127.0.0.1"), "{stored}");
    let preview = sink.preview(&items(1), &at(0, 1)).unwrap();
    let Plan::Request(request) = &preview.plan else { panic!("expected a request") };
    assert!(request.url.ends_with("/send?token=…&sign=…"), "{}", request.url);
    assert!(request.headers.contains(&("x-leak".into(), "…".into())), "{:?}", request.headers);
    let outcome = sink.attempt(&prepared.draft, &at(0, 1)).await;
    let all = format!("{preview:?} {} {outcome:?} {:?} {:?}", serde_json::to_string(&preview).unwrap(), sink.config(), prepared);
    assert!(!all.contains("hush"), "{all}");
}

#[tokio::test]
async fn a_preview_sends_nothing() {
    let (receiver, url) = Receiver::start().await;
    let preview = sink("good", &url).preview(&[item("i1", Kind::Test)], &at(0, 1)).unwrap();
    let Plan::Request(request) = preview.plan else { panic!("expected a request") };
    assert_eq!(text(request.body.as_bytes())["summary"], "summary of i1");
    assert_eq!((preview.covers, preview.version.as_str()), (1, "1.0.0"));
    assert!(receiver.got().is_empty());
}

#[tokio::test]
async fn a_healthcheck_reaches_the_host_and_sends_no_message() {
    let (receiver, url) = Receiver::start().await;
    sink("good", &url).healthcheck().await.unwrap();
    let [got] = &receiver.got()[..] else { panic!("expected one request") };
    assert_eq!((got.method.as_str(), got.uri.to_string().as_str()), ("HEAD", "/"));
}

#[test]
fn a_connectors_config_is_checked_by_the_schema_and_by_the_plugin() {
    let problems = |behaviour: &str, kind: &str, secret: Value| {
        let table = json!({ "type": kind, "url": "http://127.0.0.1:1/", "secret": secret });
        let config = Arc::new(ConnectorConfig::parse(&table).unwrap());
        let built = Bench::chameleon(behaviour).sinks.build("ops".into(), config);
        built.err().unwrap().into_iter().map(|problem| problem.to_string()).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(problems("good", "chameleon", json!(7)), "/secret: expected a text");
    assert_eq!(problems("check-complains", "chameleon", json!("x")), "/secret: The chameleon does not like this.");
    assert_eq!(problems("good", "chamelion", json!("x")), "/type: there is no plugin `chamelion`; did you mean `chameleon`?");
    assert!(problems("trap-check", "chameleon", json!("x")).contains("crashed"));
}
