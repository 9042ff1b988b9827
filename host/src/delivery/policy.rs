//! How one connector is delivered to: the host's part of its config, ready for its lane.

use jiff::tz::TimeZone;

use super::budget::Payer;
use super::{Pace, Profile};

/// What the config says about the sink's own pace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PaceRule {
    /// Keep to it.
    #[default]
    Sink,
    /// The receiver has no limit.
    Unlimited,
    /// Go slower: so many messages in so many milliseconds.
    Lower {
        /// At least 1.
        messages: u32,
        /// Milliseconds.
        window_ms: u32,
    },
}

/// How to deliver to a connector.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The pace.
    pub pace: PaceRule,
    /// A message that was not delivered after this many milliseconds is a dead letter.
    pub max_age_ms: i64,
    /// Messages in a calendar month.
    pub monthly_budget: Option<u32>,
    /// Whose budget.
    pub payer: Payer,
    /// What a calendar month is.
    pub zone: TimeZone,
}

impl Policy {
    /// The pace to keep, given the sink's own.
    ///
    /// A lower rule slows down and never speeds up: of the two limits the one with the fewer messages a second holds, and a sink's penalty
    /// stays its own.
    pub fn pace(&self, profile: &Profile) -> Option<Pace> {
        match (self.pace, profile.pace) {
            (PaceRule::Unlimited, _) => None,
            (PaceRule::Sink, own) => own,
            (PaceRule::Lower { messages, window_ms }, own) => {
                let penalty_ms = own.map_or(0, |own| own.penalty_ms);
                let ruled = Pace { messages: messages.max(1), window_ms: window_ms.max(1), penalty_ms };
                match own {
                    Some(own) if is_faster(ruled, own) => Some(own),
                    _ => Some(ruled),
                }
            }
        }
    }
}

/// Whether `a` could ever break `b`: more messages in one of its windows than it allows.
fn is_faster(a: Pace, b: Pace) -> bool {
    let windows = b.window_ms.div_ceil(a.window_ms);
    u64::from(a.messages) * u64::from(windows) > u64::from(b.messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(pace: PaceRule) -> Policy {
        Policy { pace, max_age_ms: 0, monthly_budget: None, payer: Payer::Connector("a".into()), zone: TimeZone::UTC }
    }

    #[test]
    fn a_rule_slows_down_and_never_speeds_up() {
        let robot = Pace { messages: 20, window_ms: 60_000, penalty_ms: 600_000 };
        let profile = Profile { pace: Some(robot), max_batch: 1 };
        let at = |messages, window_ms| {
            policy(PaceRule::Lower { messages, window_ms }).pace(&profile).map(|pace| (pace.messages, pace.window_ms))
        };
        assert_eq!(at(10, 60_000), Some((10, 60_000)));
        assert_eq!(at(30, 60_000), Some((20, 60_000)));
        assert_eq!(at(1, 1_000), Some((20, 60_000)));
        assert_eq!(at(1, 3_000), Some((1, 3_000)));
        assert_eq!(policy(PaceRule::Unlimited).pace(&profile), None);
        assert_eq!(policy(PaceRule::Sink).pace(&profile), Some(robot));
    }
}
