//! The delivery of one connector: in order, at its pace, one message at a time.
//!
//! A lane lives while it has something to do. Each turn it looks at the outbox, does one thing (wait, send a message, send one again) and
//! looks again, so nothing that it knows can be stale. Before a request leaves, the outbox knows of it.
//!
//! | file | does |
//! |---|---|
//! | `choose` | which waiting events are next: pure |
//! | `flight` | a message from its first request to its outcome |
//! | `faults` | what becomes of events that the sink cannot write |
//! | `accounts` | pace and budget of the lane |
//! | `words` | what people are told |

mod accounts;
mod choose;
mod faults;
mod flight;
mod words;

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::error;

use self::flight::Flight;
use self::words::{budget_spent, record, too_old};
use super::batch::{self, Pick};
use super::budget::{Budgets, Standing};
use super::policy::Policy;
use super::{IncidentSink, MessageContext, pace};
use crate::clock::{Clock, UnixMs};
use crate::outbox::{ConnectorName, LaneState, NewMessage, OpenMessage, Outbox, OutboxError, PaceLog, Reason, Settle, Waiting};
use crate::telemetry::metrics::DeliveryMetrics;
use crate::telemetry::traces::Tracer;

/// How many waiting events a lane looks at for one digest.
const LOOKAHEAD: usize = 4_096;

/// How many it looks at where it will not digest.
const LOOKAHEAD_SINGLY: usize = 32;

/// A connector, built.
pub struct Connector {
    /// Its name.
    pub name: ConnectorName,
    /// Where its messages go.
    pub sink: Arc<dyn IncidentSink>,
    /// How.
    pub policy: Policy,
}

/// What all lanes share.
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) budgets: Budgets,
    pub(super) metrics: DeliveryMetrics,
    pub(super) traces: Tracer,
    /// Cancelled when no new message may be begun.
    pub(super) stop: CancellationToken,
    /// When this process began, for logs from an earlier one.
    pub(super) started: UnixMs,
}

/// What a turn says about the next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Look again.
    Again,
    /// Nothing is left to do.
    Idle,
    /// The host stops.
    Stopped,
}

/// What a lane remembers from one turn to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Faults of the sink in a row.
    pub(super) faults: u32,
    /// The last turn ended in the middle: a message may have left without its end being noted.
    pub(super) interrupted: bool,
}

/// One lane's run.
pub(super) struct Lane<'a> {
    pub(super) shared: &'a Shared,
    pub(super) connector: Arc<Connector>,
    pub(super) wake: &'a Notify,
    /// The connector is another now.
    pub(super) changed: &'a Notify,
    pub(super) memory: &'a mut Memory,
}

impl Lane<'_> {
    /// One turn.
    pub(super) async fn turn(&mut self) -> Result<Next, OutboxError> {
        if self.shared.stop.is_cancelled() {
            return Ok(Next::Stopped);
        }
        let mut state = self.shared.outbox.lane(&self.connector.name).await?;
        self.restore(&mut state).await?;
        match state.open.take() {
            Some(open) => self.again(open, state).await,
            None if state.waiting > 0 => self.fresh(state).await,
            None => Ok(Next::Idle),
        }
    }

    /// Tries an open message again, or gives it up.
    async fn again(&mut self, mut open: OpenMessage, mut state: LaneState) -> Result<Next, OutboxError> {
        let now = self.shared.clock.steady();
        if let Some(reason) = self.hopeless(&open, &state.pace, now) {
            let attempt = record(now, 0, "rejected", &reason);
            let flight = Flight::of(&open);
            self.settle(&flight, open.attempts, Settle::Dead { reason }, attempt, &state.pace).await;
            return Ok(Next::Again);
        }
        let pace = self.pace();
        let slot = pace::next_slot(pace, &state.pace, now).max(accounts::believed(open.next_at, now));
        if slot > now {
            return Ok(self.wait(slot, false).await);
        }
        let cx = self.context(&open.key, open.attempts + 1, &state, 0);
        let steps = self.shared.traces.record();
        let kept = open.draft.take().filter(|draft| self.connector.sink.can_attempt(draft));
        let draft = match kept {
            Some(draft) => draft,
            None => match steps.during(self.rewrite(&mut open, &cx, &state.pace)).await? {
                Some(draft) => draft,
                None => return Ok(self.rest().await),
            },
        };
        pace::begun(pace, &mut state.pace, now);
        let month = self.count(&mut state.pace);
        self.shared.outbox.attempt(open.id, draft.clone(), state.pace.clone(), now).await?;
        self.charge(&month);
        self.drive(Flight { steps, ..Flight::of(&open) }, cx, draft, state.pace).await
    }

    /// Why an open message is not worth another attempt, if so.
    fn hopeless(&self, open: &OpenMessage, log: &PaceLog, now: UnixMs) -> Option<Reason> {
        if now.saturating_sub(open.created_at) > self.connector.policy.max_age_ms {
            return Some(too_old("it could not be delivered"));
        }
        (self.standing(log) == Standing::Spent).then(|| budget_spent(self.connector.policy.monthly_budget))
    }

    /// Begins the next message.
    async fn fresh(&mut self, mut state: LaneState) -> Result<Next, OutboxError> {
        let now = self.shared.clock.steady();
        let (pace, profile) = (self.pace(), self.connector.sink.profile());
        let tight = self.standing(&state.pace) == Standing::Tight;
        let lookahead = if pace.is_some() || tight { LOOKAHEAD } else { LOOKAHEAD_SINGLY };
        let waiting = self.shared.outbox.waiting(&self.connector.name, lookahead).await?;
        if waiting.is_empty() {
            return Ok(Next::Again); // taken away since the state was read
        }
        if let Some(next) = self.bury_what_is_too_late(&waiting, &state.pace, now).await? {
            return Ok(next);
        }
        let digests = profile.max_batch > 1;
        let behind = digests && choose::is_behind(waiting.len(), pace, &state.pace, now);
        let all = batch::digest(&waiting);
        let incidents = all.len() + usize::try_from(state.waiting).unwrap_or(usize::MAX).saturating_sub(waiting.len());
        let mut picks = if behind || tight { all } else { batch::single(&waiting) };
        if tight && let Some(until) = choose::spare(&mut picks, &waiting, now) {
            return Ok(self.wait(until, true).await);
        }
        let slot = if behind { pace::digest_slot(pace, &state.pace, now) } else { pace::next_slot(pace, &state.pace, now) };
        if slot > now {
            return Ok(self.wait(slot, false).await);
        }
        picks.truncate(self.most(profile.max_batch));
        let key = format!("{:032x}", fastrand::u128(..));
        let cx = self.context(&key, 1, &state, u32::try_from(incidents.saturating_sub(picks.len())).unwrap_or(u32::MAX));
        let steps = self.shared.traces.record();
        let (draft, covers) = match steps.around(|| self.prepare(&picks, &cx)) {
            Ok(prepared) => prepared,
            Err(reason) => return self.fault_fresh(&picks, reason).await,
        };
        let covers: Vec<i64> = covers.iter().flat_map(|pick| pick.seqs.iter().copied()).collect();
        let flight = Flight::fresh(&covers, waiting, now);
        pace::begun(pace, &mut state.pace, now);
        let month = self.count(&mut state.pace);
        let (connector, pace) = (self.connector.name.clone(), state.pace.clone());
        let id = self.shared.outbox.open(NewMessage { connector, key, covers, draft: draft.clone(), pace, at: now }).await?;
        self.charge(&month);
        self.drive(Flight { steps, ..flight(id) }, cx, draft, state.pace).await
    }

    /// How many incidents one message may be for. After a fault one at a time, so that a poisonous one takes no other with it.
    fn most(&self, max_batch: usize) -> usize {
        if self.memory.faults > 0 { 1 } else { max_batch.max(1) }
    }

    /// Dead letters for what waits longer than `max_age`, and for everything once the month's budget is spent.
    async fn bury_what_is_too_late(&self, waiting: &[Waiting], log: &PaceLog, now: UnixMs) -> Result<Option<Next>, OutboxError> {
        let spent = self.standing(log) == Standing::Spent;
        let late = |entry: &&Waiting| spent || now.saturating_sub(entry.accepted_at) > self.connector.policy.max_age_ms;
        let seqs: Vec<i64> = waiting.iter().filter(late).map(|entry| entry.seq).collect();
        if seqs.is_empty() {
            return Ok(None);
        }
        let reason = if spent { budget_spent(self.connector.policy.monthly_budget) } else { too_old("it waited too long") };
        self.bury(seqs, reason, now).await?;
        Ok(Some(Next::Again))
    }

    /// Makes waiting events a dead letter that somebody is told of.
    async fn bury(&self, seqs: Vec<i64>, reason: Reason, now: UnixMs) -> Result<(), OutboxError> {
        let (events, code, text, advice) = (seqs.len(), reason.code.clone(), reason.text.clone(), reason.advice.clone());
        let message = self.shared.outbox.bury(&self.connector.name, seqs, reason, now).await?;
        self.shared.metrics.dead(&self.connector.name, &code);
        error!(connector = &*self.connector.name, message_id = message.0, events, code, text, advice, "Events became a dead letter.");
        Ok(())
    }

    /// Waits until `at`, or until the connector is another; `wakeable` ends early when something new came in too.
    async fn wait(&self, at: UnixMs, wakeable: bool) -> Next {
        tokio::select! {
            () = self.changed.notified() => Next::Again,
            next = self.sit_out(at) => next,
            () = self.wake.notified(), if wakeable => Next::Again,
        }
    }

    /// Waits until `at`, whatever comes.
    async fn sit_out(&self, at: UnixMs) -> Next {
        tokio::select! {
            () = self.shared.stop.cancelled() => Next::Stopped,
            () = self.shared.clock.sleep_until(at) => Next::Again,
        }
    }

    fn context(&self, key: &str, attempt: u32, state: &LaneState, waiting: u32) -> MessageContext {
        MessageContext { now: self.shared.clock.now(), attempt, key: key.to_owned(), memo: state.memo.clone(), waiting }
    }
}

/// The waiting events behind some picks, in order of acceptance.
fn seqs(picks: &[Pick]) -> Vec<i64> {
    let mut seqs: Vec<i64> = picks.iter().flat_map(|pick| pick.seqs.iter().copied()).collect();
    seqs.sort_unstable();
    seqs
}
