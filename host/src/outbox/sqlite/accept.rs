//! Taking events in.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use rusqlite::params;

use super::desk::Desk;
use super::fault::Fault;
use super::incidents::{self, Noted};
use super::rows::Table;
use super::tallies::Kept;
use crate::clock::UnixMs;
use crate::event::Event;
use crate::outbox::keys::{Key, key_of};
use crate::outbox::record::Told;
use crate::outbox::{ConnectorName, Incoming, OutboxError, Taken, Unreadable};

/// The most that is kept of what could not be read.
const MAX_UNREADABLE: usize = 64 * 1024;
/// The most keys in one row of `seen`, so that pruning a row stays a small piece.
const KEYS_IN_A_ROW: usize = 1_000;

/// An event made ready by the caller, so that the writer only writes.
#[derive(Debug)]
struct Entry {
    key: Key,
    event: Arc<Event>,
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
    Ok(Entry { key: key_of(&incoming.event.id), event: incoming.event, payload, told, connectors })
}

/// What is answered to one call.
pub(super) type Answer = Result<Vec<Taken>, OutboxError>;

static EVENTS: LazyLock<Table> = LazyLock::new(|| Table::new("events", "seq, accepted_at, refs, payload"));
static QUEUE: LazyLock<Table> = LazyLock::new(|| Table::new("queue", "seq, connector"));

/// An event that is to be written.
struct Line<'e> {
    seq: i64,
    now: UnixMs,
    refs: i64,
    payload: Cow<'e, str>,
}

/// What the calls of a group add, collected so that it is written in few statements.
struct Pen<'d, 'e> {
    events: Vec<Line<'e>>,
    places: Vec<(i64, &'e ConnectorName)>,
    keys: Vec<u8>,
    incidents: incidents::Pen<'d, 'e>,
}

impl<'e> Pen<'_, 'e> {
    /// Writes everything; the keys as seen `at` this time.
    fn write(mut self, desk: &Desk<'_>, at: UnixMs) -> Result<(), Fault> {
        EVENTS.insert(desk.db, &self.events, |row, event| {
            row.put(event.seq)?;
            row.put(event.now)?;
            row.put(event.refs)?;
            row.put(&*event.payload)
        })?;
        QUEUE.insert(desk.db, &self.places, |row, (seq, connector)| {
            row.put(seq)?;
            row.put(&***connector)
        })?;
        self.incidents.write(desk.db)?;
        for chunk in self.keys.chunks(KEYS_IN_A_ROW * size_of::<Key>()) {
            desk.db.prepare_cached("INSERT INTO seen (seen_at, keys) VALUES (?1, ?2)")?.execute(params![at, chunk])?;
        }
        Ok(())
    }

    /// An event begins to wait for connectors.
    fn enqueue(&mut self, desk: &mut Desk<'_>, entry: &'e Entry, payload: Cow<'e, str>, now: UnixMs) {
        let seq = desk.ledger.next_seq();
        for connector in &entry.connectors {
            self.places.push((seq, connector));
            // What is written in another form is read in that form.
            let as_is = matches!(payload, Cow::Borrowed(_));
            let kept = || Box::new(Kept { accepted_at: now, event: Arc::clone(&entry.event), bytes: payload.len() });
            desk.ledger.enter(connector, seq, as_is.then(kept));
        }
        self.events.push(Line { seq, now, refs: entry.connectors.len() as i64, payload });
    }
}

/// Takes in several calls at once: they share the bookkeeping. A full outbox refuses a call without touching the others; an `Err` of
/// the whole means that nothing of them may stay.
pub(super) fn accept(desk: &mut Desk<'_>, deliveries: &[&Delivery]) -> Result<Vec<Answer>, Fault> {
    let size_refusal = desk.size_refusal()?;
    let mut pen = Pen { events: Vec::new(), places: Vec::new(), keys: Vec::new(), incidents: incidents::Pen::of(desk.db)? };
    let mut at = UnixMs::MIN;
    let mut answers = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        at = at.max(delivery.now);
        answers.push(match refusal(desk, delivery, size_refusal.as_ref()) {
            Some(refusal) => Err(refusal),
            None => Ok(take(desk, &mut pen, delivery)?),
        });
    }
    pen.write(desk, at)?;
    Ok(answers)
}

/// Why a call cannot be taken in, if so. One that adds nothing always can.
fn refusal(desk: &Desk<'_>, delivery: &Delivery, size_refusal: Option<&OutboxError>) -> Option<OutboxError> {
    let at_most = delivery.unreadable.len() + delivery.entries.iter().map(|entry| entry.connectors.len()).sum::<usize>();
    if size_refusal.is_none() && desk.item_refusal(at_most).is_none() {
        return None;
    }
    let wanted = items_wanted(desk, delivery);
    if wanted == 0 { None } else { size_refusal.cloned().or_else(|| desk.item_refusal(wanted)) }
}

/// What a call adds to what the quota counts.
fn items_wanted(desk: &Desk<'_>, delivery: &Delivery) -> usize {
    let new = delivery.entries.iter().filter(|entry| !desk.ledger.was_seen(&entry.key, delivery.now));
    delivery.unreadable.len() + new.map(|entry| entry.connectors.len()).sum::<usize>()
}

fn take<'e>(desk: &mut Desk<'_>, pen: &mut Pen<'_, 'e>, delivery: &'e Delivery) -> Result<Vec<Taken>, Fault> {
    let now = delivery.now;
    let mut taken = Vec::with_capacity(delivery.entries.len());
    for entry in &delivery.entries {
        if !desk.ledger.remember(entry.key, now) {
            taken.push(Taken::Duplicate);
            continue;
        }
        pen.keys.extend_from_slice(&entry.key);
        let noted = entry.told.as_ref().map_or(Ok(Noted::AsIs), |told| incidents::note(desk, &mut pen.incidents, told, now))?;
        let payload = match noted {
            Noted::AsIs => Cow::Borrowed(entry.payload.as_str()),
            Noted::As(payload) => Cow::Owned(payload),
            Noted::Known => {
                taken.push(Taken::Duplicate);
                continue;
            }
        };
        if !entry.connectors.is_empty() {
            pen.enqueue(desk, entry, payload, now);
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
