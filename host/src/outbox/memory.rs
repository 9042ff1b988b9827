//! An outbox in memory, of one connector: for a program that keeps its events itself until they are delivered.
//!
//! Whoever hands an event over is told of its end. What was not settled when the outbox is closed or dropped is told nothing, which the
//! teller notices by being dropped. Nothing is known again: the program keeps duplicates away.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{
    AttemptRecord, ConnectorName, ConnectorStatus, Draft, Filter, Incoming, LaneState, MessageDetail, MessageId, MessageSummary,
    NewMessage, OpenMessage, Outbox, OutboxError, PaceLog, Reason, Settle, Taken, Unreadable, Waiting,
};
use crate::clock::UnixMs;
use crate::event::Event;

/// How an event ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrived; the receiver's own id of the message, if it gave one.
    Delivered(Option<String>),
    /// It was given up.
    Rejected(Reason),
}

/// Is told once how an event ended; dropped where nobody knows. Must not block.
pub type Tell = Box<dyn FnOnce(Fate) + Send>;

/// The outbox.
pub struct MemoryOutbox {
    connector: ConnectorName,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seq: i64,
    message: i64,
    waiting: VecDeque<(Waiting, Tell)>,
    /// The first one is in progress; others were split off.
    open: VecDeque<Open>,
    pace: PaceLog,
    memo: Option<String>,
    closed: bool,
}

struct Open {
    message: OpenMessage,
    in_flight: bool,
    tells: Vec<(i64, Tell)>,
}

impl MemoryOutbox {
    /// Of this connector.
    pub fn new(connector: ConnectorName) -> MemoryOutbox {
        MemoryOutbox { connector, state: Mutex::default() }
    }

    /// Takes one event over. Its connector's lane is to be woken afterwards.
    pub fn put(&self, event: Arc<Event>, tell: Tell, now: UnixMs) -> Result<(), OutboxError> {
        let mut state = self.state()?;
        state.seq += 1;
        let waiting = Waiting { seq: state.seq, accepted_at: now, event };
        state.waiting.push_back((waiting, tell));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, OutboxError> {
        let state = self.lock();
        if state.closed { Err(OutboxError::Closed) } else { Ok(state) }
    }
}

impl State {
    fn next_message(&mut self) -> MessageId {
        self.message += 1;
        MessageId(self.message)
    }

    fn open(&mut self, id: MessageId) -> Result<&mut Open, OutboxError> {
        self.open.iter_mut().find(|open| open.message.id == id).ok_or(OutboxError::NotFound(id))
    }

    /// Takes these events out of those that wait; all of them, or none.
    fn take(&mut self, covers: &[i64]) -> Result<Vec<(Waiting, Tell)>, OutboxError> {
        let found = self.waiting.iter().filter(|(entry, _)| covers.contains(&entry.seq)).count();
        if found != covers.len() || found == 0 {
            return Err(OutboxError::Conflict("not all of these events wait".to_owned()));
        }
        let (taken, rest) = self.waiting.drain(..).partition(|(entry, _)| covers.contains(&entry.seq));
        self.waiting = rest;
        Ok(Vec::from(taken as VecDeque<_>))
    }

    fn end(&mut self, id: MessageId, fate: &Fate) -> Result<(), OutboxError> {
        let index = self.open.iter().position(|open| open.message.id == id).ok_or(OutboxError::NotFound(id))?;
        if let Some(open) = self.open.remove(index) {
            open.tells.into_iter().for_each(|(_, tell)| tell(fate.clone()));
        }
        Ok(())
    }
}

fn fresh_key() -> String {
    format!("{:032x}", fastrand::u128(..))
}

#[async_trait]
impl Outbox for MemoryOutbox {
    async fn accept(&self, now: UnixMs, events: Vec<Incoming>, unreadable: Vec<Unreadable>) -> Result<Vec<Taken>, OutboxError> {
        if !unreadable.is_empty() {
            return Err(OutboxError::Conflict("an outbox in memory keeps nothing that cannot be read".to_owned()));
        }
        for Incoming { event, connectors, .. } in &events {
            if connectors.contains(&self.connector) {
                self.put(Arc::clone(event), Box::new(|_| ()), now)?;
            }
        }
        Ok(vec![Taken::New; events.len()])
    }

    async fn busy_connectors(&self) -> Result<Vec<ConnectorName>, OutboxError> {
        let state = self.state()?;
        let busy = !state.waiting.is_empty() || !state.open.is_empty();
        Ok(busy.then(|| self.connector.clone()).into_iter().collect())
    }

    async fn lane(&self, _connector: &str) -> Result<LaneState, OutboxError> {
        let state = self.state()?;
        Ok(LaneState {
            waiting: state.waiting.len() as u64,
            oldest: state.waiting.front().map(|(entry, _)| entry.accepted_at),
            open: state.open.front().map(|open| open.message.clone()),
            pace: state.pace.clone(),
            memo: state.memo.clone(),
        })
    }

    async fn waiting(&self, _connector: &str, limit: usize) -> Result<Vec<Waiting>, OutboxError> {
        Ok(self.state()?.waiting.iter().take(limit).map(|(entry, _)| entry.clone()).collect())
    }

    async fn open(&self, new: NewMessage) -> Result<MessageId, OutboxError> {
        let mut state = self.state()?;
        if !state.open.is_empty() {
            return Err(OutboxError::Conflict("a message is open already".to_owned()));
        }
        let (events, tells): (Vec<Waiting>, Vec<_>) =
            state.take(&new.covers)?.into_iter().map(|(entry, tell)| (entry.clone(), (entry.seq, tell))).unzip();
        let id = state.next_message();
        let message = OpenMessage {
            id,
            key: new.key,
            attempts: 1,
            unknown: true,
            next_at: new.at,
            created_at: new.at,
            draft: Some(new.draft),
            events,
        };
        state.open.push_back(Open { message, in_flight: true, tells });
        state.pace = new.pace;
        Ok(id)
    }

    async fn attempt(&self, id: MessageId, draft: Draft, pace: PaceLog, at: UnixMs) -> Result<(), OutboxError> {
        let mut state = self.state()?;
        let open = state.open(id)?;
        if !open.in_flight {
            open.message.attempts += 1;
        }
        open.in_flight = true;
        (open.message.unknown, open.message.next_at, open.message.draft) = (true, at, Some(draft));
        state.pace = pace;
        Ok(())
    }

    async fn settle(&self, id: MessageId, settle: Settle, _attempt: AttemptRecord, pace: PaceLog) -> Result<(), OutboxError> {
        let mut state = self.state()?;
        match settle {
            Settle::Delivered { receipt, memo } => {
                state.end(id, &Fate::Delivered(receipt))?;
                state.memo = memo.or(state.memo.take());
            }
            Settle::Dead { reason } => state.end(id, &Fate::Rejected(reason))?,
            Settle::Again { at, unknown, counts, .. } => {
                let open = state.open(id)?;
                let begun = u32::from(open.in_flight);
                open.message.attempts = open.message.attempts.saturating_sub(begun) + u32::from(counts);
                (open.in_flight, open.message.unknown, open.message.next_at) = (false, unknown, at);
            }
        }
        state.pace = pace;
        Ok(())
    }

    async fn store_pace(&self, _connector: &str, pace: PaceLog) -> Result<(), OutboxError> {
        self.state()?.pace = pace;
        Ok(())
    }

    async fn bury(&self, _connector: &str, covers: Vec<i64>, reason: Reason, _now: UnixMs) -> Result<MessageId, OutboxError> {
        let mut state = self.state()?;
        for (_, tell) in state.take(&covers)? {
            tell(Fate::Rejected(reason.clone()));
        }
        Ok(state.next_message())
    }

    async fn replay(&self, message: MessageId, _now: UnixMs) -> Result<ConnectorName, OutboxError> {
        Err(OutboxError::NotFound(message))
    }

    async fn split(&self, id: MessageId, keep: Vec<i64>) -> Result<MessageId, OutboxError> {
        let mut state = self.state()?;
        let other = state.next_message();
        let open = state.open(id)?;
        let kept = open.message.events.iter().filter(|entry| keep.contains(&entry.seq)).count();
        if kept != keep.len() || kept == 0 || kept == open.message.events.len() {
            return Err(OutboxError::Conflict("both halves of a message must cover at least one of its events".to_owned()));
        }
        let (kept, events) = open.message.events.drain(..).partition(|entry| keep.contains(&entry.seq));
        let (tells, others) = open.tells.drain(..).partition(|(seq, _)| keep.contains(seq));
        (open.message.events, open.tells) = (kept, tells);
        let created_at = open.message.created_at;
        let message =
            OpenMessage { id: other, key: fresh_key(), attempts: 0, unknown: false, next_at: created_at, created_at, draft: None, events };
        let place = state.open.iter().position(|open| open.message.id == id).map_or(0, |index| index + 1);
        state.open.insert(place, Open { message, in_flight: false, tells: others });
        Ok(other)
    }

    async fn discard(&self, message: MessageId) -> Result<(), OutboxError> {
        Err(OutboxError::NotFound(message))
    }

    async fn messages(&self, _filter: Filter) -> Result<Vec<MessageSummary>, OutboxError> {
        Ok(Vec::new())
    }

    async fn message(&self, message: MessageId) -> Result<MessageDetail, OutboxError> {
        Err(OutboxError::NotFound(message))
    }

    async fn unreadable(&self, _limit: usize) -> Result<Vec<(i64, UnixMs, Unreadable)>, OutboxError> {
        Ok(Vec::new())
    }

    async fn status(&self) -> Result<Vec<ConnectorStatus>, OutboxError> {
        let state = self.state()?;
        Ok(vec![ConnectorStatus {
            connector: self.connector.to_string(),
            waiting: state.waiting.len() as u64,
            oldest: state.waiting.front().map(|(entry, _)| entry.accepted_at),
            in_flight: state.open.iter().map(|open| open.message.events.len() as u64).sum(),
            pace: state.pace.clone(),
            dead: 0,
        }])
    }

    async fn prune(&self, _delivered_before: UnixMs, _seen_before: UnixMs) -> Result<bool, OutboxError> {
        Ok(false)
    }

    async fn ready(&self) -> Result<(), OutboxError> {
        self.state().map(drop)
    }

    async fn close(&self) {
        let left = {
            let mut state = self.lock();
            state.closed = true;
            (std::mem::take(&mut state.waiting), std::mem::take(&mut state.open))
        };
        // Tellers are dropped outside the lock: who is told may hand something over again.
        drop(left);
    }
}
