//! Lists for people: messages, what could not be read, the status of every connector.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::fault::Fault;
use super::read::{accepted_at, json};
use super::tallies::Tallies;
use crate::clock::UnixMs;
use crate::outbox::{ConnectorStatus, Filter, MessageDetail, MessageId, MessageSummary, OutboxError, SEARCHED, Unreadable};

/// What a list holds where nobody says how much, and at the most.
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;

const SUMMARY: &str = "SELECT id, connector, state, key, events, attempts, created_at, coalesce(settled_at, next_at), reason,
    coalesce((SELECT json_extract(e.payload, '$.summary') FROM message_events m JOIN events e ON e.seq = m.seq
              WHERE m.message = messages.id ORDER BY m.seq LIMIT 1), '')";

/// Whether a message or an event that it covers has a text in it. The reason is JSON, whose member names are not what people look for.
const HAS_TEXT: &str = "(json_extract(reason, '$.code') LIKE ?4 ESCAPE '\\' OR json_extract(reason, '$.text') LIKE ?4 ESCAPE '\\'
    OR EXISTS (SELECT 1 FROM message_events m JOIN events e ON e.seq = m.seq WHERE m.message = messages.id
               AND (json_extract(e.payload, '$.summary') LIKE ?4 ESCAPE '\\'
                    OR json_extract(e.payload, '$.incident_id') LIKE ?4 ESCAPE '\\'
                    OR json_extract(e.payload, '$.alert_source.name') LIKE ?4 ESCAPE '\\')))";

/// As a pattern: whatever contains it.
fn pattern(text: &str) -> String {
    format!("%{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"))
}

fn limit(wanted: usize) -> i64 {
    if wanted == 0 { DEFAULT_LIMIT as i64 } else { wanted.min(MAX_LIMIT) as i64 }
}

/// Messages, the newest first.
pub(super) fn messages(db: &Connection, filter: &Filter) -> Result<Vec<MessageSummary>, Fault> {
    // Open messages and dead letters are few among many delivered ones: their own indexes hold just them.
    let from = match (filter.state.as_deref(), &filter.connector) {
        (Some("open"), _) => "messages INDEXED BY messages_open",
        (Some("dead"), _) => "messages INDEXED BY messages_dead",
        (_, Some(_)) => "messages INDEXED BY messages_of",
        (_, None) => "messages",
    };
    // The partial indexes are used only where the state stands in the text.
    let state = match filter.state.as_deref() {
        None => "1",
        Some("open") => "state = 'open'",
        Some("dead") => "state = 'dead'",
        Some("delivered") => "state = 'delivered'",
        Some(_) => return Ok(Vec::new()),
    };
    let connector = if filter.connector.is_some() { "connector = ?3" } else { "?3 IS NULL" };
    let text = match filter.text {
        Some(_) => format!("{HAS_TEXT} AND id > (SELECT coalesce(max(id), 0) FROM messages) - {SEARCHED}"),
        None => "?4 IS NULL".to_owned(),
    };
    let sql = format!("{SUMMARY} FROM {from} WHERE {state} AND {connector} AND id < ?1 AND {text} ORDER BY id DESC LIMIT ?2");
    let before = filter.before.map_or(i64::MAX, |id| id.0);
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params![before, limit(filter.limit), filter.connector, filter.text.as_deref().map(pattern)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(summary(row)?);
    }
    Ok(found)
}

fn summary(row: &Row<'_>) -> Result<MessageSummary, Fault> {
    Ok(MessageSummary {
        id: MessageId(row.get(0)?),
        connector: row.get(1)?,
        state: row.get(2)?,
        key: row.get(3)?,
        events: row.get::<_, i64>(4)?.unsigned_abs(),
        attempts: row.get(5)?,
        created_at: row.get(6)?,
        updated_at: row.get(7)?,
        reason: json(row, 8)?,
        summary: row.get(9)?,
    })
}

/// One message, whole.
pub(super) fn message(db: &Connection, id: MessageId) -> Result<MessageDetail, Fault> {
    let summary = {
        let mut statement = db.prepare_cached(&format!("{SUMMARY} FROM messages WHERE id = ?1"))?;
        let mut rows = statement.query([id.0])?;
        match rows.next()? {
            Some(row) => summary(row)?,
            None => return Err(OutboxError::NotFound(id).into()),
        }
    };
    let draft: Option<(String, Vec<u8>)> = db
        .prepare_cached("SELECT author, prepared FROM drafts WHERE message = ?1")?
        .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (author, prepared) = draft.unzip();
    Ok(MessageDetail {
        summary,
        covered: values(
            db,
            "SELECT e.payload FROM message_events m JOIN events e ON e.seq = m.seq WHERE m.message = ?1 ORDER BY m.seq",
            id,
        )?,
        attempts_made: values(db, "SELECT record FROM attempts WHERE message = ?1 ORDER BY n", id)?,
        prepared,
        author,
    })
}

fn values<T: serde::de::DeserializeOwned>(db: &Connection, sql: &str, id: MessageId) -> Result<Vec<T>, Fault> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([id.0])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(json(row, 0)?);
    }
    Ok(found)
}

/// What sources could not read, the newest first.
pub(super) fn unreadable(db: &Connection, wanted: usize) -> Result<Vec<(i64, UnixMs, Unreadable)>, Fault> {
    let mut statement = db.prepare_cached("SELECT id, at, source, body, error FROM unreadable ORDER BY id DESC LIMIT ?1")?;
    let mut rows = statement.query([limit(wanted)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let source = Arc::from(row.get::<_, String>(2)?);
        found.push((row.get(0)?, row.get(1)?, Unreadable { source, body: row.get(3)?, error: row.get(4)? }));
    }
    Ok(found)
}

/// Every connector that has anything in the outbox, by name.
pub(super) fn status(db: &Connection, tallies: &Tallies) -> Result<Vec<ConnectorStatus>, Fault> {
    let mut found: BTreeMap<String, ConnectorStatus> = BTreeMap::new();
    let mut statement = db.prepare_cached("SELECT connector, pace FROM lanes")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let connector: String = row.get(0)?;
        found.insert(connector.clone(), ConnectorStatus { connector, pace: json(row, 1)?, ..ConnectorStatus::default() });
    }
    for (connector, tally) in tallies.all() {
        let line = found
            .entry(connector.to_string())
            .or_insert_with(|| ConnectorStatus { connector: connector.to_string(), ..ConnectorStatus::default() });
        line.waiting = tally.waiting.unsigned_abs();
        line.in_flight = tally.in_flight.unsigned_abs();
        line.dead = tally.dead.unsigned_abs();
        if let Some(seq) = tallies.first(&connector, 1).first() {
            line.oldest = accepted_at(db, *seq)?;
        }
    }
    Ok(found.into_values().collect())
}
