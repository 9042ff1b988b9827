//! The DingTalk plugin: incident events in, signed robot messages out; answers in, outcomes out.
//!
//! | to find | look in |
//! |---|---|
//! | how a message is chosen and made to fit | `compose` |
//! | how one incident looks, or many | `card`, `digest`, `words` |
//! | why user text cannot break anything | `escape` |
//! | who is mentioned | `mention` |
//! | what an answer of DingTalk means | `answer` |
//! | the signature | `sign` |
//! | commands typed in the chat | `inbox` |
//! | the keys of a connector | `config` |
//! | how JSON is read and written | `json` |
//!
//! Everything is a pure function. On wasm32 the crate is `no_std` and lives in a fixed arena; natively it is an ordinary library, so that
//! its tests need no host.
#![cfg_attr(target_arch = "wasm32", no_std)]
#![deny(unsafe_code)]

extern crate alloc;

#[cfg(target_arch = "wasm32")]
mod arena;
mod bindings;

mod answer;
mod card;
mod compose;
mod config;
mod digest;
mod escape;
mod guest;
mod inbox;
mod json;
mod mention;
mod message;
mod sign;
mod template;
#[cfg(test)]
mod tests;
mod time;
mod words;

/// The traits that [`Plugin`] implements, one module an interface.
pub use bindings::exports::incident_sink::plugin as contract;
/// What crosses the boundary.
pub use bindings::incident_sink::plugin::types;
pub use guest::Plugin;
