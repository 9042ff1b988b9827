//! Stops, crashes and clocks that were wrong.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use incident_sink::clock::Clock;
use incident_sink::delivery::Pace;
use incident_sink::outbox::{Outbox, PaceLog};

use crate::support::{Act, Fake, Host, open, until};

#[tokio::test]
async fn a_stop_lets_what_is_in_flight_end_and_leaves_the_rest() {
    let (folder, mut sink) = (tempfile::tempdir().unwrap(), Fake::new(&Clock::system()));
    sink.pace = Some(Pace { messages: 1, window_ms: 60_000, penalty_ms: 1 });
    sink.max_batch = 1;
    let sink = Arc::new(sink);
    let host = Host::of(&folder, &sink).await;
    host.accept("ops", (0..3).map(|n| open("a", n))).await;
    until(|| sink.sent().len() == 1).await;
    assert!(host.dispatcher.stop(Duration::from_secs(10)).await);
    assert_eq!(host.list("delivered").await.len(), 1);
    assert_eq!(host.outbox.lane("ops").await.unwrap().waiting, 2);
    host.crash().await;
    let later = Arc::new(Fake::new(&Clock::scaled(2_000)));
    let host = Host::of(&folder, &later).await;
    host.drained().await;
    assert_eq!(later.shown(), ["a:1", "a:2"]);
}

#[tokio::test]
async fn grace_is_not_for_ever_and_what_it_cuts_off_is_sent_again_unchanged() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Arc::new(Fake::new(&Clock::system())));
    sink.will([Act::Hang]);
    let host = Host::of(&folder, &sink).await;
    host.accept("ops", [open("a", 1)]).await;
    until(|| sink.sent().len() == 1).await;
    assert!(!host.dispatcher.stop(Duration::from_millis(20)).await);
    assert_eq!(host.dispatcher.busy(), 0);
    host.crash().await;
    let later = Arc::new(Fake::new(&Clock::scaled(2_000)));
    let host = Host::of(&folder, &later).await;
    host.drained().await;
    let (first, second) = (&sink.sent()[0], &later.sent()[0]);
    assert_eq!((&first.key, &first.body, second.attempt), (&second.key, &second.body, 2));
}

#[tokio::test]
async fn a_message_of_several_requests_goes_on_at_the_one_that_it_had_come_to() {
    let (folder, mut sink) = (tempfile::tempdir().unwrap(), Fake::new(&Clock::system()));
    sink.pace = Some(Pace { messages: 1, window_ms: 60_000, penalty_ms: 1 });
    let sink = Arc::new(sink);
    sink.will([Act::Step]);
    let host = Host::of(&folder, &sink).await;
    host.accept("ops", [open("a", 1)]).await;
    until(|| sink.sent().len() == 1).await;
    // Its second request waits for the pace, and is on disk.
    let second = async || {
        host.outbox.lane("ops").await.unwrap().open.and_then(|open| open.draft).is_some_and(|draft| draft.prepared.ends_with(b"+"))
    };
    while !second().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    host.crash().await;
    let later = Arc::new(Fake::new(&Clock::scaled(2_000)));
    let host = Host::of(&folder, &later).await;
    host.drained().await;
    assert_eq!(later.sent().iter().map(|sent| sent.body.as_str()).collect::<Vec<_>>(), ["a:1+"]);
    assert_eq!(later.sent()[0].key, sink.sent()[0].key);
}

#[tokio::test]
async fn a_clock_that_was_ahead_before_the_restart_delays_by_a_window_and_no_more() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Arc::new(Fake::new(&Clock::scaled(500))));
    let host = Host::of(&folder, &sink).await;
    let ahead = host.clock.now() + 400 * 86_400_000;
    let log = PaceLog { sends: vec![ahead; 20], closed_until: 0, ..PaceLog::default() };
    host.outbox.store_pace("ops", log).await.unwrap();
    let begun = host.clock.steady();
    host.accept("ops", [open("a", 1)]).await;
    host.drained().await;
    let waited = sink.sent()[0].at - begun;
    assert!((60_000..3_600_000).contains(&waited), "{waited}");
}

#[tokio::test]
async fn a_message_in_doubt_does_not_hold_a_pace_of_one_for_ever() {
    let (folder, mut sink) = (tempfile::tempdir().unwrap(), Fake::new(&Clock::scaled(2_000)));
    sink.pace = Some(Pace { messages: 1, window_ms: 60_000, penalty_ms: 1 });
    let sink = Arc::new(sink);
    sink.will([Act::Vanish, Act::Hang]);
    let host = Host::of(&folder, &sink).await;
    host.accept("ops", [open("a", 1)]).await;
    until(|| sink.sent().len() == 2).await;
    host.crash().await;
    let host = Host::of(&folder, &sink).await;
    host.drained().await;
    assert_eq!((sink.sent().len(), sink.shown()), (3, vec!["a:1".to_owned()]));
}

#[tokio::test]
async fn a_draft_that_cannot_be_sent_any_more_is_written_anew_under_its_key() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Arc::new(Fake::new(&Clock::scaled(2_000))));
    sink.will([Act::Retry]);
    sink.forgetful.store(true, Ordering::Relaxed);
    let host = Host::of(&folder, &sink).await;
    host.accept("ops", [open("a", 1)]).await;
    host.drained().await;
    let sent = sink.sent();
    assert_eq!((sent.len(), &sent[0].key), (2, &sent[1].key));
    assert_eq!(sink.shown(), ["a:1"]);
}
