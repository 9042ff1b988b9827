//! What is forgotten, and what never.

use super::*;
use crate::outbox::{MessageId, PaceLog, Unreadable};

async fn send<S: Store>(stage: &Stage<S>, connector: &str, seq: i64) -> MessageId {
    let id = stage.open(new_message(connector, &format!("{connector} {seq}"), &[seq])).await.unwrap();
    stage.settle(id, delivered(), tried("delivered"), PaceLog::default()).await.unwrap();
    id
}

pub(in crate::outbox) async fn only_what_is_over_and_old_is_pruned<S: Store>(mut stage: Stage<S>) {
    let shared = stage.take("shared", &["ops", "dev"]).await;
    let letter = stage.take("letter", &["ops"]).await;
    let id = send(&stage, "ops", shared).await;
    let letter = stage.bury("ops", vec![letter], why("old"), T0).await.unwrap();
    let tried_again = stage.take("tried again", &["ops"]).await;
    let tried_again = stage.open(new_message("ops", "k2", &[tried_again])).await.unwrap();
    while stage.prune(T0, T0).await.unwrap() {}
    assert_eq!(stage.message(id).await.unwrap().summary.state, "delivered", "not older than that");
    while stage.prune(T0 + DAY, T0 + DAY).await.unwrap() {}
    stage.crash().await;
    assert_eq!(stage.message(id).await.unwrap_err(), OutboxError::NotFound(id));
    assert_eq!(stage.message(letter).await.unwrap().covered, [event("letter")]);
    assert_eq!(stage.message(tried_again).await.unwrap().prepared, Some(b"k2".to_vec()));
    assert_eq!(*stage.waiting("dev", 10).await.unwrap()[0].event, event("shared"));
    assert_eq!(stage.accept(T0, vec![incoming("shared", &["ops"])], vec![]).await.unwrap(), [Taken::New], "its key is forgotten");
}

pub(in crate::outbox) async fn what_could_not_be_read_is_forgotten_with_the_history<S: Store>(stage: Stage<S>) {
    let items = |n: usize| (0..n).map(|_| Unreadable { source: "hook".into(), body: b"{".to_vec(), error: "no JSON".into() }).collect();
    stage.accept(T0, vec![], items(240)).await.unwrap();
    stage.accept(T0 + DAY, vec![], items(10)).await.unwrap();
    while stage.prune(T0 + DAY, T0).await.unwrap() {}
    let kept = stage.unreadable(1_000).await.unwrap();
    assert!(kept.len() == 10 && kept.iter().all(|(_, at, _)| *at == T0 + DAY));
}

pub(in crate::outbox) async fn an_event_that_another_connector_needs_stays<S: Store>(stage: Stage<S>) {
    let names = ["a", "b", "c", "d"];
    let seq = stage.take("e1", &names).await;
    assert_eq!(stage.needed().await, 4);
    send(&stage, "a", seq).await;
    let open = stage.open(new_message("b", "k", &[seq])).await.unwrap();
    let letter = stage.bury("c", vec![seq], why("old"), T0).await.unwrap();
    while stage.prune(T0 + DAY, T0).await.unwrap() {}
    assert_eq!(stage.needed().await, 3);
    assert_eq!(stage.message(open).await.unwrap().covered, [event("e1")]);
    stage.discard(letter).await.unwrap();
    stage.settle(open, delivered(), tried("delivered"), PaceLog::default()).await.unwrap();
    while stage.prune(T0 + DAY, T0).await.unwrap() {}
    assert_eq!(stage.needed().await, 1);
    assert_eq!(*stage.waiting("d", 1).await.unwrap()[0].event, event("e1"));
    send(&stage, "d", seq).await;
    while stage.prune(T0 + DAY, T0).await.unwrap() {}
    assert_eq!(stage.needed().await, 0);
}
