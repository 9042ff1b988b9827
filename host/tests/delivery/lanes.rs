//! What a lane does with each outcome.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use incident_sink::clock::Clock;
use incident_sink::delivery::policy::PaceRule;
use incident_sink::event::{Priority, Status};
use incident_sink::outbox::Outbox;

use crate::support::{Act, Fake, Host, by_name, event, open, ops, until, worst};

fn fast() -> Clock {
    Clock::scaled(2_000)
}

#[tokio::test]
async fn events_arrive_in_order_and_an_idle_lane_costs_nothing() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Arc::new(Fake::new(&fast())));
    let host = Host::of(&folder, &sink).await;
    host.accept("ops", (0..5).map(|n| open("a", n))).await;
    host.drained().await;
    assert_eq!(sink.shown(), ["a:0", "a:1", "a:2", "a:3", "a:4"]);
    assert_eq!(host.dispatcher.busy(), 0);
}

#[tokio::test]
async fn an_unknown_outcome_is_sent_again_byte_by_byte_under_the_same_key() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Arc::new(Fake::new(&fast())));
    sink.will([Act::Vanish, Act::Retry, Act::Lose]);
    let host = Host::of(&folder, &sink).await;
    host.accept("ops", [open("a", 1)]).await;
    host.drained().await;
    let sent = sink.sent();
    assert_eq!(sent.len(), 4);
    assert!(sent.iter().all(|other| (&other.key, &other.body) == (&sent[0].key, &sent[0].body)));
    assert_eq!(sent.iter().map(|sent| sent.attempt).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(sink.shown(), ["a:1"]);
}

#[tokio::test]
async fn a_doubt_stays_through_a_definite_failure() {
    let (folder, mut sink) = (tempfile::tempdir().unwrap(), Fake::new(&Clock::scaled(20)));
    sink.pace = None;
    let sink = Arc::new(sink);
    sink.will([Act::Lose, Act::Throttle(86_000_000)]);
    let host = Host::of(&folder, &sink).await;
    host.accept("ops", [open("a", 1)]).await;
    until(|| sink.sent().len() == 2).await;
    assert!(!host.dispatcher.stop(Duration::from_millis(0)).await || host.dispatcher.busy() == 0);
    let open = host.outbox.lane("ops").await.unwrap().open.unwrap();
    assert!(open.unknown);
}

#[tokio::test]
async fn a_throttled_lane_is_left_alone_for_the_penalty_and_no_attempt_counts() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Arc::new(Fake::new(&fast())));
    sink.will([Act::Throttle(0), Act::Throttle(5_000)]);
    let host = Host::of(&folder, &sink).await;
    host.accept("ops", [open("a", 1)]).await;
    host.drained().await;
    let sent = sink.sent();
    assert!(sent[1].at - sent[0].at >= 600_000, "{sent:?}");
    assert!(sent[2].at - sent[1].at >= 5_000, "{sent:?}");
    assert!(sent.iter().all(|sent| sent.attempt == 1));
}

#[tokio::test]
async fn a_rejected_message_is_a_dead_letter_at_once_and_the_lane_goes_on() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Arc::new(Fake::new(&fast())));
    sink.will([Act::Reject]);
    let host = Host::of(&folder, &sink).await;
    host.accept("ops", [open("a", 1), open("b", 2)]).await;
    host.drained().await;
    assert_eq!(sink.shown(), ["b:2"]);
    let [dead] = &host.list("dead").await[..] else { panic!("expected one dead letter") };
    assert_eq!((dead.reason.code.as_str(), dead.attempts), ("rejected", 1));
    assert_eq!(sink.sent().iter().filter(|sent| sent.key == dead.key).count(), 1);
}

#[tokio::test]
async fn an_event_that_cannot_be_written_holds_nobody_up() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Arc::new(Fake::new(&fast())));
    let host = Host::of(&folder, &sink).await;
    let told = |n: usize, summary: &str| {
        let mut event = open(&n.to_string(), n);
        summary.clone_into(&mut event.summary);
        event
    };
    host.accept("ops", (0..30).map(|n| told(n, ["fine", "poison", "fine", "panic"][if n < 4 { n } else { 0 }]))).await;
    host.drained().await;
    assert_eq!(sink.shown().len(), 28);
    let mut codes: Vec<String> = host.list("dead").await.into_iter().map(|dead| dead.reason.code).collect();
    codes.sort();
    assert_eq!(codes, ["poisoned", "sink-panic"]);
}

#[tokio::test]
async fn a_sink_that_is_away_buries_nothing() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Arc::new(Fake::new(&fast())));
    sink.away.store(true, Ordering::Relaxed);
    let host = Host::of(&folder, &sink).await;
    host.accept("ops", (0..8).map(|n| open(&n.to_string(), n))).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    sink.away.store(false, Ordering::Relaxed);
    host.drained().await;
    assert_eq!(sink.shown().len(), 8);
    assert!(host.list("dead").await.is_empty());
}

#[tokio::test]
async fn a_panic_while_sending_is_an_unknown_outcome() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Arc::new(Fake::new(&fast())));
    sink.will([Act::Panic]);
    let host = Host::of(&folder, &sink).await;
    host.accept("ops", [open("a", 1)]).await;
    host.drained().await;
    assert_eq!(sink.sent().len(), 2);
    assert_eq!(sink.sent()[0].key, sink.sent()[1].key);
}

#[tokio::test]
async fn what_cannot_be_delivered_within_max_age_is_a_dead_letter_with_the_last_words() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Arc::new(Fake::new(&fast())));
    sink.will(std::iter::repeat_n(Act::Retry, 200));
    let mut connector = ops(&sink);
    connector.policy.max_age_ms = 60_000;
    let host = Host::start(&folder, &sink.clock(), vec![connector]).await;
    host.accept("ops", [open("a", 1)]).await;
    host.drained().await;
    let dead = host.list("dead").await;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].reason.code, "max_age");
    assert!(dead[0].reason.advice.contains("replay"), "{:?}", dead[0].reason);
}

#[tokio::test]
async fn a_spent_budget_makes_dead_letters_that_say_so_and_a_replay_pays_too() {
    let (folder, mut sink) = (tempfile::tempdir().unwrap(), Fake::new(&Clock::system()));
    sink.pace = None;
    let sink = Arc::new(sink);
    let mut connector = ops(&sink);
    connector.policy.monthly_budget = Some(10);
    let host = Host::start(&folder, &sink.clock(), vec![connector]).await;
    host.accept("ops", (0..12).map(|n| open(&n.to_string(), n))).await;
    host.drained().await;
    assert_eq!(sink.sent().len(), 10);
    let dead = host.list("dead").await;
    assert!(dead.iter().all(|dead| dead.reason.code == "monthly_budget" && dead.reason.text.contains("10 messages")), "{dead:?}");
    assert_eq!(dead.iter().map(|dead| dead.events).sum::<u64>(), 2);
    host.replay_all().await;
    host.drained().await;
    assert_eq!((sink.sent().len(), host.list("dead").await.len()), (10, dead.len()));
}

#[tokio::test]
async fn a_tight_budget_sends_high_at_once_and_lets_the_rest_gather() {
    let (folder, mut sink) = (tempfile::tempdir().unwrap(), Fake::new(&Clock::scaled(1_000)));
    sink.pace = None;
    let sink = Arc::new(sink);
    let mut connector = ops(&sink);
    connector.policy.monthly_budget = Some(40);
    let host = Host::start(&folder, &sink.clock(), vec![connector]).await;
    host.accept("ops", (0..38).map(|n| open(&n.to_string(), n))).await;
    host.drained().await;
    let low = |n: usize| {
        let mut event = open(&n.to_string(), n);
        event.priority = Some(Priority::Low);
        event
    };
    host.accept("ops", (38..42).map(low).chain([open("high", 42)])).await;
    host.drained().await;
    let sent = sink.sent();
    assert_eq!(sent[38].body, "high:42");
    assert_eq!(sent[39].body, "38:38 39:39 40:40 41:41");
    assert!(sent[39].at - sent[38].at > 100_000, "{sent:?}");
    assert_eq!(sent.len(), 40);
}

#[tokio::test]
async fn a_dead_letter_that_no_longer_fits_one_message_is_sent_as_several() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Arc::new(Fake::new(&fast())));
    let host = Host::start(&folder, &sink.clock(), vec![]).await;
    host.accept("ops", (0..137).map(|n| open(&format!("i{n}"), n))).await;
    host.drained().await;
    let dead = host.list("dead").await;
    assert_eq!((dead.len(), dead[0].events, dead[0].reason.code.as_str()), (1, 137, "no_connector"));
    host.dispatcher.set_connectors(by_name(vec![ops(&sink)]));
    host.accept("ops", [open("new", 1_000)]).await;
    host.replay_all().await;
    host.drained().await;
    let mut shown = sink.shown();
    assert_eq!(shown.len(), 138);
    shown.sort();
    shown.dedup();
    assert_eq!(shown.len(), 138);
    assert!(host.list("dead").await.is_empty() && host.list("open").await.is_empty());
    assert!(sink.sent().iter().all(|sent| sent.key.len() <= 64));
}

#[tokio::test]
async fn a_poisonous_event_in_a_replayed_dead_letter_is_left_behind_alone() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Arc::new(Fake::new(&fast())));
    let host = Host::start(&folder, &sink.clock(), vec![]).await;
    let mut poison = open("bad", 2);
    "poison".clone_into(&mut poison.summary);
    host.accept("ops", [open("a", 1), poison, open("c", 3)]).await;
    host.drained().await;
    host.dispatcher.set_connectors(by_name(vec![ops(&sink)]));
    host.replay_all().await;
    host.drained().await;
    assert_eq!(sink.shown(), ["a:1", "c:3"]);
    let dead = host.list("dead").await;
    assert_eq!((dead.len(), dead[0].events, dead[0].reason.code.as_str()), (1, 1, "poisoned"));
}

#[tokio::test]
async fn a_lane_that_is_behind_digests_and_keeps_to_its_pace() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Arc::new(Fake::new(&Clock::scaled(400))));
    let host = Host::of(&folder, &sink).await;
    let round = |round: usize| {
        let status = if round == 19 { Status::Resolved } else { Status::Pending };
        (0..50).map(move |n| event(&format!("i{n}"), round * 50 + n, status.clone()))
    };
    for part in 0..4 {
        host.accept("ops", (part * 5..part * 5 + 5).flat_map(round)).await;
    }
    host.drained().await;
    let times: Vec<i64> = sink.sent().iter().map(|sent| sent.at).collect();
    assert!(worst(&times, 60_000) <= 20, "{times:?}");
    let shown = sink.shown();
    assert!(times.len() < 60 && shown.len() < 400, "{} messages, {} lines", times.len(), shown.len());
    for n in 0..50 {
        let last = shown.iter().rfind(|line| line.starts_with(&format!("i{n}:"))).unwrap();
        assert_eq!(*last, format!("i{n}:{}", 950 + n));
    }
}

#[tokio::test]
async fn without_a_limit_every_event_is_a_message_of_its_own() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Arc::new(Fake::new(&Clock::system())));
    let mut connector = ops(&sink);
    connector.policy.pace = PaceRule::Unlimited;
    let host = Host::start(&folder, &sink.clock(), vec![connector]).await;
    host.accept("ops", (0..100).map(|n| open("a", n))).await;
    host.drained().await;
    assert_eq!(sink.shown(), (0..100).map(|n| format!("a:{n}")).collect::<Vec<_>>());
}
