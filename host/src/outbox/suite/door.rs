//! What is taken in, once, and in which order.

use std::collections::HashSet;

use tokio::task::JoinSet;

use super::*;
use crate::outbox::{MessageId, Unreadable};

pub(in crate::outbox) async fn an_event_seen_before_changes_nothing_until_the_window_is_over<S: Store>(mut stage: Stage<S>) {
    assert_eq!(stage.accept(T0, vec![incoming("e1", &["ops"])], vec![]).await.unwrap(), [Taken::New]);
    assert_eq!(stage.accept(T0, vec![incoming("nowhere", &[])], vec![]).await.unwrap(), [Taken::New]);
    stage.crash().await;
    for id in ["e1", "nowhere"] {
        assert_eq!(stage.accept(T0 + DAY - 1, vec![incoming(id, &["dev"])], vec![]).await.unwrap(), [Taken::Duplicate]);
    }
    assert_eq!(stage.busy_connectors().await.unwrap(), ["ops".into()]);
    assert_eq!(stage.accept(T0 + DAY, vec![incoming("e1", &["dev"])], vec![]).await.unwrap(), [Taken::New]);
}

pub(in crate::outbox) async fn an_event_twice_in_one_call_is_taken_once<S: Store>(stage: Stage<S>) {
    let events = vec![incoming("e1", &["ops"]), incoming("e2", &["ops"]), incoming("e1", &["dev"])];
    assert_eq!(stage.accept(T0, events, vec![]).await.unwrap(), [Taken::New, Taken::New, Taken::Duplicate]);
    assert_eq!(stage.queue("ops").await, ["e1", "e2"]);
    assert!(stage.queue("dev").await.is_empty());
    let events = vec![incoming("e2", &["ops"]), incoming("e3", &["ops", "ops"])];
    assert_eq!(stage.accept(T0, events, vec![]).await.unwrap(), [Taken::Duplicate, Taken::New]);
    assert_eq!(stage.queue("ops").await, ["e1", "e2", "e3"], "an event waits once for a connector");
}

pub(in crate::outbox) async fn an_event_that_two_hand_over_at_once_is_new_to_one_of_them<S: Store>(stage: Stage<S>) {
    const EVENTS: usize = 200;
    let mut both = JoinSet::new();
    for of_a_call in [3, 7] {
        let outbox = stage.share();
        both.spawn(async move {
            let ids: Vec<String> = (0..EVENTS).map(|n| format!("e{n}")).collect();
            let mut new = Vec::new();
            for ids in ids.chunks(of_a_call) {
                let events = ids.iter().map(|id| incoming(id, &["ops"])).collect();
                let taken = outbox.accept(T0, events, vec![]).await.unwrap();
                new.extend(ids.iter().zip(taken).filter(|(_, taken)| *taken == Taken::New).map(|(id, _)| id.clone()));
            }
            new
        });
    }
    let mut new = both.join_all().await.concat();
    new.sort_unstable();
    let mut waiting = stage.queue("ops").await;
    waiting.sort_unstable();
    assert_eq!(new.len(), EVENTS, "each event is new to one");
    assert_eq!(new, waiting);
}

pub(in crate::outbox) async fn events_wait_in_the_order_in_which_they_were_accepted<S: Store>(mut stage: Stage<S>) {
    let mut accepted = Vec::new();
    for call in 0..5 {
        let ids: Vec<String> = (0..=call).map(|n| format!("{}", (call * 7 + n * 3) % 40 + call * 100)).collect();
        let to: &[&str] = if call % 2 == 0 { &["ops", "dev"] } else { &["ops"] };
        let events = ids.iter().map(|id| incoming(id, to)).collect();
        assert!(stage.accept(T0 + call, events, vec![]).await.unwrap().iter().all(|taken| *taken == Taken::New));
        accepted.extend(ids.into_iter().map(|id| (id, call)));
    }
    let ids = |of: &dyn Fn(i64) -> bool| accepted.iter().filter(|(_, call)| of(*call)).map(|(id, _)| id.clone()).collect::<Vec<_>>();
    stage.crash().await;
    let waiting = stage.waiting("ops", 100).await.unwrap();
    assert!(waiting.is_sorted_by(|a, b| a.seq < b.seq));
    assert_eq!(waiting.iter().map(|waiting| (waiting.event.id.clone(), waiting.accepted_at - T0)).collect::<Vec<_>>(), accepted);
    assert_eq!(stage.queue("dev").await, ids(&|call| call % 2 == 0));
    let few = stage.waiting("ops", 3).await.unwrap();
    assert_eq!(few.iter().map(|waiting| waiting.event.id.as_str()).collect::<Vec<_>>(), ids(&|_| true)[..3]);
    let lane = stage.lane("ops").await.unwrap();
    assert_eq!((lane.waiting, lane.oldest), (15, Some(T0)));
}

pub(in crate::outbox) async fn what_could_not_be_read_is_kept_and_shortened<S: Store>(mut stage: Stage<S>) {
    let item = |body: Vec<u8>, error: &str| Unreadable { source: "hook".into(), body, error: error.into() };
    stage.accept(T0, vec![incoming("good", &["ops"])], vec![item(vec![7; 100_000], "no JSON")]).await.unwrap();
    stage.accept(T0 + 1, vec![], vec![item(vec![0, 255, b'\''], "of the newest: \u{201c}no UTF-8\u{201d}")]).await.unwrap();
    stage.crash().await;
    let kept = stage.unreadable(0).await.unwrap();
    assert_eq!(
        kept.iter().map(|(_, at, item)| (*at, item.body.len(), &*item.source)).collect::<Vec<_>>(),
        [(T0 + 1, 3, "hook"), (T0, 65_536, "hook")]
    );
    assert_eq!((&kept[0].2.body[..], kept[1].2.error.as_str()), (&[0, 255, b'\''][..], "no JSON"));
    assert!(kept[0].0 > kept[1].0 && stage.unreadable(1).await.unwrap().len() == 1);
}

pub(in crate::outbox) async fn sixty_four_producers_get_their_own_answers_and_all_is_there_after_a_crash<S: Store>(mut stage: Stage<S>) {
    let mut producers = JoinSet::new();
    for producer in 0..64 {
        let outbox = stage.share();
        producers.spawn(async move {
            for n in 0..8 {
                // Every second event is its neighbour's too: one of both gets it in.
                let id = if n % 2 == 0 { format!("{producer}-{n}") } else { format!("pair {}-{n}", producer / 2) };
                let answer = outbox.accept(T0, vec![incoming(&id, &["ops"])], vec![]).await.unwrap();
                assert!(n % 2 == 1 || answer == [Taken::New]);
                // A call that does not fit, in the same groups.
                assert!(matches!(outbox.discard(MessageId(1)).await, Err(OutboxError::NotFound(_))));
            }
        });
    }
    producers.join_all().await;
    stage.crash().await;
    let waiting = stage.queue("ops").await;
    let ids: HashSet<&String> = waiting.iter().collect();
    assert_eq!((waiting.len(), ids.len()), (64 * 4 + 32 * 4, 64 * 4 + 32 * 4));
    assert_eq!(stage.lane("ops").await.unwrap().waiting, 384);
    // What one producer sent is in its order.
    for producer in 0..64 {
        let own: Vec<&String> = waiting.iter().filter(|id| id.starts_with(&format!("{producer}-"))).collect();
        assert!(own.is_sorted(), "{own:?}");
    }
}

pub(in crate::outbox) async fn what_is_closed_takes_nothing_and_tells_nothing<S: Store>(mut stage: Stage<S>) {
    stage.take("e1", &["ops"]).await;
    stage.close().await;
    stage.close().await;
    assert_eq!(stage.lane("ops").await.unwrap_err(), OutboxError::Closed);
    assert_eq!(stage.accept(T0, vec![], vec![]).await.unwrap_err(), OutboxError::Closed);
    assert_eq!(stage.ready().await.unwrap_err(), OutboxError::Closed);
    stage.reopen().await;
    stage.ready().await.unwrap();
    assert_eq!(stage.queue("ops").await, ["e1"]);
}
