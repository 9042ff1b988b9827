//! Reading: a few connections of their own, so that no reader waits for a sync.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::de::DeserializeOwned;

use super::fault::{Fault, Judge};
use crate::event::Event;
use crate::outbox::{Draft, LaneState, MessageId, OpenMessage, OutboxError, PaceLog, Waiting};

/// The most events that one call reads.
pub(super) const MAX_WAITING: usize = 10_000;

/// The reading connections.
pub(super) struct Readers {
    idle: Mutex<Vec<Connection>>,
    slots: tokio::sync::Semaphore,
    judge: Judge,
}

impl Readers {
    /// With these connections.
    pub(super) fn new(connections: Vec<Connection>, judge: Judge) -> Readers {
        Readers { slots: tokio::sync::Semaphore::new(connections.len()), idle: Mutex::new(connections), judge }
    }

    /// Reads on a blocking thread. Cancel-safe.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, OutboxError> {
        let readers = Arc::clone(self);
        let _slot = self.slots.acquire().await.map_err(|_| OutboxError::Closed)?;
        let done = tokio::task::spawn_blocking(move || readers.read_here(work));
        done.await.map_err(|error| OutboxError::Broken(format!("a reader of the outbox failed, please report this: {error}")))?
    }

    /// Reads on the caller's thread: for a few rows found by their keys, which take less time than another thread takes to wake. Cancel-safe.
    pub(super) async fn glance<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, OutboxError> {
        let _slot = self.slots.acquire().await.map_err(|_| OutboxError::Closed)?;
        self.read_here(work)
    }

    fn read_here<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, OutboxError> {
        let taken = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        // A call that was dropped may still hold its connection, although its slot is free.
        let Some(db) = taken else {
            return Err(OutboxError::Unavailable("all readers of the outbox are busy".into()));
        };
        let result = snapshot(&db, work).map_err(|fault| self.judge.fault(fault));
        if !self.slots.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(db);
        }
        result
    }

    /// Ends reading.
    pub(super) fn close(&self) {
        self.slots.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Everything that `work` reads is of the same moment.
fn snapshot<T>(db: &Connection, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
    db.prepare_cached("BEGIN")?.execute([])?;
    let result = work(db);
    // An error may have ended it already. Nothing was written, so nothing is lost.
    if !db.is_autocommit() {
        db.prepare_cached("ROLLBACK")?.execute([])?;
    }
    result
}

/// A JSON column.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T, Fault> {
    let text = row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?;
    serde_json::from_str(text).map_err(|error| {
        OutboxError::Broken(format!("a value in the outbox cannot be read ({error}); it may be of another version of incident-sink")).into()
    })
}

/// A connector's pace and memo.
fn lane_row(db: &Connection, connector: &str) -> Result<(PaceLog, Option<String>), Fault> {
    let mut statement = db.prepare_cached("SELECT pace, memo FROM lanes WHERE connector = ?1")?;
    let mut rows = statement.query([connector])?;
    match rows.next()? {
        Some(row) => Ok((json(row, 0)?, row.get(1)?)),
        None => Ok((PaceLog::default(), None)),
    }
}

/// When an event was accepted.
pub(super) fn accepted_at(db: &Connection, seq: i64) -> Result<Option<i64>, Fault> {
    Ok(db.prepare_cached("SELECT accepted_at FROM events WHERE seq = ?1")?.query_row([seq], |row| row.get(0)).optional()?)
}

/// The state of a lane, of whose waiting events this is the first.
pub(super) fn lane(db: &Connection, connector: &str, waiting: i64, first: Option<i64>) -> Result<LaneState, Fault> {
    let (pace, memo) = lane_row(db, connector)?;
    let open = open_message(db, connector)?;
    let oldest = first.map(|seq| accepted_at(db, seq)).transpose()?.flatten();
    Ok(LaneState { waiting: waiting.unsigned_abs(), oldest, open, pace, memo })
}

fn open_message(db: &Connection, connector: &str) -> Result<Option<OpenMessage>, Fault> {
    let found = db
        .prepare_cached(
            "SELECT id, key, attempts, unknown, next_at, created_at, author, prepared
             FROM messages INDEXED BY messages_open LEFT JOIN drafts ON drafts.message = messages.id
             WHERE connector = ?1 AND state = 'open' ORDER BY turn LIMIT 1",
        )?
        .query_row([connector], |row| {
            let draft = match (row.get::<_, Option<String>>(6)?, row.get::<_, Option<Vec<u8>>>(7)?) {
                (Some(author), Some(prepared)) => Some(Draft { prepared, author }),
                _ => None,
            };
            Ok(OpenMessage {
                id: MessageId(row.get(0)?),
                key: row.get(1)?,
                attempts: row.get(2)?,
                unknown: row.get(3)?,
                next_at: row.get(4)?,
                created_at: row.get(5)?,
                draft,
                events: Vec::new(),
            })
        })
        .optional()?;
    let Some(mut open) = found else { return Ok(None) };
    let mut statement = db.prepare_cached(
        "SELECT e.seq, e.accepted_at, e.payload FROM message_events m JOIN events e ON e.seq = m.seq WHERE m.message = ?1 ORDER BY m.seq",
    )?;
    let mut rows = statement.query([open.id.0])?;
    while let Some(row) = rows.next()? {
        open.events.push(waiting_event(row)?);
    }
    Ok(Some(open))
}

/// Those of these events that wait for the connector.
pub(super) fn waiting(db: &Connection, connector: &str, seqs: &[i64]) -> Result<Vec<Waiting>, Fault> {
    let mut statement = db.prepare_cached(
        "SELECT e.seq, e.accepted_at, e.payload FROM queue q JOIN events e ON e.seq = q.seq WHERE q.seq = ?1 AND q.connector = ?2",
    )?;
    let mut found = Vec::with_capacity(seqs.len());
    for seq in seqs {
        let mut rows = statement.query(params![seq, connector])?;
        if let Some(row) = rows.next()? {
            found.push(waiting_event(row)?);
        }
    }
    Ok(found)
}

fn waiting_event(row: &Row<'_>) -> Result<Waiting, Fault> {
    Ok(Waiting { seq: row.get(0)?, accepted_at: row.get(1)?, event: Arc::new(json::<Event>(row, 2)?) })
}
