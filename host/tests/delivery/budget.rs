//! Monthly budgets and clocks that are set while lanes run.

use std::sync::Arc;

use incident_sink::clock::Clock;
use incident_sink::delivery::Connector;
use incident_sink::delivery::budget::Payer;
use incident_sink::outbox::Outbox;

use crate::support::{Fake, Host, open, policy, worst};

fn paid_by(account: &str, name: &str, sink: &Arc<Fake>, budget: u32) -> Connector {
    let mut policy = policy(name);
    (policy.payer, policy.monthly_budget) = (Payer::Account(account.into()), Some(budget));
    Connector { name: name.into(), sink: sink.clone(), policy }
}

#[tokio::test]
async fn connectors_of_one_account_share_its_budget_over_restarts() {
    let (folder, mut sink) = (tempfile::tempdir().unwrap(), Fake::new(&Clock::scaled(1_000)));
    sink.pace = None;
    let sink = Arc::new(sink);
    let both = || vec![paid_by("corp", "a", &sink, 100), paid_by("corp", "b", &sink, 100)];
    let host = Host::start(&folder, &sink.clock(), both()).await;
    host.accept("a", (0..60).map(|n| open("a", n))).await;
    host.accept("b", (60..90).map(|n| open("b", n))).await;
    host.drained().await;
    assert_eq!(sink.sent().len(), 90);
    host.crash().await;
    let host = Host::start(&folder, &sink.clock(), both()).await;
    host.accept("b", (90..110).map(|n| open(&format!("b{n}"), n))).await;
    host.drained().await;
    let (sent, dead) = (sink.sent().len(), host.list("dead").await);
    let shown = sink.shown().len() as u64;
    let lost: u64 = dead.iter().map(|dead| dead.events).sum();
    assert!(sent <= 100 && shown + lost == 110, "{sent} messages, {shown} events shown, {lost} in dead letters");
    assert!(dead.iter().all(|dead| dead.reason.code == "monthly_budget"), "{dead:?}");
}

#[tokio::test]
async fn a_clock_that_is_set_while_lanes_run_changes_no_pace_and_ages_nothing() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Arc::new(Fake::new(&Clock::scaled(400))));
    let host = Host::of(&folder, &sink).await;
    // An hour forward and back again, then more than `max_age` back, while more waits than one window takes.
    for (round, step) in [0, 3_600_000, -7_200_000, 3_600_000, -100 * 3_600_000, 200 * 3_600_000].into_iter().enumerate() {
        host.clock.step(step);
        host.accept("ops", (0..25).map(|n| open(&format!("i{}", round * 25 + n), round * 25 + n))).await;
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
    host.drained().await;
    let times: Vec<i64> = sink.sent().iter().map(|sent| sent.at).collect();
    assert!(worst(&times, 60_000) <= 20, "{times:?}");
    assert_eq!(sink.shown().len(), 150);
    assert!(host.list("dead").await.is_empty(), "{:?}", host.list("dead").await);
    assert_eq!(host.outbox.status().await.unwrap()[0].waiting, 0);
}
