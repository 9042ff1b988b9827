//! What people asked for, until it is carried out and for a while after.

use std::collections::HashMap;

use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;

use super::fault::Fault;
use super::rows::Text;
use crate::clock::UnixMs;
use crate::outbox::OutboxError;
use crate::outbox::book::{Ask, Booked, Progress, Response, Step, Verb};

const COLUMNS: &str =
    "id, key, incident, verb, connector, who, person, text, state, result, stage, attempts, created_at, next_at, echoed FROM responses";

fn response(row: &Row) -> Result<Response, Fault> {
    let verb: &str = row.try_get(3)?;
    let (state, result): (&str, String) = (row.try_get(8)?, row.try_get(9)?);
    let count = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
    Ok(Response {
        id: row.try_get(0)?,
        ask: Ask {
            key: row.try_get(1)?,
            incident: row.try_get(2)?,
            verb: Verb::parse(verb)
                .ok_or_else(|| OutboxError::Broken(format!("the outbox holds a response of an unknown kind, {verb}")))?,
            connector: row.try_get(4)?,
            who: row.try_get(5)?,
            person: row.try_get(6)?,
            text: row.try_get(7)?,
        },
        progress: match state {
            "done" => Progress::Done(result),
            "failed" => Progress::Failed(result),
            _ => Progress::Open,
        },
        stage: count(row.try_get(10)?),
        attempts: count(row.try_get(11)?),
        created_at: row.try_get(12)?,
        next_at: row.try_get(13)?,
    })
}

/// Writes an ask down, unless there is no need to. Asks for one incident take turns.
pub(super) async fn ask(tx: &Transaction<'_>, ask: &Ask, now: UnixMs) -> Result<Booked, Fault> {
    let sql = tx
        .prepare_cached("SELECT pg_advisory_xact_lock(hashtextextended('incident-sink ask ' || current_schema() || ' ' || $1, 0))")
        .await?;
    tx.execute(&sql, &[&Text(&ask.incident)]).await?;
    let before = by_key(tx, &ask.key).await?;
    if let Some(before) = &before
        && !matches!(before.progress, Progress::Failed(_))
    {
        return Ok(Booked::Before(before.clone()));
    }
    if let Some(other) = in_progress(tx, ask).await? {
        return Ok(Booked::Before(other));
    }
    match before {
        Some(failed) => {
            let sql = tx
                .prepare_cached(
                    "UPDATE responses SET state = 'open', result = '', attempts = 0, echoed = false, settled_at = NULL, created_at = $2,
                     next_at = $2, who = $3, person = $4, text = $5 WHERE id = $1",
                )
                .await?;
            tx.execute(&sql, &[&failed.id, &now, &Text(&ask.who), &ask.person.as_deref().map(Text), &Text(&ask.text)]).await?;
        }
        None => insert(tx, ask, now).await?,
    }
    let written = by_key(tx, &ask.key).await?;
    Ok(Booked::New(written.ok_or_else(|| OutboxError::Broken("a response was written and is not there".into()))?))
}

async fn insert(tx: &Transaction<'_>, ask: &Ask, now: UnixMs) -> Result<(), Fault> {
    let sql = tx
        .prepare_cached(
            "INSERT INTO responses (key, incident, verb, connector, who, person, text, state, result, stage, attempts, created_at, next_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'open', '', 0, 0, $8, $8)",
        )
        .await?;
    let (verb, person) = (ask.verb.as_str(), ask.person.as_deref().map(Text));
    tx.execute(
        &sql,
        &[&Text(&ask.key), &Text(&ask.incident), &verb, &Text(&ask.connector), &Text(&ask.who), &person, &Text(&ask.text), &now],
    )
    .await?;
    Ok(())
}

/// The same being done right now, whoever asked for it. Comments are never the same.
async fn in_progress(db: &impl GenericClient, ask: &Ask) -> Result<Option<Response>, Fault> {
    if ask.verb == Verb::Comment {
        return Ok(None);
    }
    let sql =
        db.prepare_cached(&format!("SELECT {COLUMNS} WHERE incident = $1 AND verb = $2 AND state = 'open' ORDER BY id LIMIT 1")).await?;
    db.query_opt(&sql, &[&Text(&ask.incident), &ask.verb.as_str()]).await?.as_ref().map(response).transpose()
}

/// What is written down under a key.
pub(super) async fn by_key(db: &impl GenericClient, key: &str) -> Result<Option<Response>, Fault> {
    let sql = db.prepare_cached(&format!("SELECT {COLUMNS} WHERE key = $1")).await?;
    db.query_opt(&sql, &[&Text(key)]).await?.as_ref().map(response).transpose()
}

/// Those to be carried out.
pub(super) async fn open(db: &impl GenericClient, limit: usize) -> Result<Vec<Response>, Fault> {
    let sql = db.prepare_cached(&format!("SELECT {COLUMNS} WHERE state = 'open' ORDER BY id LIMIT $1")).await?;
    db.query(&sql, &[&i64::try_from(limit).unwrap_or(i64::MAX)]).await?.iter().map(response).collect()
}

/// Those of these incidents since then that did not fail, by incident, the latest first, each with whether it has had its echo.
pub(super) async fn since(
    db: &impl GenericClient,
    incidents: &[&str],
    since: UnixMs,
) -> Result<HashMap<String, Vec<(Response, bool)>>, Fault> {
    let sql = db
        .prepare_cached(&format!(
            "SELECT {COLUMNS} WHERE incident = ANY($1) AND state <> 'failed' AND created_at > $2 ORDER BY id DESC LIMIT 1000"
        ))
        .await?;
    let mut found: HashMap<String, Vec<(Response, bool)>> = HashMap::new();
    for row in db.query(&sql, &[&incidents, &since]).await? {
        let response = response(&row)?;
        found.entry(response.ask.incident.clone()).or_default().push((response, row.try_get(14)?));
    }
    Ok(found)
}

/// What is kept under a name.
pub(super) async fn note(db: &impl GenericClient, name: &str) -> Result<Option<String>, Fault> {
    let sql = db.prepare_cached("SELECT value FROM notes WHERE name = $1").await?;
    Ok(db.query_opt(&sql, &[&name]).await?.map(|row| row.try_get(0)).transpose()?)
}

/// Keeps a value under a name.
pub(super) async fn keep_note(db: &impl GenericClient, name: &str, value: &str) -> Result<(), Fault> {
    let sql = db.prepare_cached("INSERT INTO notes (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2").await?;
    db.execute(&sql, &[&name, &Text(value)]).await?;
    Ok(())
}

/// The value under a name; the first of those that any host offers stays.
pub(super) async fn first_note(db: &impl GenericClient, name: &str, value: &str) -> Result<String, Fault> {
    let sql = db.prepare_cached("INSERT INTO notes (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING").await?;
    db.execute(&sql, &[&name, &value]).await?;
    let kept = note(db, name).await?;
    Ok(kept.ok_or_else(|| OutboxError::Unavailable(format!("the note {name} was taken away just now")))?)
}

/// Notes what became of an attempt.
pub(super) async fn step(db: &impl GenericClient, id: i64, step: &Step, now: UnixMs) -> Result<(), Fault> {
    let changed = match step {
        Step::Made { stage } => {
            let sql = db.prepare_cached("UPDATE responses SET stage = $2 WHERE id = $1 AND state = 'open'").await?;
            db.execute(&sql, &[&id, &i64::from(*stage)]).await?
        }
        Step::Again { at, why } => {
            let sql = db
                .prepare_cached("UPDATE responses SET attempts = attempts + 1, next_at = $2, result = $3 WHERE id = $1 AND state = 'open'")
                .await?;
            db.execute(&sql, &[&id, at, &Text(why)]).await?
        }
        Step::Done(result) => settle(db, id, ("done", result), now).await?,
        Step::Failed(result) => settle(db, id, ("failed", result), now).await?,
    };
    if changed == 0 { Err(OutboxError::Conflict(format!("response {id} is not open")).into()) } else { Ok(()) }
}

async fn settle(db: &impl GenericClient, id: i64, (state, result): (&str, &str), now: UnixMs) -> Result<u64, Fault> {
    let sql = db.prepare_cached("UPDATE responses SET state = $2, result = $3, settled_at = $4 WHERE id = $1 AND state = 'open'").await?;
    Ok(db.execute(&sql, &[&id, &state, &Text(result), &now]).await?)
}
