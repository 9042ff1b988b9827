//! The host is down for an hour, and the group still comes to know where every incident stands.

use std::collections::BTreeMap;

use incident_sink::config::{Document, Format};
use incident_sink::host::{Host, Options as HostOptions, Plan};
use incident_sink::simulator::dingtalk::{Options as GroupOptions, Robot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::harness::component;

/// A minute passes in a second.
const SPEED: u32 = 60;

/// A host in this process, whose clock and whose simulators' clocks run faster.
struct Life {
    stop: CancellationToken,
    running: JoinHandle<()>,
    webhook: Secret,
}

async fn live(clock: &Clock, config: &str, folder: &std::path::Path) -> Life {
    let document = Document::parse(config, Format::Toml, "test.toml", folder, &|_| None).unwrap();
    let options = HostOptions { clock: clock.clone(), ..HostOptions::default() };
    let host = Host::build(Plan::read(document).unwrap(), options).await.unwrap();
    let webhook = Secret::new(format!("http://{}/webhooks/ilert", host.addr().unwrap()));
    let stop = CancellationToken::new();
    let (token, abort) = (stop.clone(), CancellationToken::new());
    let running = tokio::spawn(async move { host.run(token, abort).await.unwrap() });
    Life { stop, running, webhook }
}

impl Life {
    async fn end(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

fn alert(name: &str) -> NewAlert {
    NewAlert { summary: name.to_owned(), ..NewAlert::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_hour_down_the_group_knows_where_every_incident_stands() {
    let clock = Clock::scaled(SPEED);
    let robots = vec![Robot::new("ops", "token-of-ops").signed(SECRET)];
    let group = DingTalk::start(GroupOptions { clock: clock.clone(), robots, rate_limit: false, ..GroupOptions::default() }).await.unwrap();
    let api_keys = vec![(Secret::new(API_KEY), User::new(1, "Service", "User"))];
    let ilert = Ilert::start(Options { clock: clock.clone(), api_keys, ..Options::default() }).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[ilert]\napi_url = \"{}\"\napi_key = \"{API_KEY}\"\n[plugins.dingtalk]\npath = {:?}\n\
         [sources.ilert]\ntype = \"ilert_webhook\"\n[connectors.ops]\ntype = \"dingtalk\"\nurl = \"{}\"\nsecret = \"{SECRET}\"\n\
         [connectors.ops.delivery]\npace = \"none\"\n[[actions]]\nconnector = \"ops\"\n",
        ilert.api_url(),
        component().to_string_lossy(),
        group.url_of("ops").unwrap(),
    );

    let host = live(&clock, &config, folder.path()).await;
    ilert.set_webhook(Some(host.webhook.clone()));
    // The first look at iLert is over: what comes from now on is news.
    until("the first look", || ilert.counters().contains_key("GET /alerts")).await;
    let before: Vec<u64> = (0..3).map(|n| ilert.create(alert(&format!("before-{n:02}")))).collect();
    group.wait_for("ops", 3, Duration::from_secs(60)).await.unwrap();
    host.end().await;

    ilert.set_webhook(None);
    let opened: Vec<u64> = (0..30).map(|n| ilert.create(alert(&format!("opened-{n:02}")))).collect();
    opened[..10].iter().chain(&before[..1]).for_each(|id| ilert.resolve(*id).unwrap());
    ilert.accept(opened[10], Some(&User::new(2, "Han", "Meimei"))).unwrap();
    ilert.advance(Duration::from_secs(3_600));

    let host = live(&clock, &config, folder.path()).await;
    ilert.set_webhook(Some(host.webhook.clone()));
    let shown = group.wait_for("ops", 34, Duration::from_secs(60)).await.unwrap().split_off(3);
    // One more look at iLert, and the webhook again: nothing is told twice.
    clock.sleep(Duration::from_secs(400)).await;
    ilert.resolve(before[2]).unwrap();
    let last = group.wait_for("ops", 35, Duration::from_secs(60)).await.unwrap();
    assert!(last.len() == 35 && last[34].title.contains("before-02"), "{last:?}");
    host.end().await;

    let mut told = BTreeMap::<String, Vec<&str>>::new();
    for message in &shown {
        let (status, name) = message.title.split_once(" · ").unwrap();
        told.entry(name.to_owned()).or_default().push(status);
        assert!(message.text.contains("told late"), "{}", message.text);
    }
    let mut expected: BTreeMap<String, &str> =
        (0..30).map(|n| (format!("opened-{n:02}"), if n < 10 { "RESOLVED" } else { "PENDING" })).collect();
    expected.insert("opened-10".into(), "ACCEPTED");
    expected.insert("before-00".into(), "RESOLVED");
    assert_eq!(told.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, states) in &told {
        assert!(states.len() == 1 && states[0].ends_with(expected[name]), "{name}: {states:?}");
    }
}
