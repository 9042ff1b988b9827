//! What is committed, as far as memory has it: how much there is of each connector, the newest of the events that wait, and where the busiest lanes
//! stand.
//!
//! The writer changes it commit by commit, so a lane that keeps up reads no row. Bounded: what there is no room for is read from the tables.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use crate::clock::UnixMs;
use crate::event::Event;
use crate::outbox::{ConnectorName, LaneState, PaceLog, Waiting};

/// The most that the events kept take together, counted as JSON.
const KEPT_BYTES: usize = 4 << 20;
/// The most lanes that are kept. One more, and all of them are forgotten: cheaper than to know which of them is the oldest.
const LANES: usize = 2_048;
/// A longer memo is read from its row.
const MEMO: usize = 1_024;

/// How much of a connector there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Events that wait.
    pub(super) waiting: i64,
    /// Open messages.
    pub(super) open: i64,
    /// Events in them.
    pub(super) in_flight: i64,
    /// Dead letters.
    pub(super) dead: i64,
}

impl Tally {
    fn add(&mut self, change: Tally) {
        self.open += change.open;
        self.in_flight += change.in_flight;
        self.dead += change.dead;
    }

    /// What counts towards the quota: everything that no pruning will take away.
    pub(super) fn items(self) -> i64 {
        self.waiting + self.in_flight + self.dead
    }
}

/// An event that waits, as its row has it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) accepted_at: UnixMs,
    pub(super) event: Arc<Event>,
    /// Its length as JSON.
    pub(super) bytes: usize,
}

/// A change of what is known of a connector.
#[derive(Debug)]
pub(super) enum Change {
    /// Other counts, but for what waits.
    Count(Tally),
    /// An event begins to wait.
    Enter(i64, Option<Box<Kept>>),
    /// Events wait no longer.
    Leave(Vec<i64>),
    /// Pace and memo.
    Lane(Box<(PaceLog, Option<String>)>),
}

/// What is known of one connector.
#[derive(Debug, Default)]
struct Known {
    tally: Tally,
    /// The events that wait.
    queue: BTreeMap<i64, Option<Box<Kept>>>,
}

#[derive(Debug, Default)]
struct Shared {
    known: HashMap<ConnectorName, Known>,
    lanes: HashMap<ConnectorName, (PaceLog, Option<String>)>,
    kept_bytes: usize,
}

impl Shared {
    fn apply(&mut self, connector: ConnectorName, change: Change) {
        if let Change::Lane(lane) = change {
            return self.keep_lane(connector, *lane);
        }
        let known = self.known.entry(Arc::clone(&connector)).or_default();
        match change {
            Change::Count(tally) => known.tally.add(tally),
            Change::Enter(seq, kept) => {
                let kept = kept.filter(|kept| self.kept_bytes + kept.bytes <= KEPT_BYTES);
                self.kept_bytes += kept.as_ref().map_or(0, |kept| kept.bytes);
                known.queue.insert(seq, kept);
            }
            Change::Leave(seqs) => {
                let left = seqs.iter().filter_map(|seq| known.queue.remove(seq).flatten());
                self.kept_bytes -= left.map(|kept| kept.bytes).sum::<usize>();
            }
            Change::Lane(_) => {}
        }
        known.tally.waiting = known.queue.len() as i64;
        if known.tally == Tally::default() {
            self.known.remove(&connector);
        }
    }

    fn keep_lane(&mut self, connector: ConnectorName, (pace, memo): (PaceLog, Option<String>)) {
        if memo.as_ref().is_some_and(|memo| memo.len() > MEMO) {
            self.lanes.remove(&connector);
            return;
        }
        if self.lanes.len() >= LANES && !self.lanes.contains_key(&connector) {
            self.lanes.clear();
        }
        self.lanes.insert(connector, (pace, memo));
    }
}

/// Shared with whoever asks.
#[derive(Debug, Default)]
pub(super) struct Tallies(RwLock<Shared>);

impl Tallies {
    /// One connector's counts.
    pub(super) fn of(&self, connector: &str) -> Tally {
        self.read(|shared| shared.known.get(connector).map(|known| known.tally).unwrap_or_default())
    }

    /// The first events that wait for a connector. To be asked before a snapshot is taken, so that the rows are in it.
    pub(super) fn first(&self, connector: &str, limit: usize) -> Vec<i64> {
        let first = |known: &Known| known.queue.keys().take(limit).copied().collect();
        self.read(|shared| shared.known.get(connector).map(first).unwrap_or_default())
    }

    /// The state of a lane, where nothing of it has to be read.
    pub(super) fn lane(&self, connector: &str) -> Option<LaneState> {
        self.read(|shared| {
            let (pace, memo) = shared.lanes.get(connector)?;
            let mut state = LaneState { pace: pace.clone(), memo: memo.clone(), ..LaneState::default() };
            if let Some(known) = shared.known.get(connector) {
                if known.tally.open > 0 {
                    return None;
                }
                state.waiting = known.tally.waiting.unsigned_abs();
                if let Some(first) = known.queue.values().next() {
                    state.oldest = Some(first.as_ref()?.accepted_at);
                }
            }
            Some(state)
        })
    }

    /// The first events that wait for a connector, where all of them are kept.
    pub(super) fn waiting(&self, connector: &str, limit: usize) -> Option<Vec<Waiting>> {
        self.read(|shared| {
            let Some(known) = shared.known.get(connector) else { return Some(Vec::new()) };
            let entry = |(seq, kept): (&i64, &Option<Box<Kept>>)| {
                let kept = kept.as_ref()?;
                Some(Waiting { seq: *seq, accepted_at: kept.accepted_at, event: Arc::clone(&kept.event) })
            };
            known.queue.iter().take(limit).map(entry).collect()
        })
    }

    /// Every connector that has anything.
    pub(super) fn all(&self) -> Vec<(ConnectorName, Tally)> {
        self.read(|shared| shared.known.iter().map(|(name, known)| (Arc::clone(name), known.tally)).collect())
    }

    /// Everything that counts towards the quota.
    pub(super) fn items(&self) -> i64 {
        self.read(|shared| shared.known.values().map(|known| known.tally.items()).sum())
    }

    /// Makes changes visible, all at once.
    pub(super) fn apply(&self, changes: impl IntoIterator<Item = (ConnectorName, Change)>) {
        let mut shared = self.0.write().unwrap_or_else(PoisonError::into_inner);
        changes.into_iter().for_each(|(connector, change)| shared.apply(connector, change));
    }

    fn read<T>(&self, look: impl FnOnce(&Shared) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::sqlite::tests::{T0, delivered, event, incoming, new_message, open_at, take, tried};
    use crate::outbox::{Incoming, Outbox, OutboxError};

    #[tokio::test]
    async fn a_lane_that_keeps_up_reads_no_row() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = open_at(&folder.path().join("x.db")).await;
        let seq = take(&outbox, "a", &["ops"]).await;
        let message = new_message("ops", "key", &[seq]);
        let id = outbox.open(message.clone()).await.unwrap();
        outbox.settle(id, delivered(), tried("delivered"), message.pace.clone()).await.unwrap();
        outbox.readers.close();
        let idle = outbox.lane("ops").await.unwrap();
        assert_eq!((idle.waiting, idle.oldest, &idle.pace), (0, None, &message.pace));
        outbox.accept(T0, vec![incoming("b", &["ops"])], vec![]).await.unwrap();
        let lane = outbox.lane("ops").await.unwrap();
        assert_eq!((lane.waiting, lane.oldest), (1, Some(T0)));
        let waiting = outbox.waiting("ops", 10).await.unwrap();
        assert_eq!((waiting.len(), waiting[0].seq, &*waiting[0].event), (1, seq + 1, &event("b")));
        assert!(matches!(outbox.message(id).await, Err(OutboxError::Closed)), "the readers are closed");
    }

    #[tokio::test]
    async fn what_is_kept_is_what_the_rows_say_and_what_is_too_much_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let outbox = open_at(&path).await;
        let large = |n: usize| {
            let mut event = event(&n.to_string());
            event.details = "\u{e9}\n".repeat(KEPT_BYTES / 20);
            Incoming { event: Arc::new(event), ..incoming("", &["ops", "dev"]) }
        };
        outbox.accept(T0, (0..10).map(large).collect(), vec![]).await.unwrap();
        assert_eq!((outbox.tallies.waiting("ops", 10).is_none(), outbox.tallies.waiting("ops", 1).is_some()), (true, true));
        let found = outbox.waiting("ops", 10).await.unwrap();
        outbox.close().await;
        let outbox = open_at(&path).await;
        let read = outbox.waiting("ops", 10).await.unwrap();
        let parts =
            |waiting: &[Waiting]| -> Vec<_> { waiting.iter().map(|one| (one.seq, one.accepted_at, Arc::clone(&one.event))).collect() };
        assert!(found.len() == 10 && parts(&found) == parts(&read));
        let seqs: Vec<i64> = found.iter().map(|one| one.seq).collect();
        outbox.open(new_message("ops", "key", &seqs)).await.unwrap();
        assert!(outbox.waiting("ops", 10).await.unwrap().is_empty());
    }

    #[test]
    fn room_is_given_back_and_the_oldest_lanes_make_room() {
        let tallies = Tallies::default();
        let kept = || Some(Box::new(Kept { accepted_at: T0, event: Arc::new(event("a")), bytes: KEPT_BYTES }));
        let ops: ConnectorName = "ops".into();
        tallies.apply([(ops.clone(), Change::Enter(1, kept())), (ops.clone(), Change::Enter(2, kept()))]);
        assert_eq!((tallies.waiting("ops", 1).map(|found| found.len()), tallies.waiting("ops", 2).is_none()), (Some(1), true));
        tallies.apply([(ops.clone(), Change::Leave(vec![1, 2])), (ops.clone(), Change::Enter(3, kept()))]);
        assert_eq!(tallies.waiting("ops", 2).map(|found| found[0].seq), Some(3));
        let lane = |n: usize| (ConnectorName::from(n.to_string()), Change::Lane(Box::default()));
        tallies.apply((0..LANES).map(lane));
        assert!(tallies.lane("0").is_some());
        tallies.apply([lane(LANES)]);
        assert!(tallies.lane("0").is_none() && tallies.lane(&LANES.to_string()).is_some());
        let long = (PaceLog::default(), Some("m".repeat(MEMO + 1)));
        tallies.apply([(LANES.to_string().into(), Change::Lane(Box::new(long)))]);
        assert!(tallies.lane(&LANES.to_string()).is_none());
    }
}
