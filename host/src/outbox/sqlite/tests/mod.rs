//! The outbox as its callers see it.

mod crash;
mod suite;
mod trouble;

use std::path::Path;
use std::sync::Arc;

use super::desk::Limits;
use super::fault::Judge;
use super::*;
pub(super) use crate::outbox::suite::{DAY, T0, again, dead, delivered, draft, event, incoming, new_message, tried};

pub(super) fn limits() -> Limits {
    Limits { max_bytes: None, max_items: 1_000_000, history_ms: 7 * DAY, dedup_ms: DAY, chores_every: Duration::from_secs(60) }
}

pub(super) async fn open_at(path: &Path) -> SqliteOutbox {
    open_limited(path, limits()).await.unwrap()
}

pub(super) async fn open_limited(path: &Path, limits: Limits) -> Result<SqliteOutbox, OutboxError> {
    SqliteOutbox::open_with(path.to_owned(), limits, Clock::system(), Judge::new(path)).await
}

/// Takes one event in; its number in the queue of the first connector.
pub(super) async fn take(outbox: &SqliteOutbox, id: &str, connectors: &[&str]) -> i64 {
    assert_eq!(outbox.accept(T0, vec![incoming(id, connectors)], vec![]).await.unwrap(), [Taken::New]);
    outbox.waiting(connectors[0], 10_000).await.unwrap().last().unwrap().seq
}
