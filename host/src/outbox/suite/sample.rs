//! Events and messages to test with.

use std::sync::Arc;

use jiff::Timestamp;

use crate::clock::UnixMs;
use crate::event::{Event, Kind, Status};
use crate::outbox::{AttemptRecord, Draft, Incoming, NewMessage, OutboxError, PaceLog, Reason, Settle};

/// A point in time, for tests.
pub(in crate::outbox) const T0: UnixMs = 1_790_000_000_000;
/// A day.
pub(in crate::outbox) const DAY: i64 = 86_400_000;

pub(in crate::outbox) fn event(id: &str) -> Event {
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

pub(in crate::outbox) fn incoming(id: &str, connectors: &[&str]) -> Incoming {
    Incoming { source: "test".into(), event: Arc::new(event(id)), connectors: connectors.iter().map(|name| Arc::from(*name)).collect() }
}

pub(in crate::outbox) fn draft(text: &str) -> Draft {
    Draft { prepared: text.as_bytes().to_vec(), author: "test".to_owned() }
}

pub(in crate::outbox) fn new_message(connector: &str, key: &str, covers: &[i64]) -> NewMessage {
    NewMessage {
        connector: connector.into(),
        key: key.to_owned(),
        covers: covers.to_vec(),
        draft: draft(key),
        pace: PaceLog { sends: vec![T0], ..PaceLog::default() },
        at: T0,
    }
}

pub(in crate::outbox) fn tried(outcome: &str) -> AttemptRecord {
    AttemptRecord { at: T0, took_ms: 5, outcome: outcome.to_owned(), reason: Reason::default() }
}

pub(in crate::outbox) fn why(code: &str) -> Reason {
    Reason { code: code.to_owned(), ..Reason::default() }
}

pub(in crate::outbox) fn delivered() -> Settle {
    Settle::Delivered { receipt: None, memo: None }
}

pub(in crate::outbox) fn dead(code: &str) -> Settle {
    Settle::Dead { reason: why(code) }
}

pub(in crate::outbox) fn again(at: UnixMs, unknown: bool, counts: bool) -> Settle {
    Settle::Again { at, unknown, counts, reason: why("again") }
}

pub(in crate::outbox) fn is_conflict<T>(result: Result<T, OutboxError>) -> bool {
    matches!(result, Err(OutboxError::Conflict(_)))
}
