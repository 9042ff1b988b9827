//! What the writer keeps in memory beside the tables: which events were seen, and how much waits where.
//!
//! The tables are the truth; this is counted from them at the start and follows them commit by commit, so that neither deduplication nor
//! `busy_connectors` reads a row, and the queue can lie on disk in the order in which it is written. Changes become visible with the commit and are undone with a rollback.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use rusqlite::Connection;

use super::fault::Fault;
use super::incidents::Newest;
use super::tallies::{Change, Kept, Tallies, Tally};
use crate::clock::UnixMs;
use crate::outbox::keys::Key;
use crate::outbox::{ConnectorName, PaceLog};

/// Keys are hashes already.
#[derive(Debug, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some((half, _)) = bytes.split_first_chunk() {
            self.0 = u64::from_ne_bytes(*half);
        }
    }

    // What an array says of its length tells nothing.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// How far the uncommitted changes had come, to go back to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    added: usize,
    forgotten: usize,
    changes: usize,
    items: i64,
}

/// The writer's own side.
#[derive(Debug)]
pub(super) struct Ledger {
    seen: HashMap<Key, UnixMs, BuildHasherDefault<KeyHasher>>,
    /// The number of the newest event.
    last_seq: i64,
    window_ms: i64,
    items: i64,
    shared: Arc<Tallies>,
    /// The incident that the pruning looked at last.
    pub(super) incidents_pruned_to: i64,
    /// The newest incidents on record.
    pub(super) newest: Newest,
    // Of the transaction in progress:
    added: Vec<(Key, Option<UnixMs>)>,
    forgotten: Vec<(Key, UnixMs)>,
    changes: Vec<(ConnectorName, Change)>,
}

impl Ledger {
    /// Counts everything once.
    pub(super) fn load(db: &Connection, window_ms: i64) -> Result<Ledger, Fault> {
        let shared = Arc::new(Tallies::default());
        for (sql, fill) in COUNTS {
            let mut statement = db.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let name: String = row.get(0)?;
                shared.apply([(Arc::from(name), fill(row.get(1)?, row.get(2)?))]);
            }
        }
        let unreadable: i64 = db.query_row("SELECT count(*) FROM unreadable", [], |row| row.get(0))?;
        let items = unreadable + shared.items();
        let mut seen = HashMap::default();
        let mut statement = db.prepare("SELECT seen_at, keys FROM seen ORDER BY id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let at: UnixMs = row.get(0)?;
            seen.extend(keys_in(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?).map(|key| (key, at)));
        }
        drop(rows);
        drop(statement);
        let last_seq: Option<i64> = db.query_row("SELECT max(seq) FROM events", [], |row| row.get(0))?;
        Ok(Ledger {
            seen,
            last_seq: last_seq.unwrap_or(0),
            window_ms,
            items,
            shared,
            incidents_pruned_to: 0,
            newest: Newest::load(db)?,
            added: Vec::new(),
            forgotten: Vec::new(),
            changes: Vec::new(),
        })
    }

    /// The committed tallies.
    pub(super) fn tallies(&self) -> Arc<Tallies> {
        Arc::clone(&self.shared)
    }

    /// Everything that counts towards the quota, the transaction in progress included.
    pub(super) fn items(&self) -> i64 {
        self.items
    }

    /// How many events are remembered.
    pub(super) fn seen_count(&self) -> usize {
        self.seen.len()
    }

    /// Whether an event was seen within the window before `now`. A clock that was set back shortens nothing.
    pub(super) fn was_seen(&self, key: &Key, now: UnixMs) -> bool {
        self.seen.get(key).is_some_and(|at| now.saturating_sub(*at) < self.window_ms)
    }

    /// Remembers an event; `false` if it was seen within the window.
    pub(super) fn remember(&mut self, key: Key, now: UnixMs) -> bool {
        let before = match self.seen.entry(key) {
            Entry::Occupied(seen) if now.saturating_sub(*seen.get()) < self.window_ms => return false,
            Entry::Occupied(mut seen) => Some(seen.insert(now)),
            Entry::Vacant(new) => {
                new.insert(now);
                None
            }
        };
        self.added.push((key, before));
        true
    }

    /// A number for a new event. It is not given again, even if the transaction fails.
    pub(super) fn next_seq(&mut self) -> i64 {
        self.last_seq += 1;
        self.last_seq
    }

    /// Forgets, with the commit, the keys of a row of `seen`, unless they were seen again later.
    pub(super) fn forget(&mut self, keys: &[u8], seen_at: UnixMs) {
        self.forgotten.extend(keys_in(keys).map(|key| (key, seen_at)));
    }

    /// Counts a change of anything but the waiting events.
    pub(super) fn count(&mut self, connector: &str, change: Tally) {
        self.items += change.items();
        self.changes.push((Arc::from(connector), Change::Count(change)));
    }

    /// An event begins to wait for a connector.
    pub(super) fn enter(&mut self, connector: &ConnectorName, seq: i64, kept: Option<Box<Kept>>) {
        self.items += 1;
        self.changes.push((Arc::clone(connector), Change::Enter(seq, kept)));
    }

    /// A lane has come so far.
    pub(super) fn lane(&mut self, connector: &str, pace: PaceLog, memo: Option<String>) {
        self.changes.push((Arc::from(connector), Change::Lane(Box::new((pace, memo)))));
    }

    /// Events wait no longer.
    pub(super) fn leave(&mut self, connector: &str, seqs: &[i64]) {
        self.items -= seqs.len() as i64;
        self.changes.push((Arc::from(connector), Change::Leave(seqs.to_vec())));
    }

    /// Counts something that belongs to no connector.
    pub(super) fn count_unreadable(&mut self, n: i64) {
        self.items += n;
    }

    /// Where the transaction stands.
    pub(super) fn mark(&self) -> Mark {
        Mark { added: self.added.len(), forgotten: self.forgotten.len(), changes: self.changes.len(), items: self.items }
    }

    /// Undoes everything after the mark.
    pub(super) fn undo(&mut self, mark: Mark) {
        for (key, before) in self.added.drain(mark.added..).rev() {
            match before {
                Some(at) => self.seen.insert(key, at),
                None => self.seen.remove(&key),
            };
        }
        self.forgotten.truncate(mark.forgotten);
        self.changes.truncate(mark.changes);
        self.items = mark.items;
    }

    /// Makes the transaction's changes visible.
    pub(super) fn commit(&mut self) {
        self.added.clear();
        for (key, at) in self.forgotten.drain(..) {
            if self.seen.get(&key).is_some_and(|seen| *seen <= at) {
                self.seen.remove(&key);
            }
        }
        if !self.changes.is_empty() {
            self.shared.apply(self.changes.drain(..));
        }
    }
}

type Fill = fn(i64, i64) -> Change;

const COUNTS: [(&str, Fill); 3] = [
    ("SELECT connector, seq, 0 FROM queue", |seq, _| Change::Enter(seq, None)),
    (
        "SELECT connector, count(*), sum(events) FROM messages INDEXED BY messages_open WHERE state = 'open' GROUP BY connector",
        |open, in_flight| Change::Count(Tally { open, in_flight, ..Tally::default() }),
    ),
    ("SELECT connector, count(*), 0 FROM messages INDEXED BY messages_dead WHERE state = 'dead' GROUP BY connector", |dead, _| {
        Change::Count(Tally { dead, ..Tally::default() })
    }),
];

fn keys_in(keys: &[u8]) -> impl Iterator<Item = Key> + '_ {
    keys.as_chunks::<16>().0.iter().copied()
}
