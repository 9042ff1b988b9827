//! Receives iLert incident events and hands them to sandboxed incident sinks.
//!
//! The path of an event, top to bottom: [`source`] reads it, [`event`] is what it becomes, [`route`] says which connectors it goes to,
//! [`intake`] writes it into the [`outbox`] and answers the sender, [`delivery`] takes it out again, one lane a connector, has a
//! [`plugin`] write and sign the message, and sends it. A program that uses the library begins at [`embed`].
#![forbid(unsafe_code)]

pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod delivery;
pub mod embed;
pub mod event;
pub mod host;
pub mod intake;
#[cfg(any(feature = "console", feature = "simulator"))]
mod markup;
pub mod outbox;
pub mod plugin;
pub mod respond;
pub mod route;
pub mod secret;
pub mod server;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod source;
pub mod telemetry;
