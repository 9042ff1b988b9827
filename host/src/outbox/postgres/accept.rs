//! Taking events in: one transaction for the calls that wait, in a few statements whatever their number.

use std::collections::BTreeMap;
use std::sync::Arc;

use deadpool_postgres::Transaction;

use super::fault::Fault;
use super::incidents::Record;
use super::rows::clean;
use crate::clock::UnixMs;
use crate::event::Event;
use crate::outbox::keys::{Key, key_of};
use crate::outbox::record::{Form, News, Told};
use crate::outbox::{ConnectorName, Incoming, OutboxError, Taken, Unreadable};

/// The most that is kept of what could not be read.
const MAX_UNREADABLE: usize = 64 * 1024;

/// An event made ready by the caller.
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

    /// How much it may add to what the quota counts.
    pub(super) fn items(&self) -> usize {
        self.unreadable.len() + self.entries.iter().map(|entry| entry.connectors.len()).sum::<usize>()
    }
}

fn entry(incoming: Incoming) -> Result<Entry, OutboxError> {
    let broken = |error| OutboxError::Broken(format!("event {} cannot be written as JSON: {error}", incoming.event.id));
    let payload = serde_json::to_string(&*incoming.event).map_err(broken)?;
    let told = Told::of(&incoming.event).map_err(broken)?;
    let mut connectors = incoming.connectors;
    connectors.sort_unstable();
    connectors.dedup();
    Ok(Entry { key: key_of(&incoming.event.id), event: incoming.event, payload, told, connectors })
}

/// What is answered to one call.
pub(super) type Answer = Vec<Taken>;

/// Takes in several calls in one transaction. The locks are taken in one order by all hosts: keys, incidents, then numbers are given, so that
/// the events of one incident are numbered in the order in which they are committed.
pub(super) async fn take(tx: &Transaction<'_>, calls: &[&Delivery], window_ms: i64) -> Result<Vec<Answer>, Fault> {
    let all: Vec<(&Entry, UnixMs)> = calls.iter().flat_map(|call| call.entries.iter().map(|entry| (entry, call.now))).collect();
    let new = remember(tx, &all, window_ms).await?;
    let fresh: Vec<(&Told, UnixMs)> =
        all.iter().zip(&new).filter(|(_, new)| **new).filter_map(|((entry, now), _)| Some((entry.told.as_ref()?, *now))).collect();
    let mut record = Record::open(tx, &fresh).await?;
    let (mut taken, mut rows) = (Vec::with_capacity(all.len()), Rows::default());
    for ((entry, now), new) in all.iter().zip(new) {
        let form = if new { form(&mut record, entry, *now)? } else { Form::Known };
        let payload = match &form {
            Form::Known => {
                taken.push(Taken::Duplicate);
                continue;
            }
            Form::AsIs(_) => &entry.payload,
            Form::As(payload, _) => payload,
        };
        if !entry.connectors.is_empty() {
            rows.add(entry, payload, *now);
        }
        taken.push(Taken::New);
    }
    rows.write(tx).await?;
    record.close(tx).await?;
    keep_unreadable(tx, calls).await?;
    let mut taken = taken.into_iter();
    Ok(calls.iter().map(|call| taken.by_ref().take(call.entries.len()).collect()).collect())
}

/// Remembers events; for each, whether it is new within the window, the first of several in one transaction.
async fn remember(tx: &Transaction<'_>, all: &[(&Entry, UnixMs)], window_ms: i64) -> Result<Vec<bool>, Fault> {
    let mut firsts: BTreeMap<Key, (usize, UnixMs)> = BTreeMap::new();
    for (index, (entry, now)) in all.iter().enumerate() {
        firsts.entry(entry.key).or_insert((index, *now));
    }
    let (keys, times): (Vec<&[u8]>, Vec<UnixMs>) = firsts.iter().map(|(key, (_, now))| (key.as_slice(), *now)).unzip();
    let sql = tx
        .prepare_cached(
            "INSERT INTO seen (key, seen_at) SELECT key, at FROM unnest($1::bytea[], $2::bigint[]) AS given (key, at)
             ON CONFLICT (key) DO UPDATE SET seen_at = EXCLUDED.seen_at WHERE EXCLUDED.seen_at - seen.seen_at >= $3 RETURNING key",
        )
        .await?;
    let mut new = vec![false; all.len()];
    for row in tx.query(&sql, &[&keys, &times, &window_ms]).await? {
        let key: &[u8] = row.try_get(0)?;
        if let Some((index, _)) = Key::try_from(key).ok().and_then(|key| firsts.get(&key)) {
            new[*index] = true;
        }
    }
    Ok(new)
}

/// In which form a new event goes on, after the record was brought up to date.
fn form(record: &mut Record, entry: &Entry, now: UnixMs) -> Result<Form, OutboxError> {
    let was_resolved = match &entry.told {
        None => return Ok(Form::AsIs(None)),
        Some(told) => match record.note(told, now) {
            News::Old => return Ok(Form::Known),
            News::New { was_resolved, .. } => was_resolved,
        },
    };
    record.form(&entry.event, was_resolved, now)
}

/// Events to be written, column by column, and the connectors that they begin to wait for.
#[derive(Default)]
struct Rows<'e> {
    accepted_at: Vec<UnixMs>,
    refs: Vec<i64>,
    payloads: Vec<String>,
    summaries: Vec<String>,
    incidents: Vec<String>,
    sources: Vec<String>,
    /// The event's place, from 1, and a connector.
    places: Vec<i64>,
    connectors: Vec<&'e str>,
}

impl<'e> Rows<'e> {
    fn add(&mut self, entry: &'e Entry, payload: &str, now: UnixMs) {
        self.accepted_at.push(now);
        self.refs.push(entry.connectors.len() as i64);
        self.payloads.push(payload.to_owned());
        self.summaries.push(clean(&entry.event.summary).into_owned());
        self.incidents.push(clean(&entry.event.incident_id).into_owned());
        let source = entry.event.alert_source.as_ref().map(|source| source.name.as_str()).unwrap_or_default();
        self.sources.push(clean(source).into_owned());
        let place = self.accepted_at.len() as i64;
        for connector in &entry.connectors {
            self.places.push(place);
            self.connectors.push(connector);
        }
    }

    async fn write(&self, tx: &Transaction<'_>) -> Result<(), Fault> {
        if self.accepted_at.is_empty() {
            return Ok(());
        }
        let sql = tx
            .prepare_cached(
                "WITH given AS (
                     SELECT nextval('event_seq') AS seq, ordered.* FROM (
                         SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[])
                         WITH ORDINALITY AS one (accepted_at, refs, payload, summary, incident, alert_source, place) ORDER BY place
                     ) AS ordered
                 ), written AS (
                     INSERT INTO events (seq, accepted_at, refs, payload, summary, incident, alert_source)
                     SELECT seq, accepted_at, refs, payload, summary, incident, alert_source FROM given
                 )
                 INSERT INTO queue (connector, seq)
                 SELECT goes.connector, given.seq FROM unnest($7::bigint[], $8::text[]) AS goes (place, connector)
                 JOIN given ON given.place = goes.place",
            )
            .await?;
        tx.execute(
            &sql,
            &[
                &self.accepted_at,
                &self.refs,
                &self.payloads,
                &self.summaries,
                &self.incidents,
                &self.sources,
                &self.places,
                &self.connectors,
            ],
        )
        .await?;
        Ok(())
    }
}

async fn keep_unreadable(tx: &Transaction<'_>, calls: &[&Delivery]) -> Result<(), Fault> {
    for call in calls.iter().filter(|call| !call.unreadable.is_empty()) {
        let (mut sources, mut errors, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
        for item in &call.unreadable {
            sources.push(&*item.source);
            errors.push(clean(&item.error).into_owned());
            bodies.push(item.body.as_slice());
        }
        let sql = tx
            .prepare_cached(
                "INSERT INTO unreadable (at, source, error, body)
                 SELECT $1, source, error, body FROM unnest($2::text[], $3::text[], $4::bytea[]) AS given (source, error, body)",
            )
            .await?;
        tx.execute(&sql, &[&call.now, &sources, &errors, &bodies]).await?;
    }
    Ok(())
}
