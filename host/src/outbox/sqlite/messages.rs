//! The life of a message: opened, attempted, settled, replayed.

use rusqlite::{OptionalExtension, Row, params};

use super::desk::Desk;
use super::fault::Fault;
use super::tallies::Tally;
use crate::clock::UnixMs;
use crate::outbox::keys::{fresh_key, replayed_key};
use crate::outbox::{AttemptRecord, ConnectorName, Draft, MessageId, NewMessage, OutboxError, PaceLog, Reason, Settle};

/// The most attempts of one message that are kept for people; the oldest go first.
const MAX_ATTEMPTS: i64 = 200;

/// What the changes need to know of a message.
pub(super) struct Known {
    pub(super) connector: String,
    state: String,
    key: String,
    replays: i64,
    pub(super) events: i64,
}

pub(super) fn known(desk: &Desk<'_>, id: MessageId) -> Result<Known, Fault> {
    let read = |row: &Row<'_>| {
        Ok(Known { connector: row.get(0)?, state: row.get(1)?, key: row.get(2)?, replays: row.get(3)?, events: row.get(4)? })
    };
    let found = desk
        .db
        .prepare_cached("SELECT connector, state, key, replays, events FROM messages WHERE id = ?1")?
        .query_row([id.0], read)
        .optional()?;
    found.ok_or(Fault::Outbox(OutboxError::NotFound(id)))
}

impl Known {
    pub(super) fn must_be(self, id: MessageId, state: &str) -> Result<Known, Fault> {
        if self.state == state {
            return Ok(self);
        }
        Err(OutboxError::Conflict(format!("message {} is {}, not {state}", id.0, self.state)).into())
    }
}

/// Opens a message.
pub(super) fn open(desk: &mut Desk<'_>, message: &NewMessage) -> Result<MessageId, Fault> {
    let connector = &*message.connector;
    let busy = desk
        .db
        .prepare_cached("SELECT id FROM messages INDEXED BY messages_open WHERE connector = ?1 AND state = 'open' LIMIT 1")?
        .query_row([connector], |row| row.get::<_, i64>(0))
        .optional()?;
    if let Some(id) = busy {
        return Err(OutboxError::Conflict(format!("connector {connector} has message {id} open already")).into());
    }
    let events = message.covers.len() as i64;
    desk.db
        .prepare_cached(
            "INSERT INTO messages (connector, state, key, turn, events, attempts, in_flight, unknown, created_at, next_at, reason)
             VALUES (?1, 'open', ?2, 1, ?3, 1, 1, 1, ?4, ?4, ?5)",
        )?
        .execute(params![connector, message.key, events, message.at, json(&Reason::default())?])?;
    let id = MessageId(desk.db.last_insert_rowid());
    cover(desk, id, connector, &message.covers)?;
    write_draft(desk, id, &message.draft)?;
    store_pace(desk, connector, &message.pace, None)?;
    desk.ledger.leave(connector, &message.covers);
    desk.ledger.count(connector, Tally { open: 1, in_flight: events, ..Tally::default() });
    Ok(id)
}

/// Moves waiting events into a message.
fn cover(desk: &Desk<'_>, id: MessageId, connector: &str, covers: &[i64]) -> Result<(), Fault> {
    if covers.is_empty() {
        return Err(OutboxError::Conflict("a message must cover at least one event".into()).into());
    }
    let mut leave = desk.db.prepare_cached("DELETE FROM queue WHERE seq = ?1 AND connector = ?2")?;
    let mut enter = desk.db.prepare_cached("INSERT INTO message_events (message, seq) VALUES (?1, ?2)")?;
    for seq in covers {
        if leave.execute(params![seq, connector])? == 0 {
            return Err(OutboxError::Conflict(format!("event {seq} does not wait for connector {connector}")).into());
        }
        enter.execute(params![id.0, seq])?;
    }
    Ok(())
}

fn write_draft(desk: &Desk<'_>, id: MessageId, draft: &Draft) -> Result<(), Fault> {
    desk.db.prepare_cached("INSERT OR REPLACE INTO drafts (message, author, prepared) VALUES (?1, ?2, ?3)")?.execute(params![
        id.0,
        draft.author,
        draft.prepared
    ])?;
    Ok(())
}

/// Notes that a message is about to be sent. A further step of an attempt in progress is no attempt of its own.
pub(super) fn attempt(desk: &mut Desk<'_>, id: MessageId, draft: &Draft, pace: &PaceLog, at: UnixMs) -> Result<(), Fault> {
    let known = known(desk, id)?.must_be(id, "open")?;
    let other = desk
        .db
        .prepare_cached(
            "SELECT id FROM messages INDEXED BY messages_open WHERE connector = ?1 AND state = 'open' AND in_flight = 1 AND id <> ?2 LIMIT 1",
        )?
        .query_row(params![known.connector, id.0], |row| row.get::<_, i64>(0))
        .optional()?;
    if let Some(other) = other {
        return Err(OutboxError::Conflict(format!("message {other} of connector {} is in flight", known.connector)).into());
    }
    desk.db
        .prepare_cached(
            "UPDATE messages SET attempts = attempts + (in_flight = 0), in_flight = 1, unknown = 1, next_at = ?2 WHERE id = ?1",
        )?
        .execute(params![id.0, at])?;
    write_draft(desk, id, draft)?;
    store_pace(desk, &known.connector, pace, None)
}

/// Notes what became of an attempt.
pub(super) fn settle(desk: &mut Desk<'_>, id: MessageId, settle: &Settle, attempt: &AttemptRecord, pace: &PaceLog) -> Result<(), Fault> {
    let known = known(desk, id)?.must_be(id, "open")?;
    let over = attempt.at.saturating_add_unsigned(attempt.took_ms);
    let memo = match settle {
        Settle::Delivered { receipt, memo } => {
            end(desk, id, "delivered", over, receipt.as_deref(), &attempt.reason)?;
            desk.ledger.count(&known.connector, Tally { open: -1, in_flight: -known.events, ..Tally::default() });
            memo.as_deref()
        }
        Settle::Dead { reason } => {
            end(desk, id, "dead", over, None, reason)?;
            desk.ledger.count(&known.connector, Tally { open: -1, in_flight: -known.events, dead: 1, waiting: 0 });
            None
        }
        Settle::Again { at, unknown, counts, reason } => {
            desk.db
                .prepare_cached(
                    "UPDATE messages SET attempts = attempts - in_flight + ?2, in_flight = 0, unknown = ?3, next_at = ?4, reason = ?5
                     WHERE id = ?1",
                )?
                .execute(params![id.0, counts, unknown, at, json(reason)?])?;
            None
        }
    };
    record(desk, id, attempt)?;
    store_pace(desk, &known.connector, pace, memo)
}

fn end(desk: &Desk<'_>, id: MessageId, state: &str, at: UnixMs, receipt: Option<&str>, reason: &Reason) -> Result<(), Fault> {
    desk.db
        .prepare_cached(
            "UPDATE messages SET state = ?2, in_flight = 0, unknown = 0, settled_at = ?3, receipt = ?4, reason = ?5 WHERE id = ?1",
        )?
        .execute(params![id.0, state, at, receipt, json(reason)?])?;
    Ok(())
}

fn record(desk: &Desk<'_>, id: MessageId, attempt: &AttemptRecord) -> Result<(), Fault> {
    let n: i64 = desk
        .db
        .prepare_cached(
            "INSERT INTO attempts (message, n, record) SELECT ?1, coalesce(max(n), 0) + 1, ?2 FROM attempts WHERE message = ?1 RETURNING n",
        )?
        .query_row(params![id.0, json(attempt)?], |row| row.get(0))?;
    if n > MAX_ATTEMPTS {
        desk.db.prepare_cached("DELETE FROM attempts WHERE message = ?1 AND n <= ?2")?.execute(params![id.0, n - MAX_ATTEMPTS])?;
    }
    Ok(())
}

/// Stores a pace; a memo only where there is one. Writes nothing where nothing changes, as with a message that is over in a lane without a pace.
pub(super) fn store_pace(desk: &mut Desk<'_>, connector: &str, pace: &PaceLog, memo: Option<&str>) -> Result<(), Fault> {
    let changed: Option<Option<String>> = desk
        .db
        .prepare_cached(
            "INSERT INTO lanes (connector, pace, memo) VALUES (?1, ?2, ?3)
             ON CONFLICT (connector) DO UPDATE SET pace = excluded.pace, memo = coalesce(excluded.memo, memo)
             WHERE pace IS NOT excluded.pace OR memo IS NOT coalesce(excluded.memo, memo) RETURNING memo",
        )?
        .query_row(params![connector, json(pace)?, memo], |row| row.get(0))
        .optional()?;
    if let Some(memo) = changed {
        desk.ledger.lane(connector, pace.clone(), memo);
    }
    Ok(())
}

/// Turns waiting events into a dead letter.
pub(super) fn bury(desk: &mut Desk<'_>, connector: &str, covers: &[i64], reason: &Reason, now: UnixMs) -> Result<MessageId, Fault> {
    let events = covers.len() as i64;
    desk.db
        .prepare_cached(
            "INSERT INTO messages
                 (connector, state, key, turn, events, attempts, in_flight, unknown, created_at, next_at, settled_at, reason)
             VALUES (?1, 'dead', ?2, 0, ?3, 0, 0, 0, ?4, ?4, ?4, ?5)",
        )?
        .execute(params![connector, fresh_key(connector, covers, now), events, now, json(reason)?])?;
    let id = MessageId(desk.db.last_insert_rowid());
    cover(desk, id, connector, covers)?;
    desk.ledger.leave(connector, covers);
    desk.ledger.count(connector, Tally { dead: 1, ..Tally::default() });
    Ok(id)
}

/// Makes a dead letter an open message again, behind those that are open.
pub(super) fn replay(desk: &mut Desk<'_>, id: MessageId, now: UnixMs) -> Result<ConnectorName, Fault> {
    let known = known(desk, id)?.must_be(id, "dead")?;
    desk.db
        .prepare_cached(
            "UPDATE messages
             SET state = 'open', key = ?2, replays = replays + 1, attempts = 0, in_flight = 0, unknown = 0, created_at = ?3, next_at = ?3,
                 settled_at = NULL, receipt = NULL,
                 turn = 1 + (SELECT coalesce(max(o.turn), 0) FROM messages o WHERE o.connector = ?4 AND o.state = 'open')
             WHERE id = ?1",
        )?
        .execute(params![id.0, replayed_key(&known.key, known.replays), now, known.connector])?;
    desk.db.prepare_cached("DELETE FROM drafts WHERE message = ?1")?.execute([id.0])?;
    desk.ledger.count(&known.connector, Tally { open: 1, in_flight: known.events, dead: -1, waiting: 0 });
    Ok(known.connector.into())
}

/// Forgets a dead letter.
pub(super) fn discard(desk: &mut Desk<'_>, id: MessageId) -> Result<(), Fault> {
    let known = known(desk, id)?.must_be(id, "dead")?;
    delete(desk, id)?;
    desk.ledger.count(&known.connector, Tally { dead: -1, ..Tally::default() });
    Ok(())
}

/// Deletes a message with all that only it needs.
pub(super) fn delete(desk: &Desk<'_>, id: MessageId) -> Result<(), Fault> {
    for sql in [
        "UPDATE events SET refs = refs - 1 WHERE seq IN (SELECT seq FROM message_events WHERE message = ?1)",
        "DELETE FROM events WHERE seq IN (SELECT seq FROM message_events WHERE message = ?1) AND refs <= 0",
        "DELETE FROM messages WHERE id = ?1",
    ] {
        desk.db.prepare_cached(sql)?.execute([id.0])?;
    }
    Ok(())
}

/// A message in flight when the process ended may have arrived; it is not in flight any more.
pub(super) fn land_all(db: &rusqlite::Connection) -> Result<usize, Fault> {
    Ok(db.execute("UPDATE messages INDEXED BY messages_open SET in_flight = 0 WHERE state = 'open' AND in_flight = 1", [])?)
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| OutboxError::Broken(format!("a value cannot be written as JSON: {error}")).into())
}
