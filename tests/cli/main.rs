//! The real binary, called as a user calls it.
#![allow(clippy::unwrap_used)]

mod commands;
mod docs;
mod errors;
mod fixtures;
mod harness;
mod leak;
mod metrics;
mod respond;
mod rooms;
