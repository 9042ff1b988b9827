//! An event whose sender is told how it ended.

use std::fmt;

use crate::event::Event;
use crate::outbox::Reason;

/// The receiver has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The receiver's own id of the message, if it gave one. A digest has one for all of its events.
    pub id: Option<String>,
}

/// How an event ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventStatus {
    /// It arrived, alone or in a digest.
    Delivered(Receipt),
    /// It will not be tried again: refused, or too old.
    Rejected(Reason),
    /// Nobody knows: delivery was stopped before the end. To be handed over again, later.
    Errored,
}

/// Why an event was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Undelivered {
    /// It was refused, or became too old.
    #[error("the event was given up: {} ({})", .0.text, .0.code)]
    Rejected(Reason),
    /// Delivery was stopped.
    #[error("delivery was stopped before the event's end was known")]
    Stopped,
}

impl From<EventStatus> for Result<Receipt, Undelivered> {
    fn from(status: EventStatus) -> Self {
        match status {
            EventStatus::Delivered(receipt) => Ok(receipt),
            EventStatus::Rejected(reason) => Err(Undelivered::Rejected(reason)),
            EventStatus::Errored => Err(Undelivered::Stopped),
        }
    }
}

/// Is told once how its event ended; dropped untold it says [`EventStatus::Errored`].
pub struct Finalizer(Option<Box<dyn FnOnce(EventStatus) + Send>>);

impl Finalizer {
    /// Calls this function, which must not block.
    pub fn new(tell: impl FnOnce(EventStatus) + Send + 'static) -> Finalizer {
        Finalizer(Some(Box::new(tell)))
    }

    /// Tells nobody.
    pub fn none() -> Finalizer {
        Finalizer(None)
    }

    pub(super) fn finish(mut self, status: EventStatus) {
        if let Some(tell) = self.0.take() {
            tell(status);
        }
    }
}

impl Drop for Finalizer {
    fn drop(&mut self) {
        if let Some(tell) = self.0.take() {
            tell(EventStatus::Errored);
        }
    }
}

impl fmt::Debug for Finalizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Finalizer")
    }
}

/// An event with its finalizer: what streams carry.
#[derive(Debug)]
pub struct Tracked {
    /// The event.
    pub event: Event,
    /// Who is told.
    pub finalizer: Finalizer,
}

impl Tracked {
    /// Calls `tell` once the event has ended, whichever way.
    pub fn new(event: Event, tell: impl FnOnce(EventStatus) + Send + 'static) -> Tracked {
        Tracked { event, finalizer: Finalizer::new(tell) }
    }
}

impl From<Event> for Tracked {
    fn from(event: Event) -> Self {
        Tracked { event, finalizer: Finalizer::none() }
    }
}
