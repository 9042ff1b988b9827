//! What becomes of events that the sink cannot write.
//!
//! A sink that is broken as a whole (not installed, overloaded) keeps its events waiting, up to `max_age`. An event that a working sink
//! cannot write, tried alone and some times, becomes a dead letter, so that it holds nobody else up.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing::warn;

use super::words::{panicked, record};
use super::{Flight, Lane, Next, batch, seqs};
use crate::delivery::batch::Pick;
use crate::delivery::{Item, MessageContext, backoff};
use crate::outbox::{Draft, OpenMessage, OutboxError, PaceLog, Reason, Settle};

/// An incident that its sink cannot write is tried again so often, alone.
const RETRIES: u32 = 3;

/// A sink that cannot write is asked again at the latest after this long.
const LONGEST_MS: u64 = 30_000;

/// A sink that could not write is asked for nothing before this long: a plugin that spins takes a thread that others wait for, up to its deadline, and must not
/// take it twice in a row.
const REST_MS: u64 = 500;

impl Lane<'_> {
    /// Has the sink write a message, and says for which picks it is.
    pub(super) fn prepare<'p>(&mut self, picks: &'p [Pick], cx: &MessageContext) -> Result<(Draft, &'p [Pick]), Reason> {
        let items: Vec<Item> = picks.iter().map(|pick| pick.item.clone()).collect();
        let prepared = catch_unwind(AssertUnwindSafe(|| self.connector.sink.prepare(&items, cx))).unwrap_or_else(|_| Err(panicked()))?;
        self.memory.faults = 0;
        Ok((prepared.draft, &picks[..prepared.covers.clamp(1, picks.len())]))
    }

    /// The sink could not write a new message: a little later again, or a dead letter.
    pub(super) async fn fault_fresh(&mut self, picks: &[Pick], reason: Reason) -> Result<Next, OutboxError> {
        if self.is_hopeless(picks.len(), &reason) {
            self.memory.faults = 0;
            self.bury(seqs(picks), reason, self.shared.clock.steady()).await?;
            return Ok(self.rest().await);
        }
        // What comes in meanwhile does not help, so it does not wake either.
        let until = self.shared.clock.steady().saturating_add_unsigned(self.fault(&reason));
        Ok(self.wait(until, false).await)
    }

    /// Writes an open message anew, for want of a draft that can be sent. What no longer fits becomes an open message of its own. `None`
    /// if the sink cannot; the message is then put off or given up.
    pub(super) async fn rewrite(
        &mut self,
        open: &mut OpenMessage,
        cx: &MessageContext,
        log: &PaceLog,
    ) -> Result<Option<Draft>, OutboxError> {
        let all = batch::digest(&open.events);
        let picks = &all[..all.len().min(self.most(self.connector.sink.profile().max_batch))];
        match self.prepare(picks, cx) {
            Ok((draft, covered)) => {
                self.keep(open, all.len(), covered).await?;
                Ok(Some(draft))
            }
            Err(reason) => {
                let settle = if self.is_hopeless(picks.len(), &reason) {
                    self.memory.faults = 0;
                    self.keep(open, all.len(), picks).await?;
                    Settle::Dead { reason: reason.clone() }
                } else {
                    let at = self.shared.clock.steady().saturating_add_unsigned(self.fault(&reason));
                    // Nothing was sent, so no attempt is counted.
                    Settle::Again { at, unknown: open.unknown, counts: false, reason: reason.clone() }
                };
                let flight = Flight::of(open);
                let record = record(self.shared.clock.steady(), 0, "fault", &reason);
                self.settle(&flight, open.attempts, settle, record, log).await;
                Ok(None)
            }
        }
    }

    /// Leaves only these of its incidents to an open message; the others become one of their own, which is next.
    async fn keep(&self, open: &mut OpenMessage, incidents: usize, picks: &[Pick]) -> Result<(), OutboxError> {
        if picks.len() == incidents {
            return Ok(());
        }
        let keep = seqs(picks);
        open.events.retain(|event| keep.binary_search(&event.seq).is_ok());
        self.shared.outbox.split(open.id, keep).await?;
        Ok(())
    }

    /// Leaves the sink alone for a moment.
    pub(super) async fn rest(&self) -> Next {
        self.wait(self.shared.clock.steady().saturating_add_unsigned(REST_MS), false).await
    }

    /// Whether to give up: an incident alone, tried often enough, for a reason that lies with it.
    fn is_hopeless(&self, incidents: usize, reason: &Reason) -> bool {
        incidents == 1 && self.memory.faults >= RETRIES && self.connector.sink.blames_event(reason)
    }

    /// Notes a fault. Answers how long to wait.
    fn fault(&mut self, reason: &Reason) -> u64 {
        self.memory.faults = self.memory.faults.saturating_add(1);
        let (faults, code, text) = (self.memory.faults, &reason.code, &reason.text);
        warn!(connector = &*self.connector.name, code, text, faults, "Sink failed to write a message; it is asked again.");
        backoff::wait_ms(faults, fastrand::f64(), REST_MS).min(LONGEST_MS)
    }
}
