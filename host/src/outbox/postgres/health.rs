//! How the outbox is.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::telemetry::metrics::OutboxMetrics;

/// How the outbox is.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// No call is taken any more.
    pub(super) closed: AtomicBool,
    pub(super) metrics: OutboxMetrics,
    committed: Mutex<Option<Instant>>,
}

impl Health {
    /// Whether the last transaction was committed, and within this time.
    pub(super) fn committed_within(&self, time: Duration) -> bool {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at.elapsed() < time)
    }

    /// A transaction of so many jobs is over.
    pub(super) fn ended(&self, jobs: usize, took: Duration, committed: bool) {
        self.metrics.transaction(jobs, took, committed);
        *self.committed.lock().unwrap_or_else(PoisonError::into_inner) = committed.then(Instant::now);
    }
}
