//! Random outcomes, random events, random restarts, an outbox that fails at random: nothing is lost, turned round, sent too fast, or sent
//! after it was refused.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use incident_sink::clock::Clock;
use incident_sink::delivery::Pace;
use incident_sink::outbox::Outbox;
use proptest::prelude::*;

use crate::flaky::{Flaky, Mishap};
use crate::support::{Act, Fake, Host, open, ops, worst};

const PACE: Pace = Pace { messages: 4, window_ms: 20_000, penalty_ms: 60_000 };

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => Just(Act::Deliver),
        1 => Just(Act::Vanish),
        1 => Just(Act::Lose),
        1 => Just(Act::Retry),
        1 => Just(Act::Throttle(0)),
        1 => Just(Act::Throttle(3_000)),
        1 => Just(Act::Reject),
        1 => Just(Act::Step),
        1 => Just(Act::Panic),
        1 => Just(Act::Hang),
    ]
}

fn mishap() -> impl Strategy<Value = Option<Mishap>> {
    prop_oneof![4 => Just(None), 1 => Just(Some(Mishap::Before)), 1 => Just(Some(Mishap::After))]
}

/// What happened: everything that was ever sent, and the events that ended as dead letters.
async fn live(acts: Vec<Act>, bursts: Vec<Vec<u8>>, mishaps: Vec<Option<Mishap>>) -> (Arc<Fake>, HashSet<String>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = Fake::new(&Clock::scaled(2_000));
    sink.pace = Some(PACE);
    let sink = Arc::new(sink);
    let hangs = acts.iter().filter(|act| matches!(act, Act::Hang)).count();
    sink.will(acts);
    let mishaps = Arc::new(Mutex::new(mishaps));
    let start = async || {
        let mishaps = Arc::clone(&mishaps);
        let wrap = |outbox| Arc::new(Flaky::new(outbox, move |_| mishaps.lock().unwrap().pop().flatten())) as Arc<dyn Outbox>;
        Host::with(&folder, &sink.clock(), vec![ops(&sink)], wrap).await
    };
    let mut host = start().await;
    let mut number = 0;
    for burst in &bursts {
        let events: Vec<_> = burst.iter().map(|incident| (number += 1, open(&incident.to_string(), number)).1).collect();
        host.accept("ops", events).await;
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    // Each attempt that never ends is ended by a crash.
    for crashes in 0..=hangs {
        let hanging = || sink.sent().iter().filter(|sent| matches!(sent.act, Act::Hang)).count() > crashes;
        let drained = tokio::select! {
            () = host.drained() => true,
            () = crate::support::until(hanging) => false,
        };
        if drained {
            break;
        }
        host.crash().await;
        host = start().await;
    }
    host.drained().await;
    let mut dead = HashSet::new();
    for letter in host.list("dead").await {
        let covered = host.outbox.message(letter.id).await.unwrap().covered;
        dead.extend(covered.into_iter().map(|event| event.id));
    }
    assert!(host.list("open").await.is_empty());
    host.crash().await;
    (sink, dead, number)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_turned_round_too_fast_or_sent_after_it_was_refused(
        acts in prop::collection::vec(act(), 0..25),
        bursts in prop::collection::vec(prop::collection::vec(0u8..6, 1..15), 1..5),
        mishaps in prop::collection::vec(mishap(), 0..40),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (sink, dead, number) = runtime.block_on(live(acts, bursts.clone(), mishaps));
        let (sent, shown) = (sink.sent(), sink.shown());

        let times: Vec<i64> = sent.iter().map(|sent| sent.at).collect();
        prop_assert!(worst(&times, i64::from(PACE.window_ms)) <= PACE.messages as usize, "{times:?}");

        let mut bodies: HashMap<&str, &str> = HashMap::new();
        let mut refused = HashSet::new();
        for one in &sent {
            prop_assert!(!refused.contains(&one.key), "sent after it was refused");
            let body = one.body.trim_end_matches('+');
            prop_assert_eq!(*bodies.entry(&one.key).or_insert(body), body);
            if matches!(one.act, Act::Reject) { refused.insert(one.key.clone()); }
        }

        let mut last: HashMap<&str, usize> = HashMap::new();
        let lines: Vec<(&str, usize)> = shown.iter()
            .map(|line| line.trim_end_matches('+').split_once(':').unwrap()).map(|(incident, n)| (incident, n.parse().unwrap())).collect();
        for (incident, n) in &lines {
            let before = last.insert(incident, *n);
            prop_assert!(before.is_none_or(|before| before < *n), "{incident} was turned round: {shown:?}");
        }
        // Each event is shown, stood for by a later one of its incident that was shown, or a dead letter.
        let all: Vec<u8> = bursts.concat();
        for n in 1..=number {
            let incident = all[n - 1].to_string();
            let told = lines.iter().any(|(other, later)| *other == incident && *later >= n);
            prop_assert!(told || dead.contains(&n.to_string()), "event {n} is lost");
        }
    }
}
