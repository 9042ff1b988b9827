//! An outbox that could not be opened when the host started: every call says why, until it can be.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;

use super::book::{Ask, Book, Booked, Incident, Response, Step};
use super::{
    AttemptRecord, Claim, ConnectorName, ConnectorStatus, Draft, Filter, Incoming, LaneState, MessageDetail, MessageId, MessageSummary,
    NewMessage, Outbox, OutboxError, PaceLog, Reason, Settle, Taken, Unreadable, Waiting, Wake,
};
use crate::clock::UnixMs;
use crate::secret::Secret;
use crate::telemetry::metrics::OutboxMetrics;

/// Stands where the outbox will be.
pub struct LateOutbox {
    real: OnceLock<Arc<dyn Outbox>>,
    why: Mutex<OutboxError>,
    closed: AtomicBool,
}

impl LateOutbox {
    /// One that answers so for now.
    pub fn new(why: OutboxError) -> LateOutbox {
        LateOutbox { real: OnceLock::new(), why: Mutex::new(why), closed: AtomicBool::new(false) }
    }

    /// It cannot be opened yet. `true` where the reason is another than before.
    pub fn still(&self, why: OutboxError) -> bool {
        let mut known = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = *known != why;
        *known = why;
        is_news
    }

    /// It is there. The first one stays.
    pub fn opened(&self, outbox: Arc<dyn Outbox>) {
        self.real.get_or_init(|| outbox);
    }

    fn real(&self) -> Result<&dyn Outbox, OutboxError> {
        match self.real.get() {
            Some(real) => Ok(&**real),
            None if self.closed.load(Ordering::Acquire) => Err(OutboxError::Closed),
            None => Err(self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        }
    }

    fn its_book(&self) -> Result<&dyn Book, OutboxError> {
        self.real()?.book().ok_or_else(|| OutboxError::Broken("this type of outbox keeps no incidents".to_owned()))
    }
}

#[async_trait]
impl Outbox for LateOutbox {
    async fn accept(&self, now: UnixMs, events: Vec<Incoming>, unreadable: Vec<Unreadable>) -> Result<Vec<Taken>, OutboxError> {
        self.real()?.accept(now, events, unreadable).await
    }

    async fn busy_connectors(&self) -> Result<Vec<ConnectorName>, OutboxError> {
        self.real()?.busy_connectors().await
    }

    async fn claim(&self, connector: &str) -> Result<Claim, OutboxError> {
        self.real()?.claim(connector).await
    }

    fn holds(&self, connector: &str) -> bool {
        self.real().is_ok_and(|real| real.holds(connector))
    }

    fn release(&self, connector: &str) {
        if let Ok(real) = self.real() {
            real.release(connector);
        }
    }

    /// Nobody is woken before the lanes begin, which is after the outbox is there.
    fn on_wake(&self, wake: Wake) {
        if let Ok(real) = self.real() {
            real.on_wake(wake);
        }
    }

    fn is_shared(&self) -> bool {
        self.real().is_ok_and(Outbox::is_shared)
    }

    async fn shared_secret(&self, name: &str, fresh: &Secret) -> Result<Option<Secret>, OutboxError> {
        self.real()?.shared_secret(name, fresh).await
    }

    async fn lane(&self, connector: &str) -> Result<LaneState, OutboxError> {
        self.real()?.lane(connector).await
    }

    async fn waiting(&self, connector: &str, limit: usize) -> Result<Vec<Waiting>, OutboxError> {
        self.real()?.waiting(connector, limit).await
    }

    async fn open(&self, message: NewMessage) -> Result<MessageId, OutboxError> {
        self.real()?.open(message).await
    }

    async fn attempt(&self, message: MessageId, draft: Draft, pace: PaceLog, at: UnixMs) -> Result<(), OutboxError> {
        self.real()?.attempt(message, draft, pace, at).await
    }

    async fn settle(&self, message: MessageId, settle: Settle, attempt: AttemptRecord, pace: PaceLog) -> Result<(), OutboxError> {
        self.real()?.settle(message, settle, attempt, pace).await
    }

    async fn store_pace(&self, connector: &str, pace: PaceLog) -> Result<(), OutboxError> {
        self.real()?.store_pace(connector, pace).await
    }

    async fn bury(&self, connector: &str, covers: Vec<i64>, reason: Reason, now: UnixMs) -> Result<MessageId, OutboxError> {
        self.real()?.bury(connector, covers, reason, now).await
    }

    async fn replay(&self, message: MessageId, now: UnixMs) -> Result<ConnectorName, OutboxError> {
        self.real()?.replay(message, now).await
    }

    async fn split(&self, message: MessageId, keep: Vec<i64>) -> Result<MessageId, OutboxError> {
        self.real()?.split(message, keep).await
    }

    async fn discard(&self, message: MessageId) -> Result<(), OutboxError> {
        self.real()?.discard(message).await
    }

    async fn messages(&self, filter: Filter) -> Result<Vec<MessageSummary>, OutboxError> {
        self.real()?.messages(filter).await
    }

    async fn message(&self, message: MessageId) -> Result<MessageDetail, OutboxError> {
        self.real()?.message(message).await
    }

    async fn unreadable(&self, limit: usize) -> Result<Vec<(i64, UnixMs, Unreadable)>, OutboxError> {
        self.real()?.unreadable(limit).await
    }

    async fn status(&self) -> Result<Vec<ConnectorStatus>, OutboxError> {
        self.real()?.status().await
    }

    async fn prune(&self, delivered_before: UnixMs, seen_before: UnixMs) -> Result<bool, OutboxError> {
        self.real()?.prune(delivered_before, seen_before).await
    }

    /// Itself: whether the real one has a book is known once it is there.
    fn book(&self) -> Option<&dyn Book> {
        Some(self)
    }

    fn metrics(&self) -> Option<OutboxMetrics> {
        self.real.get()?.metrics()
    }

    async fn ready(&self) -> Result<(), OutboxError> {
        self.real()?.ready().await
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        if let Some(real) = self.real.get() {
            real.close().await;
        }
    }
}

#[async_trait]
impl Book for LateOutbox {
    async fn incident(&self, id: &str) -> Result<Option<Incident>, OutboxError> {
        self.its_book()?.incident(id).await
    }

    async fn open_incidents(&self, limit: usize) -> Result<Vec<Incident>, OutboxError> {
        self.its_book()?.open_incidents(limit).await
    }

    async fn forget_incident(&self, id: &str) -> Result<(), OutboxError> {
        self.its_book()?.forget_incident(id).await
    }

    async fn last_told(&self, connector: &str) -> Result<Option<String>, OutboxError> {
        self.its_book()?.last_told(connector).await
    }

    async fn ask(&self, ask: Ask, now: UnixMs) -> Result<Booked, OutboxError> {
        self.its_book()?.ask(ask, now).await
    }

    async fn response(&self, key: &str) -> Result<Option<Response>, OutboxError> {
        self.its_book()?.response(key).await
    }

    async fn open_responses(&self, limit: usize) -> Result<Vec<Response>, OutboxError> {
        self.its_book()?.open_responses(limit).await
    }

    async fn note(&self, name: &str) -> Result<Option<String>, OutboxError> {
        self.its_book()?.note(name).await
    }

    async fn keep_note(&self, name: &str, value: &str) -> Result<(), OutboxError> {
        self.its_book()?.keep_note(name, value).await
    }

    async fn step(&self, response: i64, step: Step, now: UnixMs) -> Result<(), OutboxError> {
        self.its_book()?.step(response, step, now).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::outbox::OutboxConfig;
    use crate::outbox::sqlite::SqliteConfig;

    fn unavailable(why: &str) -> OutboxError {
        OutboxError::Unavailable(why.to_owned())
    }

    #[tokio::test]
    async fn every_call_says_why_until_the_outbox_is_there() {
        let late = LateOutbox::new(unavailable("no disk"));
        assert_eq!(late.ready().await, Err(unavailable("no disk")));
        assert_eq!(late.accept(0, Vec::new(), Vec::new()).await.unwrap_err(), unavailable("no disk"));
        assert_eq!(late.note("x").await.unwrap_err(), unavailable("no disk"));
        assert!(!late.still(unavailable("no disk")) && late.still(unavailable("no space")));
        assert_eq!(late.status().await.unwrap_err(), unavailable("no space"));
        let folder = tempfile::tempdir().unwrap();
        late.opened(SqliteConfig::default().build(folder.path(), Clock::system()).await.unwrap());
        assert_eq!(late.ready().await, Ok(()));
        assert!(late.status().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn one_that_never_opened_is_closed_all_the_same() {
        let late = LateOutbox::new(unavailable("no disk"));
        late.close().await;
        assert_eq!(late.ready().await, Err(OutboxError::Closed));
    }
}
