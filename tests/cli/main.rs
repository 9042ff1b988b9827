//! The real binary, called as a user calls it.
#![allow(clippy::unwrap_used)]

#[path = "../support/chameleon.rs"]
mod chameleon;
mod commands;
mod docs;
mod errors;
mod fixtures;
mod harness;
mod leak;
mod metrics;
mod plugins;
mod respond;
mod rooms;
