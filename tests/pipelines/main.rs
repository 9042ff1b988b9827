//! incident-sink among other systems: real brokers and senders where the machine has them, and the bytes that others post.
#![allow(clippy::unwrap_used)]

mod alertmanager;
mod clients;
mod documents;
// Shared with the tests of the commands, which use more of it.
#[allow(dead_code)]
#[path = "../cli/harness.rs"]
mod harness;
#[path = "../cli/leak.rs"]
mod leak;
mod nats;
mod stdin;
mod system;
