//! The first messages of a new version: what fails is taken back, and what it failed with is delivered by the version before.

use incident_sink::delivery::upgrade::{InstallOptions, Who};
use incident_sink::plugin::{Canary, load};
use tokio_util::sync::CancellationToken;

use super::stage::{Receiver, Stage, chameleon, until};

/// Swaps a broken version in past every check, as a canary, and sends one batch.
async fn taken_back(behaviour: &str) {
    let (receiver, url) = Receiver::start().await;
    let mut stage = Stage::new().await;
    stage.connect("ops", "chameleon", &url, "hush");
    let registry = stage.upgrader.registry().clone();
    let good = registry.current("chameleon").unwrap();
    let bad = stage.smuggle("chameleon", &chameleon(behaviour));
    registry.trials().watch("chameleon", &bad, &good, 20);
    stage.emit("e", 3, &["ops"]).await;
    stage.drained().await;
    assert_eq!(registry.current("chameleon"), Some(good), "{behaviour}");
    let messages = stage.messages("ops").await;
    assert!(messages.iter().all(|message| message.state == "delivered"), "{behaviour}: {messages:?}");
    let mut events = receiver.events();
    events.dedup();
    assert_eq!(events.len(), 3, "{behaviour}: nothing is lost");
}

macro_rules! taken_back {
    ($($name:ident: $behaviour:literal;)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            taken_back($behaviour).await;
        })*
    };
}

taken_back! {
    a_version_that_traps_when_it_writes: "trap-begin";
    a_version_that_never_stops_writing: "spin-begin";
    a_version_that_takes_all_memory: "memory-bomb";
    a_version_that_sends_elsewhere: "other-host";
    a_version_that_traps_when_it_signs: "trap-sign";
    a_version_that_cannot_sign: "sign-fails";
    a_version_whose_stamps_are_refused: "stamp-body-overwrite";
    a_version_that_traps_when_it_reads_an_answer: "trap-resume";
    a_version_that_rejects_every_event: "drops-all";
    a_version_that_never_ends_a_message: "endless-steps";
    a_version_that_takes_no_answer_for_a_delivery: "retries-all";
    a_version_that_throttles_itself: "throttles-all";
    a_version_that_puts_everything_off: "begin-retries";
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_whose_messages_the_receiver_rejects_is_taken_back_on_disk_too() {
    let (receiver, url) = Receiver::start().await;
    let mut stage = Stage::new().await;
    stage.connect("ops", "chameleon", &url, "hush");
    let stop = CancellationToken::new();
    let (upgrader, stopped) = (stage.upgrader.clone(), stop.clone());
    let watch = tokio::spawn(async move { upgrader.watch(stopped).await });
    until("the first version to be written down", async || stage.upgrader.list("chameleon").unwrap().len() == 1).await;
    receiver.refuse("2.0.0");
    assert!(stage.install("good-2").await.unwrap().changed);
    assert_eq!(stage.upgrader.state("chameleon").unwrap().canary.unwrap().left, 20);
    stage.emit("e", 3, &["ops"]).await;
    stage.drained().await;
    assert!(stage.messages("ops").await.iter().all(|message| message.state == "delivered"));
    until("the rollback to be written down", async || std::fs::read(stage.file()).unwrap() == chameleon("good")).await;
    until("the state to tell", async || stage.upgrader.state("chameleon").unwrap().counts.automatic_rollbacks == 1).await;
    let state = stage.upgrader.state("chameleon").unwrap();
    assert_eq!((state.version.as_str(), state.canary), ("1.0.0", None));
    let failure = state.last_failure.unwrap();
    assert!(failure.step == "canary" && failure.error.contains("400"), "{failure:?}");
    assert_eq!(failure.digest, load::digest(&chameleon("good-2")));
    assert!(state.versions[0].failed.is_some() && !state.versions[0].current && state.versions[1].current);
    stop.cancel();
    watch.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_version_before_is_rejected_for_too_is_not_the_new_ones_fault() {
    let (receiver, url) = Receiver::start().await;
    let mut stage = Stage::with(|config| config.canary = Canary { messages: 2 }).await;
    stage.connect("ops", "chameleon", &url, "hush");
    receiver.refuse("1.0.0"); // the new one, `good` with another digest, is 1.0.0 as well
    let installed = stage.install("good-with-another-digest").await.unwrap();
    stage.emit("e", 2, &["ops"]).await;
    stage.drained().await;
    let state = stage.upgrader.state("chameleon").unwrap();
    assert_eq!((state.digest, state.canary, state.counts.automatic_rollbacks), (installed.digest, None, 0));
    assert!(stage.messages("ops").await.iter().all(|message| message.state == "dead"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_fails_for_a_while_is_not_the_new_versions_fault() {
    let (receiver, url) = Receiver::start().await;
    let mut stage = Stage::with(|config| config.canary = Canary { messages: 4 }).await;
    stage.connect("ops", "chameleon", &url, "hush");
    stage.install("good-2").await.unwrap();
    receiver.fail(5);
    for round in 0..6 {
        stage.emit(&format!("{round}"), 1, &["ops"]).await;
        stage.drained().await;
    }
    let state = stage.upgrader.state("chameleon").unwrap();
    assert_eq!((state.version.as_str(), state.canary, state.counts.automatic_rollbacks), ("2.0.0", None, 0));
    assert!(stage.messages("ops").await.iter().all(|message| message.state == "delivered"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_does_well_passes_and_without_a_canary_none_is_watched() {
    for (messages, watched) in [(3, true), (0, false)] {
        let (receiver, url) = Receiver::start().await;
        let mut stage = Stage::with(|config| config.canary = Canary { messages }).await;
        stage.connect("ops", "chameleon", &url, "hush");
        stage.install("good-2").await.unwrap();
        assert_eq!(stage.upgrader.state("chameleon").unwrap().canary.is_some(), watched);
        stage.emit("e", 4, &["ops"]).await;
        stage.drained().await;
        let state = stage.upgrader.state("chameleon").unwrap();
        assert_eq!((state.version.as_str(), state.canary), ("2.0.0", None));
        assert!(receiver.got().iter().all(|got| got.json()["version"] == "2.0.0"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadow_writes_along_and_sends_nothing() {
    let (receiver, url) = Receiver::start().await;
    let mut stage = Stage::new().await;
    stage.connect("ops", "chameleon", &url, "hush");
    let options = InstallOptions { shadow: Some(3), force: false };
    assert!(!stage.install_bytes(chameleon("good-2"), options).await.unwrap().changed);
    for round in 0..4 {
        stage.emit(&format!("{round}"), 1, &["ops"]).await;
        stage.drained().await;
    }
    assert!(receiver.got().iter().all(|got| got.json()["version"] == "1.0.0"));
    let state = stage.upgrader.state("chameleon").unwrap();
    let shadow = state.shadow.unwrap();
    assert_eq!((shadow.left, shadow.same, shadow.different, shadow.failed), (0, 0, 3, 0));
    assert!(shadow.samples[0].contains("the body differs at byte 12"), "{:?}", shadow.samples);
    assert_eq!(state.version, "1.0.0");
    assert!(stage.upgrader.install("chameleon", chameleon("good-2"), None, Who::Api, InstallOptions::default()).await.unwrap().changed);
}
