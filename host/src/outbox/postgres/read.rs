//! What a lane reads: its state, and the events that wait for it.

use std::sync::Arc;

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::fault::Fault;
use super::messages::read_pace;
use super::rows::json;
use crate::event::Event;
use crate::outbox::{ConnectorName, Draft, LaneState, MessageId, OpenMessage, Waiting};

/// The most events that one call reads.
const MAX_WAITING: usize = 10_000;

/// The state of a lane.
pub(super) async fn lane(db: &impl GenericClient, connector: &str) -> Result<LaneState, Fault> {
    let sql = db
        .prepare_cached(
            "SELECT (SELECT pace FROM lanes WHERE connector = $1), (SELECT memo FROM lanes WHERE connector = $1),
                    (SELECT count(*) FROM queue WHERE connector = $1),
                    (SELECT accepted_at FROM events WHERE seq = (SELECT min(seq) FROM queue WHERE connector = $1)),
                    EXISTS (SELECT 1 FROM messages WHERE connector = $1 AND state = 'open')",
        )
        .await?;
    let row = db.query_one(&sql, &[&connector]).await?;
    let open = if row.try_get(4)? { open_message(db, connector).await? } else { None };
    Ok(LaneState {
        pace: read_pace(row.try_get(0)?)?,
        memo: row.try_get(1)?,
        waiting: row.try_get::<_, i64>(2)?.unsigned_abs(),
        oldest: row.try_get(3)?,
        open,
    })
}

async fn open_message(db: &impl GenericClient, connector: &str) -> Result<Option<OpenMessage>, Fault> {
    let sql = db
        .prepare_cached(
            "SELECT id, key, attempts, unknown, next_at, created_at, author, prepared
             FROM messages LEFT JOIN drafts ON drafts.message = messages.id WHERE connector = $1 AND state = 'open' ORDER BY turn LIMIT 1",
        )
        .await?;
    let Some(row) = db.query_opt(&sql, &[&connector]).await? else { return Ok(None) };
    let id: i64 = row.try_get(0)?;
    let draft = match (row.try_get::<_, Option<String>>(6)?, row.try_get::<_, Option<Vec<u8>>>(7)?) {
        (Some(author), Some(prepared)) => Some(Draft { prepared, author }),
        _ => None,
    };
    let sql = db
        .prepare_cached(
            "SELECT e.seq, e.accepted_at, e.payload FROM message_events c JOIN events e ON e.seq = c.seq WHERE c.message = $1 ORDER BY c.seq",
        )
        .await?;
    let events = db.query(&sql, &[&id]).await?.iter().map(waiting_event).collect::<Result<_, _>>()?;
    Ok(Some(OpenMessage {
        id: MessageId(id),
        key: row.try_get(1)?,
        attempts: u32::try_from(row.try_get::<_, i64>(2)?).unwrap_or(u32::MAX),
        unknown: row.try_get(3)?,
        next_at: row.try_get(4)?,
        created_at: row.try_get(5)?,
        draft,
        events,
    }))
}

/// Events that wait for a connector, in the order of their acceptance.
pub(super) async fn waiting(db: &impl GenericClient, connector: &str, limit: usize) -> Result<Vec<Waiting>, Fault> {
    let sql = db
        .prepare_cached(
            "SELECT e.seq, e.accepted_at, e.payload FROM (SELECT seq FROM queue WHERE connector = $1 ORDER BY seq LIMIT $2) q
             JOIN events e ON e.seq = q.seq ORDER BY e.seq",
        )
        .await?;
    db.query(&sql, &[&connector, &(limit.min(MAX_WAITING) as i64)]).await?.iter().map(waiting_event).collect()
}

fn waiting_event(row: &Row) -> Result<Waiting, Fault> {
    Ok(Waiting { seq: row.try_get(0)?, accepted_at: row.try_get(1)?, event: Arc::new(json::<Event>(row.try_get(2)?)?) })
}

/// The connectors for which anything waits or is open: one look into the queue for each, whatever waits there.
pub(super) const BUSY: &str = "
    WITH RECURSIVE waiting AS (
        (SELECT connector FROM queue ORDER BY connector LIMIT 1)
        UNION ALL
        SELECT (SELECT q.connector FROM queue q WHERE q.connector > waiting.connector ORDER BY q.connector LIMIT 1)
        FROM waiting WHERE waiting.connector IS NOT NULL
    ), busy AS (
        SELECT connector FROM waiting WHERE connector IS NOT NULL
        UNION SELECT connector FROM messages WHERE state = 'open'
    )";

/// The busy connectors.
pub(super) async fn busy(db: &impl GenericClient) -> Result<Vec<ConnectorName>, Fault> {
    let sql = db.prepare_cached(&format!("{BUSY} SELECT connector FROM busy")).await?;
    db.query(&sql, &[]).await?.iter().map(|row| Ok(Arc::from(row.try_get::<_, &str>(0)?))).collect()
}
