//! Lists for people: messages, what could not be read, the status of every connector.

use std::collections::BTreeMap;
use std::sync::Arc;

use deadpool_postgres::GenericClient;
use serde::de::DeserializeOwned;
use tokio_postgres::Row;

use super::fault::Fault;
use super::messages::read_pace;
use super::rows::{Text, json};
use crate::clock::UnixMs;
use crate::outbox::{ConnectorStatus, Filter, MessageDetail, MessageId, MessageSummary, OutboxError, RESPONDER, SEARCHED, Unreadable};

/// What a list holds where nobody says how much, and at the most.
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;

const SUMMARY: &str =
    "SELECT m.id, m.connector, m.state, m.key, m.events, m.attempts, m.created_at, coalesce(m.settled_at, m.next_at), m.reason,
    coalesce((SELECT e.summary FROM message_events c JOIN events e ON e.seq = c.seq WHERE c.message = m.id ORDER BY c.seq LIMIT 1), '')
    FROM messages m";

/// Whether a message or an event that it covers has a text in it. The reason is JSON, whose member names are not what people look for.
const HAS_TEXT: &str = "(m.reason::json ->> 'code' ILIKE $4 OR m.reason::json ->> 'text' ILIKE $4
    OR EXISTS (SELECT 1 FROM message_events c JOIN events e ON e.seq = c.seq WHERE c.message = m.id
               AND (e.summary ILIKE $4 OR e.incident ILIKE $4 OR e.alert_source ILIKE $4)))";

/// As a pattern: whatever contains it.
fn pattern(text: &str) -> String {
    format!("%{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"))
}

fn limit(wanted: usize) -> i64 {
    if wanted == 0 { DEFAULT_LIMIT as i64 } else { wanted.min(MAX_LIMIT) as i64 }
}

/// Messages, the newest first.
pub(super) async fn messages(db: &impl GenericClient, filter: &Filter) -> Result<Vec<MessageSummary>, Fault> {
    // The partial indexes are used only where the state stands in the text.
    let state = match filter.state.as_deref() {
        None => "true",
        Some("open") => "m.state = 'open'",
        Some("dead") => "m.state = 'dead'",
        Some("delivered") => "m.state = 'delivered'",
        Some(_) => return Ok(Vec::new()),
    };
    let connector = if filter.connector.is_some() { "m.connector = $3::text" } else { "$3::text IS NULL" };
    let text = match filter.text {
        Some(_) => format!("{HAS_TEXT} AND m.id > (SELECT coalesce(max(id), 0) FROM messages) - {SEARCHED}"),
        None => "$4::text IS NULL".to_owned(),
    };
    let sql =
        db.prepare_cached(&format!("{SUMMARY} WHERE {state} AND {connector} AND m.id < $1 AND {text} ORDER BY m.id DESC LIMIT $2")).await?;
    let (before, pattern) = (filter.before.map_or(i64::MAX, |id| id.0), filter.text.as_deref().map(pattern));
    let rows =
        db.query(&sql, &[&before, &limit(filter.limit), &filter.connector.as_deref().map(Text), &pattern.as_deref().map(Text)]).await?;
    rows.iter().map(summary).collect()
}

fn summary(row: &Row) -> Result<MessageSummary, Fault> {
    Ok(MessageSummary {
        id: MessageId(row.try_get(0)?),
        connector: row.try_get(1)?,
        state: row.try_get(2)?,
        key: row.try_get(3)?,
        events: row.try_get::<_, i64>(4)?.unsigned_abs(),
        attempts: u32::try_from(row.try_get::<_, i64>(5)?).unwrap_or(u32::MAX),
        created_at: row.try_get(6)?,
        updated_at: row.try_get(7)?,
        reason: json(row.try_get(8)?)?,
        summary: row.try_get(9)?,
    })
}

/// One message, whole.
pub(super) async fn message(db: &impl GenericClient, id: MessageId) -> Result<MessageDetail, Fault> {
    let sql = db.prepare_cached(&format!("{SUMMARY} WHERE m.id = $1")).await?;
    let row = db.query_opt(&sql, &[&id.0]).await?.ok_or(OutboxError::NotFound(id))?;
    let sql = db.prepare_cached("SELECT author, prepared FROM drafts WHERE message = $1").await?;
    let draft = db.query_opt(&sql, &[&id.0]).await?;
    let (author, prepared) = match draft {
        Some(row) => (Some(row.try_get(0)?), Some(row.try_get(1)?)),
        None => (None, None),
    };
    Ok(MessageDetail {
        summary: summary(&row)?,
        covered: values(
            db,
            "SELECT e.payload FROM message_events c JOIN events e ON e.seq = c.seq WHERE c.message = $1 ORDER BY c.seq",
            id,
        )
        .await?,
        attempts_made: values(db, "SELECT record FROM attempts WHERE message = $1 ORDER BY n", id).await?,
        prepared,
        author,
    })
}

async fn values<T: DeserializeOwned>(db: &impl GenericClient, sql: &str, id: MessageId) -> Result<Vec<T>, Fault> {
    let sql = db.prepare_cached(sql).await?;
    db.query(&sql, &[&id.0]).await?.iter().map(|row| json(row.try_get(0)?)).collect()
}

/// What sources could not read, the newest first.
pub(super) async fn unreadable(db: &impl GenericClient, wanted: usize) -> Result<Vec<(i64, UnixMs, Unreadable)>, Fault> {
    let sql = db.prepare_cached("SELECT id, at, source, body, error FROM unreadable ORDER BY id DESC LIMIT $1").await?;
    let read = |row: &Row| {
        let source = Arc::from(row.try_get::<_, &str>(2)?);
        Ok((row.try_get(0)?, row.try_get(1)?, Unreadable { source, body: row.try_get(3)?, error: row.try_get(4)? }))
    };
    db.query(&sql, &[&limit(wanted)]).await?.iter().map(read).collect()
}

/// Every connector that has anything in the outbox, by name.
pub(super) async fn status(db: &impl GenericClient) -> Result<Vec<ConnectorStatus>, Fault> {
    let mut found: BTreeMap<String, ConnectorStatus> = BTreeMap::new();
    let sql = db.prepare_cached("SELECT connector, pace FROM lanes WHERE connector <> $1").await?;
    for row in db.query(&sql, &[&RESPONDER]).await? {
        line(&mut found, row.try_get(0)?).pace = read_pace(row.try_get(1)?)?;
    }
    let sql = db
        .prepare_cached(
            "SELECT q.connector, q.n, e.accepted_at FROM (SELECT connector, count(*) AS n, min(seq) AS first FROM queue GROUP BY connector) q
             LEFT JOIN events e ON e.seq = q.first",
        )
        .await?;
    for row in db.query(&sql, &[]).await? {
        let line = line(&mut found, row.try_get(0)?);
        (line.waiting, line.oldest) = (row.try_get::<_, i64>(1)?.unsigned_abs(), row.try_get(2)?);
    }
    let sql = db
        .prepare_cached("SELECT connector, coalesce(sum(events), 0)::bigint FROM messages WHERE state = 'open' GROUP BY connector")
        .await?;
    for row in db.query(&sql, &[]).await? {
        line(&mut found, row.try_get(0)?).in_flight = row.try_get::<_, i64>(1)?.unsigned_abs();
    }
    let sql = db.prepare_cached("SELECT connector, count(*) FROM messages WHERE state = 'dead' GROUP BY connector").await?;
    for row in db.query(&sql, &[]).await? {
        line(&mut found, row.try_get(0)?).dead = row.try_get::<_, i64>(1)?.unsigned_abs();
    }
    Ok(found.into_values().collect())
}

fn line<'f>(found: &'f mut BTreeMap<String, ConnectorStatus>, connector: &str) -> &'f mut ConnectorStatus {
    found.entry(connector.to_owned()).or_insert_with(|| ConnectorStatus { connector: connector.to_owned(), ..ConnectorStatus::default() })
}
