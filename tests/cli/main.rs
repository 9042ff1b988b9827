//! The real binary, called as a user calls it.
#![allow(clippy::unwrap_used)]

mod certificate;
#[path = "../support/chameleon.rs"]
mod chameleon;
mod commands;
mod docs;
mod errors;
mod fixtures;
mod harness;
mod leak;
mod markdown;
mod metrics;
mod plugins;
#[path = "../support/port.rs"]
mod port;
mod programs;
mod reference;
mod reload;
mod respond;
mod rooms;
mod schema_page;
#[path = "../support/slow.rs"]
mod slow;
mod traces;
mod upgrades;
