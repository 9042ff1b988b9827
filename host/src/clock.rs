//! Time, injected: the system's, or one that a test or the demo lets run faster.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type UnixMs = i64;

/// Where every part of the host takes the time from.
///
/// [`Clock::now`] may step as the system's clock does; [`Clock::steady`] never does within one run, so that a pace or a wait measured
/// with it is right under any clock step.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    start: Instant,
    start_ms: UnixMs,
    /// Simulated milliseconds in each real one; 1 is the system's clock.
    rate: u32,
    /// How far the time of day was set, in milliseconds.
    stepped: AtomicI64,
    /// How far the clock that it follows is ahead of the machine's, in milliseconds; `i64::MIN` where it follows none.
    ahead: AtomicI64,
}

/// A clock that is followed is believed to be the same as long as it differs less than this from what it was: an answer takes time.
const SAME_MS: i64 = 1_000;

impl Default for Clock {
    fn default() -> Self {
        Clock::system()
    }
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Clock::scaled(1)
    }

    /// A clock that starts now and runs `rate` times as fast. A rate of 0 counts as 1.
    pub fn scaled(rate: u32) -> Self {
        Clock(Arc::new(Inner {
            start: Instant::now(),
            start_ms: wall_ms(),
            rate: rate.max(1),
            stepped: AtomicI64::new(0),
            ahead: AtomicI64::new(i64::MIN),
        }))
    }

    /// The time of day.
    pub fn now(&self) -> UnixMs {
        let time = if self.0.rate == 1 { wall_ms() } else { self.steady() };
        time.saturating_add(self.0.stepped.load(Ordering::Relaxed))
    }

    /// Sets the time of day forward or back, as somebody who corrects the system's clock does. For tests.
    pub fn step(&self, by_ms: i64) {
        self.0.stepped.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// The time of day at the start of this run plus the time passed since: never steps.
    pub fn steady(&self) -> UnixMs {
        let passed = self.0.start.elapsed().as_millis().saturating_mul(u128::from(self.0.rate));
        let ahead = match self.0.ahead.load(Ordering::Relaxed) {
            i64::MIN => 0,
            ahead => ahead,
        };
        self.0.start_ms.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX)).saturating_add(ahead)
    }

    /// Has [`Clock::steady`] follow another clock, which shows `now`: hosts that share a database count in its time. Later calls change nothing
    /// unless that clock was set; by how much is answered then. A clock that runs faster than the system's follows none.
    pub fn follow(&self, now: UnixMs) -> Option<i64> {
        if self.0.rate != 1 {
            return None;
        }
        let by = now.saturating_sub(self.steady());
        let before = self.0.ahead.load(Ordering::Relaxed);
        if before != i64::MIN && by.abs() < SAME_MS {
            return None;
        }
        self.0.ahead.store(if before == i64::MIN { by } else { before.saturating_add(by) }, Ordering::Relaxed);
        (before != i64::MIN).then_some(by)
    }

    /// Waits. Cancel-safe.
    pub async fn sleep(&self, wait: Duration) {
        tokio::time::sleep(wait / self.0.rate).await;
    }

    /// Waits until [`Clock::steady`] is at `at`. Cancel-safe.
    pub async fn sleep_until(&self, at: UnixMs) {
        loop {
            let left = at.saturating_sub(self.steady());
            if left <= 0 {
                return;
            }
            // An hour at the most, so that a huge wait cannot overflow the timer.
            self.sleep(Duration::from_millis(left.min(3_600_000).unsigned_abs())).await;
        }
    }
}

fn wall_ms() -> UnixMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_clock_runs_faster_and_never_back() {
        let clock = Clock::scaled(1000);
        let first = clock.steady();
        std::thread::sleep(Duration::from_millis(2));
        assert!(clock.steady() >= first + 2000);
    }

    #[test]
    fn a_clock_follows_another_and_notices_when_that_is_set() {
        let clock = Clock::system();
        let ahead = |clock: &Clock| clock.steady() - wall_ms();
        assert_eq!(clock.follow(wall_ms() + 60_000), None);
        assert!((ahead(&clock) - 60_000).abs() < 500);
        assert_eq!(clock.follow(wall_ms() + 60_100), None, "an answer was late");
        assert!((ahead(&clock) - 60_000).abs() < 500);
        assert!(clock.follow(wall_ms()).is_some_and(|by| (by + 60_000).abs() < 500));
        assert!(ahead(&clock).abs() < 500);
        assert_eq!(Clock::scaled(10).follow(0), None);
    }

    #[test]
    fn a_step_sets_the_time_of_day_and_nothing_else() {
        let clock = Clock::scaled(10);
        let (now, steady) = (clock.now(), clock.steady());
        clock.step(-3_600_000);
        assert!(clock.now() < now && clock.steady() >= steady);
        clock.step(7_200_000);
        assert!(clock.now() >= now + 3_600_000);
    }
}
