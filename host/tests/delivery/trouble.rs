//! A lane whose outbox fails: it goes on by itself, loses nothing, and sends nothing again but under the same key.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use incident_sink::clock::Clock;
use incident_sink::delivery::Connector;
use incident_sink::outbox::Outbox;
use tempfile::TempDir;

use crate::flaky::{Flaky, Mishap};
use crate::support::{Act, Fake, Host, by_name, open, ops, until};

/// A host whose outbox fails as listed: the first entry of a call is what its next call does.
async fn host(folder: &TempDir, sink: &Arc<Fake>, mishaps: &[(&'static str, Mishap)]) -> Host {
    hosting(folder, sink, vec![ops(sink)], mishaps).await
}

async fn hosting(folder: &TempDir, sink: &Arc<Fake>, connectors: Vec<Connector>, mishaps: &[(&'static str, Mishap)]) -> Host {
    let left = Mutex::new(mishaps.to_vec());
    let decide = move |call: &str| {
        let mut left = left.lock().unwrap();
        let place = left.iter().position(|(name, _)| *name == call)?;
        Some(left.remove(place).1)
    };
    Host::with(folder, &sink.clock(), connectors, |outbox| Arc::new(Flaky::new(outbox, decide))).await
}

fn sink() -> Arc<Fake> {
    Arc::new(Fake::new(&Clock::scaled(2_000)))
}

#[tokio::test]
async fn an_outcome_that_cannot_be_written_down_is_kept_until_it_can_and_nothing_is_sent_meanwhile() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), sink());
    let host = host(&folder, &sink, &[("settle", Mishap::Before); 4]).await;
    host.accept("ops", [open("a", 1), open("b", 2)]).await;
    host.drained().await;
    assert_eq!(sink.sent().len(), 2);
    assert_eq!(sink.shown(), ["a:1", "b:2"]);
    assert_eq!(host.list("delivered").await.len(), 2);
}

#[tokio::test]
async fn an_outcome_that_was_written_down_unnoticed_is_not_written_twice() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), sink());
    sink.will([Act::Deliver, Act::Reject]);
    let host = host(&folder, &sink, &[("settle", Mishap::After), ("settle", Mishap::Before), ("settle", Mishap::After)]).await;
    host.accept("ops", [open("a", 1), open("b", 2), open("c", 3)]).await;
    host.drained().await;
    assert_eq!((sink.sent().len(), sink.shown()), (3, vec!["a:1".to_owned(), "c:3".to_owned()]));
    for state in ["delivered", "dead"] {
        for message in host.list(state).await {
            assert_eq!(host.outbox.message(message.id).await.unwrap().attempts_made.len(), 1, "{message:?}");
        }
    }
    assert_eq!((host.list("delivered").await.len(), host.list("dead").await.len()), (2, 1));
}

#[tokio::test]
async fn a_message_is_sent_only_once_the_outbox_has_said_that_it_knows_of_it() {
    for mishap in [Mishap::Before, Mishap::After] {
        let (folder, sink) = (tempfile::tempdir().unwrap(), sink());
        sink.will([Act::Retry]);
        let host = host(&folder, &sink, &[("open", mishap), ("open", mishap), ("attempt", mishap), ("attempt", mishap)]).await;
        host.accept("ops", [open("a", 1)]).await;
        host.drained().await;
        let sent = sink.sent();
        assert_eq!((sent.len(), sink.shown()), (2, vec!["a:1".to_owned()]), "{mishap:?}");
        let keys: HashSet<&str> = sent.iter().map(|sent| sent.key.as_str()).collect();
        let delivered = host.list("delivered").await;
        assert_eq!((keys.len(), keys.contains(delivered[0].key.as_str())), (1, true), "{mishap:?}");
    }
}

#[tokio::test]
async fn no_call_that_fails_keeps_a_lane_from_going_on() {
    for call in ["lane", "waiting", "open", "attempt", "settle", "store_pace", "bury", "split"] {
        for mishap in [Mishap::Before, Mishap::After] {
            let (folder, sink) = (tempfile::tempdir().unwrap(), sink());
            sink.will([Act::Reject, Act::Lose, Act::Step, Act::Deliver]);
            let host = hosting(&folder, &sink, vec![], &[(call, mishap); 3]).await;
            // For want of a connector one dead letter of three, which is replayed, and taken apart for the one that cannot be written.
            let mut poison = open("bad", 2);
            "poison".clone_into(&mut poison.summary);
            host.accept("ops", [open("x", 1), poison, open("y", 3)]).await;
            host.drained().await;
            host.dispatcher.set_connectors(by_name(vec![ops(&sink)]));
            host.accept("ops", [open("a", 4), open("b", 5), open("c", 6)]).await;
            host.replay_all().await;
            host.drained().await;
            let mut told: Vec<String> = sink.shown().iter().map(|line| line.trim_end_matches('+').to_owned()).collect();
            assert_eq!(told.len(), 4, "{call} {mishap:?}: {:?}", sink.sent());
            for dead in host.list("dead").await {
                let covered = host.outbox.message(dead.id).await.unwrap().covered;
                told.extend(covered.iter().map(|event| format!("{}:{}", event.incident_id, event.id)));
            }
            told.sort();
            assert_eq!(told, ["a:4", "b:5", "bad:2", "c:6", "x:1", "y:3"], "{call} {mishap:?}");
            assert!(host.list("open").await.is_empty(), "{call} {mishap:?}");
            assert_eq!(host.dispatcher.busy(), 0);
        }
    }
}

#[tokio::test]
async fn an_outcome_that_never_could_be_written_down_is_a_doubt_for_the_next_start() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), sink());
    let failures = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&failures);
    let decide = move |call: &str| {
        (call == "settle").then(|| {
            counted.fetch_add(1, Ordering::Relaxed);
            Mishap::Before
        })
    };
    let host = Host::with(&folder, &sink.clock(), vec![ops(&sink)], |outbox| Arc::new(Flaky::new(outbox, decide))).await;
    host.accept("ops", [open("a", 1)]).await;
    until(|| failures.load(Ordering::Relaxed) > 3).await;
    assert_eq!(sink.sent().len(), 1);
    assert!(host.dispatcher.stop(Duration::from_secs(60)).await, "a lane did not stop");
    host.crash().await;
    let host = Host::of(&folder, &sink).await;
    host.drained().await;
    let sent = sink.sent();
    assert_eq!((sent.len(), &sent[0].key, &sent[0].body), (2, &sent[1].key, &sent[1].body));
    assert_eq!(sink.shown(), ["a:1"]);
}
