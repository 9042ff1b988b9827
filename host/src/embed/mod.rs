//! incident-sink as a part of another program, at three depths.
//!
//! | depth | what | what it takes off the program | example |
//! |---|---|---|---|
//! | host | [`Host`] from a config, [`Host::submit`], [`Control::submit`] | everything: once submitted, an event is on disk and will be delivered | `host/examples/host.rs` |
//! | sink | [`plugin_connector`] or a [`SinkConfig`] of its own, in a [`SinkPipe`] | writing, signing, pace, digests, retry; the program keeps the events until they are acknowledged | `host/examples/pipe.rs` |
//! | plugin | [`Messenger`] | writing, signing, reading answers; the program sends | `host/examples/messenger.rs` |
//!
//! Own sources, sinks and outboxes are types that implement [`SourceConfig`], [`SinkConfig`] or [`OutboxConfig`] under
//! `#[typetag::deserialize(name = "…")]`; from then on a config may name them as `type` (`host/examples/own_types.rs`).
//!
//! What is named here, and the types that it is made of, follow Semantic Versioning from 1.0 on; before that, a breaking change is a new
//! minor version and stands in the changelog. Other modules are public for the program's own tests and may change at any time.

mod event_sink;
mod pipe;
mod tracked;

pub use event_sink::EventSink;
pub use pipe::{PipeOptions, SinkPipe};
pub use tracked::{EventStatus, Finalizer, Receipt, Tracked, Undelivered};

pub use crate::clock::Clock;
pub use crate::config::{Document, Format};
pub use crate::delivery::delivery_keys::{Delivery, PaceLimit, PaceSetting};
pub use crate::delivery::http::install_crypto;
pub use crate::delivery::messenger::{Begun, ConnectorError, Continuation, Messenger, Signed, Step, plugin_connector};
pub use crate::delivery::{
    Attempt, Healthcheck, IncidentSink, Item, MessageContext, Outcome, Pace, Prepared, Profile, SinkConfig, SinkContext,
};
pub use crate::event::{Event, Image, Kind, Link, Named, Person, Priority, Responder, Status};
pub use crate::host::{Control, Host, HostError, Options, Plan};
pub use crate::intake::{Intake, IntakeError};
pub use crate::outbox::{Draft, Outbox, OutboxConfig, Reason, Taken};
pub use crate::source::{Source, SourceConfig, SourceContext, SourceScope, SourceTask};

#[cfg(test)]
mod tests;
