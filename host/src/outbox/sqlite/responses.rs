//! What people asked for, until it is carried out and for a while after.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::desk::Desk;
use super::fault::Fault;
use crate::clock::UnixMs;
use crate::outbox::OutboxError;
use crate::outbox::book::{Ask, Booked, Progress, Response, Step, Verb};

const COLUMNS: &str =
    "id, key, incident, verb, connector, who, person, text, state, result, stage, attempts, created_at, next_at FROM responses";

fn response(row: &Row<'_>) -> rusqlite::Result<Response> {
    let verb: String = row.get(3)?;
    let (state, result): (String, String) = (row.get(8)?, row.get(9)?);
    Ok(Response {
        id: row.get(0)?,
        ask: Ask {
            key: row.get(1)?,
            incident: row.get(2)?,
            verb: Verb::parse(&verb).ok_or(rusqlite::Error::InvalidColumnType(3, verb, rusqlite::types::Type::Text))?,
            connector: row.get(4)?,
            who: row.get(5)?,
            person: row.get(6)?,
            text: row.get(7)?,
        },
        progress: match state.as_str() {
            "done" => Progress::Done(result),
            "failed" => Progress::Failed(result),
            _ => Progress::Open,
        },
        stage: row.get(10)?,
        attempts: row.get(11)?,
        created_at: row.get(12)?,
        next_at: row.get(13)?,
    })
}

/// Writes an ask down, unless there is no need to.
pub(super) fn ask(desk: &Desk<'_>, ask: &Ask, now: UnixMs) -> Result<Booked, Fault> {
    match by_key(desk.db, &ask.key)? {
        Some(before) if !matches!(before.progress, Progress::Failed(_)) => return Ok(Booked::Before(before)),
        Some(failed) => {
            if let Some(other) = in_progress(desk.db, ask)? {
                return Ok(Booked::Before(other));
            }
            desk.db
                .prepare_cached(
                    "UPDATE responses SET state = 'open', result = '', attempts = 0, echoed = 0, settled_at = NULL, created_at = ?2, next_at = ?2,
                     who = ?3, person = ?4, text = ?5 WHERE id = ?1",
                )?
                .execute(params![failed.id, now, ask.who, ask.person, ask.text])?;
        }
        None => {
            if let Some(other) = in_progress(desk.db, ask)? {
                return Ok(Booked::Before(other));
            }
            desk.db
                .prepare_cached(
                    "INSERT INTO responses (key, incident, verb, connector, who, person, text, state, result, stage, attempts, created_at,
                     next_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'open', '', 0, 0, ?8, ?8)",
                )?
                .execute(params![ask.key, ask.incident, ask.verb.as_str(), ask.connector, ask.who, ask.person, ask.text, now])?;
        }
    }
    let written = by_key(desk.db, &ask.key)?;
    Ok(Booked::New(written.ok_or_else(|| OutboxError::Broken("a response was written and is not there".into()))?))
}

/// The same being done right now, whoever asked for it. Comments are never the same.
fn in_progress(db: &Connection, ask: &Ask) -> Result<Option<Response>, Fault> {
    if ask.verb == Verb::Comment {
        return Ok(None);
    }
    let sql = format!("SELECT {COLUMNS} INDEXED BY responses_of WHERE incident = ?1 AND verb = ?2 AND state = 'open' LIMIT 1");
    Ok(db.prepare_cached(&sql)?.query_row(params![ask.incident, ask.verb.as_str()], response).optional()?)
}

/// What is written down under a key.
pub(super) fn by_key(db: &Connection, key: &str) -> Result<Option<Response>, Fault> {
    Ok(db.prepare_cached(&format!("SELECT {COLUMNS} WHERE key = ?1"))?.query_row([key], response).optional()?)
}

/// Those to be carried out.
pub(super) fn open(db: &Connection, limit: usize) -> Result<Vec<Response>, Fault> {
    let sql = format!("SELECT {COLUMNS} INDEXED BY responses_open WHERE state = 'open' ORDER BY id LIMIT ?1");
    let mut statement = db.prepare_cached(&sql)?;
    let found = statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], response)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Those of an incident since then that an event may be the echo of, the latest first; for a comment those too that have had their echo.
pub(super) fn awaiting_echo(db: &Connection, incident: &str, since: UnixMs, comment: bool) -> Result<Vec<Response>, Fault> {
    let sql = format!(
        "SELECT {COLUMNS} INDEXED BY responses_of
         WHERE incident = ?1 AND state <> 'failed' AND created_at > ?2 AND (echoed = 0 OR ?3) ORDER BY id DESC LIMIT 20"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let found = statement.query_map(params![incident, since, comment], response)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Notes that people were told what a response did.
pub(super) fn echoed(db: &Connection, id: i64) -> Result<(), Fault> {
    db.prepare_cached("UPDATE responses SET echoed = 1 WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// What is kept under a name.
pub(super) fn note(db: &Connection, name: &str) -> Result<Option<String>, Fault> {
    Ok(db.prepare_cached("SELECT value FROM notes WHERE name = ?1")?.query_row([name], |row| row.get(0)).optional()?)
}

/// Keeps a value under a name.
pub(super) fn keep_note(desk: &Desk<'_>, name: &str, value: &str) -> Result<(), Fault> {
    desk.db
        .prepare_cached("INSERT INTO notes (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2")?
        .execute([name, value])?;
    Ok(())
}

/// Notes what became of an attempt.
pub(super) fn step(desk: &Desk<'_>, id: i64, step: &Step, now: UnixMs) -> Result<(), Fault> {
    let changed = match step {
        Step::Made { stage } => {
            desk.db.prepare_cached("UPDATE responses SET stage = ?2 WHERE id = ?1 AND state = 'open'")?.execute(params![id, stage])?
        }
        Step::Again { at, why } => desk
            .db
            .prepare_cached("UPDATE responses SET attempts = attempts + 1, next_at = ?2, result = ?3 WHERE id = ?1 AND state = 'open'")?
            .execute(params![id, at, why])?,
        Step::Done(result) => settle(desk, id, "done", result, now)?,
        Step::Failed(result) => settle(desk, id, "failed", result, now)?,
    };
    if changed == 0 { Err(OutboxError::Conflict(format!("response {id} is not open")).into()) } else { Ok(()) }
}

fn settle(desk: &Desk<'_>, id: i64, state: &str, result: &str, now: UnixMs) -> Result<usize, Fault> {
    let sql = "UPDATE responses SET state = ?2, result = ?3, settled_at = ?4 WHERE id = ?1 AND state = 'open'";
    Ok(desk.db.prepare_cached(sql)?.execute(params![id, state, result, now])?)
}

/// Forgets a piece of those that are over; `true` while there is more.
pub(super) fn prune(desk: &Desk<'_>, before: UnixMs, piece: i64) -> Result<bool, Fault> {
    let over = desk
        .db
        .prepare_cached(
            "DELETE FROM responses WHERE id IN (SELECT id FROM responses INDEXED BY responses_over
             WHERE settled_at < ?1 ORDER BY settled_at LIMIT ?2)",
        )?
        .execute(params![before, piece])?;
    Ok(over as i64 >= piece)
}
