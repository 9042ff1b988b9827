//! An outbox in memory, and a context to build sources with.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use serde_json::json;

use super::SourceContext;
use crate::clock::{Clock, UnixMs};
use crate::intake::Intake;
use crate::outbox::*;
use crate::route::Routes;

/// Takes in and remembers; has no lanes.
#[derive(Default)]
pub(crate) struct FakeOutbox {
    pub(crate) broken: AtomicBool,
    /// Calls that were told to come again.
    pub(crate) refused: AtomicUsize,
    batches: Mutex<Vec<(Vec<Incoming>, Vec<Unreadable>)>>,
    seen: Mutex<HashSet<String>>,
}

impl FakeOutbox {
    pub(crate) fn batches(&self) -> MutexGuard<'_, Vec<(Vec<Incoming>, Vec<Unreadable>)>> {
        self.batches.lock().unwrap()
    }

    /// Every event that is new, by its summary.
    pub(crate) fn summaries(&self) -> Vec<String> {
        self.batches().iter().flat_map(|(events, _)| events.iter().map(|incoming| incoming.event.summary.clone())).collect()
    }

    pub(crate) fn unreadable(&self) -> Vec<Unreadable> {
        self.batches().iter().flat_map(|(_, unreadable)| unreadable.clone()).collect()
    }
}

#[async_trait]
impl Outbox for FakeOutbox {
    async fn accept(&self, _now: UnixMs, events: Vec<Incoming>, unreadable: Vec<Unreadable>) -> Result<Vec<Taken>, OutboxError> {
        tokio::task::yield_now().await;
        if self.broken.load(Ordering::Relaxed) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(OutboxError::Unavailable("/secret/path is full".to_owned()));
        }
        let mut seen = self.seen.lock().unwrap();
        let taken = events.iter().map(|event| if seen.insert(event.event.id.clone()) { Taken::New } else { Taken::Duplicate });
        let taken = taken.collect();
        self.batches().push((events, unreadable));
        Ok(taken)
    }

    async fn busy_connectors(&self) -> Result<Vec<ConnectorName>, OutboxError> {
        Err(OutboxError::Closed)
    }

    async fn lane(&self, _: &str) -> Result<LaneState, OutboxError> {
        Err(OutboxError::Closed)
    }

    async fn waiting(&self, _: &str, _: usize) -> Result<Vec<Waiting>, OutboxError> {
        Err(OutboxError::Closed)
    }

    async fn open(&self, _: NewMessage) -> Result<MessageId, OutboxError> {
        Err(OutboxError::Closed)
    }

    async fn attempt(&self, _: MessageId, _: Draft, _: PaceLog, _: UnixMs) -> Result<(), OutboxError> {
        Err(OutboxError::Closed)
    }

    async fn settle(&self, _: MessageId, _: Settle, _: AttemptRecord, _: PaceLog) -> Result<(), OutboxError> {
        Err(OutboxError::Closed)
    }

    async fn store_pace(&self, _: &str, _: PaceLog) -> Result<(), OutboxError> {
        Err(OutboxError::Closed)
    }

    async fn bury(&self, _: &str, _: Vec<i64>, _: Reason, _: UnixMs) -> Result<MessageId, OutboxError> {
        Err(OutboxError::Closed)
    }

    async fn replay(&self, _: MessageId, _: UnixMs) -> Result<ConnectorName, OutboxError> {
        Err(OutboxError::Closed)
    }

    async fn split(&self, _: MessageId, _: Vec<i64>) -> Result<MessageId, OutboxError> {
        Err(OutboxError::Closed)
    }

    async fn discard(&self, _: MessageId) -> Result<(), OutboxError> {
        Err(OutboxError::Closed)
    }

    async fn messages(&self, _: Filter) -> Result<Vec<MessageSummary>, OutboxError> {
        Err(OutboxError::Closed)
    }

    async fn message(&self, _: MessageId) -> Result<MessageDetail, OutboxError> {
        Err(OutboxError::Closed)
    }

    async fn unreadable(&self, _: usize) -> Result<Vec<(i64, UnixMs, Unreadable)>, OutboxError> {
        Err(OutboxError::Closed)
    }

    async fn status(&self) -> Result<Vec<ConnectorStatus>, OutboxError> {
        Err(OutboxError::Closed)
    }

    async fn prune(&self, _: UnixMs, _: UnixMs) -> Result<bool, OutboxError> {
        Err(OutboxError::Closed)
    }

    async fn ready(&self) -> Result<(), OutboxError> {
        Ok(())
    }

    async fn close(&self) {}
}

/// An intake whose only action sends everything to `ops`, and what it wrote and woke.
pub(crate) struct Door {
    pub(crate) intake: Intake,
    pub(crate) outbox: Arc<FakeOutbox>,
    pub(crate) woken: Arc<Mutex<Vec<ConnectorName>>>,
    pub(crate) clock: Clock,
}

impl Door {
    /// On a clock that runs a hundred times as fast.
    pub(crate) fn new() -> Self {
        let (outbox, woken, clock) = (Arc::new(FakeOutbox::default()), Arc::new(Mutex::new(Vec::new())), Clock::scaled(100));
        let routes = Routes::new(serde_json::from_value(json!([{"connector": "ops"}])).unwrap());
        let wake = {
            let woken = Arc::clone(&woken);
            Arc::new(move |connectors: &[ConnectorName]| woken.lock().unwrap().extend_from_slice(connectors))
        };
        let routes = Arc::new(ArcSwap::from_pointee(routes));
        let intake = Intake::new(clock.clone(), Arc::clone(&outbox) as Arc<dyn Outbox>, routes, wake);
        Door { intake, outbox, woken, clock }
    }

    pub(crate) fn context(&self) -> SourceContext {
        SourceContext { name: Arc::from("test"), intake: self.intake.clone(), clock: self.clock.clone() }
    }
}
