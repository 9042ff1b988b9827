//! The robot's limit, exactly: 20 calls in any 60 seconds, then ten minutes of silence.

use std::collections::VecDeque;

use crate::clock::UnixMs;

/// Calls in a window.
pub(super) const MESSAGES: usize = 20;
/// The window's length in milliseconds.
pub(super) const WINDOW_MS: i64 = 60_000;
/// How long a robot that was too fast is muted, in milliseconds.
pub(super) const MUTE_MS: i64 = 600_000;

/// An exact log of the calls in the last window.
///
/// DingTalk does not say whether its window slides or whether a call in a mute makes the mute longer. This one slides, which is the
/// stricter reading; a mute has a fixed end, which is the documented one. Calls in a mute are calls: who knocks until its end is muted again.
#[derive(Debug, Default)]
pub(super) struct Pace {
    calls: VecDeque<UnixMs>,
    muted_until: Option<UnixMs>,
    /// Most calls in any window, refused ones included.
    pub(super) worst: usize,
    /// How often the robot was muted.
    pub(super) mutes: u64,
}

impl Pace {
    /// Takes note of a call; says whether it is heard. `limited` false only measures.
    pub(super) fn arrives(&mut self, now: UnixMs, limited: bool) -> bool {
        // A call exactly a window ago is outside: "in any 60 seconds" is half-open.
        while self.calls.front().is_some_and(|first| now - first >= WINDOW_MS) {
            self.calls.pop_front();
        }
        self.calls.push_back(now);
        self.worst = self.worst.max(self.calls.len());
        if self.muted(now) {
            return false;
        }
        if limited && self.calls.len() > MESSAGES {
            self.mute(now + MUTE_MS);
            return false;
        }
        true
    }

    /// Mutes until then.
    pub(super) fn mute(&mut self, until: UnixMs) {
        self.mutes += 1;
        self.muted_until = Some(until);
    }

    /// Whether the robot is muted now.
    pub(super) fn muted(&self, now: UnixMs) -> bool {
        self.muted_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_21st_call_in_a_minute_mutes_for_ten_minutes() {
        let mut pace = Pace::default();
        for call in 0..20 {
            assert!(pace.arrives(call * 1000, true));
        }
        assert!(!pace.arrives(59_999, true));
        assert!(!pace.arrives(59_999 + MUTE_MS - 1, true));
        assert!(pace.arrives(59_999 + MUTE_MS, true));
        assert_eq!((pace.worst, pace.mutes), (21, 1));
    }

    #[test]
    fn a_call_a_whole_minute_later_is_in_a_new_window() {
        let mut pace = Pace::default();
        for _ in 0..20 {
            assert!(pace.arrives(0, true));
        }
        assert!(pace.arrives(WINDOW_MS, true));
        assert_eq!(pace.mutes, 0);
    }

    proptest! {
        /// Against the definition: look at every window that ends with a call.
        #[test]
        fn no_window_holds_more_than_20_heard_calls(gaps in prop::collection::vec(0i64..9_000, 1..200)) {
            let mut pace = Pace::default();
            let (mut now, mut heard, mut all) = (0, Vec::new(), Vec::new());
            for gap in gaps {
                now += gap;
                all.push(now);
                if pace.arrives(now, true) {
                    heard.push(now);
                }
                let in_window = |calls: &[i64]| calls.iter().filter(|at| now - **at < WINDOW_MS).count();
                prop_assert!(in_window(&heard) <= MESSAGES);
                prop_assert!(pace.worst >= in_window(&all));
            }
        }
    }
}
