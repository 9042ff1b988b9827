//! What others may know of the writer.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::telemetry::metrics::OutboxMetrics;

/// Whether the writer works.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// No job is taken any more.
    pub(super) closed: AtomicBool,
    pub(super) metrics: OutboxMetrics,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    busy_since: Option<Instant>,
    committed: Option<Instant>,
}

impl Health {
    /// How long the transaction in progress has taken so far.
    pub(super) fn stuck_for(&self) -> Duration {
        self.get().busy_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Whether the last transaction was committed, and within this time.
    pub(super) fn committed_within(&self, time: Duration) -> bool {
        self.get().committed.is_some_and(|at| at.elapsed() < time)
    }

    /// A transaction begins.
    pub(super) fn begun(&self) {
        let committed = self.get().committed;
        self.set(State { busy_since: Some(Instant::now()), committed });
    }

    /// It is over.
    pub(super) fn ended(&self, jobs: usize, committed: bool) {
        self.metrics.transaction(jobs, self.stuck_for(), committed);
        self.set(State { busy_since: None, committed: committed.then(Instant::now) });
    }

    fn get(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}
