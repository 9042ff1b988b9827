//! Where incidents stand, kept up by the events that come in.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};

use super::desk::Desk;
use super::fault::Fault;
use super::read::json;
use super::responses;
use super::rows::Table;
use crate::clock::UnixMs;
use crate::event::{Event, Kind};
use crate::outbox::book::{self, Incident};
use crate::outbox::record::{self, Form, Known, News, Told};

/// What the record makes of an event.
pub(super) enum Noted {
    /// It goes on as it is.
    AsIs,
    /// It goes on in this form.
    As(String),
    /// People know already.
    Known,
}

/// How many of the newest incidents are remembered.
const NEWEST: usize = 8_192;

/// Which of the newest incidents are on record, so that nothing is searched for when a new one begins: iLert numbers them as they begin.
#[derive(Debug)]
pub(super) struct Newest {
    /// Only those above this one are known.
    above: i64,
    on_record: BTreeSet<i64>,
}

impl Newest {
    pub(super) fn load(db: &Connection) -> Result<Newest, Fault> {
        let above: Option<i64> = db.query_row("SELECT max(id) FROM incidents", [], |row| row.get(0))?;
        Ok(Newest { above: above.unwrap_or(0), on_record: BTreeSet::new() })
    }

    /// Whether an incident is certainly not on record.
    fn lacks(&self, id: i64) -> bool {
        id > self.above && !self.on_record.contains(&id)
    }

    /// Remembers that an incident may be on record: the transaction that put it there may still fail, and then it is searched for in vain.
    fn add(&mut self, id: i64) {
        if id > self.above {
            self.on_record.insert(id);
        }
        while self.on_record.len() > NEWEST {
            self.above = self.on_record.pop_first().unwrap_or(self.above);
        }
    }
}

static INCIDENTS: LazyLock<Table> = LazyLock::new(|| Table::new("incidents", "id, status, occurred_at, seen_at, caught_up, about"));

/// An incident that is new to the record.
struct Begun<'e> {
    told: &'e Told,
    seen_at: UnixMs,
    caught_up: Option<UnixMs>,
}

/// What the record is kept with, found once for all of a group.
pub(super) struct Pen<'d, 'e> {
    look: CachedStatement<'d>,
    update: CachedStatement<'d>,
    /// Incidents that began and are not written yet.
    begun: Vec<Begun<'e>>,
}

impl<'d, 'e> Pen<'d, 'e> {
    pub(super) fn of(db: &'d Connection) -> Result<Pen<'d, 'e>, Fault> {
        Ok(Pen {
            look: db.prepare_cached("SELECT status, occurred_at, caught_up FROM incidents WHERE id = ?1")?,
            update: db.prepare_cached(
                "UPDATE incidents SET status = ?2, occurred_at = ?3, seen_at = ?4, caught_up = ?5, about = ?6 WHERE id = ?1",
            )?,
            begun: Vec::new(),
        })
    }

    fn find(&mut self, db: &Connection, id: i64) -> Result<Option<Known>, Fault> {
        // It may be one of them.
        self.write(db)?;
        let known = self
            .look
            .query_row([id], |row| Ok(Known { status: row.get::<_, String>(0)?.into(), occurred_at: row.get(1)?, caught_up: row.get(2)? }));
        Ok(known.optional()?)
    }

    /// Writes what is not written yet.
    pub(super) fn write(&mut self, db: &Connection) -> Result<(), Fault> {
        INCIDENTS.insert(db, &self.begun, |row, incident| {
            row.put(incident.told.id)?;
            row.put(incident.told.event.status.as_str())?;
            row.put(incident.told.event.occurred_at.as_millisecond())?;
            row.put(incident.seen_at)?;
            row.put(incident.caught_up)?;
            row.put(&incident.told.about)
        })?;
        self.begun.clear();
        Ok(())
    }
}

/// Brings the record up to date, where the event changes anything. One search at most for each event, one row written for each change of state.
pub(super) fn note<'e>(desk: &mut Desk<'_>, pen: &mut Pen<'_, 'e>, told: &'e Told, now: UnixMs) -> Result<Noted, Fault> {
    let event = &*told.event;
    let known = if desk.ledger.newest.lacks(told.id) { None } else { pen.find(desk.db, told.id)? };
    let (record, was_resolved) = match record::news(known.as_ref(), event, now) {
        News::Old => return Ok(Noted::Known),
        News::New { record, was_resolved } => (record, was_resolved),
    };
    if let Some(Known { occurred_at, caught_up, .. }) = record {
        if known.is_none() {
            pen.begun.push(Begun { told, seen_at: now, caught_up });
        } else {
            pen.update.execute(params![told.id, event.status.as_str(), occurred_at, now, caught_up, told.about])?;
        }
        desk.ledger.newest.add(told.id);
    }
    rewritten(desk, event, was_resolved, now)
}

/// The event in the form in which it goes on, and the echo noted.
fn rewritten(desk: &Desk<'_>, event: &Event, was_resolved: bool, now: UnixMs) -> Result<Noted, Fault> {
    let asked = if record::may_echo(event) {
        let comment = event.kind == Kind::CommentAdded;
        responses::awaiting_echo(desk.db, &event.incident_id, now.saturating_sub(record::ECHO_MS), comment)?
    } else {
        Vec::new()
    };
    let (noted, echoed) = match record::form(event, was_resolved, &asked)? {
        Form::Known => (Noted::Known, None),
        Form::AsIs(echoed) => (Noted::AsIs, echoed),
        Form::As(payload, echoed) => (Noted::As(payload), echoed),
    };
    if let Some(id) = echoed {
        responses::echoed(desk.db, id)?;
    }
    Ok(noted)
}

fn incident(row: &Row<'_>) -> Result<Incident, Fault> {
    Ok(Incident {
        id: row.get(0)?,
        status: row.get::<_, String>(1)?.into(),
        occurred_at: row.get(2)?,
        seen_at: row.get(3)?,
        about: json(row, 4)?,
    })
}

/// One incident.
pub(super) fn one(db: &Connection, id: &str) -> Result<Option<Incident>, Fault> {
    let mut statement = db.prepare_cached("SELECT CAST(id AS TEXT), status, occurred_at, seen_at, about FROM incidents WHERE id = ?1")?;
    let mut rows = statement.query([id])?;
    rows.next()?.map(incident).transpose()
}

/// Those that are not over.
pub(super) fn open(db: &Connection, limit: usize) -> Result<Vec<Incident>, Fault> {
    let mut statement = db.prepare_cached(
        "SELECT CAST(id AS TEXT), status, occurred_at, seen_at, about FROM incidents WHERE status <> 'RESOLVED' ORDER BY id LIMIT ?1",
    )?;
    let mut rows = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(incident(row)?);
    }
    Ok(found)
}

/// Forgets one.
pub(super) fn forget(desk: &Desk<'_>, id: &str) -> Result<(), Fault> {
    desk.db.prepare_cached("DELETE FROM incidents WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// The incident of the last event that arrived at a connector.
pub(super) fn last_told(db: &Connection, connector: &str) -> Result<Option<String>, Fault> {
    let mut statement = db.prepare_cached(
        "SELECT e.payload FROM messages m INDEXED BY messages_of
         JOIN message_events me ON me.message = m.id JOIN events e ON e.seq = me.seq
         WHERE m.connector = ?1 AND m.state = 'delivered' ORDER BY m.id DESC, me.seq DESC LIMIT 20",
    )?;
    let mut rows = statement.query([connector])?;
    while let Some(row) = rows.next()? {
        let event: Event = json(row, 0)?;
        if book::told_of(&event).is_some() {
            return Ok(Some(event.incident_id));
        }
    }
    Ok(None)
}

/// Looks through a piece for what is over, and forgets it; `true` until all were looked at. The next call begins where this one ended.
pub(super) fn prune(desk: &mut Desk<'_>, before: UnixMs, piece: i64) -> Result<bool, Fault> {
    let open_before = before.saturating_sub(record::FORGET_OPEN_MS.saturating_sub(desk.limits.history_ms).max(0));
    let from = desk.ledger.incidents_pruned_to;
    let (found, last): (i64, Option<i64>) = desk
        .db
        .prepare_cached("SELECT count(*), max(id) FROM (SELECT id FROM incidents WHERE id > ?1 ORDER BY id LIMIT ?2)")?
        .query_row([from, piece], |row| Ok((row.get(0)?, row.get(1)?)))?;
    desk.db
        .prepare_cached("DELETE FROM incidents WHERE id > ?1 AND id <= ?2 AND seen_at < ?3 AND (status = 'RESOLVED' OR seen_at < ?4)")?
        .execute(params![from, last, before, open_before])?;
    let more = found >= piece;
    desk.ledger.incidents_pruned_to = last.filter(|_| more).unwrap_or(0);
    Ok(more)
}
