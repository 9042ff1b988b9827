//! An outbox that fails at chosen calls.

use std::sync::Arc;

use async_trait::async_trait;
use incident_sink::clock::UnixMs;
use incident_sink::outbox::sqlite::SqliteOutbox;
use incident_sink::outbox::{
    AttemptRecord, ConnectorName, ConnectorStatus, Draft, Filter, Incoming, LaneState, MessageDetail, MessageId, MessageSummary,
    NewMessage, Outbox, OutboxError, PaceLog, Reason, Settle, Taken, Unreadable, Waiting,
};

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// Nothing is done.
    Before,
    /// It is done, and the caller is told that it was not.
    After,
}

/// Asked at every call that a lane makes, with the call's name.
type Decide = Box<dyn Fn(&str) -> Option<Mishap> + Send + Sync>;

/// Another outbox, whose calls fail where somebody decides so.
pub(crate) struct Flaky {
    inner: Arc<SqliteOutbox>,
    decide: Decide,
}

impl Flaky {
    pub(crate) fn new(inner: Arc<SqliteOutbox>, decide: impl Fn(&str) -> Option<Mishap> + Send + Sync + 'static) -> Flaky {
        Flaky { inner, decide: Box::new(decide) }
    }

    async fn around<T>(&self, call: &str, work: impl Future<Output = Result<T, OutboxError>>) -> Result<T, OutboxError> {
        let failed = || Err(OutboxError::Unavailable(format!("`{call}` was told to fail")));
        match (self.decide)(call) {
            None => work.await,
            Some(Mishap::Before) => failed(),
            Some(Mishap::After) => {
                work.await?;
                failed()
            }
        }
    }
}

#[async_trait]
impl Outbox for Flaky {
    async fn accept(&self, now: UnixMs, events: Vec<Incoming>, unreadable: Vec<Unreadable>) -> Result<Vec<Taken>, OutboxError> {
        self.inner.accept(now, events, unreadable).await
    }

    async fn busy_connectors(&self) -> Result<Vec<ConnectorName>, OutboxError> {
        self.inner.busy_connectors().await
    }

    async fn lane(&self, connector: &str) -> Result<LaneState, OutboxError> {
        self.around("lane", self.inner.lane(connector)).await
    }

    async fn waiting(&self, connector: &str, limit: usize) -> Result<Vec<Waiting>, OutboxError> {
        self.around("waiting", self.inner.waiting(connector, limit)).await
    }

    async fn open(&self, message: NewMessage) -> Result<MessageId, OutboxError> {
        self.around("open", self.inner.open(message)).await
    }

    async fn attempt(&self, message: MessageId, draft: Draft, pace: PaceLog, at: UnixMs) -> Result<(), OutboxError> {
        self.around("attempt", self.inner.attempt(message, draft, pace, at)).await
    }

    async fn settle(&self, message: MessageId, settle: Settle, attempt: AttemptRecord, pace: PaceLog) -> Result<(), OutboxError> {
        self.around("settle", self.inner.settle(message, settle, attempt, pace)).await
    }

    async fn store_pace(&self, connector: &str, pace: PaceLog) -> Result<(), OutboxError> {
        self.around("store_pace", self.inner.store_pace(connector, pace)).await
    }

    async fn bury(&self, connector: &str, covers: Vec<i64>, reason: Reason, now: UnixMs) -> Result<MessageId, OutboxError> {
        self.around("bury", self.inner.bury(connector, covers, reason, now)).await
    }

    async fn replay(&self, message: MessageId, now: UnixMs) -> Result<ConnectorName, OutboxError> {
        self.inner.replay(message, now).await
    }

    async fn split(&self, message: MessageId, keep: Vec<i64>) -> Result<MessageId, OutboxError> {
        self.around("split", self.inner.split(message, keep)).await
    }

    async fn discard(&self, message: MessageId) -> Result<(), OutboxError> {
        self.inner.discard(message).await
    }

    async fn messages(&self, filter: Filter) -> Result<Vec<MessageSummary>, OutboxError> {
        self.inner.messages(filter).await
    }

    async fn message(&self, message: MessageId) -> Result<MessageDetail, OutboxError> {
        self.inner.message(message).await
    }

    async fn unreadable(&self, limit: usize) -> Result<Vec<(i64, UnixMs, Unreadable)>, OutboxError> {
        self.inner.unreadable(limit).await
    }

    async fn status(&self) -> Result<Vec<ConnectorStatus>, OutboxError> {
        self.inner.status().await
    }

    async fn prune(&self, delivered_before: UnixMs, seen_before: UnixMs) -> Result<bool, OutboxError> {
        self.inner.prune(delivered_before, seen_before).await
    }

    async fn ready(&self) -> Result<(), OutboxError> {
        self.inner.ready().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
