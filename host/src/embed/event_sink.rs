//! A pipe as a [`futures_util::Sink`].

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Sink;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::OwnedSemaphorePermit;

use super::pipe::SinkPipe;
use super::tracked::{Receipt, Undelivered};
use crate::event::Event;

/// Takes events over; a flush, and the close, wait until all of them are delivered. The first event that is not delivered is an error of the
/// next call; the sink can be used further.
pub struct EventSink {
    pipe: SinkPipe,
    room: Option<OwnedSemaphorePermit>,
    /// Bounded by the pipe's capacity.
    ends: FuturesUnordered<BoxFuture<'static, Result<Receipt, Undelivered>>>,
}

impl EventSink {
    pub(super) fn new(pipe: SinkPipe) -> EventSink {
        EventSink { pipe, room: None, ends: FuturesUnordered::new() }
    }

    /// Looks at what has ended; `Ready` when nothing is left.
    fn poll_ends(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Undelivered>> {
        while let Some(ended) = ready!(self.ends.poll_next_unpin(cx)) {
            ended?;
        }
        Poll::Ready(Ok(()))
    }
}

impl Sink<Event> for EventSink {
    type Error = Undelivered;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Undelivered>> {
        if let Poll::Ready(Err(error)) = self.poll_ends(cx) {
            return Poll::Ready(Err(error));
        }
        if self.room.is_none() {
            self.room = Some(ready!(self.pipe.poll_room(cx))?);
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, event: Event) -> Result<(), Undelivered> {
        let room = self.room.take().ok_or(Undelivered::Stopped)?;
        let end = self.pipe.begin(event, room);
        self.ends.push(end);
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Undelivered>> {
        self.poll_ends(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Undelivered>> {
        self.poll_flush(cx)
    }
}
