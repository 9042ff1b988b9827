//! Taking events in.

use rusqlite::{CachedStatement, Connection, params};

use super::desk::Desk;
use super::fault::Fault;
use super::incidents::{self, Noted, Told};
use super::ledger::{Key, key_of};
use crate::clock::UnixMs;
use crate::outbox::{ConnectorName, Incoming, OutboxError, Taken, Unreadable};

/// The most that is kept of what could not be read.
const MAX_UNREADABLE: usize = 64 * 1024;
/// The most keys in one row of `seen`, so that pruning a row stays a small piece.
const KEYS_IN_A_ROW: usize = 1_000;

/// An event made ready by the caller, so that the writer only writes.
#[derive(Debug)]
struct Entry {
    key: Key,
    payload: String,
    told: Option<Told>,
    connectors: Vec<ConnectorName>,
}

/// One call of `accept`, made ready.
#[derive(Debug)]
pub(super) struct Delivery {
    now: UnixMs,
    entries: Vec<Entry>,
    unreadable: Vec<Unreadable>,
}

impl Delivery {
    /// Encodes the events.
    pub(super) fn new(now: UnixMs, events: Vec<Incoming>, mut unreadable: Vec<Unreadable>) -> Result<Delivery, OutboxError> {
        let entries = events.into_iter().map(entry).collect::<Result<_, _>>()?;
        for item in &mut unreadable {
            item.body.truncate(MAX_UNREADABLE);
        }
        Ok(Delivery { now, entries, unreadable })
    }
}

fn entry(incoming: Incoming) -> Result<Entry, OutboxError> {
    let broken = |error| OutboxError::Broken(format!("event {} cannot be written as JSON: {error}", incoming.event.id));
    let payload = serde_json::to_string(&*incoming.event).map_err(broken)?;
    let told = Told::of(&incoming.event).map_err(broken)?;
    let mut connectors = incoming.connectors;
    if connectors.len() > 1 {
        connectors.sort_unstable();
        connectors.dedup();
    }
    Ok(Entry { key: key_of(&incoming.event.id), payload, told, connectors })
}

/// What is answered to one call.
pub(super) type Answer = Result<Vec<Taken>, OutboxError>;

/// What events are written with, found once for all of a group.
struct Pen<'d> {
    event: CachedStatement<'d>,
    place: CachedStatement<'d>,
    incidents: incidents::Pen<'d>,
}

impl<'d> Pen<'d> {
    fn of(db: &'d Connection) -> Result<Pen<'d>, Fault> {
        Ok(Pen {
            event: db.prepare_cached("INSERT INTO events (accepted_at, refs, payload) VALUES (?1, ?2, ?3)")?,
            place: db.prepare_cached("INSERT INTO queue (seq, connector) VALUES (?1, ?2)")?,
            incidents: incidents::Pen::of(db)?,
        })
    }
}

/// Takes in several calls at once: they share the bookkeeping. A full outbox refuses a call without touching the others; an `Err` of
/// the whole means that nothing of them may stay.
pub(super) fn accept(desk: &mut Desk<'_>, deliveries: &[&Delivery]) -> Result<Vec<Answer>, Fault> {
    let size_refusal = desk.size_refusal()?;
    let mut pen = Pen::of(desk.db)?;
    let mut keys = Vec::new();
    let mut at = UnixMs::MIN;
    let mut answers = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        at = at.max(delivery.now);
        let wanted = items_wanted(desk, delivery);
        let refusal = if wanted == 0 { None } else { size_refusal.clone().or_else(|| desk.item_refusal(wanted)) };
        answers.push(match refusal {
            Some(refusal) => Err(refusal),
            None => Ok(take(desk, &mut pen, delivery, &mut keys)?),
        });
    }
    for chunk in keys.chunks(KEYS_IN_A_ROW * size_of::<Key>()) {
        desk.db.prepare_cached("INSERT INTO seen (seen_at, keys) VALUES (?1, ?2)")?.execute(params![at, chunk])?;
    }
    Ok(answers)
}

/// What a call adds to what the quota counts.
fn items_wanted(desk: &Desk<'_>, delivery: &Delivery) -> usize {
    let new = delivery.entries.iter().filter(|entry| !desk.ledger.was_seen(&entry.key, delivery.now));
    delivery.unreadable.len() + new.map(|entry| entry.connectors.len()).sum::<usize>()
}

fn take(desk: &mut Desk<'_>, pen: &mut Pen<'_>, delivery: &Delivery, keys: &mut Vec<u8>) -> Result<Vec<Taken>, Fault> {
    let now = delivery.now;
    let mut taken = Vec::with_capacity(delivery.entries.len());
    for entry in &delivery.entries {
        if desk.ledger.was_seen(&entry.key, now) {
            taken.push(Taken::Duplicate);
            continue;
        }
        desk.ledger.remember(entry.key, now);
        keys.extend_from_slice(&entry.key);
        let noted = entry.told.as_ref().map_or(Ok(Noted::AsIs), |told| incidents::note(desk, &mut pen.incidents, told, now))?;
        let payload = match &noted {
            Noted::AsIs => &entry.payload,
            Noted::As(payload) => payload,
            Noted::Known => {
                taken.push(Taken::Duplicate);
                continue;
            }
        };
        if !entry.connectors.is_empty() {
            enqueue(desk, pen, &entry.connectors, payload, now)?;
        }
        taken.push(Taken::New);
    }
    for item in &delivery.unreadable {
        desk.db.prepare_cached("INSERT INTO unreadable (at, source, error, body) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            now,
            &*item.source,
            item.error,
            item.body
        ])?;
        desk.ledger.count_unreadable(1);
    }
    Ok(taken)
}

fn enqueue(desk: &mut Desk<'_>, pen: &mut Pen<'_>, connectors: &[ConnectorName], payload: &str, now: UnixMs) -> Result<(), Fault> {
    let seq = pen.event.insert(params![now, connectors.len() as i64, payload])?;
    for connector in connectors {
        pen.place.execute(params![seq, &**connector])?;
        desk.ledger.enter(connector, seq);
    }
    Ok(())
}
