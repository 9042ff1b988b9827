//! A simulator's own time: the host's clock, and how far a test has moved it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::clock::{Clock, UnixMs};

/// A clock that can be moved forward, and whose time of day can be set wrong.
#[derive(Clone, Debug)]
pub struct Timeline {
    clock: Clock,
    moved: Arc<AtomicI64>,
    skew: Arc<AtomicI64>,
}

impl Timeline {
    /// Follows `clock` until it is moved.
    pub fn new(clock: Clock) -> Self {
        Timeline { clock, moved: Arc::default(), skew: Arc::default() }
    }

    /// The time of day, as this simulator believes it to be.
    pub fn now(&self) -> UnixMs {
        self.clock.now().saturating_add(self.moved.load(Ordering::SeqCst)).saturating_add(self.skew.load(Ordering::SeqCst))
    }

    /// Never runs back: for windows and mutes.
    pub fn steady(&self) -> UnixMs {
        self.clock.steady().saturating_add(self.moved.load(Ordering::SeqCst))
    }

    /// Lets `by` pass at once: windows slide on and mutes run out.
    pub fn advance(&self, by: Duration) {
        self.moved.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Sets the time of day wrong by `ms`; windows and mutes do not notice.
    pub fn skew(&self, ms: i64) {
        self.skew.store(ms, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advance_moves_both_clocks_and_a_skew_only_the_time_of_day() {
        let time = Timeline::new(Clock::system());
        let (now, steady) = (time.now(), time.steady());
        time.advance(Duration::from_secs(600));
        assert!(time.now() >= now + 600_000 && time.steady() >= steady + 600_000);
        time.skew(-7_200_000);
        assert!(time.now() < now && time.steady() >= steady + 600_000);
    }
}
