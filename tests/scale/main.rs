//! Several hosts on one PostgreSQL: killed, frozen, cut off from the database, and nothing is lost, told twice or told too fast.
//!
//! | file | is |
//! |---|---|
//! | `storm` | three hosts in trouble under load |
//! | `migrate` | a backlog that is moved from a file to the database |
//! | `host` | one `incident-sink run` |
//! | `group` | the group that everything is delivered to |
//! | `front` | what stands between the hosts and the group: it writes down who sent what |
//! | `load` | the senders |
//! | `trouble` | what happens to the hosts and to the database, and how soon others take over |
//! | `promises` | what has to be so in the end |
#![allow(clippy::unwrap_used)]

mod front;
mod group;
mod host;
mod load;
mod migrate;
#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "../support/postgres.rs"]
mod postgres;
mod promises;
mod server;
mod storm;
mod trouble;
