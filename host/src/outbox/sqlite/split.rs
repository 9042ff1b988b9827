//! Making two messages of one that has become too long.

use rusqlite::params;

use super::desk::Desk;
use super::fault::Fault;
use super::messages::known;
use super::tallies::Tally;
use crate::outbox::keys::fresh_key;
use crate::outbox::{MessageId, OutboxError};

/// Leaves only these of its events to an open message; the others become the next one.
pub(super) fn split(desk: &mut Desk<'_>, id: MessageId, keep: &[i64]) -> Result<MessageId, Fault> {
    let known = known(desk, id)?.must_be(id, "open")?;
    let connector = &known.connector;
    let (turn, created_at) = desk
        .db
        .prepare_cached("SELECT turn, created_at FROM messages WHERE id = ?1")?
        .query_row([id.0], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    desk.db
        .prepare_cached("UPDATE messages SET turn = turn + 1 WHERE connector = ?1 AND state = 'open' AND turn > ?2")?
        .execute(params![connector, turn])?;
    let rest = known.events - keep.len() as i64;
    desk.db
        .prepare_cached(
            "INSERT INTO messages (connector, state, key, turn, events, attempts, in_flight, unknown, created_at, next_at, reason)
             SELECT connector, 'open', ?2, turn + 1, ?3, 0, 0, 0, created_at, created_at, reason FROM messages WHERE id = ?1",
        )?
        .execute(params![id.0, fresh_key(connector, &[keep, &[id.0]].concat(), created_at), rest])?;
    let other = MessageId(desk.db.last_insert_rowid());
    desk.db.prepare_cached("UPDATE message_events SET message = ?2 WHERE message = ?1")?.execute(params![id.0, other.0])?;
    let mut back = desk.db.prepare_cached("UPDATE message_events SET message = ?1 WHERE message = ?2 AND seq = ?3")?;
    for seq in keep {
        if back.execute(params![id.0, other.0, seq])? == 0 {
            return Err(OutboxError::Conflict(format!("message {} does not cover event {seq}", id.0)).into());
        }
    }
    drop(back);
    if keep.is_empty() || rest <= 0 {
        return Err(OutboxError::Conflict("both halves of a message must cover at least one event".into()).into());
    }
    desk.db.prepare_cached("UPDATE messages SET events = ?2 WHERE id = ?1")?.execute(params![id.0, keep.len() as i64])?;
    desk.ledger.count(connector, Tally { open: 1, ..Tally::default() });
    Ok(other)
}
