//! Delivering: lanes, pace, retry, and what a sink is.
//!
//! A lane asks its sink to *prepare* a message for a batch of events, writes it down in the outbox, and lets the sink *attempt* it, as often as
//! needed. The lane knows no chat system; the sink knows no queue.

mod answers;
pub mod backoff;
pub mod batch;
pub mod budget;
pub mod connector;
pub mod connector_schema;
pub mod delivery_keys;
mod dispatcher;
pub mod draft;
pub mod egress;
pub mod http;
mod lane;
pub mod links;
pub mod listener;
pub mod messenger;
pub mod pace;
pub mod plugin_sink;
pub mod plugin_sinks;
pub mod policy;
pub mod preview;
pub mod problem;
pub mod redact;
pub mod request;
pub mod schema;
mod scrub;
pub mod template;
#[cfg(test)]
pub(crate) mod testing;
pub mod upgrade;
pub mod variables;

use std::sync::Arc;

pub use dispatcher::{Connectors, Dispatcher};
pub use lane::Connector;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use crate::clock::{Clock, UnixMs};
use crate::event::Event;
use crate::outbox::{Draft, Reason};

/// `messages` in any window of `window_ms`; a receiver that was overrun is left alone for `penalty_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// At least 1.
    pub messages: u32,
    /// Milliseconds.
    pub window_ms: u32,
    /// Milliseconds.
    pub penalty_ms: u32,
}

/// What a sink asks of its lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// How fast; `None` for no limit.
    pub pace: Option<Pace>,
    /// The most incidents in one message; 1 where the sink makes no digests.
    pub max_batch: usize,
}

/// One item of a batch: an event, and how many earlier ones of its incident it stands for.
#[derive(Clone, Debug)]
pub struct Item {
    /// The latest event.
    pub event: Arc<Event>,
    /// Earlier ones that waited too.
    pub folded: u32,
}

/// What a sink may know besides the events.
#[derive(Clone, Debug)]
pub struct MessageContext {
    /// The time of day.
    pub now: UnixMs,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The message's idempotency key.
    pub key: String,
    /// What the last delivered message asked to be kept.
    pub memo: Option<String>,
    /// Incidents that wait behind the batch.
    pub waiting: u32,
}

/// A message, written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// What to write down and send.
    pub draft: Draft,
    /// How many items of the batch, from the front, it covers: 1 to the length of the batch.
    pub covers: usize,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It arrived.
    Delivered {
        /// The receiver's own id of it.
        receipt: Option<String>,
        /// To be kept for the next message.
        memo: Option<String>,
    },
    /// Again, not before `after_ms` from now; 0 leaves it to the lane. Not delivered for sure.
    Retry {
        /// Milliseconds.
        after_ms: u64,
        /// Why.
        reason: Reason,
    },
    /// Nobody knows whether it arrived: a timeout, a reset after sending. Again unchanged.
    Unknown {
        /// Why.
        reason: Reason,
    },
    /// The receiver is limiting; 0 takes the profile's penalty. Does not count as an attempt.
    Throttled {
        /// Milliseconds.
        after_ms: u64,
        /// Why.
        reason: Reason,
    },
    /// Never as it is.
    Rejected {
        /// Why, and what to do.
        reason: Reason,
    },
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// With an outcome.
    Done(Outcome),
    /// With a further request, to be written down and attempted in its turn; `paced` where it goes to the connector itself.
    Next {
        /// The request.
        draft: Draft,
        /// Whether the pace counts it.
        paced: bool,
    },
}

/// A place that messages can be delivered to: one connector, built.
#[async_trait]
pub trait IncidentSink: Send + Sync + 'static {
    /// What the lane must keep to. May change after a plugin was swapped.
    fn profile(&self) -> Profile;

    /// Writes one message for as many items of the batch, from the front, as fit. Quick, and without I/O.
    ///
    /// An `Err` is a fault of the sink (a trap, a limit hit), never of the receiver; the lane tries again later.
    fn prepare(&self, batch: &[Item], cx: &MessageContext) -> Result<Prepared, Reason>;

    /// Whether an `Err` of [`IncidentSink::prepare`] lies with the event rather than with the sink as a whole: after some tries such an event
    /// becomes a dead letter, so that it holds up nobody else. What lies with the sink is tried until the event's `max_age`.
    fn blames_event(&self, _reason: &Reason) -> bool {
        true
    }

    /// Whether a draft of an earlier attempt can still be sent and its answer be read. If not, it is prepared anew, with the same key.
    fn can_attempt(&self, draft: &Draft) -> bool;

    /// Sends one draft once. Bounded by the connector's timeout. Not cancel-safe: a dropped attempt has an unknown outcome.
    async fn attempt(&self, draft: &Draft, cx: &MessageContext) -> Attempt;
}

/// Looks whether a sink could deliver, with resources of its own; sends no message.
pub type Healthcheck = BoxFuture<'static, Result<(), Reason>>;

/// What a sink is built with.
#[derive(Clone)]
pub struct SinkContext {
    /// The connector's name.
    pub connector: Arc<str>,
    /// The time.
    pub clock: Clock,
}

/// The config of a native sink: a connector whose `type` is not a plugin's. In three phases, as facts of Vector's newest design: `validate`
/// is pure, `build` may look but spawns nothing, and the lane owns whatever runs.
#[async_trait]
#[typetag::deserialize(tag = "type")]
pub trait SinkConfig: std::fmt::Debug + Send + Sync {
    /// Everything wrong with it that can be known without touching anything.
    fn validate(&self) -> Result<(), String>;

    /// Makes the sink and its healthcheck.
    async fn build(&self, cx: SinkContext) -> Result<(Box<dyn IncidentSink>, Healthcheck), Reason>;
}
