//! How fast a lane may go: an exact log of the last sends.
//!
//! A token bucket of 20 that refills at 20 a minute lets 39 messages into one minute. The log does not: message *k + n* leaves no earlier
//! than one window after message *k* was over, so no window at the receiver ever holds more than *n*, however long a message was under way.
//! Pure: values in, values out.

use super::Pace;
use crate::clock::UnixMs;
use crate::outbox::PaceLog;

/// Added to the window: clocks run at different rates, and a receiver may count both ends of a window.
fn margin(pace: Pace) -> i64 {
    i64::from(pace.window_ms / 200) + 1
}

/// A wait that a log from disk asks for is believed up to a day: a clock that was wrong before the restart closes no lane for ever.
const LONGEST_CLOSURE_MS: i64 = 24 * 3_600_000;

/// The earliest time at which a message may leave; `now` where nothing stands in its way.
pub fn next_slot(pace: Option<Pace>, log: &PaceLog, now: UnixMs) -> UnixMs {
    let mut at = now.max(log.closed_until);
    if let Some(pace) = pace {
        let allowed = pace.messages.max(1) as usize;
        if let Some(nth_last) = log.sends.len().checked_sub(allowed).and_then(|index| log.sends.get(index)) {
            at = at.max(nth_last.saturating_add(i64::from(pace.window_ms)).saturating_add(margin(pace)));
        }
    }
    at
}

/// How many messages could leave at once.
pub fn free(pace: Option<Pace>, log: &PaceLog, now: UnixMs) -> u32 {
    if log.closed_until > now {
        return 0;
    }
    let Some(pace) = pace else { return u32::MAX };
    pace.messages.saturating_sub(used(pace, log, now))
}

/// How many messages count in the window.
pub fn used(pace: Pace, log: &PaceLog, now: UnixMs) -> u32 {
    let since = now.saturating_sub(i64::from(pace.window_ms)).saturating_sub(margin(pace));
    let used = log.sends.iter().filter(|sent| **sent > since).count();
    u32::try_from(used).unwrap_or(u32::MAX)
}

/// When the next digest should leave: spread over the window, so that there is always room for what comes next.
pub fn digest_slot(pace: Option<Pace>, log: &PaceLog, now: UnixMs) -> UnixMs {
    let slot = next_slot(pace, log, now);
    match (pace, log.sends.last()) {
        (Some(pace), Some(last)) => slot.max(last.saturating_add(i64::from(pace.window_ms / pace.messages.max(1)))),
        _ => slot,
    }
}

/// Notes that a message is about to leave.
pub fn begun(pace: Option<Pace>, log: &mut PaceLog, now: UnixMs) {
    let Some(pace) = pace else { return };
    log.sends.push(now);
    let keep = pace.messages.max(1) as usize;
    if log.sends.len() > keep {
        log.sends.drain(..log.sends.len() - keep);
    }
}

/// Notes that the message in flight is over: only now is it certain when it can have arrived at the latest.
pub fn ended(pace: Option<Pace>, log: &mut PaceLog, now: UnixMs) {
    if pace.is_some()
        && let Some(last) = log.sends.last_mut()
    {
        *last = (*last).max(now);
    }
}

/// Leaves the receiver alone for a while.
pub fn close(log: &mut PaceLog, until: UnixMs) {
    log.closed_until = log.closed_until.max(until);
}

/// Makes a log from an earlier run usable: nothing lies in the future, and a message that was in flight then may have arrived until now.
pub fn restore(log: &mut PaceLog, in_flight: bool, now: UnixMs) {
    for sent in &mut log.sends {
        *sent = (*sent).min(now);
    }
    if in_flight && let Some(last) = log.sends.last_mut() {
        *last = now;
    }
    log.sends.sort_unstable();
    log.closed_until = log.closed_until.min(now.saturating_add(LONGEST_CLOSURE_MS));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROBOT: Pace = Pace { messages: 20, window_ms: 60_000, penalty_ms: 600_000 };

    /// The most arrivals in any closed window.
    fn worst(arrivals: &[UnixMs], window: i64) -> usize {
        arrivals.iter().map(|start| arrivals.iter().filter(|at| **at >= *start && **at <= start + window).count()).max().unwrap_or(0)
    }

    #[test]
    fn the_first_twenty_leave_at_once_and_the_next_waits_a_minute() {
        let mut log = PaceLog::default();
        for _ in 0..20 {
            assert_eq!(next_slot(Some(ROBOT), &log, 1_000), 1_000);
            begun(Some(ROBOT), &mut log, 1_000);
        }
        assert_eq!(free(Some(ROBOT), &log, 1_000), 0);
        assert_eq!(next_slot(Some(ROBOT), &log, 1_000), 61_301);
        assert_eq!(free(Some(ROBOT), &log, 61_301), 20);
    }

    #[test]
    fn without_a_pace_only_a_closed_lane_waits() {
        let mut log = PaceLog::default();
        begun(None, &mut log, 5);
        assert_eq!(next_slot(None, &log, 5), 5);
        close(&mut log, 600_005);
        assert_eq!((next_slot(None, &log, 5), free(None, &log, 5)), (600_005, 0));
    }

    #[test]
    fn a_clock_that_was_ahead_before_the_restart_closes_nothing_for_ever() {
        let mut log = PaceLog { sends: vec![5, 9_000_000], closed_until: i64::MAX, ..PaceLog::default() };
        restore(&mut log, false, 1_000);
        assert_eq!(log.sends, [5, 1_000]);
        assert_eq!(log.closed_until, 1_000 + LONGEST_CLOSURE_MS);
    }

    proptest! {
        /// Any pattern of demand, latency and restarts: no window at the receiver holds more than the pace.
        #[test]
        fn no_window_at_the_receiver_holds_more_than_the_pace(
            steps in prop::collection::vec((0i64..5_000, 0i64..9_000, 0u8..=100, any::<bool>()), 1..200),
            messages in 1u32..25, window in 1_000u32..90_000,
        ) {
            let pace = Some(Pace { messages, window_ms: window, penalty_ms: 0 });
            let (mut log, mut now, mut arrivals) = (PaceLog::default(), 1_000_000i64, Vec::new());
            for (wait, latency, arrives_at_percent, restart) in steps {
                now = next_slot(pace, &log, now + wait);
                begun(pace, &mut log, now);
                arrivals.push(now + latency * i64::from(arrives_at_percent) / 100);
                now += latency;
                if restart { restore(&mut log, true, now) } else { ended(pace, &mut log, now) }
            }
            prop_assert!(worst(&arrivals, i64::from(window)) <= messages as usize);
        }

        #[test]
        fn what_is_free_may_leave_at_once(sends in prop::collection::vec(0i64..100_000, 0..20), now in 0i64..200_000) {
            let mut sends = sends;
            sends.sort_unstable();
            let log = PaceLog { sends, ..PaceLog::default() };
            prop_assert_eq!(free(Some(ROBOT), &log, now) > 0, next_slot(Some(ROBOT), &log, now) == now);
        }
    }
}
