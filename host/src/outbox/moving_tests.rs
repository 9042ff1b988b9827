//! An outbox that was moved is the one that it was.

use std::path::Path;

use super::*;
use crate::clock::Clock;
use crate::outbox::book::{Ask, Booked, Verb};
use crate::outbox::suite::{T0, again, dead, delivered, incoming, new_message, tried, why};
use crate::outbox::{Filter, MessageId, Outbox, OutboxConfig, PaceLog, Settle, Taken, Unreadable};

pub(in crate::outbox) fn file(name: &str) -> Box<dyn OutboxConfig> {
    serde_json::from_value(serde_json::json!({"type": "sqlite", "path": name})).unwrap()
}

/// Fills an outbox with one of everything: for `ops` a message that is tried again, for `db` a dead letter; two events wait.
pub(in crate::outbox) async fn fill(outbox: &dyn Outbox) {
    for connector in ["ops", "db"] {
        outbox.claim(connector).await.unwrap();
    }
    for id in ["1", "2", "3", "4"] {
        let mut event = incoming(id, &["ops", "db"]);
        std::sync::Arc::make_mut(&mut event.event).incident_id = format!("70{id}");
        let unreadable = Unreadable { source: "s".into(), body: b"\0x".to_vec(), error: "no".into() };
        assert_eq!(outbox.accept(T0, vec![event], vec![unreadable]).await.unwrap(), [Taken::New]);
    }
    for (connector, settles) in [("ops", [delivered(), again(T0 + 9, true, true)]), ("db", [delivered(), dead("310000")])] {
        for settle in settles {
            let seq = outbox.waiting(connector, 1).await.unwrap()[0].seq;
            let id = outbox.open(new_message(connector, &format!("{connector}-{seq}"), &[seq])).await.unwrap();
            let memo = Settle::Delivered { receipt: None, memo: Some("m".into()) };
            let settle = if matches!(settle, Settle::Delivered { .. }) { memo } else { settle };
            outbox.settle(id, settle, tried("x"), PaceLog { sends: vec![T0, T0 + 5], month_count: 2, ..PaceLog::default() }).await.unwrap();
        }
    }
    let book = outbox.book().unwrap();
    assert!(matches!(book.ask(ask(), T0).await.unwrap(), Booked::New(_)));
    book.keep_note("looked", "7").await.unwrap();
}

fn ask() -> Ask {
    Ask {
        key: "k".into(),
        incident: "701".into(),
        verb: Verb::Accept,
        connector: "ops".into(),
        who: "Li Lei".into(),
        person: None,
        text: String::new(),
    }
}

/// Whether an outbox is as [`fill`] left it, but for what was delivered.
pub(in crate::outbox) async fn check(outbox: &dyn Outbox) {
    let lane = outbox.lane("ops").await.unwrap();
    let open = lane.open.unwrap();
    assert_eq!((lane.waiting, lane.oldest, lane.memo.as_deref(), lane.pace.month_count), (2, Some(T0), Some("m"), 2));
    assert_eq!((open.attempts, open.unknown, open.next_at, open.events.len()), (1, true, T0 + 9, 1));
    assert_eq!((open.draft.unwrap().prepared, open.events[0].event.id.as_str()), (open.key.clone().into_bytes(), "2"));
    let waiting: Vec<String> = outbox.waiting("db", 9).await.unwrap().iter().map(|waiting| waiting.event.id.clone()).collect();
    assert_eq!(waiting, ["3", "4"]);
    let messages = outbox.messages(Filter::default()).await.unwrap();
    let states: Vec<&str> = messages.iter().map(|message| message.state.as_str()).collect();
    assert_eq!(states, ["dead", "open"]);
    let letter = outbox.message(messages[0].id).await.unwrap();
    assert_eq!((letter.summary.reason, letter.covered[0].id.as_str(), letter.attempts_made.len()), (why("310000"), "2", 1));
    assert_eq!(outbox.unreadable(9).await.unwrap().len(), 4);
    let (event, later) = (incoming("1", &["ops"]), incoming("5", &["ops"]));
    assert_eq!(outbox.accept(T0 + 1, vec![event, later], vec![]).await.unwrap(), [Taken::Duplicate, Taken::New], "ids are known");
    let book = outbox.book().unwrap();
    assert_eq!(book.open_incidents(9).await.unwrap().iter().filter(|incident| incident.id.starts_with("70")).count(), 4);
    assert!(matches!(book.ask(ask(), T0).await.unwrap(), Booked::Before(_)));
    assert_eq!(book.note("looked").await.unwrap().as_deref(), Some("7"));
    // The numbers go on behind those that were moved.
    outbox.claim("db").await.unwrap();
    let seq = outbox.waiting("db", 1).await.unwrap()[0].seq;
    let new = outbox.open(new_message("db", "new", &[seq])).await.unwrap();
    assert!(new > MessageId(messages[0].id.0.max(messages[1].id.0)));
    outbox.replay(messages[0].id, T0).await.unwrap();
}

async fn move_between(base: &Path, from: &dyn OutboxConfig, to: &dyn OutboxConfig) -> Result<Moved, OutboxError> {
    let (source, target) = (from.mover(base, false).await?, to.mover(base, true).await?);
    move_all(&*source, &*target).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_dead_or_was_seen_is_moved_and_the_key_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (file("a/x.db"), file("b/x.db"));
    let outbox = from.build(folder.path(), Clock::system()).await.unwrap();
    fill(&*outbox).await;
    std::fs::write(folder.path().join("a/respond.key"), "ab\n").unwrap();
    let busy = from.mover(folder.path(), false).await.err();
    assert!(matches!(busy, Some(OutboxError::Locked(_))), "{busy:?}");
    outbox.close().await;
    drop(outbox);
    std::fs::create_dir(folder.path().join("b")).unwrap();
    let moved = move_between(folder.path(), &*from, &*to).await.unwrap();
    assert!(moved.rows.is_some_and(|rows| rows > 20) && moved.aside.ends_with("x.db.moved"), "{moved:?}");
    assert!(!folder.path().join("a/x.db").exists());
    assert_eq!(std::fs::read_to_string(folder.path().join("b/respond.key")).unwrap(), "ab\n");
    check(&*to.build(folder.path(), Clock::system()).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_crashed_before_its_last_step_is_brought_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (file("a.db"), file("b.db"));
    let outbox = from.build(folder.path(), Clock::system()).await.unwrap();
    fill(&*outbox).await;
    outbox.close().await;
    drop(outbox);
    {
        // All but the last step.
        let (source, target) = (from.mover(folder.path(), false).await.unwrap(), to.mover(folder.path(), true).await.unwrap());
        let (sender, receiver) = mpsc::channel(ON_THE_WAY);
        let mark = source.mark("m").await.unwrap();
        let (exported, imported) = tokio::join!(source.export(sender), target.import(&mark, receiver));
        exported.unwrap();
        assert!(imported.unwrap().is_some());
    }
    assert_eq!(move_between(folder.path(), &*from, &*to).await.unwrap().rows, None);
    check(&*to.build(folder.path(), Clock::system()).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_moved_onto_what_is_there_or_from_what_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (file("a.db"), file("b.db"));
    for config in [&from, &to] {
        let outbox = config.build(folder.path(), Clock::system()).await.unwrap();
        fill(&*outbox).await;
        outbox.close().await;
    }
    let refused = move_between(folder.path(), &*from, &*to).await.unwrap_err();
    assert!(matches!(&refused, OutboxError::Conflict(text) if text.contains("not empty")), "{refused}");
    assert!(folder.path().join("a.db").exists());
    assert!(file("none.db").mover(folder.path(), false).await.is_err());
    assert!(!folder.path().join("none.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_ends_half_way_leaves_the_target_empty() {
    let folder = tempfile::tempdir().unwrap();
    let target = file("b.db").mover(folder.path(), true).await.unwrap();
    let (sender, receiver) = mpsc::channel(ON_THE_WAY);
    sender.send(Row::Of(table("notes"), vec![Value::Text("looked".into()), Value::Text("7".into())])).await.unwrap();
    drop(sender);
    assert!(target.import("m", receiver).await.is_err());
    drop(target);
    let outbox = file("b.db").build(folder.path(), Clock::system()).await.unwrap();
    assert_eq!(outbox.book().unwrap().note("looked").await.unwrap(), None);
}
