//! incident-sink among other systems: real brokers and senders where the machine has them, and the bytes that others post.
#![allow(clippy::unwrap_used)]

mod alertmanager;
mod clients;
mod documents;
#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "../cli/harness.rs"]
mod harness;
#[path = "../cli/leak.rs"]
mod leak;
mod nats;
mod stdin;
mod system;
