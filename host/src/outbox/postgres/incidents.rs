//! Where incidents stand, kept up by the events that come in.

use std::collections::{BTreeMap, HashMap, HashSet};

use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;

use super::fault::Fault;
use super::responses;
use super::rows::{clean, json};
use crate::clock::UnixMs;
use crate::event::{Event, Kind, Status};
use crate::outbox::OutboxError;
use crate::outbox::book::{self, Incident, Response};
use crate::outbox::record::{self, Form, Known, News, Told};

/// The most responses of an incident that an event is compared with.
const ASKED: usize = 20;

/// The record of the incidents that a group of events tells of, locked.
#[derive(Default)]
pub(super) struct Record {
    known: HashMap<i64, Known>,
    /// Those that were put on record just now, as their first event has them.
    begun: HashSet<i64>,
    /// What is to be written: the time, and what people are shown.
    changed: BTreeMap<i64, (UnixMs, String)>,
    /// By incident, the latest first, each with whether it has had its echo.
    asked: HashMap<String, Vec<(Response, bool)>>,
    echoed: Vec<i64>,
}

impl Record {
    /// Locks the incidents of these events, in the order of their numbers; those that are new are put on record as their first event has them.
    pub(super) async fn open(tx: &Transaction<'_>, told: &[(&Told, UnixMs)]) -> Result<Record, Fault> {
        let mut firsts: BTreeMap<i64, (&Told, UnixMs)> = BTreeMap::new();
        for (told, now) in told {
            firsts.entry(told.id).or_insert((told, *now));
        }
        let mut record = Record::default();
        if firsts.is_empty() {
            return Ok(record);
        }
        record.begin(tx, &firsts).await?;
        if record.begun.len() < firsts.len() {
            let others: Vec<i64> = firsts.into_keys().filter(|id| !record.begun.contains(id)).collect();
            record.read(tx, &others).await?;
        }
        let since = told.iter().map(|(_, now)| *now).min().unwrap_or_default().saturating_sub(record::ECHO_MS);
        let mut echoing: Vec<&str> =
            told.iter().filter(|(told, _)| record::may_echo(&told.event)).map(|(told, _)| told.event.incident_id.as_str()).collect();
        echoing.sort_unstable();
        echoing.dedup();
        if !echoing.is_empty() {
            record.asked = responses::since(tx, &echoing, since).await?;
        }
        Ok(record)
    }

    /// Puts incidents on record that are not yet.
    async fn begin(&mut self, tx: &Transaction<'_>, firsts: &BTreeMap<i64, (&Told, UnixMs)>) -> Result<(), Fault> {
        let mut rows = Columns::default();
        for (id, (told, now)) in firsts {
            if let News::New { record: Some(known), .. } = record::news(None, &told.event, *now) {
                rows.add(*id, &known, *now, &told.about);
            }
        }
        let found = rows.write(tx, "INSERT INTO incidents (id, status, occurred_at, seen_at, caught_up, about) SELECT * FROM given ON CONFLICT (id) DO NOTHING RETURNING id").await?;
        self.begun = found.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        Ok(())
    }

    async fn read(&mut self, tx: &Transaction<'_>, ids: &[i64]) -> Result<(), Fault> {
        let sql =
            tx.prepare_cached("SELECT id, status, occurred_at, caught_up FROM incidents WHERE id = ANY($1) ORDER BY id FOR UPDATE").await?;
        for row in tx.query(&sql, &[&ids]).await? {
            let known = Known { status: row.try_get::<_, String>(1)?.into(), occurred_at: row.try_get(2)?, caught_up: row.try_get(3)? };
            self.known.insert(row.try_get(0)?, known);
        }
        Ok(())
    }

    /// Brings the record up to date, where the event changes anything.
    pub(super) fn note(&mut self, told: &Told, now: UnixMs) -> News {
        let mut news = record::news(self.known.get(&told.id), &told.event, now);
        if let News::New { record, .. } = &mut news
            && let Some(known) = record.take()
        {
            let begins = self.known.insert(told.id, known).is_none() && self.begun.contains(&told.id);
            if !begins {
                self.changed.insert(told.id, (now, told.about.clone()));
            }
        }
        news
    }

    /// The form in which an event goes on; an echo that it is, is noted.
    pub(super) fn form(&mut self, event: &Event, was_resolved: bool, now: UnixMs) -> Result<Form, OutboxError> {
        let comment = event.kind == Kind::CommentAdded;
        let asked: Vec<Response> = match self.asked.get(&event.incident_id) {
            Some(all) if record::may_echo(event) => all
                .iter()
                .filter(|(response, echoed)| (comment || !echoed) && response.created_at > now.saturating_sub(record::ECHO_MS))
                .map(|(response, _)| response.clone())
                .take(ASKED)
                .collect(),
            _ => Vec::new(),
        };
        let form = record::form(event, was_resolved, &asked)?;
        if let Form::AsIs(Some(id)) | Form::As(_, Some(id)) = &form {
            self.echoed.push(*id);
            let all = self.asked.get_mut(&event.incident_id);
            all.into_iter().flatten().filter(|(response, _)| response.id == *id).for_each(|(_, echoed)| *echoed = true);
        }
        Ok(form)
    }

    /// Writes what has changed.
    pub(super) async fn close(self, tx: &Transaction<'_>) -> Result<(), Fault> {
        let mut rows = Columns::default();
        for (id, (at, about)) in &self.changed {
            if let Some(known) = self.known.get(id) {
                rows.add(*id, known, *at, about);
            }
        }
        if !rows.ids.is_empty() {
            rows.write(
                tx,
                "INSERT INTO incidents (id, status, occurred_at, seen_at, caught_up, about) SELECT * FROM given
                 ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status, occurred_at = EXCLUDED.occurred_at, seen_at = EXCLUDED.seen_at,
                 caught_up = EXCLUDED.caught_up, about = EXCLUDED.about",
            )
            .await?;
        }
        if !self.echoed.is_empty() {
            let sql = tx.prepare_cached("UPDATE responses SET echoed = true WHERE id = ANY($1)").await?;
            tx.execute(&sql, &[&self.echoed]).await?;
        }
        Ok(())
    }
}

/// Rows of incidents, column by column.
#[derive(Default)]
struct Columns<'r> {
    ids: Vec<i64>,
    statuses: Vec<String>,
    occurred_at: Vec<UnixMs>,
    seen_at: Vec<UnixMs>,
    caught_up: Vec<Option<UnixMs>>,
    abouts: Vec<&'r str>,
}

impl<'r> Columns<'r> {
    fn add(&mut self, id: i64, known: &Known, seen_at: UnixMs, about: &'r str) {
        self.ids.push(id);
        self.statuses.push(clean(known.status.as_str()).into_owned());
        self.occurred_at.push(known.occurred_at);
        self.seen_at.push(seen_at);
        self.caught_up.push(known.caught_up);
        self.abouts.push(about);
    }

    /// Has a statement write those that are `given`.
    async fn write(&self, tx: &Transaction<'_>, statement: &str) -> Result<Vec<Row>, Fault> {
        let given = "WITH given AS (SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[]))";
        let sql = tx.prepare_cached(&format!("{given} {statement}")).await?;
        Ok(tx.query(&sql, &[&self.ids, &self.statuses, &self.occurred_at, &self.seen_at, &self.caught_up, &self.abouts]).await?)
    }
}

fn incident(row: &Row) -> Result<Incident, Fault> {
    Ok(Incident {
        id: row.try_get::<_, i64>(0)?.to_string(),
        status: Status::from(row.try_get::<_, String>(1)?),
        occurred_at: row.try_get(2)?,
        seen_at: row.try_get(3)?,
        about: json(row.try_get(4)?)?,
    })
}

/// One incident.
pub(super) async fn one(db: &impl GenericClient, id: &str) -> Result<Option<Incident>, Fault> {
    let Ok(number) = id.parse::<i64>() else { return Ok(None) };
    let sql = db.prepare_cached("SELECT id, status, occurred_at, seen_at, about FROM incidents WHERE id = $1").await?;
    db.query_opt(&sql, &[&number]).await?.as_ref().map(incident).transpose()
}

/// Those that are not over.
pub(super) async fn open(db: &impl GenericClient, limit: usize) -> Result<Vec<Incident>, Fault> {
    let sql = db
        .prepare_cached("SELECT id, status, occurred_at, seen_at, about FROM incidents WHERE status <> 'RESOLVED' ORDER BY id LIMIT $1")
        .await?;
    db.query(&sql, &[&i64::try_from(limit).unwrap_or(i64::MAX)]).await?.iter().map(incident).collect()
}

/// Forgets one.
pub(super) async fn forget(db: &impl GenericClient, id: &str) -> Result<(), Fault> {
    let Ok(number) = id.parse::<i64>() else { return Ok(()) };
    let sql = db.prepare_cached("DELETE FROM incidents WHERE id = $1").await?;
    db.execute(&sql, &[&number]).await?;
    Ok(())
}

/// The incident of the last event that arrived at a connector.
pub(super) async fn last_told(db: &impl GenericClient, connector: &str) -> Result<Option<String>, Fault> {
    let sql = db
        .prepare_cached(
            "SELECT e.payload FROM (SELECT id FROM messages WHERE connector = $1 AND state = 'delivered' ORDER BY id DESC LIMIT 20) m
             JOIN message_events c ON c.message = m.id JOIN events e ON e.seq = c.seq ORDER BY m.id DESC, c.seq DESC LIMIT 20",
        )
        .await?;
    for row in db.query(&sql, &[&connector]).await? {
        let event: Event = json(row.try_get(0)?)?;
        if book::told_of(&event).is_some() {
            return Ok(Some(event.incident_id));
        }
    }
    Ok(None)
}
