//! Dead letters: buried, replayed, split, discarded.

use super::*;
use crate::outbox::{MessageId, PaceLog};

pub(in crate::outbox) async fn a_replayed_dead_letter_waits_its_turn_under_a_new_key<S: Store>(stage: Stage<S>) {
    let buried = stage.take("e1", &["ops"]).await;
    let seq = stage.take("e2", &["ops"]).await;
    let letter = stage.bury("ops", vec![buried], why("old"), T0).await.unwrap();
    let open = stage.open(new_message("ops", "k2", &[seq])).await.unwrap();
    let first_key = stage.message(letter).await.unwrap().summary.key;
    assert_eq!(&*stage.replay(letter, T0 + 7).await.unwrap(), "ops");
    assert_eq!(stage.lane("ops").await.unwrap().open.unwrap().id, open);
    assert!(is_conflict(stage.attempt(letter, draft("x"), PaceLog::default(), T0).await));
    stage.settle(open, delivered(), tried("delivered"), PaceLog::default()).await.unwrap();
    let turn = stage.lane("ops").await.unwrap().open.unwrap();
    assert_eq!((turn.id, turn.key, turn.unknown, turn.attempts), (letter, format!("{first_key}-r1"), false, 0));
    assert_eq!((turn.draft, turn.created_at), (None, T0 + 7));
    stage.attempt(letter, draft("anew"), PaceLog::default(), T0).await.unwrap();
    stage.settle(letter, dead("no"), tried("rejected"), PaceLog::default()).await.unwrap();
    stage.replay(letter, T0 + 8).await.unwrap();
    assert_eq!(stage.lane("ops").await.unwrap().open.unwrap().key, format!("{first_key}-r2"));
}

pub(in crate::outbox) async fn what_never_was_sent_can_be_replayed<S: Store>(mut stage: Stage<S>) {
    let seq = stage.take("e1", &["ops"]).await;
    let letter = stage.bury("ops", vec![seq], why("old"), T0).await.unwrap();
    assert!(stage.busy_connectors().await.unwrap().is_empty());
    stage.crash().await;
    stage.replay(letter, T0 + 7).await.unwrap();
    assert_eq!(stage.busy_connectors().await.unwrap(), ["ops".into()]);
    let open = stage.lane("ops").await.unwrap().open.unwrap();
    assert_eq!(open.events.iter().map(|waiting| waiting.event.id.as_str()).collect::<Vec<_>>(), ["e1"]);
}

pub(in crate::outbox) async fn the_other_half_is_next_in_turn_with_a_key_of_its_own<S: Store>(stage: Stage<S>) {
    let mut seqs = Vec::new();
    for id in ["a", "b", "c"] {
        seqs.push(stage.take(id, &["ops"]).await);
    }
    let later = stage.take("later", &["ops"]).await;
    let letter = stage.bury("ops", vec![later], why("old"), T0).await.unwrap();
    let id = stage.open(new_message("ops", "key", &seqs)).await.unwrap();
    stage.replay(letter, T0).await.unwrap();
    for wrong in [vec![], vec![99_999], seqs.clone(), vec![seqs[0], later]] {
        assert!(is_conflict(stage.split(id, wrong).await));
    }
    let other = stage.split(id, vec![seqs[1]]).await.unwrap();
    let first = stage.lane("ops").await.unwrap().open.unwrap();
    assert_eq!((first.id, first.key.as_str(), first.events.len(), first.events[0].seq), (id, "key", 1, seqs[1]));
    stage.settle(id, delivered(), tried("delivered"), PaceLog::default()).await.unwrap();
    let second = stage.lane("ops").await.unwrap().open.unwrap();
    assert_eq!((second.id, second.events.len(), second.created_at, second.draft), (other, 2, T0, None));
    assert_eq!((second.attempts, second.unknown), (0, false));
    assert_ne!(second.key, "key");
    stage.settle(other, delivered(), tried("delivered"), PaceLog::default()).await.unwrap();
    assert_eq!(stage.lane("ops").await.unwrap().open.unwrap().id, letter, "what waited for its turn before comes after both");
    stage.settle(letter, delivered(), tried("delivered"), PaceLog::default()).await.unwrap();
    assert!(stage.busy_connectors().await.unwrap().is_empty());
}

pub(in crate::outbox) async fn only_a_dead_letter_is_replayed_or_discarded<S: Store>(stage: Stage<S>) {
    let (seq, other) = (stage.take("e1", &["ops"]).await, stage.take("e2", &["ops"]).await);
    let id = stage.open(new_message("ops", "k", &[seq])).await.unwrap();
    assert!(is_conflict(stage.discard(id).await) && is_conflict(stage.replay(id, T0).await));
    stage.settle(id, delivered(), tried("delivered"), PaceLog::default()).await.unwrap();
    assert!(is_conflict(stage.discard(id).await) && is_conflict(stage.replay(id, T0).await));
    assert!(is_conflict(stage.split(id, vec![seq]).await));
    let letter = stage.bury("ops", vec![other], why("old"), T0).await.unwrap();
    assert!(is_conflict(stage.split(letter, vec![other]).await));
    stage.discard(letter).await.unwrap();
    for missing in [letter, MessageId(77_777)] {
        assert_eq!(stage.discard(missing).await.unwrap_err(), OutboxError::NotFound(missing));
        assert_eq!(stage.replay(missing, T0).await.unwrap_err(), OutboxError::NotFound(missing));
        assert_eq!(stage.split(missing, vec![1]).await.unwrap_err(), OutboxError::NotFound(missing));
    }
    assert_eq!(stage.needed().await, 1, "an event that was discarded is gone");
}
