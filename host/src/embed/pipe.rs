//! One sink as the end of another program's pipeline: events in, and each sender is told how its event ended.
//!
//! The delivery is the host's own (pace, digests, retry, `max_age`, budget), on an outbox in memory. What was not delivered at the end is the
//! sender's again; so is what was delivered just before a crash, and the pace starts anew with the program. A host keeps both on disk.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt};
use jiff::tz::TimeZone;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::PollSemaphore;

use super::tracked::{EventStatus, Receipt, Tracked, Undelivered};
use crate::clock::Clock;
use crate::delivery::delivery_keys::Delivery;
use crate::delivery::{Connector, Connectors, Dispatcher, IncidentSink};
use crate::event::Event;
use crate::outbox::memory::{Fate, MemoryOutbox};
use crate::outbox::{ConnectorName, OutboxError};

/// How a pipe delivers.
#[derive(Clone, Debug)]
pub struct PipeOptions {
    /// The connector's name, in logs and for the plugin.
    pub name: ConnectorName,
    /// As `[connectors.NAME.delivery]` of a config.
    pub delivery: Delivery,
    /// What a calendar month is, for `delivery.monthly_budget`.
    pub zone: TimeZone,
    /// The time.
    pub clock: Clock,
    /// The most events that are taken over and not yet settled: 1 or more. Beyond it senders wait.
    pub capacity: usize,
}

impl Default for PipeOptions {
    fn default() -> Self {
        PipeOptions { name: "embedded".into(), delivery: Delivery::default(), zone: TimeZone::UTC, clock: Clock::system(), capacity: 1000 }
    }
}

/// A sink with its lane. Cheap to clone; when the last clone is gone, delivery stops, and every sender that waits is told so.
pub struct SinkPipe {
    inner: Arc<Inner>,
    room: PollSemaphore,
    /// Taken by `poll_ready` for the next call.
    permit: Option<OwnedSemaphorePermit>,
}

impl Clone for SinkPipe {
    fn clone(&self) -> Self {
        // A permit is for one call, so the clone asks for its own.
        SinkPipe { inner: Arc::clone(&self.inner), room: self.room.clone(), permit: None }
    }
}

struct Inner {
    name: ConnectorName,
    clock: Clock,
    outbox: Arc<MemoryOutbox>,
    dispatcher: Dispatcher,
    room: Arc<Semaphore>,
    capacity: u32,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.dispatcher.abandon();
    }
}

impl SinkPipe {
    /// A pipe that ends in this sink. Its lane runs on the runtime that events are handed over on.
    pub fn new(sink: Box<dyn IncidentSink>, options: PipeOptions) -> SinkPipe {
        let PipeOptions { name, delivery, zone, clock, capacity } = options;
        let outbox = Arc::new(MemoryOutbox::new(name.clone()));
        let policy = delivery.policy(&name, zone);
        let connector = Connector { name: name.clone(), sink: sink.into(), policy };
        let connectors = Connectors::from_iter([(name.clone(), Arc::new(connector))]);
        let dispatcher = Dispatcher::new(clock.clone(), outbox.clone(), connectors);
        let capacity = u32::try_from(capacity.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let room = Arc::new(Semaphore::new(capacity as usize));
        let inner = Arc::new(Inner { name, clock, outbox, dispatcher, room: room.clone(), capacity });
        SinkPipe { inner, room: PollSemaphore::new(room), permit: None }
    }

    /// Delivers one event: waits for room, then for its end. Dropped while it waits for the end, the event is delivered all the same.
    pub async fn deliver(&self, event: Event) -> Result<Receipt, Undelivered> {
        let (told, end) = oneshot::channel();
        self.hand_over(Tracked::new(event, |status| drop(told.send(status)))).await;
        end.await.unwrap_or(EventStatus::Errored).into()
    }

    /// Takes an event over as soon as there is room; its finalizer is told the end. Cancel-safe: dropped before there is room, the finalizer
    /// is told [`EventStatus::Errored`].
    pub async fn hand_over(&self, event: Tracked) {
        // An `Err` is a closed pipe: the finalizer is dropped, and says so.
        if let Ok(permit) = self.inner.room.clone().acquire_owned().await {
            self.inner.put(event, permit);
        }
    }

    /// Delivers a stream to its end, and returns when every event of it, and of all other senders, has ended. Events are acknowledged by
    /// their finalizers, in the order in which their messages are.
    pub async fn run(&self, events: impl Stream<Item = Tracked>) {
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            self.hand_over(event).await;
        }
        self.settled().await;
    }

    /// Waits until nothing that was taken over is left. Cancel-safe.
    pub async fn settled(&self) {
        // An `Err` is a closed pipe, in which nothing is left.
        let _ = self.inner.room.acquire_many(self.inner.capacity).await;
    }

    /// Stops: what is in flight may end within `grace`, and the senders of the rest are told that nobody knows.
    pub async fn close(&self, grace: Duration) {
        self.inner.room.close();
        self.inner.dispatcher.stop(grace).await;
        crate::outbox::Outbox::close(&*self.inner.outbox).await;
    }

    /// The same as a [`futures_util::Sink`].
    pub fn into_sink(self) -> super::EventSink {
        super::EventSink::new(self)
    }

    #[cfg(test)]
    pub(super) async fn inner_is_empty(&self) -> bool {
        self.inner.room.available_permits() == self.inner.capacity as usize
    }

    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<OwnedSemaphorePermit, Undelivered>> {
        Poll::Ready(ready!(self.room.poll_acquire(cx)).ok_or(Undelivered::Stopped))
    }

    /// Hands an event over for which there is room; the future is its end.
    pub(super) fn begin(&self, event: Event, permit: OwnedSemaphorePermit) -> BoxFuture<'static, Result<Receipt, Undelivered>> {
        let (told, end) = oneshot::channel();
        self.inner.put(Tracked::new(event, |status| drop(told.send(status))), permit);
        // Somebody waits, so delivery goes on.
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let ended = end.await.unwrap_or(EventStatus::Errored);
            drop(inner);
            ended.into()
        })
    }
}

impl Inner {
    fn put(&self, event: Tracked, permit: OwnedSemaphorePermit) {
        let Tracked { event, finalizer } = event;
        let tell = move |fate: Fate| {
            finalizer.finish(match fate {
                Fate::Delivered(id) => EventStatus::Delivered(Receipt { id }),
                Fate::Rejected(reason) => EventStatus::Rejected(reason),
            });
            drop(permit);
        };
        match self.outbox.put(Arc::new(event), Box::new(tell), self.clock.steady()) {
            Ok(()) => self.dispatcher.wake(std::slice::from_ref(&self.name)),
            // The finalizer was dropped, and has told it.
            Err(OutboxError::Closed) => {}
            Err(error) => tracing::error!(connector = &*self.name, %error, "The outbox in memory did not take an event."),
        }
    }
}

impl tower::Service<Event> for SinkPipe {
    type Response = Receipt;
    type Error = Undelivered;
    type Future = BoxFuture<'static, Result<Receipt, Undelivered>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Undelivered>> {
        if self.permit.is_none() {
            self.permit = Some(ready!(self.poll_room(cx))?);
        }
        Poll::Ready(Ok(()))
    }

    /// The future may be dropped: the event is delivered all the same, as long as a clone of the service lives.
    fn call(&mut self, event: Event) -> Self::Future {
        match self.permit.take() {
            Some(permit) => self.begin(event, permit),
            // Called without `poll_ready`: the call waits for room itself.
            None => {
                let pipe = self.clone();
                Box::pin(async move { pipe.deliver(event).await })
            }
        }
    }
}
