//! How many calls iLert may be sent. Pure.

use std::collections::VecDeque;

use crate::clock::UnixMs;

/// iLert counts in minutes.
const WINDOW_MS: i64 = 60_000;
/// Calls of one API key in any minute.
const LIMIT: usize = 120;

/// What a call is for: the more people wait for it, the more of the budget it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Carrying out what somebody asked for.
    Respond,
    /// Looking for what was missed.
    Reconcile,
    /// Showing the present state on a page.
    Look,
    /// An event, for which iLert has a limit of its own.
    Event,
}

impl Purpose {
    fn share(self) -> usize {
        match self {
            Purpose::Respond => LIMIT,
            Purpose::Reconcile => 90,
            Purpose::Look => 60,
            Purpose::Event => 50,
        }
    }
}

/// The exact log of the last minute's calls of one key. A token bucket would let up to twice the limit into a minute.
#[derive(Debug, Default)]
pub struct Budget {
    calls: VecDeque<UnixMs>,
    closed_until: UnixMs,
}

impl Budget {
    /// Notes a call, or says how many milliseconds to wait before asking again.
    pub fn take(&mut self, purpose: Purpose, now: UnixMs) -> Result<(), i64> {
        while self.calls.front().is_some_and(|at| now.saturating_sub(*at) >= WINDOW_MS) {
            self.calls.pop_front();
        }
        if now < self.closed_until {
            return Err(self.closed_until - now);
        }
        // The call whose leaving makes room for this one.
        match self.calls.len().checked_sub(purpose.share()) {
            Some(excess) => Err((self.calls[excess] + WINDOW_MS - now).max(1)),
            None => {
                self.calls.push_back(now);
                Ok(())
            }
        }
    }

    /// iLert wants to be left alone.
    pub fn close(&mut self, until: UnixMs) {
        self.closed_until = self.closed_until.max(until);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_minute_has_more_calls_than_the_limit(waits in proptest::collection::vec((0i64..2_000, 0usize..3), 1..1_000)) {
            let mut budget = Budget::default();
            let (mut now, mut made) = (0, Vec::new());
            for (wait, purpose) in waits {
                now += wait;
                let purpose = [Purpose::Respond, Purpose::Reconcile, Purpose::Look][purpose];
                match budget.take(purpose, now) {
                    Ok(()) => made.push(now),
                    Err(wait) => prop_assert!(wait > 0 && wait <= WINDOW_MS),
                }
                let within = made.iter().filter(|at| now - **at < WINDOW_MS).count();
                prop_assert!(within <= LIMIT);
            }
        }
    }

    #[test]
    fn looking_leaves_room_for_responding() {
        let mut budget = Budget::default();
        (0..60).for_each(|_| budget.take(Purpose::Look, 0).unwrap());
        assert_eq!(budget.take(Purpose::Look, 10), Err(59_990));
        (0..30).for_each(|_| budget.take(Purpose::Reconcile, 0).unwrap());
        assert!(budget.take(Purpose::Reconcile, 0).is_err());
        (0..30).for_each(|_| budget.take(Purpose::Respond, 0).unwrap());
        assert_eq!(budget.take(Purpose::Respond, 59_999), Err(1));
        assert_eq!(budget.take(Purpose::Respond, 60_000), Ok(()));
        budget.close(70_000);
        assert_eq!(budget.take(Purpose::Respond, 60_001), Err(9_999));
    }
}
