//! The outbox as its callers see it.

mod crash;
mod life;
mod model;
mod respond;
mod trouble;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::desk::Limits;
use super::fault::Judge;
use super::*;
use crate::event::{Event, Kind, Status};

/// A point in time, for tests.
pub(super) const T0: UnixMs = 1_790_000_000_000;
/// A day.
pub(super) const DAY: i64 = 86_400_000;

pub(super) fn limits() -> Limits {
    Limits { max_bytes: None, max_items: 1_000_000, history_ms: 7 * DAY, dedup_ms: DAY, chores_every: Duration::from_secs(60) }
}

pub(super) async fn open_at(path: &Path) -> SqliteOutbox {
    open_limited(path, limits()).await.unwrap()
}

pub(super) async fn open_limited(path: &Path, limits: Limits) -> Result<SqliteOutbox, OutboxError> {
    SqliteOutbox::open_with(path.to_owned(), limits, Clock::system(), Judge::new(path)).await
}

pub(super) fn event(id: &str) -> Event {
    Event {
        id: id.to_owned(),
        kind: Kind::Created,
        incident_id: format!("incident of {id}"),
        status: Status::Pending,
        priority: None,
        severity: None,
        summary: format!("summary of {id}"),
        details: String::new(),
        alert_key: None,
        alert_source: None,
        escalation_policy: None,
        assigned_to: None,
        responders: Vec::new(),
        actor: None,
        comment: None,
        links: Vec::new(),
        images: Vec::new(),
        reported_at: Timestamp::UNIX_EPOCH,
        occurred_at: Timestamp::UNIX_EPOCH,
        incident_url: None,
        extra: Vec::new(),
    }
}

pub(super) fn incoming(id: &str, connectors: &[&str]) -> Incoming {
    Incoming { source: "test".into(), event: Arc::new(event(id)), connectors: connectors.iter().map(|name| Arc::from(*name)).collect() }
}

pub(super) fn draft(text: &str) -> Draft {
    Draft { prepared: text.as_bytes().to_vec(), author: "test".to_owned() }
}

pub(super) fn new_message(connector: &str, key: &str, covers: &[i64]) -> NewMessage {
    NewMessage {
        connector: connector.into(),
        key: key.to_owned(),
        covers: covers.to_vec(),
        draft: draft(key),
        pace: PaceLog { sends: vec![T0], ..PaceLog::default() },
        at: T0,
    }
}

pub(super) fn tried(outcome: &str) -> AttemptRecord {
    AttemptRecord { at: T0, took_ms: 5, outcome: outcome.to_owned(), reason: Reason::default() }
}

pub(super) fn why(code: &str) -> Reason {
    Reason { code: code.to_owned(), ..Reason::default() }
}

/// Takes one event in; its number in the queue of the first connector.
pub(super) async fn take(outbox: &SqliteOutbox, id: &str, connectors: &[&str]) -> i64 {
    assert_eq!(outbox.accept(T0, vec![incoming(id, connectors)], vec![]).await.unwrap(), [Taken::New]);
    outbox.waiting(connectors[0], 10_000).await.unwrap().last().unwrap().seq
}

pub(super) fn delivered() -> Settle {
    Settle::Delivered { receipt: None, memo: None }
}

pub(super) fn dead(code: &str) -> Settle {
    Settle::Dead { reason: why(code) }
}

pub(super) fn again(at: UnixMs, unknown: bool, counts: bool) -> Settle {
    Settle::Again { at, unknown, counts, reason: why("again") }
}
