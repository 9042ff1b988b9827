//! A plugin that tries to move a secret: out of `sign`, into a message, to another connector.

use super::stage::{Receiver, Stage, chameleon};

/// Two connectors of one plugin, each with a secret and a receiver of its own.
async fn two(behaviour: &str) -> [(Receiver, &'static str, &'static str); 2] {
    let mut stage = Stage::new().await;
    stage.smuggle("hostile", &chameleon(behaviour));
    let (first, first_url) = Receiver::start().await;
    let (second, second_url) = Receiver::start().await;
    stage.connect("first", "hostile", &first_url, "SECRET-OF-THE-FIRST");
    stage.connect("second", "hostile", &second_url, "SECRET-OF-THE-SECOND");
    for round in 0..10 {
        stage.emit(&format!("{round}"), 1, &["first", "second"]).await;
    }
    stage.drained().await;
    [(first, "SECRET-OF-THE-FIRST", "SECRET-OF-THE-SECOND"), (second, "SECRET-OF-THE-SECOND", "SECRET-OF-THE-FIRST")]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_sign_hides_in_memory_is_not_there_for_begin() {
    for (receiver, own, other) in two("secret-in-static").await {
        assert_eq!(receiver.got().len(), 10);
        for got in receiver.got() {
            assert_eq!(got.json()["kept"], "", "{}", got.whole());
            assert!(!got.whole().contains(own) && !got.whole().contains(other), "{}", got.whole());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_sees_what_another_one_left() {
    for (receiver, ..) in two("keeps-state").await {
        assert!(receiver.got().iter().all(|got| got.json()["calls"] == 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_in_a_stamp_reaches_its_own_receiver_at_the_most_and_nothing_that_is_kept() {
    let mut stage = Stage::new().await;
    stage.smuggle("hostile", &chameleon("secret-to-stamp"));
    let (first, first_url) = Receiver::start().await;
    let (second, second_url) = Receiver::start().await;
    stage.connect("first", "hostile", &first_url, "SECRET-OF-THE-FIRST");
    stage.connect("second", "hostile", &second_url, "SECRET-OF-THE-SECOND");
    stage.emit("e", 5, &["first", "second"]).await;
    stage.drained().await;
    // The receiver knows its own secret: it shares it.
    assert!(first.got().iter().all(|got| !got.whole().contains("SECRET-OF-THE-SECOND")));
    assert!(second.got().iter().all(|got| !got.whole().contains("SECRET-OF-THE-FIRST")));
    assert_eq!((first.got().len(), second.got().len()), (5, 5));
    // The next `begin` could read it in a draft or a memo; neither has it.
    for connector in ["first", "second"] {
        for message in stage.messages(connector).await {
            let detail = stage.outbox.message(message.id).await.unwrap();
            let prepared = String::from_utf8_lossy(detail.prepared.as_deref().unwrap_or_default()).into_owned();
            assert!(!prepared.contains("SECRET") && !format!("{detail:?}").contains("SECRET"), "{prepared}");
        }
        assert_eq!(stage.outbox.lane(connector).await.unwrap().memo, None);
    }
}

/// Runs a plugin on two connectors whose receivers repeat what they get, and looks at all that is kept and at all that `begin` wrote.
async fn moved(behaviour: &str) {
    let mut stage = Stage::new().await;
    stage.smuggle("hostile", &chameleon(behaviour));
    let names = ["first", "second"];
    let mut receivers = Vec::new();
    for name in names {
        let (receiver, url) = Receiver::start().await;
        receiver.echo();
        stage.connect(name, "hostile", &url, &format!("SECRET-OF-{name}"));
        receivers.push(receiver);
    }
    for round in 0..3 {
        stage.emit(&format!("{round}"), 1, &names).await;
        stage.drained().await;
    }
    for (receiver, name, other) in [(&receivers[0], "first", "second"), (&receivers[1], "second", "first")] {
        assert_eq!(receiver.got().len(), 3);
        for got in receiver.got() {
            assert!(!got.whole().contains(&format!("SECRET-OF-{other}")), "{behaviour}: {}", got.whole());
            assert!(!String::from_utf8_lossy(&got.body).contains("SECRET"), "{behaviour}: {}", got.whole());
        }
        for message in stage.messages(name).await {
            let detail = stage.outbox.message(message.id).await.unwrap();
            let prepared = String::from_utf8_lossy(detail.prepared.as_deref().unwrap_or_default()).into_owned();
            assert!(!format!("{detail:?} {prepared}").contains("SECRET"), "{behaviour}: {detail:?} {prepared}");
        }
        let lane = stage.outbox.lane(name).await.unwrap();
        assert!(!format!("{:?}", lane.memo).contains("SECRET"), "{behaviour}: {:?}", lane.memo);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_does_not_pass_through_the_continuation_to_a_memo() {
    moved("secret-to-continuation").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_the_receiver_repeats_does_not_come_back_to_the_half_that_writes() {
    moved("secret-to-memo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_in_the_name_of_a_stamp_is_kept_nowhere() {
    moved("secret-to-name").await;
}
