//! The real binary, called as a user calls it.

mod commands;
mod docs;
mod errors;
mod fixtures;
mod harness;
mod rooms;
