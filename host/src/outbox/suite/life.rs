//! A message from the first attempt to its end.

use super::*;
use crate::outbox::{Filter, MessageId, PaceLog, Settle};

pub(in crate::outbox) async fn an_event_waits_is_sent_and_leaves_the_lane_idle<S: Store>(stage: Stage<S>) {
    let seq = stage.take("e1", &["ops", "dev"]).await;
    assert_eq!(stage.lane("ops").await.unwrap().waiting, 1);
    let waiting = stage.waiting("ops", 10).await.unwrap();
    assert_eq!(*waiting[0].event, event("e1"));
    assert_eq!(waiting[0].accepted_at, T0);

    let id = stage.open(new_message("ops", "k1", &[seq])).await.unwrap();
    let lane = stage.lane("ops").await.unwrap();
    let open = lane.open.unwrap();
    assert_eq!((lane.waiting, lane.oldest, open.id, open.attempts, open.unknown), (0, None, id, 1, true));
    assert_eq!((open.draft, open.events.len(), lane.pace.sends), (Some(draft("k1")), 1, vec![T0]));

    let settle = Settle::Delivered { receipt: Some("r".into()), memo: Some("m".into()) };
    stage.settle(id, settle, tried("delivered"), PaceLog::default()).await.unwrap();
    let lane = stage.lane("ops").await.unwrap();
    assert!(lane.open.is_none() && lane.waiting == 0);
    assert_eq!(lane.memo.as_deref(), Some("m"));
    assert_eq!(stage.busy_connectors().await.unwrap(), ["dev".into()]);
}

pub(in crate::outbox) async fn a_message_in_flight_at_a_crash_is_unknown_afterwards_and_keeps_its_key<S: Store>(mut stage: Stage<S>) {
    let seq = stage.take("e1", &["ops"]).await;
    let id = stage.open(new_message("ops", "k1", &[seq])).await.unwrap();
    stage.settle(id, again(T0 + 5, false, true), tried("retry"), PaceLog::default()).await.unwrap();
    assert!(!stage.lane("ops").await.unwrap().open.unwrap().unknown);
    stage.attempt(id, draft("second"), PaceLog::default(), T0 + 5).await.unwrap();
    stage.crash().await;
    stage.hold(&["ops"]).await;
    let open = stage.lane("ops").await.unwrap().open.unwrap();
    assert_eq!((open.id, open.key.as_str(), open.unknown, open.attempts, open.draft), (id, "k1", true, 2, Some(draft("second"))));
    // What is sent now is another attempt, not a further step of that one.
    stage.attempt(id, draft("second"), PaceLog::default(), T0 + 6).await.unwrap();
    assert_eq!(stage.lane("ops").await.unwrap().open.unwrap().attempts, 3);
}

pub(in crate::outbox) async fn steps_and_throttled_attempts_do_not_count_as_attempts<S: Store>(stage: Stage<S>) {
    let seq = stage.take("e1", &["ops"]).await;
    let id = stage.open(new_message("ops", "k1", &[seq])).await.unwrap();
    stage.attempt(id, draft("second step"), PaceLog::default(), T0).await.unwrap();
    stage.settle(id, again(T0 + 9, false, false), tried("throttled"), PaceLog::default()).await.unwrap();
    let open = stage.lane("ops").await.unwrap().open.unwrap();
    assert_eq!((open.attempts, open.next_at), (0, T0 + 9));
    stage.attempt(id, draft("k1"), PaceLog::default(), T0).await.unwrap();
    stage.settle(id, again(T0 + 9, true, true), tried("unknown"), PaceLog::default()).await.unwrap();
    let open = stage.lane("ops").await.unwrap().open.unwrap();
    assert_eq!((open.attempts, open.unknown), (1, true));
    assert_eq!(stage.message(id).await.unwrap().attempts_made.len(), 2);
}

pub(in crate::outbox) async fn a_call_that_does_not_fit_changes_nothing<S: Store>(stage: Stage<S>) {
    let seq = stage.take("e1", &["ops"]).await;
    let other = stage.take("e2", &["ops"]).await;
    let foreign = stage.take("e3", &["dev"]).await;
    assert!(is_conflict(stage.open(new_message("ops", "k", &[seq, 99_999])).await));
    assert!(is_conflict(stage.open(new_message("ops", "k", &[seq, foreign])).await));
    assert!(is_conflict(stage.open(new_message("ops", "k", &[seq, seq])).await));
    assert!(is_conflict(stage.open(new_message("ops", "k", &[])).await));
    assert!(is_conflict(stage.bury("dev", vec![seq], why("x"), T0).await));
    assert_eq!(stage.queue("ops").await, ["e1", "e2"]);
    assert!(stage.messages(Filter::default()).await.unwrap().is_empty());
    let id = stage.open(new_message("ops", "k", &[seq])).await.unwrap();
    assert!(is_conflict(stage.open(new_message("ops", "k", &[other])).await));
    assert!(is_conflict(stage.bury("ops", vec![seq], why("x"), T0).await), "it does not wait any more");
    stage.settle(id, delivered(), tried("delivered"), PaceLog::default()).await.unwrap();
    assert!(is_conflict(stage.settle(id, delivered(), tried("delivered"), PaceLog::default()).await));
    assert!(is_conflict(stage.attempt(id, draft("k"), PaceLog::default(), T0).await));
    let missing = MessageId(77_777);
    assert_eq!(stage.message(missing).await.unwrap_err(), OutboxError::NotFound(missing));
    assert_eq!(stage.attempt(missing, draft("k"), PaceLog::default(), T0).await.unwrap_err(), OutboxError::NotFound(missing));
    assert_eq!(stage.settle(missing, delivered(), tried("x"), PaceLog::default()).await.unwrap_err(), OutboxError::NotFound(missing));
    assert_eq!(stage.messages(Filter::default()).await.unwrap().len(), 1);
    assert_eq!(stage.needed().await, 3);
}

pub(in crate::outbox) async fn a_call_that_does_not_fit_changes_nothing_for_those_beside_it<S: Store>(stage: Stage<S>) {
    let seqs = [stage.take("e1", &["ops"]).await, stage.take("e2", &["dev"]).await];
    // All wait at once: some of them may meet in one transaction.
    let bad: Vec<_> = (0..20).map(|_| stage.open(new_message("ops", "bad", &[seqs[0], 99_999]))).collect();
    let good = stage.open(new_message("ops", "good", &seqs[..1]));
    let taken = stage.accept(T0, vec![incoming("e3", &["ops"])], vec![]);
    let also = stage.open(new_message("dev", "also", &seqs[1..]));
    let (bad, good, taken, also) = tokio::join!(futures_util::future::join_all(bad), good, taken, also);
    assert!(bad.into_iter().all(is_conflict));
    assert_eq!(taken.unwrap(), [Taken::New]);
    let (ops, dev) = (stage.lane("ops").await.unwrap(), stage.lane("dev").await.unwrap());
    assert_eq!((ops.waiting, ops.open.unwrap().id), (1, good.unwrap()));
    assert_eq!((dev.waiting, dev.open.unwrap().id), (0, also.unwrap()));
    let items = stage.status().await.unwrap().iter().map(|line| line.waiting + line.in_flight).sum::<u64>();
    assert_eq!(items, 3);
}

pub(in crate::outbox) async fn an_attempt_is_never_made_beside_another_of_the_same_lane<S: Store>(stage: Stage<S>) {
    let seqs = [stage.take("e1", &["ops"]).await, stage.take("e2", &["ops"]).await];
    let first = stage.open(new_message("ops", "k", &seqs)).await.unwrap();
    let second = stage.split(first, vec![seqs[0]]).await.unwrap();
    assert!(is_conflict(stage.attempt(second, draft("x"), PaceLog::default(), T0).await));
    stage.settle(first, again(T0, false, true), tried("retry"), PaceLog::default()).await.unwrap();
    stage.attempt(second, draft("x"), PaceLog::default(), T0).await.unwrap();
    assert!(is_conflict(stage.attempt(first, draft("x"), PaceLog::default(), T0).await));
}

pub(in crate::outbox) async fn of_many_attempts_the_last_are_kept<S: Store>(stage: Stage<S>) {
    let seq = stage.take("e1", &["ops"]).await;
    let id = stage.open(new_message("ops", "k1", &[seq])).await.unwrap();
    for n in 0..210 {
        let mut record = tried("throttled");
        record.took_ms = n;
        stage.settle(id, again(T0, false, false), record, PaceLog::default()).await.unwrap();
    }
    let made = stage.message(id).await.unwrap().attempts_made;
    assert_eq!((made.len(), made[0].took_ms, made[199].took_ms), (200, 10, 209));
}
