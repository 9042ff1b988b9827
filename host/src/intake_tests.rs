//! Tests of the door.

use std::sync::Mutex;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::*;
use crate::delivery::testing::event;
use crate::event::Kind;
use crate::source::testing::Door;

fn source() -> Arc<str> {
    Arc::from("test")
}

fn good(incident: usize) -> Result<Event, Unreadable> {
    Ok(event(&incident.to_string(), Kind::Created))
}

fn bad(error: &str) -> Result<Event, Unreadable> {
    Err(Unreadable { source: source(), body: b"oops".to_vec(), error: error.to_owned() })
}

#[tokio::test]
async fn a_batch_with_a_bad_item_is_one_transaction_and_the_report_names_it() {
    let door = Door::new();
    let report = door.intake.accept(&source(), vec![good(1), bad("line 2"), good(1), good(2)]).await.unwrap();
    let expected = json!({"accepted": 2, "duplicates": 1, "rejected": [{"index": 1, "error": "line 2"}]});
    assert_eq!(serde_json::to_value(&report).unwrap(), expected);
    assert_eq!(door.outbox.batches().len(), 1);
    assert_eq!(door.outbox.unreadable().len(), 1);
}

#[tokio::test]
async fn lanes_are_woken_once_a_batch_and_not_for_duplicates() {
    let door = Door::new();
    door.intake.accept(&source(), vec![good(1), good(2)]).await.unwrap();
    assert_eq!(*door.woken.lock().unwrap(), [Arc::from("ops")]);
    door.intake.accept(&source(), vec![good(1), bad("x")]).await.unwrap();
    assert_eq!(door.woken.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_large_batch_becomes_several_transactions_with_one_report() {
    let door = Door::new();
    let mut items: Vec<_> = (0..2 * MAX_BATCH).map(good).collect();
    items.push(bad("the last"));
    let report = door.intake.accept(&source(), items).await.unwrap();
    assert_eq!((report.accepted, report.rejected[0].index), (2 * MAX_BATCH, 2 * MAX_BATCH));
    assert_eq!(door.outbox.batches().len(), 3);
    assert_eq!(door.intake.accept(&source(), Vec::new()).await.unwrap(), Report::default());
}

#[tokio::test]
async fn an_outbox_that_cannot_write_is_an_error_and_nobody_is_woken() {
    let door = Door::new();
    door.outbox.broken.store(true, Ordering::Relaxed);
    let error = door.intake.accept(&source(), vec![good(1)]).await.unwrap_err();
    assert!(matches!(error, IntakeError::Outbox(OutboxError::Unavailable(_))));
    assert!(door.woken.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_closed_intake_refuses_and_drains() {
    let door = Door::new();
    door.intake.close();
    assert!(matches!(door.intake.accept(&source(), vec![good(1)]).await, Err(IntakeError::Closing)));
    door.intake.drained().await;
    assert!(door.outbox.batches().is_empty());
}

#[tokio::test]
async fn a_sender_that_goes_away_does_not_keep_a_lane_asleep() {
    let door = Door::new();
    let source = source();
    // Polled once, then dropped, as the request of a connection that breaks off is.
    tokio::select! {
        biased;
        _ = door.intake.accept(&source, vec![good(1)]) => panic!("the outbox takes a moment"),
        () = std::future::ready(()) => {}
    }
    door.intake.close();
    door.intake.drained().await;
    assert_eq!(door.outbox.summaries().len(), 1);
    assert_eq!(door.woken.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn observers_hear_of_every_event_and_what_became_of_it() {
    let door = Door::new();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&heard);
    door.intake.observe(Arc::new(move |event: &Event, taken| sink.lock().unwrap().push((event.incident_id.clone(), taken))));
    door.intake.accept(&source(), vec![good(1), good(1)]).await.unwrap();
    assert_eq!(*heard.lock().unwrap(), [("1".to_owned(), Taken::New), ("1".to_owned(), Taken::Duplicate)]);
}
