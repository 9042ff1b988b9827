//! What a lane keeps: its pace, its memo.

use super::*;
use crate::outbox::{NewMessage, PaceLog, Settle};

fn pace(month_count: u32) -> PaceLog {
    PaceLog { sends: vec![T0, T0 + 3, T0 + 3], closed_until: T0 + 600_000, month: "2026-11".to_owned(), month_count }
}

pub(in crate::outbox) async fn a_pace_and_a_memo_survive_whatever_ends_the_host<S: Store>(mut stage: Stage<S>) {
    let seq = stage.take("e1", &["ops"]).await;
    let id = stage.open(new_message("ops", "k", &[seq])).await.unwrap();
    let settle = Settle::Delivered { receipt: None, memo: Some("ünïcode \u{1f600} 'quoted'".into()) };
    stage.settle(id, settle, tried("delivered"), pace(1)).await.unwrap();
    for crashes in [true, false] {
        if crashes {
            stage.crash().await
        } else {
            stage.reopen().await
        }
        let lane = stage.lane("ops").await.unwrap();
        assert_eq!((lane.pace, lane.memo.as_deref()), (pace(1), Some("ünïcode \u{1f600} 'quoted'")));
    }
    stage.hold(&["ops"]).await;
    stage.store_pace("ops", pace(2)).await.unwrap();
    stage.crash().await;
    let lane = stage.lane("ops").await.unwrap();
    assert_eq!((lane.pace, lane.memo.is_some()), (pace(2), true));
    assert_eq!(stage.lane("never").await.unwrap().pace, PaceLog::default());
}

pub(in crate::outbox) async fn a_memo_stays_until_there_is_another<S: Store>(stage: Stage<S>) {
    for (n, memo, kept) in [(0, Some("a"), Some("a")), (1, None, Some("a")), (2, Some("b"), Some("b")), (3, Some(""), Some(""))] {
        let seq = stage.take(&format!("e{n}"), &["ops"]).await;
        let id = stage.open(new_message("ops", &format!("k{n}"), &[seq])).await.unwrap();
        let settle = Settle::Delivered { receipt: None, memo: memo.map(str::to_owned) };
        stage.settle(id, settle, tried("delivered"), pace(0)).await.unwrap();
        assert_eq!(stage.lane("ops").await.unwrap().memo.as_deref(), kept);
    }
}

pub(in crate::outbox) async fn the_messages_of_a_month_are_counted_over_restarts_and_shown<S: Store>(mut stage: Stage<S>) {
    let seq = stage.take("e1", &["ops"]).await;
    let id = stage.open(NewMessage { pace: pace(1), ..new_message("ops", "k", &[seq]) }).await.unwrap();
    stage.crash().await;
    stage.hold(&["ops"]).await;
    let counted = async |stage: &Stage<S>| {
        let line = stage.status().await.unwrap().into_iter().find(|line| line.connector == "ops").unwrap();
        assert_eq!(line.pace, stage.lane("ops").await.unwrap().pace);
        (line.pace.month, line.pace.month_count)
    };
    assert_eq!(counted(&stage).await, ("2026-11".to_owned(), 1), "counted before it left");
    stage.attempt(id, draft("k"), pace(2), T0).await.unwrap();
    assert_eq!(counted(&stage).await.1, 2);
    stage.settle(id, again(T0, true, true), tried("unknown"), pace(3)).await.unwrap();
    stage.reopen().await;
    assert_eq!(counted(&stage).await.1, 3);
    stage.hold(&["ops"]).await;
    stage.settle(id, dead("no"), tried("rejected"), pace(4)).await.unwrap();
    stage.store_pace("ops", pace(5)).await.unwrap();
    stage.crash().await;
    assert_eq!(counted(&stage).await.1, 5);
}
