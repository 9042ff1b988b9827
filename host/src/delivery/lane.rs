//! The delivery of one connector: in order, at its pace, one message at a time.
//!
//! A lane lives while it has something to do. Each turn it looks at the outbox, does one thing (wait, send a message, send one again) and
//! looks again, so nothing that it knows can be stale. Before a request leaves, the outbox knows of it.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::batch::{self, Pick};
use super::budget::{self, Budgets, Standing};
use super::policy::Policy;
use super::{Attempt, IncidentSink, Item, MessageContext, Outcome, Pace, backoff, pace};
use crate::clock::{Clock, UnixMs};
use crate::outbox::{
    AttemptRecord, ConnectorName, Draft, LaneState, MessageId, NewMessage, OpenMessage, Outbox, OutboxError, PaceLog, Reason, Settle,
    Waiting,
};

/// How many waiting events a lane looks at for one digest.
const LOOKAHEAD: usize = 4_096;

/// A batch that its sink cannot write is tried so often before it becomes a dead letter.
const FAULTS: u32 = 3;

/// While the budget is tight, what is not HIGH gathers for this long.
const GATHER_MS: i64 = 600_000;

/// A receiver that limits without saying for how long, of a sink without a penalty of its own.
const DEFAULT_PENALTY_MS: u64 = 60_000;

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

/// One lane's run.
pub(super) struct Lane<'a> {
    pub(super) shared: &'a Shared,
    pub(super) connector: Arc<Connector>,
    pub(super) wake: &'a Notify,
    /// Faults of the sink in a row.
    pub(super) faults: u32,
}

impl Lane<'_> {
    /// One turn.
    pub(super) async fn turn(&mut self) -> Result<Next, OutboxError> {
        if self.shared.stop.is_cancelled() {
            return Ok(Next::Stopped);
        }
        let mut state = self.shared.outbox.lane(&self.connector.name).await?;
        let before_this_run = state.pace.sends.last().is_some_and(|last| *last < self.shared.started);
        let in_flight = before_this_run && state.open.as_ref().is_some_and(|open| open.unknown);
        pace::restore(&mut state.pace, in_flight, self.shared.clock.steady());
        match state.open.take() {
            Some(open) => self.again(open, state).await,
            None if state.waiting > 0 => self.fresh(state).await,
            None => Ok(Next::Idle),
        }
    }

    /// Tries an open message again, or gives it up.
    async fn again(&mut self, open: OpenMessage, mut state: LaneState) -> Result<Next, OutboxError> {
        let now = self.shared.clock.steady();
        if now.saturating_sub(open.created_at) > self.connector.policy.max_age_ms {
            self.settle(
                open.id,
                Settle::Dead { reason: too_old("it could not be delivered") },
                &record(now, 0, "rejected", &Reason::default()),
                &state.pace,
            )
            .await;
            return Ok(Next::Again);
        }
        let pace = self.pace();
        let slot = pace::next_slot(pace, &state.pace, now).max(open.next_at);
        if slot > now {
            return Ok(self.wait(slot, false).await);
        }
        let cx = self.context(&open.key, open.attempts + 1, &state, 0);
        let kept = open.draft.clone().filter(|draft| self.connector.sink.can_attempt(draft));
        let draft = match kept {
            Some(draft) => draft,
            None => match self.connector.sink.prepare(&refold(&open.events), &cx) {
                Ok(prepared) => prepared.draft,
                Err(reason) => return self.fault_again(&open, reason, &state).await,
            },
        };
        pace::begun(pace, &mut state.pace, now);
        self.spend(&mut state.pace);
        self.shared.outbox.attempt(open.id, draft.clone(), state.pace.clone(), now).await?;
        self.drive(
            Flight { id: open.id, created_at: open.created_at, unknown: open.unknown, events: open.events.len(), cx },
            draft,
            state.pace,
        )
        .await
    }

    /// Begins the next message.
    async fn fresh(&mut self, mut state: LaneState) -> Result<Next, OutboxError> {
        let now = self.shared.clock.steady();
        let waiting = self.shared.outbox.waiting(&self.connector.name, LOOKAHEAD).await?;
        if let Some(next) = self.bury_what_is_too_late(&waiting, &state.pace, now).await? {
            return Ok(next);
        }
        let (pace, profile) = (self.pace(), self.connector.sink.profile());
        let behind = profile.max_batch > 1 && is_behind(waiting.len(), pace, &state.pace, now);
        let mut picks = if behind { batch::digest(&waiting) } else { batch::single(&waiting) };
        if self.standing(&state.pace) == Standing::Tight
            && let Some(wait) = spare(&mut picks, &waiting, profile.max_batch > 1, now)
        {
            return Ok(self.wait(wait, true).await);
        }
        let slot = if behind { pace::digest_slot(pace, &state.pace, now) } else { pace::next_slot(pace, &state.pace, now) };
        if slot > now {
            return Ok(self.wait(slot, false).await);
        }
        let incidents = picks.len() + usize::try_from(state.waiting).unwrap_or(usize::MAX).saturating_sub(waiting.len());
        if self.faults > 0 {
            picks.truncate(1); // after a fault one incident at a time, so that a poisonous one takes no other with it
        }
        picks.truncate(profile.max_batch.max(1));
        let key = format!("{:032x}", fastrand::u128(..));
        let cx = self.context(&key, 1, &state, u32::try_from(incidents - picks.len()).unwrap_or(u32::MAX));
        let items: Vec<Item> = picks.iter().map(|pick| pick.item.clone()).collect();
        match self.connector.sink.prepare(&items, &cx) {
            Err(reason) => self.fault_fresh(&picks, reason).await,
            Ok(prepared) => {
                self.faults = 0;
                let covers: Vec<i64> = picks.iter().take(prepared.covers).flat_map(|pick| pick.seqs.iter().copied()).collect();
                let events = covers.len();
                pace::begun(pace, &mut state.pace, now);
                self.spend(&mut state.pace);
                let message = NewMessage {
                    connector: self.connector.name.clone(),
                    key,
                    covers,
                    draft: prepared.draft.clone(),
                    pace: state.pace.clone(),
                    at: now,
                };
                let id = self.shared.outbox.open(message).await?;
                self.drive(Flight { id, created_at: now, unknown: false, events, cx }, prepared.draft, state.pace).await
            }
        }
    }

    /// Attempts a message that the outbox knows of, step by step, and settles it.
    async fn drive(&self, flight: Flight, mut draft: Draft, mut log: PaceLog) -> Result<Next, OutboxError> {
        let pace = self.pace();
        loop {
            let began = self.shared.clock.steady();
            let attempt = self.connector.sink.attempt(&draft, &flight.cx).await;
            let now = self.shared.clock.steady();
            pace::ended(pace, &mut log, now);
            match attempt {
                Attempt::Done(outcome) => {
                    let (settle, record) = self.verdict(&flight, outcome, &mut log, began, now);
                    self.settle(flight.id, settle, &record, &log).await;
                    return Ok(Next::Again);
                }
                Attempt::Next { draft: next, paced } => {
                    if paced {
                        let slot = pace::next_slot(pace, &log, now);
                        if slot > now && self.wait(slot, false).await == Next::Stopped {
                            return Ok(Next::Stopped);
                        }
                        pace::begun(pace, &mut log, self.shared.clock.steady());
                        self.spend(&mut log);
                    }
                    self.shared.outbox.attempt(flight.id, next.clone(), log.clone(), self.shared.clock.steady()).await?;
                    draft = next;
                }
            }
        }
    }

    /// What an outcome means for the message and for the lane.
    fn verdict(&self, flight: &Flight, outcome: Outcome, log: &mut PaceLog, began: UnixMs, now: UnixMs) -> (Settle, AttemptRecord) {
        let took = u64::try_from(now.saturating_sub(began)).unwrap_or(0);
        let after = |hint| now.saturating_add_unsigned(backoff::wait_ms(flight.cx.attempt, fastrand::f64(), hint));
        let (word, reason, settle) = match outcome {
            Outcome::Delivered { receipt, memo } => ("delivered", Reason::default(), Settle::Delivered { receipt, memo }),
            Outcome::Retry { after_ms, reason } => {
                ("retry", reason.clone(), Settle::Again { at: after(after_ms), unknown: flight.unknown, counts: true, reason })
            }
            Outcome::Unknown { reason } => ("unknown", reason.clone(), Settle::Again { at: after(0), unknown: true, counts: true, reason }),
            Outcome::Throttled { after_ms, reason } => {
                let own = self.connector.sink.profile().pace.map_or(DEFAULT_PENALTY_MS, |pace| u64::from(pace.penalty_ms));
                let until = now.saturating_add_unsigned(if after_ms > 0 { after_ms } else { own.max(1) });
                pace::close(log, until);
                ("throttled", reason.clone(), Settle::Again { at: until, unknown: flight.unknown, counts: false, reason })
            }
            Outcome::Rejected { reason } => ("rejected", reason.clone(), Settle::Dead { reason }),
        };
        let settle = match settle {
            Settle::Again { at, .. } if at.saturating_sub(flight.created_at) > self.connector.policy.max_age_ms => {
                Settle::Dead { reason: too_old(&format!("the last answer was {:?} {:?}", reason.code, reason.text)) }
            }
            settle => settle,
        };
        self.tell(flight, word, &reason, took, &settle);
        (settle, record(began, took, word, &reason))
    }

    /// One structured line for each attempt.
    fn tell(&self, flight: &Flight, outcome: &str, reason: &Reason, took_ms: u64, settle: &Settle) {
        let (connector, message, attempt) = (&*self.connector.name, flight.id.0, flight.cx.attempt);
        let (code, text, advice) = (&reason.code, &reason.text, &reason.advice);
        match settle {
            Settle::Delivered { .. } => info!(connector, message, attempt, took_ms, events = flight.events, outcome, "Delivered message."),
            Settle::Again { .. } => {
                warn!(connector, message, attempt, took_ms, events = flight.events, outcome, code, text, "Message will be tried again.");
            }
            Settle::Dead { .. } => {
                error!(
                    connector,
                    message,
                    attempt,
                    took_ms,
                    events = flight.events,
                    outcome,
                    code,
                    text,
                    advice,
                    "Message became a dead letter."
                );
            }
        }
    }

    /// Writes an outcome down. It is known now and would be unknown later, so this is tried until it works or the host stops.
    async fn settle(&self, id: MessageId, settle: Settle, attempt: &AttemptRecord, log: &PaceLog) {
        loop {
            match self.shared.outbox.settle(id, settle.clone(), attempt.clone(), log.clone()).await {
                Ok(()) => return,
                Err(error) => error!(connector = &*self.connector.name, message = id.0, %error, "Failed to write an outcome down."),
            }
            tokio::select! {
                () = self.shared.stop.cancelled() => return,
                () = self.shared.clock.sleep(std::time::Duration::from_secs(1)) => {}
            }
        }
    }

    /// Dead letters for what waits longer than `max_age`, and for everything once the month's budget is spent.
    async fn bury_what_is_too_late(&self, waiting: &[Waiting], log: &PaceLog, now: UnixMs) -> Result<Option<Next>, OutboxError> {
        let spent = self.standing(log) == Standing::Spent;
        let late = |entry: &&Waiting| spent || now.saturating_sub(entry.accepted_at) > self.connector.policy.max_age_ms;
        let seqs: Vec<i64> = waiting.iter().filter(late).map(|entry| entry.seq).collect();
        if seqs.is_empty() {
            return Ok(None);
        }
        let reason = if spent { budget_spent(self.connector.policy.monthly_budget.unwrap_or(0)) } else { too_old("it waited too long") };
        error!(
            connector = &*self.connector.name,
            events = seqs.len(),
            code = reason.code,
            text = reason.text,
            "Events became a dead letter."
        );
        self.shared.outbox.bury(&self.connector.name, seqs, reason, now).await?;
        Ok(Some(Next::Again))
    }

    /// The sink could not write a new message: a little later again, one incident at a time; then a dead letter, and the lane goes on.
    async fn fault_fresh(&mut self, picks: &[Pick], reason: Reason) -> Result<Next, OutboxError> {
        self.faults += 1;
        warn!(
            connector = &*self.connector.name,
            code = reason.code,
            text = reason.text,
            faults = self.faults,
            "Sink failed to write a message."
        );
        if picks.len() == 1 && self.faults > FAULTS {
            self.faults = 0;
            let seqs = picks.iter().flat_map(|pick| pick.seqs.iter().copied()).collect();
            error!(connector = &*self.connector.name, code = reason.code, text = reason.text, "Events became a dead letter.");
            self.shared.outbox.bury(&self.connector.name, seqs, reason, self.shared.clock.steady()).await?;
            return Ok(Next::Again);
        }
        let wait = backoff::wait_ms(self.faults, fastrand::f64(), 0);
        Ok(self.wait(self.shared.clock.steady().saturating_add_unsigned(wait), true).await)
    }

    /// The sink could not write an open message anew.
    async fn fault_again(&mut self, open: &OpenMessage, reason: Reason, state: &LaneState) -> Result<Next, OutboxError> {
        let now = self.shared.clock.steady();
        let settle = if open.attempts >= FAULTS {
            Settle::Dead { reason: reason.clone() }
        } else {
            let at = now.saturating_add_unsigned(backoff::wait_ms(open.attempts + 1, fastrand::f64(), 0));
            Settle::Again { at, unknown: open.unknown, counts: true, reason: reason.clone() }
        };
        warn!(
            connector = &*self.connector.name,
            message = open.id.0,
            code = reason.code,
            text = reason.text,
            "Sink failed to write a message."
        );
        self.settle(open.id, settle, &record(now, 0, "retry", &reason), &state.pace).await;
        Ok(Next::Again)
    }

    /// Waits until `at`; `wakeable` ends early when something new came in.
    async fn wait(&self, at: UnixMs, wakeable: bool) -> Next {
        tokio::select! {
            () = self.shared.stop.cancelled() => Next::Stopped,
            () = self.wake.notified(), if wakeable => Next::Again,
            () = self.shared.clock.sleep_until(at) => Next::Again,
        }
    }

    fn pace(&self) -> Option<Pace> {
        self.connector.policy.pace(&self.connector.sink.profile())
    }

    fn month(&self) -> String {
        budget::month(self.shared.clock.now(), &self.connector.policy.zone)
    }

    fn standing(&self, log: &PaceLog) -> Standing {
        let month = self.month();
        let own = if log.month == month { log.month_count } else { 0 };
        budget::standing(self.shared.budgets.used(&self.connector.policy.payer, &month).max(own), self.connector.policy.monthly_budget)
    }

    /// Counts a message, in the log and in the payer's budget.
    fn spend(&self, log: &mut PaceLog) {
        let month = self.month();
        if log.month != month {
            (log.month, log.month_count) = (month.clone(), 0);
        }
        log.month_count = log.month_count.saturating_add(1);
        let limit = self.connector.policy.monthly_budget;
        if let Some(standing) = self.shared.budgets.spend(&self.connector.policy.payer, &month, limit) {
            let used = self.shared.budgets.used(&self.connector.policy.payer, &month);
            warn!(connector = &*self.connector.name, ?standing, used, limit, "Monthly budget is running out.");
        }
    }

    fn context(&self, key: &str, attempt: u32, state: &LaneState, waiting: u32) -> MessageContext {
        MessageContext { now: self.shared.clock.now(), attempt, key: key.to_owned(), memo: state.memo.clone(), waiting }
    }
}

/// A message on its way.
struct Flight {
    id: MessageId,
    created_at: UnixMs,
    /// Whether an earlier attempt may have arrived.
    unknown: bool,
    events: usize,
    cx: MessageContext,
}

/// More waits than may leave singly. A quarter of the pace is kept free for what comes next.
fn is_behind(waiting: usize, pace: Option<Pace>, log: &PaceLog, now: UnixMs) -> bool {
    let Some(limit) = pace else { return false };
    let room = pace::free(pace, log, now).saturating_sub(limit.messages / 4);
    waiting > 1 && waiting > room as usize
}

/// While the budget is tight: keeps only what may go out now, or says until when to gather.
fn spare(picks: &mut Vec<Pick>, waiting: &[Waiting], digests: bool, now: UnixMs) -> Option<UnixMs> {
    let mut all = batch::digest(waiting);
    let oldest = waiting.first().map_or(now, |entry| entry.accepted_at);
    if all.iter().any(|pick| pick.item.event.is_high()) {
        all.retain(|pick| pick.item.event.is_high());
        if !digests {
            all.truncate(1);
        }
    } else if now.saturating_sub(oldest) < GATHER_MS {
        return Some(oldest.saturating_add(GATHER_MS));
    }
    *picks = all;
    None
}

/// The items of a message that is written anew: what it covered, folded the same way.
fn refold(events: &[Waiting]) -> Vec<Item> {
    batch::digest(events).into_iter().map(|pick| pick.item).collect()
}

fn record(at: UnixMs, took_ms: u64, outcome: &str, reason: &Reason) -> AttemptRecord {
    AttemptRecord { at, took_ms, outcome: outcome.to_owned(), reason: reason.clone() }
}

fn too_old(why: &str) -> Reason {
    Reason {
        code: "max_age".to_owned(),
        text: format!("given up after `delivery.max_age`: {why}"),
        advice: "see why the connector was not reachable, then replay the dead letter".to_owned(),
    }
}

fn budget_spent(limit: u32) -> Reason {
    Reason {
        code: "monthly_budget".to_owned(),
        text: format!("this month's {limit} messages are used up"),
        advice: "raise `delivery.monthly_budget` if the receiver allows more, then replay the dead letter".to_owned(),
    }
}
