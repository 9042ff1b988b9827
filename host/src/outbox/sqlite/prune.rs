//! Forgetting what is over, in small pieces.

use rusqlite::{OptionalExtension, params};

use super::desk::Desk;
use super::fault::Fault;
use super::{incidents, messages, responses};
use crate::clock::UnixMs;
use crate::outbox::MessageId;
use crate::outbox::keys::Key;

/// The most rows that one piece takes away, so that no commit waits long behind it.
const PIECE: i64 = 1_000;
/// The most unreadable bodies that one piece takes away; each may have 64 KiB.
const BODIES: i64 = 100;
/// The most keys remembered, whatever the window says: about 100 MB. Beyond it the oldest are forgotten early.
pub(super) const MAX_SEEN: usize = 2_000_000;
/// The most free pages given back to the file system in one piece.
const VACUUM_PAGES: i64 = 256;

/// Forgets one piece; `true` while there is more.
pub(super) fn prune(desk: &mut Desk<'_>, delivered_before: UnixMs, seen_before: UnixMs) -> Result<bool, Fault> {
    let more_messages = prune_delivered(desk, delivered_before)?;
    let more_bodies = prune_unreadable(desk, delivered_before)?;
    let more_seen = prune_seen(desk, seen_before)?;
    let more_incidents = incidents::prune(desk, delivered_before, PIECE)?;
    let more_responses = responses::prune(desk, delivered_before, PIECE)?;
    Ok(more_messages || more_bodies || more_seen || more_incidents || more_responses)
}

fn prune_delivered(desk: &mut Desk<'_>, before: UnixMs) -> Result<bool, Fault> {
    let mut ended = Vec::new();
    let mut rows = 0;
    {
        let mut statement = desk.db.prepare_cached(
            "SELECT id, events FROM messages INDEXED BY messages_delivered
             WHERE state = 'delivered' AND settled_at < ?1 ORDER BY settled_at LIMIT ?2",
        )?;
        let mut found = statement.query(params![before, PIECE])?;
        while rows < PIECE
            && let Some(row) = found.next()?
        {
            ended.push(MessageId(row.get(0)?));
            // Its own row, draft and attempt, and two for each event.
            rows += 3 + 2 * row.get::<_, i64>(1)?;
        }
    }
    for id in &ended {
        messages::delete(desk, *id)?;
    }
    Ok(rows >= PIECE)
}

/// What could not be read is for people to look at, as the history is.
fn prune_unreadable(desk: &mut Desk<'_>, before: UnixMs) -> Result<bool, Fault> {
    let gone = desk
        .db
        .prepare_cached(
            "DELETE FROM unreadable WHERE id IN (SELECT id FROM (SELECT id, at FROM unreadable ORDER BY id LIMIT ?2) WHERE at < ?1)",
        )?
        .execute(params![before, BODIES])? as i64;
    desk.ledger.count_unreadable(-gone);
    Ok(gone >= BODIES)
}

fn prune_seen(desk: &mut Desk<'_>, before: UnixMs) -> Result<bool, Fault> {
    let mut excess = desk.ledger.seen_count().saturating_sub(MAX_SEEN);
    let mut taken = 0;
    while taken < PIECE as usize {
        let oldest = desk
            .db
            .prepare_cached("SELECT id, seen_at, keys FROM seen ORDER BY id LIMIT 1")?
            .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, UnixMs>(1)?, row.get::<_, Vec<u8>>(2)?)))
            .optional()?;
        let Some((id, at, keys)) = oldest else { return Ok(false) };
        if at >= before && excess == 0 {
            return Ok(false);
        }
        let count = keys.len() / size_of::<Key>();
        desk.db.prepare_cached("DELETE FROM seen WHERE id = ?1")?.execute([id])?;
        desk.ledger.forget(&keys, at);
        excess = excess.saturating_sub(count);
        taken += count.max(1);
    }
    Ok(true)
}

/// Gives free pages back where they are more than a third of the file; fewer are soon used again.
pub(super) fn shrink(desk: &mut Desk<'_>) -> Result<bool, Fault> {
    let pages: i64 = desk.db.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let free: i64 = desk.db.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if free < 4 * VACUUM_PAGES || free * 3 < pages {
        return Ok(false);
    }
    let mut statement = desk.db.prepare(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(true)
}
