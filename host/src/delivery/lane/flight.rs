//! A message from its first request to its outcome.

use std::collections::HashSet;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use tracing::error;

use super::words::{panicked, record, tell, too_old, trace};
use super::{Lane, Next};
use crate::clock::UnixMs;
use crate::delivery::{Attempt, MessageContext, Outcome, backoff, pace};
use crate::event::Event;
use crate::outbox::{AttemptRecord, Draft, MessageId, OpenMessage, OutboxError, PaceLog, Reason, Settle, Waiting};
use crate::telemetry::traces::{Attempted, Steps};

/// A receiver that limits without saying for how long, of a sink without a penalty of its own.
const DEFAULT_PENALTY_MS: u64 = 60_000;

/// An outcome that the outbox did not take is handed to it again so much later.
const AGAIN: Duration = Duration::from_secs(1);

fn lost(connector: &str) -> OutboxError {
    OutboxError::Unavailable(format!("another host may have taken the lane of connector {connector} over while a message was under way"))
}

/// A message on its way.
pub(super) struct Flight {
    pub(super) id: MessageId,
    pub(super) created_at: UnixMs,
    /// Whether an earlier attempt may have arrived.
    pub(super) unknown: bool,
    /// When the oldest of its events was accepted.
    pub(super) accepted_at: UnixMs,
    pub(super) events: Vec<Arc<Event>>,
    /// What happens in this attempt, where somebody wants to know.
    pub(super) steps: Steps,
}

impl Flight {
    /// Of a message that is tried again.
    pub(super) fn of(open: &OpenMessage) -> Flight {
        Flight::with(open.id, open.created_at, open.unknown, &open.events)
    }

    /// Of a message that is about to be opened, for some of the events that wait; its id follows.
    pub(super) fn fresh(covers: &[i64], waiting: Vec<Waiting>, now: UnixMs) -> impl FnOnce(MessageId) -> Flight + use<> {
        let covers: HashSet<i64> = covers.iter().copied().collect();
        let events: Vec<Waiting> = waiting.into_iter().filter(|entry| covers.contains(&entry.seq)).collect();
        move |id| Flight::with(id, now, false, &events)
    }

    fn with(id: MessageId, created_at: UnixMs, unknown: bool, events: &[Waiting]) -> Flight {
        let accepted_at = events.iter().map(|entry| entry.accepted_at).min().unwrap_or(created_at);
        let events = events.iter().map(|entry| Arc::clone(&entry.event)).collect();
        Flight { id, created_at, unknown, accepted_at, events, steps: Steps::default() }
    }
}

impl Lane<'_> {
    /// Attempts a message that the outbox knows of, step by step, and settles it.
    pub(super) async fn drive(
        &self,
        flight: Flight,
        mut cx: MessageContext,
        mut draft: Draft,
        mut log: PaceLog,
    ) -> Result<Next, OutboxError> {
        let pace = self.pace();
        trace(&self.connector.name, &flight, cx.attempt, "sending");
        loop {
            let began = self.shared.clock.steady();
            let request = AssertUnwindSafe(flight.steps.during(self.connector.sink.attempt(&draft, &cx))).catch_unwind();
            let attempt = self.while_held(request).await?;
            let now = self.shared.clock.steady();
            pace::ended(pace, &mut log, now);
            match attempt.unwrap_or_else(|_| Attempt::Done(Outcome::Unknown { reason: panicked() })) {
                Attempt::Done(outcome) => {
                    let (settle, record) = self.verdict(&flight, cx.attempt, outcome, &mut log, began, now);
                    self.settle(&flight, cx.attempt, settle, record, &log).await;
                    return Ok(Next::Again);
                }
                Attempt::Next { draft: next, paced } => {
                    if paced && self.pay(&flight, &next, &mut log, now).await? == Next::Stopped {
                        return Ok(Next::Stopped);
                    }
                    self.shared.outbox.attempt(flight.id, next.clone(), log.clone(), self.shared.clock.steady()).await?;
                    draft = next;
                    cx.now = self.shared.clock.now();
                }
            }
        }
    }

    /// A request, as long as no other host can have the lane: it neither leaves after that, nor is its answer looked at. Whoever has the lane
    /// then sends the message again.
    async fn while_held<F: Future>(&self, request: F) -> Result<F::Output, OutboxError> {
        let mut request = pin!(request);
        let name = &self.connector.name;
        poll_fn(|cx| if self.shared.outbox.holds(name) { request.as_mut().poll(cx).map(Ok) } else { Poll::Ready(Err(lost(name))) }).await
    }

    /// Waits for the pace to let a further request of a message go. The request is written down first, so that a stop or a crash meanwhile
    /// does not repeat the one before.
    async fn pay(&self, flight: &Flight, next: &Draft, log: &mut PaceLog, now: UnixMs) -> Result<Next, OutboxError> {
        let pace = self.pace();
        let slot = pace::next_slot(pace, log, now);
        if slot > now {
            self.shared.outbox.attempt(flight.id, next.clone(), log.clone(), now).await?;
            if self.sit_out(slot).await == Next::Stopped {
                return Ok(Next::Stopped);
            }
        }
        pace::begun(pace, log, self.shared.clock.steady());
        let month = self.count(log);
        self.charge(&month);
        Ok(Next::Again)
    }

    /// What an outcome means for the message and for the lane.
    fn verdict(
        &self,
        flight: &Flight,
        attempt: u32,
        outcome: Outcome,
        log: &mut PaceLog,
        began: UnixMs,
        now: UnixMs,
    ) -> (Settle, AttemptRecord) {
        let after = |hint| now.saturating_add_unsigned(backoff::wait_ms(attempt, fastrand::f64(), hint));
        let again = |at, unknown, counts, reason: &Reason| Settle::Again { at, unknown, counts, reason: reason.clone() };
        let (word, reason, settle) = match outcome {
            Outcome::Delivered { receipt, memo } => ("delivered", Reason::default(), Settle::Delivered { receipt, memo }),
            Outcome::Retry { after_ms, reason } => {
                let settle = again(after(after_ms), flight.unknown, true, &reason);
                ("retry", reason, settle)
            }
            Outcome::Unknown { reason } => {
                let settle = again(after(0), true, true, &reason);
                ("unknown", reason, settle)
            }
            Outcome::Throttled { after_ms, reason } => {
                let own = self.connector.sink.profile().pace.map_or(DEFAULT_PENALTY_MS, |pace| u64::from(pace.penalty_ms));
                let until = now.saturating_add_unsigned(if after_ms > 0 { after_ms } else { own.max(1) });
                pace::close(log, until);
                let settle = again(until, flight.unknown, false, &reason);
                ("throttled", reason, settle)
            }
            Outcome::Rejected { reason } => ("rejected", reason.clone(), Settle::Dead { reason }),
        };
        let settle = match settle {
            Settle::Again { at, reason, .. } if at.saturating_sub(flight.created_at) > self.connector.policy.max_age_ms => {
                Settle::Dead { reason: too_old(&format!("the last answer was {:?} {:?}", reason.code, reason.text)) }
            }
            settle => settle,
        };
        let took = u64::try_from(now.saturating_sub(began)).unwrap_or(0);
        (settle, record(began, took, word, &reason))
    }

    /// Writes an outcome down, and tells it. It is known now and would be unknown later, so a trouble of the outbox is waited out until the
    /// host stops; a refusal is final.
    pub(super) async fn settle(&self, flight: &Flight, attempt: u32, settle: Settle, record: AttemptRecord, log: &PaceLog) {
        tell(&self.connector.name, flight, attempt, &record, &settle);
        trace(&self.connector.name, flight, attempt, &record.outcome);
        self.measure(flight, &record, &settle);
        self.trace(flight, attempt, &record, &settle);
        loop {
            let written = self.shared.outbox.settle(flight.id, settle.clone(), record.clone(), log.clone()).await;
            let Err(error) = written else { return };
            error!(connector = &*self.connector.name, message_id = flight.id.0, %error, "Failed to write an outcome down.");
            if matches!(error, OutboxError::NotFound(_) | OutboxError::Conflict(_) | OutboxError::Closed) {
                return;
            }
            tokio::select! {
                () = self.shared.stop.cancelled() => return,
                () = self.shared.clock.sleep(AGAIN) => {}
            }
        }
    }

    fn trace(&self, flight: &Flight, attempt: u32, record: &AttemptRecord, settle: &Settle) {
        let then = match settle {
            Settle::Delivered { .. } => "delivered",
            Settle::Again { .. } => "again",
            Settle::Dead { .. } => "dead",
        };
        let (reason, message, connector) = (&record.reason, flight.id.0, &*self.connector.name);
        let attempted = Attempted { connector, message, attempt, outcome: &record.outcome, code: &reason.code, text: &reason.text, then };
        self.shared.traces.attempted(&attempted, flight.events.iter().map(|event| event.id.as_str()), &flight.steps);
    }

    fn measure(&self, flight: &Flight, record: &AttemptRecord, settle: &Settle) {
        let (metrics, connector) = (&self.shared.metrics, &self.connector.name);
        metrics.attempt(connector, &record.outcome, Duration::from_millis(record.took_ms), &record.reason.code);
        match settle {
            Settle::Delivered { .. } => {
                let delay = self.shared.clock.steady().saturating_sub(flight.accepted_at);
                metrics.delivered(connector, flight.events.len(), Duration::from_millis(u64::try_from(delay).unwrap_or_default()));
            }
            Settle::Dead { reason } => metrics.dead(connector, &reason.code),
            Settle::Again { .. } => {}
        }
    }
}
