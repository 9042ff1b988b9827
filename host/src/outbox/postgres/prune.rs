//! Forgetting what is over, in small pieces. Any host may do it; those that would do it at the same time leave it to the one that began.

use deadpool_postgres::Transaction;

use super::fault::Fault;
use super::messages;
use crate::clock::UnixMs;
use crate::outbox::record::FORGET_OPEN_MS;

/// The most rows that one piece takes away, so that no lane waits long behind it.
const PIECE: i64 = 1_000;
/// The most unreadable bodies that one piece takes away; each may have 64 KiB.
const BODIES: i64 = 100;

/// What is forgotten, and since when.
pub(super) struct Borders {
    pub(super) delivered_before: UnixMs,
    pub(super) seen_before: UnixMs,
    /// How long what is over is kept.
    pub(super) history_ms: i64,
}

/// Forgets one piece; `true` while there is more.
pub(super) async fn prune(tx: &Transaction<'_>, borders: &Borders) -> Result<bool, Fault> {
    let sql =
        tx.prepare_cached("SELECT pg_try_advisory_xact_lock(hashtextextended('incident-sink prune ' || current_schema(), 0))").await?;
    if !tx.query_one(&sql, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(false);
    }
    let before = borders.delivered_before;
    let open_before = before.saturating_sub(FORGET_OPEN_MS.saturating_sub(borders.history_ms).max(0));
    let mut more = delivered(tx, before).await?;
    let unreadable =
        "DELETE FROM unreadable WHERE id IN (SELECT id FROM (SELECT id, at FROM unreadable ORDER BY id LIMIT $2) u WHERE at < $1)";
    more |= piece(tx, unreadable, before, BODIES).await?;
    let seen = "DELETE FROM seen WHERE key IN (SELECT key FROM seen WHERE seen_at < $1 ORDER BY seen_at LIMIT $2)";
    more |= piece(tx, seen, borders.seen_before, PIECE).await?;
    let responses = "DELETE FROM responses WHERE id IN (SELECT id FROM responses WHERE settled_at < $1 ORDER BY settled_at LIMIT $2)";
    more |= piece(tx, responses, before, PIECE).await?;
    let over =
        "DELETE FROM incidents WHERE id IN (SELECT id FROM incidents WHERE seen_at < $1 AND status = 'RESOLVED' ORDER BY seen_at LIMIT $2)";
    more |= piece(tx, over, before, PIECE).await?;
    let stale = "DELETE FROM incidents WHERE id IN (SELECT id FROM incidents WHERE seen_at < $1 ORDER BY seen_at LIMIT $2)";
    more |= piece(tx, stale, open_before, PIECE).await?;
    Ok(more)
}

async fn piece(tx: &Transaction<'_>, sql: &str, before: UnixMs, most: i64) -> Result<bool, Fault> {
    let sql = tx.prepare_cached(sql).await?;
    Ok(tx.execute(&sql, &[&before, &most]).await? as i64 >= most)
}

async fn delivered(tx: &Transaction<'_>, before: UnixMs) -> Result<bool, Fault> {
    let sql = tx
        .prepare_cached("SELECT id, events FROM messages WHERE state = 'delivered' AND settled_at < $1 ORDER BY settled_at LIMIT $2")
        .await?;
    let (mut ids, mut rows) = (Vec::new(), 0);
    for row in tx.query(&sql, &[&before, &PIECE]).await? {
        if rows >= PIECE {
            break;
        }
        ids.push(row.try_get::<_, i64>(0)?);
        // Its own row, draft and attempt, and two for each event.
        rows += 3 + 2 * row.try_get::<_, i64>(1)?;
    }
    if !ids.is_empty() {
        messages::delete(tx, &ids).await?;
    }
    Ok(rows >= PIECE)
}
