//! The door: routes events, writes them down, wakes the lanes.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, warn};

use crate::clock::Clock;
use crate::event::Event;
pub use crate::outbox::Wake;
use crate::outbox::{ConnectorName, Incoming, Outbox, OutboxError, Taken, Unreadable};
use crate::route::Routes;
use crate::telemetry::metrics::IntakeMetrics;
use crate::telemetry::traces::{Arrival, Received, Tracer};

/// The most items in one transaction; a larger batch becomes several.
pub const MAX_BATCH: usize = 1000;

/// Unreadable items of one transaction that get a log line of their own.
const LOGGED_ITEMS: usize = 5;

/// Is told of every event that was taken in, after it was written down. Must not block.
pub type Observer = Arc<dyn Fn(&Event, Taken) + Send + Sync>;

/// What became of a batch, for its sender: `{"accepted":1,"duplicates":0,"rejected":[]}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Events written down.
    pub accepted: usize,
    /// Events seen before.
    pub duplicates: usize,
    /// Items that could not be read; they are kept as dead letters.
    pub rejected: Vec<Rejected>,
}

/// An item that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// Why.
    pub error: String,
}

/// Why a batch was not taken in. Always for now only: the sender is to come again with the whole batch, and what was taken in already is
/// recognised as a duplicate.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The host is stopping.
    #[error("the host is stopping and takes nothing in any more")]
    Closing,
    /// The outbox did not take it.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

/// A handle for sources; cheap to clone.
#[derive(Clone)]
pub struct Intake(Arc<Inner>);

struct Inner {
    clock: Clock,
    outbox: Arc<dyn Outbox>,
    routes: Arc<ArcSwap<Routes>>,
    wake: Wake,
    observers: ArcSwap<Vec<Observer>>,
    metrics: IntakeMetrics,
    traces: OnceLock<Tracer>,
    /// Closed when the intake is; holds the batches in progress.
    batches: TaskTracker,
}

type Item = (usize, Result<Event, Unreadable>);

impl Intake {
    /// Makes the door of an outbox. `routes` may be swapped at any time: each batch takes those of its moment.
    pub fn new(clock: Clock, outbox: Arc<dyn Outbox>, routes: Arc<ArcSwap<Routes>>, wake: Wake) -> Self {
        let (observers, metrics, batches) = (ArcSwap::default(), IntakeMetrics::default(), TaskTracker::new());
        let traces = OnceLock::new();
        Intake(Arc::new(Inner { clock, outbox, routes, wake, observers, metrics, traces, batches }))
    }

    /// Tells this tracer of every event from now on; the first one that it is given stays.
    pub fn trace(&self, tracer: Tracer) {
        self.0.traces.get_or_init(|| tracer);
    }

    /// What it has counted.
    pub fn metrics(&self) -> &IntakeMetrics {
        &self.0.metrics
    }

    /// Adds somebody who is told of every event.
    pub fn observe(&self, observer: Observer) {
        self.0.observers.rcu(|observers| observers.iter().chain([&observer]).cloned().collect::<Vec<_>>());
    }

    /// Takes a batch in: `Ok` after it is on disk. Good items are accepted, bad ones are kept as dead letters.
    ///
    /// Cancel-safe: a sender that goes away cannot leave events on disk whose lanes were not woken.
    pub async fn accept(&self, source: &Arc<str>, items: Vec<Result<Event, Unreadable>>) -> Result<Report, IntakeError> {
        self.accept_from(source, items, Arrival::now(None)).await
    }

    /// As [`Intake::accept`], of a batch that came so.
    pub async fn accept_from(
        &self,
        source: &Arc<str>,
        items: Vec<Result<Event, Unreadable>>,
        arrival: Arrival,
    ) -> Result<Report, IntakeError> {
        if self.0.batches.is_closed() {
            self.0.metrics.refused(source, true);
            return Err(IntakeError::Closing);
        }
        let (inner, source) = (Arc::clone(&self.0), Arc::clone(source));
        let batch = self.0.batches.track_future(async move { inner.accept(&source, items, arrival).await });
        Batch(Some(Box::pin(batch))).await
    }

    /// Refuses every further batch.
    pub fn close(&self) {
        self.0.batches.close();
    }

    /// Whether [`Intake::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.0.batches.is_closed()
    }

    /// Waits until the intake is closed and the last batch is on disk or refused. The caller sets the deadline. Cancel-safe.
    pub async fn drained(&self) {
        self.0.batches.wait().await;
    }
}

/// A batch in progress. It is polled by whoever waits for it, which saves the way to another task and back; once nobody does any more, a task
/// of its own brings it to its end.
struct Batch(Option<BoxFuture<'static, Result<Report, IntakeError>>>);

impl Future for Batch {
    type Output = Result<Report, IntakeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Not there while it is polled: one that panics is not tried again.
        let Some(mut batch) = self.0.take() else { return Poll::Ready(Err(IntakeError::Closing)) };
        let polled = batch.as_mut().poll(cx);
        if polled.is_pending() {
            self.0 = Some(batch);
        }
        polled
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Some(batch) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(batch);
        }
    }
}

impl Inner {
    async fn accept(&self, source: &Arc<str>, items: Vec<Result<Event, Unreadable>>, arrival: Arrival) -> Result<Report, IntakeError> {
        let mut report = Report::default();
        let mut items = items.into_iter().enumerate().peekable();
        while items.peek().is_some() {
            let chunk: Vec<Item> = items.by_ref().take(MAX_BATCH).collect();
            self.accept_chunk(source, chunk, &arrival, &mut report).await?;
        }
        Ok(report)
    }

    /// One transaction. The report is added to only after its commit.
    async fn accept_chunk(&self, source: &Arc<str>, chunk: Vec<Item>, arrival: &Arrival, report: &mut Report) -> Result<(), IntakeError> {
        let routes = self.routes.load_full();
        let (mut incoming, mut unreadable, mut rejected) = (Vec::with_capacity(chunk.len()), Vec::new(), Vec::new());
        for (index, item) in chunk {
            match item {
                Ok(event) => {
                    let connectors = routes.connectors_for(&event);
                    incoming.push(Incoming { source: Arc::clone(source), event: Arc::new(event), connectors });
                }
                Err(item) => {
                    rejected.push(Rejected { index, error: item.error.clone() });
                    unreadable.push(item);
                }
            }
        }
        let committing = self.traces.get().map_or(0, Tracer::commit_begins);
        // The outbox's times are steady: a clock that is set back or forward makes no event too old, and none forgotten too early.
        let taken = self.outbox.accept(self.clock.steady(), incoming.clone(), unreadable).await.inspect_err(|error| {
            self.metrics.refused(source, false);
            error!(%source, %error, "The outbox did not take a batch in; its sender is told to come again.");
        })?;
        self.trace(source, &incoming, &taken, arrival, committing);
        self.announce(source, &incoming, &taken);
        self.metrics.rejected(source, rejected.len());
        for Rejected { index, error } in rejected.iter().take(LOGGED_ITEMS) {
            warn!(%source, index, %error, "An item could not be read and is kept as a dead letter.");
        }
        if rejected.len() > LOGGED_ITEMS {
            warn!(%source, items = rejected.len() - LOGGED_ITEMS, "More items of the batch could not be read and are kept as dead letters.");
        }
        report.accepted += taken.iter().filter(|taken| **taken == Taken::New).count();
        report.duplicates += taken.iter().filter(|taken| **taken == Taken::Duplicate).count();
        report.rejected.append(&mut rejected);
        Ok(())
    }

    /// Tells the tracer, before the lanes: an attempt must find its event's trace.
    fn trace(&self, source: &str, incoming: &[Incoming], taken: &[Taken], arrival: &Arrival, committing: u64) {
        let Some(tracer) = self.traces.get().filter(|tracer| tracer.is_on()) else { return };
        for (Incoming { event, connectors, .. }, taken) in incoming.iter().zip(taken) {
            let (incident, kind) = (event.incident_id.as_str(), event.kind.as_str());
            let (connectors, duplicate) = (connectors.len(), *taken == Taken::Duplicate);
            tracer.received(&Received { source, event: &event.id, incident, kind, connectors, duplicate }, arrival, committing);
        }
    }

    /// Wakes the lanes and tells the observers.
    fn announce(&self, source: &Arc<str>, incoming: &[Incoming], taken: &[Taken]) {
        let new = || incoming.iter().zip(taken).filter(|(_, taken)| **taken == Taken::New).map(|(incoming, _)| incoming);
        let mut connectors: Vec<ConnectorName> = new().flat_map(|incoming| incoming.connectors.iter().cloned()).collect();
        connectors.sort_unstable();
        connectors.dedup();
        if !connectors.is_empty() {
            (self.wake)(&connectors);
        }
        let observers = self.observers.load();
        for (Incoming { event, connectors, .. }, taken) in incoming.iter().zip(taken) {
            debug!(%source, event = event.id, incident = event.incident_id, kind = event.kind.as_str(), connectors = connectors.len(),
                duplicate = *taken == Taken::Duplicate, "An event was taken in.");
            self.metrics.event(source, event.kind.as_str(), *taken == Taken::New, !connectors.is_empty());
            for observer in observers.iter() {
                observer(event, *taken);
            }
        }
    }
}

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;
