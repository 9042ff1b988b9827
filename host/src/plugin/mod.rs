//! Plugins: components behind the contract in `wit/`, loaded, checked, called in a sandbox and swapped.
//!
//! | question | file |
//! |---|---|
//! | what does the sandbox allow? | [`limits`], `engine`, `sandbox` |
//! | which file becomes a plugin? | [`load`], `workshop`, `contract`, [`descriptor`], [`signature`] |
//! | what may a plugin answer? | [`output`], [`text`] |
//! | which version is in use? | [`registry`] |
//! | which versions are kept on disk? | [`store`] |
//! | how is a new version watched? | [`trials`] |
//! | how much is it called, and how does it fail? | [`meter`] |
//! | what does the operator say? | [`config`] |
//!
//! Each call gets a store and an instance of its own from one pre-linked component, so no call sees another's secret or the remains of a
//! trap. A plugin imports nothing: it cannot reach the network, a file, a clock or another plugin.

mod bindings;
mod call;
pub mod config;
mod contract;
pub mod convert;
pub mod descriptor;
mod engine;
mod gate;
pub mod inspect;
pub mod limits;
pub mod load;
pub mod meter;
pub mod output;
pub mod registry;
mod sandbox;
mod schema_secrets;
pub mod signature;
pub mod store;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod text;
pub mod trials;
pub mod units;
mod workshop;

pub use call::{CallError, Plugin};
pub use config::{Canary, PluginConfig};
pub(crate) use contract::VERSION as CONTRACT_VERSION;
pub use descriptor::Descriptor;
pub use engine::{Engine, EngineError, EngineOptions};
pub use inspect::Inspection;
pub use limits::Limits;
pub use load::LoadError;
pub use meter::{BOUNDS_US, Usage};
pub use output::OutputRule;
pub use registry::Registry;

/// The types of the contract. `Stamp` and the secrets of `sign` and `verify` are credentials: their generated `Debug` prints them, so
/// they are not to be logged.
pub mod wit {
    pub use super::bindings::exports::incident_sink::plugin::inbox::{Answer, Command, Incoming, Received, Refusal, Replied};
    pub use super::bindings::exports::incident_sink::plugin::signer::{Outline, Place, Stamp};
    pub use super::bindings::incident_sink::plugin::types::{
        Action, ActionLink, Again, AlertSource, Context, Descriptor, Event, Failure, Image, Kind, Link, Method, Outcome, Pace, Part,
        Person, Priority, Problem, Reason, Receipt, Request, Responder, Response, Sending, Status, Step, Target, Timestamp,
    };
}
