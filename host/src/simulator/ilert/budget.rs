//! iLert's rate limit: so many calls in each minute of the clock.

use std::collections::HashMap;

use crate::clock::UnixMs;

/// Calls a minute with a user's API key.
pub(super) const API_KEY: u32 = 120;
/// Calls a minute with an alert source's integration key.
pub(super) const INTEGRATION_KEY: u32 = 50;

/// Fixed windows of a minute: a new one has the whole budget.
#[derive(Debug, Default)]
pub(super) struct Budget {
    minute: i64,
    used: HashMap<String, u32>,
}

impl Budget {
    /// Takes one call of `most` from the key's budget; false where nothing is left.
    pub(super) fn spend(&mut self, key: &str, most: u32, now: UnixMs) -> bool {
        let minute = now.div_euclid(60_000);
        if minute != self.minute {
            self.minute = minute;
            self.used.clear();
        }
        let used = self.used.entry(key.to_owned()).or_default();
        *used = used.saturating_add(1);
        *used <= most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_minute_has_the_whole_budget() {
        let mut budget = Budget::default();
        assert!((0..3).all(|_| budget.spend("a", 3, 59_999)));
        assert!(!budget.spend("a", 3, 59_999));
        assert!(budget.spend("b", 3, 59_999));
        assert!(budget.spend("a", 3, 60_000));
    }
}
