//! The durable hand-over between receiving and delivering.
//!
//! What is in the outbox is on disk: an event that [`Outbox::accept`] has taken is delivered, or becomes a dead letter that somebody is
//! told of. An event waits once for each connector that it goes to. A lane turns waiting events into a *message* ([`Outbox::open`]), which
//! stays until its outcome is known ([`Outbox::settle`]); a connector has at most one unsettled message at a time. A message that was open
//! when the process ended may have been sent: it is tried again unchanged, under the same key.

pub mod book;
mod keys;
pub mod late;
pub mod memory;
pub mod moving;
#[cfg(feature = "postgres")]
pub mod postgres;
mod record;
pub mod sqlite;
#[cfg(test)]
mod suite;

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::UnixMs;
use crate::event::Event;
use crate::secret::Secret;
use crate::telemetry::metrics::OutboxMetrics;

/// A connector's name.
pub type ConnectorName = Arc<str>;

/// Tells lanes that events wait for them. Must not block.
pub type Wake = Arc<dyn Fn(&[ConnectorName]) + Send + Sync>;

/// In the place of a connector's name: the lane of the responder, which runs on one host as every lane does. No connector can have that name.
pub const RESPONDER: &str = "\u{1}responder";

/// Who delivers for a connector, where several hosts share an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// This host, as before.
    Held,
    /// This host from now on: what is open may have been sent by the one before.
    Taken,
    /// Another host, which was told that somebody asked.
    Elsewhere,
}

/// One event to take in, routed.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The source's name in the config.
    pub source: Arc<str>,
    /// The event; its `id` is what it is deduplicated by.
    pub event: Arc<Event>,
    /// Where it goes; may be empty: then it is only remembered as seen.
    pub connectors: Vec<ConnectorName>,
}

/// Something that a source received and could not read: kept as a dead letter.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// The source's name in the config.
    pub source: Arc<str>,
    /// What came, shortened to 64 KiB.
    pub body: Vec<u8>,
    /// Why it could not be read.
    pub error: String,
}

/// What became of an event at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Written down.
    New,
    /// Seen before, within the window.
    Duplicate,
}

/// An event that waits for a connector.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The order of acceptance, unique in the outbox.
    pub seq: i64,
    /// When it was accepted.
    pub accepted_at: UnixMs,
    /// The event.
    pub event: Arc<Event>,
}

/// Identifies a message within the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MessageId(pub i64);

/// A message as it was written, ready to be sent and sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What the sink wrote; opaque to everybody else.
    pub prepared: Vec<u8>,
    /// For people: the digest of the plugin that wrote it, `native` for others.
    pub author: String,
}

/// A message to open: the lane is about to send it for the first time.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Where it goes.
    pub connector: ConnectorName,
    /// The same for every attempt; at most 64 characters.
    pub key: String,
    /// The waiting events that it covers, all of them.
    pub covers: Vec<i64>,
    /// What to send.
    pub draft: Draft,
    /// The state of the pace, with this attempt in it.
    pub pace: PaceLog,
    /// When, for the pace and for people.
    pub at: UnixMs,
}

/// A message whose outcome is not known, or that is to be tried again.
#[derive(Clone, Debug)]
pub struct OpenMessage {
    /// Which.
    pub id: MessageId,
    /// Its idempotency key.
    pub key: String,
    /// Attempts so far, throttled ones not counted.
    pub attempts: u32,
    /// Whether an attempt may have reached the receiver without our knowing: then it goes out again unchanged.
    pub unknown: bool,
    /// Not before.
    pub next_at: UnixMs,
    /// When it was opened first.
    pub created_at: UnixMs,
    /// What was sent last. `None` after a replay: it is written anew.
    pub draft: Option<Draft>,
    /// What it covers, in order of acceptance.
    pub events: Vec<Waiting>,
}

/// The exact log of the last sends, and what the receiver told us of its limits. Times are [`crate::clock::Clock::steady`]'s.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaceLog {
    /// When each of the last messages was over (answered, or given up), oldest first; of one in flight, when it was begun.
    pub sends: Vec<UnixMs>,
    /// The receiver wants to be left alone until then.
    pub closed_until: UnixMs,
    /// The calendar month that `month_count` counts, as `2026-11`.
    pub month: String,
    /// Messages sent in it.
    pub month_count: u32,
}

/// What a lane knows of its connector.
#[derive(Clone, Debug, Default)]
pub struct LaneState {
    /// Events that wait, without those of `open`.
    pub waiting: u64,
    /// When the oldest of them was accepted.
    pub oldest: Option<UnixMs>,
    /// The message in progress.
    pub open: Option<OpenMessage>,
    /// The pace.
    pub pace: PaceLog,
    /// What the sink asked to be kept after the last delivered message.
    pub memo: Option<String>,
}

/// Why a message is as it is, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The receiver's code, or ours.
    pub code: String,
    /// The receiver's words, or ours.
    pub text: String,
    /// What to do about it; empty where nothing is known.
    pub advice: String,
}

/// One attempt, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// When it began.
    pub at: UnixMs,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// `delivered`, `retry`, `throttled`, `rejected`, `unknown`, or `fault` where the sink could not write it.
    pub outcome: String,
    /// What the receiver said.
    pub reason: Reason,
}

/// What becomes of an open message.
#[derive(Clone, Debug)]
pub enum Settle {
    /// It arrived.
    Delivered {
        /// The receiver's own id of it.
        receipt: Option<String>,
        /// To be kept for the next message; `None` leaves what there is.
        memo: Option<String>,
    },
    /// Again, not before `at`. `counts` is false for a throttled attempt.
    Again {
        /// Not before.
        at: UnixMs,
        /// Whether the receiver may have got it.
        unknown: bool,
        /// Whether the attempt counts.
        counts: bool,
        /// Why.
        reason: Reason,
    },
    /// Not again by itself.
    Dead {
        /// Why.
        reason: Reason,
    },
}

/// A dead letter, a delivered or an open message, for lists.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MessageSummary {
    /// Which.
    pub id: MessageId,
    /// Where it goes.
    pub connector: String,
    /// `open`, `delivered` or `dead`.
    pub state: String,
    /// Its idempotency key.
    pub key: String,
    /// How many events it covers.
    pub events: u64,
    /// The first event's summary.
    pub summary: String,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was opened.
    pub created_at: UnixMs,
    /// When it was settled, or is to be tried again.
    pub updated_at: UnixMs,
    /// The last reason.
    pub reason: Reason,
}

/// A message with all that is known of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MessageDetail {
    /// The short form.
    #[serde(flatten)]
    pub summary: MessageSummary,
    /// What it covers.
    pub covered: Vec<Event>,
    /// Every attempt, oldest first.
    pub attempts_made: Vec<AttemptRecord>,
    /// What was sent last, as the sink wrote it.
    pub prepared: Option<Vec<u8>>,
    /// Who wrote it.
    pub author: Option<String>,
}

/// One connector's line in `outbox status`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ConnectorStatus {
    /// Its name.
    pub connector: String,
    /// Events that wait.
    pub waiting: u64,
    /// When the oldest was accepted.
    pub oldest: Option<UnixMs>,
    /// Events in the open message.
    pub in_flight: u64,
    /// The pace.
    pub pace: PaceLog,
    /// Dead letters.
    pub dead: u64,
}

/// What went wrong with the outbox.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboxError {
    /// For now: a full or read-only disk, a lost database. The sender is told to come again.
    #[error("the outbox cannot take anything in at the moment: {0}")]
    Unavailable(String),
    /// The data cannot be trusted, or the store is of a newer version.
    #[error("{0}")]
    Broken(String),
    /// Another host has it.
    #[error("{0}")]
    Locked(String),
    /// There is no such message.
    #[error("there is no message {}", .0.0)]
    NotFound(MessageId),
    /// The call does not fit what is there (a message that is not open, an event that does not wait); nothing was changed.
    #[error("{0}")]
    Conflict(String),
    /// The outbox was closed.
    #[error("the outbox is closed")]
    Closed,
}

/// How many messages a search for a text looks at.
pub const SEARCHED: i64 = 20_000;

/// Which messages a list wants.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// `open`, `delivered`, `dead`; `None` for all.
    pub state: Option<String>,
    /// Of one connector.
    pub connector: Option<String>,
    /// Those in which this occurs, in any case of its letters: in the summary, the incident's id or the alert source of an event that they cover,
    /// or in the last reason. Looks at the newest [`SEARCHED`] messages.
    pub text: Option<String>,
    /// Only those with an id below this one, for paging.
    pub before: Option<MessageId>,
    /// At most; 0 counts as 100.
    pub limit: usize,
}

/// A durable outbox. Every method that changes something answers after the change is synced to disk. All times given to it are
/// [`crate::clock::Clock::steady`]'s.
///
/// All are cancel-safe in this sense: a call that is dropped has happened or has not, never half.
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// Takes events in, in one transaction: all or nothing. One answer each, in order.
    async fn accept(&self, now: UnixMs, events: Vec<Incoming>, unreadable: Vec<Unreadable>) -> Result<Vec<Taken>, OutboxError>;

    /// The connectors that have waiting events or an open message.
    async fn busy_connectors(&self) -> Result<Vec<ConnectorName>, OutboxError>;

    /// Makes a lane this host's, unless another host that lives has it. To be asked before anything is done for a connector: in an outbox that
    /// hosts share, [`Outbox::open`], [`Outbox::attempt`], [`Outbox::settle`], [`Outbox::store_pace`], [`Outbox::bury`] and [`Outbox::split`]
    /// are refused as [`OutboxError::Conflict`] for a lane of another host.
    async fn claim(&self, _connector: &str) -> Result<Claim, OutboxError> {
        Ok(Claim::Held)
    }

    /// Whether a message of this connector may leave this very moment: no other host can have taken the lane over. Never waits.
    fn holds(&self, _connector: &str) -> bool {
        true
    }

    /// A lane has nothing to do for now, so that another host may have it.
    fn release(&self, _connector: &str) {}

    /// Whom to tell of lanes that have something to do of which this host did not know.
    fn on_wake(&self, _wake: Wake) {}

    /// Whether other hosts use it too.
    fn is_shared(&self) -> bool {
        false
    }

    /// A value that all hosts have alike: the one that is kept under this name, else this fresh one from now on. `None` where no hosts share
    /// the outbox: then a file beside it serves.
    async fn shared_secret(&self, _name: &str, _fresh: &Secret) -> Result<Option<Secret>, OutboxError> {
        Ok(None)
    }

    /// The state of one lane.
    async fn lane(&self, connector: &str) -> Result<LaneState, OutboxError>;

    /// Waiting events of a connector in order of acceptance, at most `limit`.
    async fn waiting(&self, connector: &str, limit: usize) -> Result<Vec<Waiting>, OutboxError>;

    /// Turns waiting events into a message that is about to be sent for the first time (`unknown` until settled).
    async fn open(&self, message: NewMessage) -> Result<MessageId, OutboxError>;

    /// Notes that an open message is about to be sent (again), as `draft`.
    async fn attempt(&self, message: MessageId, draft: Draft, pace: PaceLog, at: UnixMs) -> Result<(), OutboxError>;

    /// Notes what became of an attempt, and the pace after it.
    async fn settle(&self, message: MessageId, settle: Settle, attempt: AttemptRecord, pace: PaceLog) -> Result<(), OutboxError>;

    /// Stores the pace alone (a budget warning, a closed lane).
    async fn store_pace(&self, connector: &str, pace: PaceLog) -> Result<(), OutboxError>;

    /// Turns waiting events into a dead letter without ever sending them (too old, no budget, no such connector).
    async fn bury(&self, connector: &str, covers: Vec<i64>, reason: Reason, now: UnixMs) -> Result<MessageId, OutboxError>;

    /// Makes a dead letter an open message again, to be written anew under a new key. `Ok(connector)`.
    async fn replay(&self, message: MessageId, now: UnixMs) -> Result<ConnectorName, OutboxError>;

    /// Leaves to an open message only these of the events that it covers. The others become an open message of their own, next in turn, of the
    /// same age, to be written under a new key.
    async fn split(&self, message: MessageId, keep: Vec<i64>) -> Result<MessageId, OutboxError>;

    /// Forgets a dead letter.
    async fn discard(&self, message: MessageId) -> Result<(), OutboxError>;

    /// Messages, newest first.
    async fn messages(&self, filter: Filter) -> Result<Vec<MessageSummary>, OutboxError>;

    /// One message, whole.
    async fn message(&self, message: MessageId) -> Result<MessageDetail, OutboxError>;

    /// What sources could not read, newest first: id, source, when, what came, why.
    async fn unreadable(&self, limit: usize) -> Result<Vec<(i64, UnixMs, Unreadable)>, OutboxError>;

    /// Every connector that has anything in the outbox.
    async fn status(&self) -> Result<Vec<ConnectorStatus>, OutboxError>;

    /// Forgets delivered messages, what could not be read, and dedup keys older than this, a bounded piece at a time. `true` while there is
    /// more.
    async fn prune(&self, delivered_before: UnixMs, seen_before: UnixMs) -> Result<bool, OutboxError>;

    /// What it knows of incidents and responses. `None` where it keeps none: then nobody can respond, and nothing is caught up with.
    fn book(&self) -> Option<&dyn book::Book> {
        None
    }

    /// What it has counted, where it counts.
    fn metrics(&self) -> Option<OutboxMetrics> {
        None
    }

    /// Whether events can be taken in now; the reason if not.
    async fn ready(&self) -> Result<(), OutboxError>;

    /// Writes everything and closes. Later calls answer [`OutboxError::Closed`].
    async fn close(&self);
}

/// The config of an outbox: `[outbox]`, by its `type`. A program that embeds the library registers its own with
/// `#[typetag::deserialize(name = "…")]`.
#[async_trait]
#[typetag::deserialize(tag = "type")]
pub trait OutboxConfig: std::fmt::Debug + Send + Sync {
    /// Everything wrong with it that can be known without touching anything.
    fn validate(&self) -> Result<(), String>;

    /// The folder for what the host keeps beside the outbox.
    fn folder(&self, base: &std::path::Path) -> std::path::PathBuf {
        base.to_owned()
    }

    /// One side of a move to or from another outbox; `target` where it is to take in. An `Err` where this type cannot be moved.
    async fn mover(&self, _base: &std::path::Path, _target: bool) -> Result<Box<dyn moving::Mover>, OutboxError> {
        Err(OutboxError::Broken("this type of outbox cannot be moved".to_owned()))
    }

    /// Opens it. Relative paths lie beside `base`, the folder of the config file.
    async fn build(&self, base: &std::path::Path, clock: crate::clock::Clock) -> Result<Arc<dyn Outbox>, OutboxError>;
}
