//! Several hosts on one PostgreSQL.
#![allow(clippy::unwrap_used)]

// Shared with other tests, which use more of it.
#[allow(dead_code)]
#[path = "../support/postgres.rs"]
mod postgres;
mod server;
