//! What people are told of a lane's messages: reasons, records, one log line for each attempt.

use tracing::{debug, error, info, warn};

use super::Flight;
use crate::clock::UnixMs;
use crate::outbox::{AttemptRecord, Reason, Settle};

pub(super) fn record(at: UnixMs, took_ms: u64, outcome: &str, reason: &Reason) -> AttemptRecord {
    AttemptRecord { at, took_ms, outcome: outcome.to_owned(), reason: reason.clone() }
}

pub(super) fn too_old(why: &str) -> Reason {
    Reason {
        code: "max_age".to_owned(),
        text: format!("given up after `delivery.max_age`: {why}"),
        advice: "See why the connector was not reachable, then replay the dead letter.".to_owned(),
    }
}

pub(super) fn budget_spent(limit: Option<u32>) -> Reason {
    Reason {
        code: "monthly_budget".to_owned(),
        text: format!("this month's {} messages are used up", limit.unwrap_or(0)),
        advice: "Raise `delivery.monthly_budget` if the receiver allows more, then replay the dead letter.".to_owned(),
    }
}

/// A panic of the sink, as a reason.
pub(super) fn panicked() -> Reason {
    Reason {
        code: "sink-panic".to_owned(),
        text: "the sink panicked".to_owned(),
        advice: "Report it to the sink's author; the log has the place.".to_owned(),
    }
}

/// One structured line for each attempt.
pub(super) fn tell(connector: &str, flight: &Flight, attempt: u32, record: &AttemptRecord, settle: &Settle) {
    let (message_id, events, took_ms, outcome) = (flight.id.0, flight.events.len(), record.took_ms, &record.outcome);
    // Of a digest each event has a line of its own, see `trace`.
    let event = if let [event] = flight.events.as_slice() { Some(event.id.as_str()) } else { None };
    match settle {
        Settle::Delivered { .. } => info!(connector, message_id, event, attempt, took_ms, events, outcome, "Delivered message."),
        Settle::Again { reason, .. } => {
            let (code, text) = (&reason.code, &reason.text);
            warn!(connector, message_id, event, attempt, took_ms, events, outcome, code, text, "Message will be tried again.");
        }
        Settle::Dead { reason } => {
            let (code, text, advice) = (&reason.code, &reason.text, &reason.advice);
            error!(connector, message_id, event, attempt, took_ms, events, outcome, code, text, advice, "Message became a dead letter.");
        }
    }
}

/// One line for each event of a message: what is done with it, or what came of it.
pub(super) fn trace(connector: &str, flight: &Flight, attempt: u32, step: &str) {
    for event in &flight.events {
        debug!(
            connector,
            message_id = flight.id.0,
            event = event.id,
            incident = event.incident_id,
            attempt,
            step,
            "An event's message is on its way."
        );
    }
}
