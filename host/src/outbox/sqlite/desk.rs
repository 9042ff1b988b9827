//! What a job works with: the connection, the ledger, the limits.

use std::time::Duration;

use rusqlite::Connection;

use super::fault::Fault;
use super::ledger::Ledger;
use crate::outbox::OutboxError;

/// What a job works with.
pub(super) struct Desk<'a> {
    pub(super) db: &'a Connection,
    pub(super) ledger: &'a mut Ledger,
    pub(super) limits: &'a Limits,
}

/// How much the outbox may hold, and for how long.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// Bytes in the file that are in use.
    pub(super) max_bytes: Option<u64>,
    /// Events that wait or are in flight, dead letters, and what could not be read.
    pub(super) max_items: u64,
    /// Delivered messages are kept so long.
    pub(super) history_ms: i64,
    /// Event ids are remembered so long.
    pub(super) dedup_ms: i64,
    /// How often the writer looks whether anything is to be forgotten.
    pub(super) chores_every: Duration,
}

impl Desk<'_> {
    /// Why nothing more can be taken in for its size, if so.
    pub(super) fn size_refusal(&self) -> Result<Option<OutboxError>, Fault> {
        let Some(most) = self.limits.max_bytes else { return Ok(None) };
        let used: i64 = self
            .db
            .prepare_cached(
                "SELECT (pages.page_count - free.freelist_count) * size.page_size
                 FROM pragma_page_count pages, pragma_freelist_count free, pragma_page_size size",
            )?
            .query_row([], |row| row.get(0))?;
        let text = || format!("it holds {used} of {most} bytes (`outbox.max_size`); deliver, replay or discard, or raise the limit");
        Ok((used.unsigned_abs() >= most).then(|| OutboxError::Unavailable(text())))
    }

    /// Why `wanted` more items cannot be taken in, if so.
    pub(super) fn item_refusal(&self, wanted: usize) -> Option<OutboxError> {
        let (held, most) = (self.ledger.items().unsigned_abs(), self.limits.max_items);
        let text = || format!("it holds {held} of {most} items (`outbox.max_items`); deliver, replay or discard, or raise the limit");
        (held.saturating_add(wanted as u64) > most).then(|| OutboxError::Unavailable(text()))
    }
}
