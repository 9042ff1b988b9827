//! Signals, and a second program on the same outbox.

use std::time::Duration;

use incident_sink::simulator::dingtalk::Fault;

use crate::support::{Scene, until};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sigterm_lets_what_is_in_flight_end_and_leaves_the_rest_for_the_next_start() {
    let scene = Scene::of(1).await;
    scene.group.fault("ops0", Fault::Delay { ms: 3_000 }, 1).unwrap();
    let mut program = scene.start().await;
    for n in 0..3 {
        assert_eq!(scene.post(0, "a", n).await, Some(202));
    }
    let requests = || scene.group.counters("ops0").unwrap().requests;
    until("a message is in flight", SOON, || requests() == 1).await;
    program.terminate();
    let status = program.ended(SOON).await.expect("it does not end");
    assert!(status.success(), "{status}\n{}", scene.log());
    assert_eq!((requests(), scene.read(0)), (1, vec!["a/0".to_owned()]));
    let _program = scene.start().await;
    until("the rest is shown", SOON, || scene.read(0).len() == 3).await;
    assert_eq!((requests(), scene.read(0)), (3, vec!["a/0".to_owned(), "a/1".to_owned(), "a/2".to_owned()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_stops_at_once_and_what_it_cut_off_is_sent_again() {
    let scene = Scene::of(1).await;
    scene.group.fault("ops0", Fault::HangShown, 1).unwrap();
    let mut program = scene.start().await;
    assert_eq!(scene.post(0, "a", 0).await, Some(202));
    until("a message is in flight", SOON, || scene.group.counters("ops0").unwrap().requests == 1).await;
    program.terminate();
    assert!(program.ended(Duration::from_millis(300)).await.is_none(), "it did not wait for what is in flight");
    program.terminate();
    program.ended(Duration::from_secs(5)).await.expect("it does not stop at once");
    let _program = scene.start().await;
    until("it is sent again", SOON, || scene.group.counters("ops0").unwrap().repeated == 1).await;
    assert_eq!(scene.read(0), ["a/0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_program_on_the_same_outbox_says_so_and_ends_with_2() {
    let scene = Scene::of(1).await;
    let _first = scene.start().await;
    let before = scene.log().len();
    let mut second = scene.spawn();
    let status = second.ended(SOON).await.expect("it does not end");
    let said = scene.log()[before..].to_owned();
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("outbox.db") && said.contains("another"), "{said}");
    assert_eq!(scene.post(0, "a", 0).await, Some(202));
}
