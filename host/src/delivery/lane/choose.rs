//! Which waiting events are next: singly or as a digest, now or later. Pure.

use crate::clock::UnixMs;
use crate::delivery::batch::Pick;
use crate::delivery::{Pace, pace};
use crate::outbox::{PaceLog, Waiting};

/// While the budget is tight, what is not HIGH gathers for this long.
const GATHER_MS: i64 = 600_000;

/// More waits than may leave singly. A quarter of the pace is kept free for what comes next.
pub(super) fn is_behind(waiting: usize, pace: Option<Pace>, log: &PaceLog, now: UnixMs) -> bool {
    let Some(limit) = pace else { return false };
    let room = pace::free(pace, log, now).saturating_sub(limit.messages / 4);
    waiting > 1 && waiting > room as usize
}

/// While the budget is tight: keeps only what may go out now, or says until when to gather. HIGH goes at once; the rest with it, or alone,
/// when it has gathered long enough.
pub(super) fn spare(picks: &mut Vec<Pick>, waiting: &[Waiting], now: UnixMs) -> Option<UnixMs> {
    let is_low = |entry: &&Waiting| !entry.event.is_high();
    let oldest = waiting.iter().find(is_low).map(|entry| entry.accepted_at)?;
    let gathered_at = oldest.saturating_add(GATHER_MS);
    if now >= gathered_at {
        return None;
    }
    if !picks.iter().any(|pick| pick.item.event.is_high()) {
        return Some(gathered_at);
    }
    picks.retain(|pick| pick.item.event.is_high());
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::delivery::batch;
    use crate::delivery::testing::event;
    use crate::event::{Kind, Priority};

    const ROBOT: Pace = Pace { messages: 20, window_ms: 60_000, penalty_ms: 600_000 };

    fn waiting(seq: i64, accepted_at: UnixMs, priority: Priority) -> Waiting {
        let mut one = event(&seq.to_string(), Kind::Created);
        one.priority = Some(priority);
        Waiting { seq, accepted_at, event: Arc::new(one) }
    }

    fn spared(all: &[Waiting], now: UnixMs) -> Result<Vec<i64>, UnixMs> {
        let mut picks = batch::digest(all);
        match spare(&mut picks, all, now) {
            Some(until) => Err(until),
            None => Ok(picks.iter().flat_map(|pick| pick.seqs.clone()).collect()),
        }
    }

    #[test]
    fn a_tight_budget_lets_high_go_at_once_and_the_rest_gather() {
        let (low, high) = (waiting(1, 0, Priority::Low), waiting(2, 5, Priority::High));
        assert_eq!(spared(std::slice::from_ref(&low), 10), Err(GATHER_MS));
        assert_eq!(spared(std::slice::from_ref(&high), 10), Ok(vec![2]));
        assert_eq!(spared(&[low.clone(), high.clone()], 10), Ok(vec![2]));
        assert_eq!(spared(&[low, high], GATHER_MS), Ok(vec![2, 1]));
    }

    #[test]
    fn a_quarter_of_the_pace_is_kept_for_what_comes_next() {
        let log = PaceLog { sends: vec![1_000; 10], ..PaceLog::default() };
        assert!(!is_behind(5, Some(ROBOT), &log, 1_000));
        assert!(is_behind(6, Some(ROBOT), &log, 1_000));
        assert!(!is_behind(1, Some(ROBOT), &PaceLog { closed_until: 9_000, ..log.clone() }, 1_000));
        assert!(is_behind(2, Some(ROBOT), &PaceLog { closed_until: 9_000, ..log.clone() }, 1_000));
        assert!(!is_behind(9_000, None, &log, 1_000));
    }
}
