//! The DingTalk plugin against the simulated group, and at the limits of its memory.

use std::sync::Arc;
use std::time::Duration;

use incident_sink::delivery::{IncidentSink, Item, Outcome};
use incident_sink::event::{Event, Kind, Link, Status};
use incident_sink::plugin::wit;
use incident_sink::simulator::dingtalk::{DingTalk, Options, Robot};
use serde_json::{Value, json};

use super::support::{Bench, at, component, done, item, limited, patient};

const TYPES: [&str; 6] = ["auto", "action_card", "markdown", "text", "link", "feed_card"];

fn kinds() -> Vec<Kind> {
    let mut kinds = vec![Kind::Created, Kind::Assigned, Kind::AutoEscalated, Kind::Acknowledged, Kind::Raised, Kind::CommentAdded];
    kinds.extend([Kind::Resolved, Kind::AutoResolved, Kind::Rejected, Kind::ResponderAdded, Kind::ResponderRemoved]);
    kinds.extend([Kind::EscalationEnded, Kind::NotResolved, Kind::Test, Kind::Other("postmortem".into())]);
    kinds
}

/// The item, changed.
fn with(base: Item, change: impl FnOnce(&mut Event)) -> Item {
    let mut event = Arc::unwrap_or_clone(base.event);
    change(&mut event);
    Item { event: Arc::new(event), folded: base.folded }
}

fn config(message_type: &str, language: &str) -> Value {
    let mut config = json!({ "message_type": message_type, "language": language, "picture_url": "https://x.example/p.png" });
    if !["link", "feed_card"].contains(&message_type) {
        config["at_mobiles"] = json!(["13800000000"]);
    }
    config
}

#[tokio::test]
async fn the_group_takes_every_kind_in_every_type_and_language() {
    let group = DingTalk::start(Options { robots: vec![Robot::new("ops", "token-of-ops")], ..Options::default() }).await.unwrap();
    let url = group.url_of("ops").unwrap();
    let bench = Bench::new("dingtalk", &component("dingtalk.wasm"));
    for message_type in TYPES {
        for language in ["en", "zh-CN"] {
            let sink = bench.sink("dingtalk", &url, config(message_type, language));
            let page = |event: &mut Event| event.incident_url = Some("https://xyz.ilert.com/incident/view.jsf?id=1".into());
            let mut batches: Vec<Vec<Item>> = kinds().into_iter().map(|kind| vec![item("1", kind)]).collect();
            batches.extend(kinds().into_iter().map(|kind| vec![with(item("1", kind), page)]));
            batches.push((0..200).map(|n| with(item(&n.to_string(), Kind::Created), page)).collect());
            batches.push((0..3).map(|n| item(&n.to_string(), Kind::Created)).collect());
            for (n, batch) in batches.iter().enumerate() {
                let mut cx = at(1_772_329_920_000, 1);
                cx.key = format!("{message_type}-{language}-{n}");
                let draft = sink.prepare(batch, &cx).unwrap().draft;
                let outcome = done(sink.attempt(&draft, &cx).await);
                assert!(matches!(outcome, Outcome::Delivered { .. }), "{message_type} {language} {n}: {outcome:?}");
                group.advance(Duration::from_secs(10));
            }
        }
    }
    let refused: Vec<_> = group.refusals();
    assert!(refused.is_empty(), "{refused:?}");
}

/// An incident whose every text is long.
fn long(n: usize) -> Item {
    with(item(&n.to_string(), Kind::Created), |event| {
        event.status = Status::Pending;
        event.summary = "数据库 *主库* [不可用](x) @all ".repeat(60);
        event.details = "line of details\n".repeat(2_000);
        event.links =
            (0..8).map(|n| Link { text: "Grafana".repeat(10), href: format!("https://x.example/{n}/{}", "a".repeat(200)) }).collect();
        event.incident_url = Some(format!("https://xyz.ilert.com/incident/view.jsf?id={n}"));
    })
}

#[tokio::test]
async fn the_largest_batch_of_long_incidents_fits_into_the_plugins_memory() {
    let bench = Bench::new("dingtalk", &component("dingtalk.wasm"));
    // Memory is what this is about; a busy machine may take longer than the usual deadline.
    bench.registry.swap("dingtalk", patient(&bench.engine, &component("dingtalk.wasm")));
    let largest = bench.registry.current("dingtalk").unwrap().descriptor().max_batch as usize;
    let sink = bench.sink("dingtalk", "http://127.0.0.1:9/robot/send?access_token=t", json!({}));
    let batch: Vec<Item> = (0..largest).map(long).collect();
    let prepared = sink.prepare(&batch, &at(1_772_329_920_000, 1)).unwrap();
    assert!(prepared.covers >= 60, "{}", prepared.covers);
}

#[tokio::test]
async fn one_incident_of_a_quarter_of_a_megabyte_is_shortened() {
    let bench = Bench::new("dingtalk", &component("dingtalk.wasm"));
    let sink = bench.sink("dingtalk", "http://127.0.0.1:9/robot/send?access_token=t", json!({}));
    let huge = with(long(1), |event| event.summary = "数".repeat(80_000));
    let prepared = sink.prepare(&[huge], &at(1_772_329_920_000, 1)).unwrap();
    assert_eq!(prepared.covers, 1);
}

#[tokio::test]
async fn a_usual_incident_takes_one_page_of_memory() {
    let group = DingTalk::start(Options { robots: vec![Robot::new("ops", "token-of-ops")], ..Options::default() }).await.unwrap();
    let bench = Bench::new("dingtalk", &component("dingtalk.wasm"));
    // Which is what it begins with.
    bench.registry.swap("dingtalk", limited(&bench.engine, &component("dingtalk.wasm"), json!({ "deadline": "10s", "memory": "64 KiB" })));
    let sink = bench.sink("dingtalk", &group.url_of("ops").unwrap(), config("auto", "zh-CN"));
    let usual = with(item("1", Kind::Created), |event| {
        event.details = "The connection pool of the orders database is exhausted.\n".repeat(70);
        event.links = vec![Link { text: "Grafana".into(), href: "https://x.example/d/1?from=now-1h".into() }];
    });
    let cx = at(1_772_329_920_000, 1);
    let draft = sink.prepare(&[usual], &cx).unwrap().draft;
    let outcome = done(sink.attempt(&draft, &cx).await);
    assert!(matches!(outcome, Outcome::Delivered { .. }), "{outcome:?}");
}

#[test]
fn an_answer_and_a_callback_of_any_depth_are_read_within_the_stack() {
    let bench = Bench::new("dingtalk", &component("dingtalk.wasm"));
    let plugin = patient(&bench.engine, &component("dingtalk.wasm"));
    let at = wit::Timestamp { unix_ms: 1_772_329_920_000, offset_minutes: 480 };
    let cx = wit::Context {
        connector: "ops".into(),
        now: at,
        attempt: 1,
        message_id: "01J9ZQ7M3N".into(),
        memo: None,
        waiting: 0,
        links: vec![],
        title: None,
        text: None,
        extra: vec![],
    };
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for deep in [20, 27, 40, 128, 50_000] {
            let nested = [&open.repeat(deep), "\"#7\"", &close.repeat(deep)].concat();
            let body = format!(r#"{{"errcode":0,"x":{nested}}}"#).into_bytes();
            let step = plugin.resume("{}", b"sent/1", &wit::Response { status: 200, headers: vec![], body }, &cx);
            assert!(matches!(step, Ok(wit::Step::Done(wit::Outcome::Delivered(_)))), "{open} {deep}: {step:?}");
            let body = format!(r#"{{"text":{{"content":"accept","repliedMsg":{{"content":{nested}}}}},"senderStaffId":"1"}}"#).into_bytes();
            let request = wit::Incoming { method: "POST".into(), path: "/".into(), headers: vec![], query: vec![], body };
            let received = plugin.inbox_read("{}", &request, &cx);
            assert!(matches!(&received, Ok(Ok(received)) if received.commands.len() == 1), "{open} {deep}: {received:?}");
        }
    }
}
