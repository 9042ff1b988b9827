//! What people look for.

use super::*;
use crate::outbox::{Filter, MessageId, PaceLog, Reason, Settle};

/// Settles a message of one event; which.
async fn message<S: Store>(stage: &Stage<S>, connector: &str, event: &str, settle: Settle) -> MessageId {
    let seq = stage.take(event, &[connector]).await;
    let id = stage.open(new_message(connector, &format!("key of {event}"), &[seq])).await.unwrap();
    stage.settle(id, settle, tried("x"), PaceLog::default()).await.unwrap();
    id
}

pub(in crate::outbox) async fn lists_are_filtered_paged_and_newest_first<S: Store>(stage: Stage<S>) {
    let mut ids = Vec::new();
    for n in 0..6 {
        let connector = if n % 2 == 0 { "ops" } else { "dev" };
        ids.push(message(&stage, connector, &format!("e{n}"), if n < 3 { delivered() } else { dead("no") }).await);
    }
    let list = async |state: Option<&str>, connector: Option<&str>, before: Option<MessageId>, limit| {
        let filter = Filter { state: state.map(str::to_owned), connector: connector.map(str::to_owned), before, limit, text: None };
        stage.messages(filter).await.unwrap().into_iter().map(|message| message.id).collect::<Vec<_>>()
    };
    let all: Vec<MessageId> = ids.iter().rev().copied().collect();
    assert_eq!(list(None, None, None, 0).await, all);
    assert_eq!(list(Some("dead"), None, None, 2).await, [ids[5], ids[4]]);
    assert_eq!(list(Some("dead"), None, Some(ids[4]), 2).await, [ids[3]]);
    assert_eq!(list(Some("delivered"), Some("dev"), None, 0).await, [ids[1]]);
    assert_eq!(list(Some("dead"), Some("ops"), None, 0).await, [ids[4]]);
    assert!(list(Some("open"), None, None, 0).await.is_empty());
    assert!(list(Some("odd"), None, None, 0).await.is_empty());
    assert!(list(None, Some("nobody"), None, 0).await.is_empty());
    // Page by page, everything is there once.
    let (mut paged, mut before) = (Vec::new(), None);
    loop {
        let page = list(None, None, before, 4).await;
        let Some(last) = page.last().copied() else { break };
        before = Some(last);
        paged.extend(page);
    }
    assert_eq!(paged, all);
    stage.discard(ids[4]).await.unwrap();
    let status = stage.status().await.unwrap();
    assert_eq!(status.iter().map(|line| (line.connector.as_str(), line.dead)).collect::<Vec<_>>(), [("dev", 2), ("ops", 0)]);
}

pub(in crate::outbox) async fn a_text_is_found_in_events_and_reasons_and_is_no_pattern<S: Store>(stage: Stage<S>) {
    let mut ids = Vec::new();
    for name in ["disk-90%", "disk-900", "memory", "Straße_中文"] {
        let first = stage.take(&format!("{name}-first"), &["ops"]).await;
        let second = stage.take(name, &["ops"]).await;
        let id = stage.open(new_message("ops", name, &[first, second])).await.unwrap();
        let settle = if name == "memory" { dead("Sign not match") } else { delivered() };
        stage.settle(id, settle, tried("x"), PaceLog::default()).await.unwrap();
        ids.push(id);
    }
    let find = async |text: &str| {
        let filter = Filter { text: Some(text.to_owned()), ..Filter::default() };
        stage.messages(filter).await.unwrap().into_iter().map(|message| message.id).collect::<Vec<_>>()
    };
    assert_eq!(find("DISK").await, [ids[1], ids[0]]);
    assert_eq!(find("90%").await, [ids[0]], "a per cent sign is one");
    assert_eq!(find("disk_90").await, []);
    assert_eq!(find("\\").await, []);
    assert_eq!(find("' OR 1=1").await, []);
    assert_eq!(find("sign NOT match").await, [ids[2]]);
    assert_eq!(find("中文").await, [ids[3]]);
    assert_eq!(find("Incident of MEMORY").await, [ids[2]]);
    let dead = Filter { text: Some("disk".to_owned()), state: Some("dead".to_owned()), ..Filter::default() };
    assert!(stage.messages(dead).await.unwrap().is_empty());
    let first = Filter { text: Some("disk".to_owned()), limit: 1, ..Filter::default() };
    assert_eq!(stage.messages(first).await.unwrap()[0].id, ids[1]);
}

pub(in crate::outbox) async fn the_status_tells_what_waits_is_in_flight_and_is_dead<S: Store>(mut stage: Stage<S>) {
    for (n, connector) in ["ops", "ops", "ops", "dev", "ops"].into_iter().enumerate() {
        assert_eq!(stage.accept(T0 + n as i64, vec![incoming(&format!("e{n}"), &[connector])], vec![]).await.unwrap(), [Taken::New]);
    }
    stage.hold(&["ops"]).await;
    let seqs: Vec<i64> = stage.waiting("ops", 10).await.unwrap().iter().map(|waiting| waiting.seq).collect();
    stage.bury("ops", vec![seqs[0]], why("old"), T0).await.unwrap();
    stage.open(new_message("ops", "k", &seqs[1..3])).await.unwrap();
    stage.crash().await;
    let told: Vec<_> = stage.status().await.unwrap();
    let told: Vec<_> = told.iter().map(|line| (line.connector.as_str(), line.waiting, line.oldest, line.in_flight, line.dead)).collect();
    assert_eq!(told, [("dev", 1, Some(T0 + 3), 0, 0), ("ops", 1, Some(T0 + 4), 2, 1)]);
    let mut busy = stage.busy_connectors().await.unwrap();
    busy.sort_unstable();
    assert_eq!(busy, ["dev".into(), "ops".into()]);
}

pub(in crate::outbox) async fn a_message_is_told_with_all_that_is_known_of_it<S: Store>(stage: Stage<S>) {
    let seqs = [stage.take("e1", &["ops"]).await, stage.take("e2", &["ops"]).await];
    let id = stage.open(new_message("ops", "k1", &seqs)).await.unwrap();
    let mut record = tried("retry");
    record.reason = Reason { code: "88".into(), text: "too \"busy\"".into(), advice: "wait".into() };
    stage.settle(id, again(T0 + 9, true, true), record.clone(), PaceLog::default()).await.unwrap();
    let open = stage.message(id).await.unwrap();
    assert_eq!((open.summary.state.as_str(), open.summary.updated_at, open.summary.reason.code.as_str()), ("open", T0 + 9, "again"));
    stage.attempt(id, draft("second"), PaceLog::default(), T0 + 9).await.unwrap();
    stage.settle(id, delivered(), tried("delivered"), PaceLog::default()).await.unwrap();
    let told = stage.message(id).await.unwrap();
    let summary = &told.summary;
    assert_eq!((summary.id, summary.connector.as_str(), summary.state.as_str(), summary.key.as_str()), (id, "ops", "delivered", "k1"));
    assert_eq!((summary.events, summary.summary.as_str(), summary.attempts, summary.created_at), (2, "summary of e1", 2, T0));
    assert_eq!((told.covered, told.attempts_made), (vec![event("e1"), event("e2")], vec![record, tried("delivered")]));
    assert_eq!((told.prepared.as_deref(), told.author.as_deref()), (Some(&b"second"[..]), Some("test")));
    let listed = stage.messages(Filter::default()).await.unwrap().pop().unwrap();
    assert_eq!(format!("{listed:?}"), format!("{summary:?}"));
}
