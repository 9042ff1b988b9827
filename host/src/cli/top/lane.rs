//! One connector as `top` shows it, and what state it is in.

use crate::clock::UnixMs;

/// One connector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lane {
    /// Its name.
    pub(super) name: String,
    /// Events that wait.
    pub(super) waiting: u64,
    /// When the oldest was accepted.
    pub(super) oldest: Option<UnixMs>,
    /// Events of the message in flight.
    pub(super) in_flight: u64,
    /// Messages in the window of the pace.
    pub(super) sent: usize,
    /// How many it may have; none where there is no limit.
    pub(super) pace: Option<u32>,
    /// The receiver wants to be left alone until then.
    pub(super) closed_until: Option<UnixMs>,
    /// Messages of this month.
    pub(super) month: u32,
    /// How many it may have.
    pub(super) budget: Option<u32>,
    /// Dead letters.
    pub(super) dead: u64,
    /// Whether the config has it.
    pub(super) configured: bool,
}

/// How urgently somebody should look, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// Events wait for a connector that the config has no more.
    Unknown,
    /// The receiver wants to be left alone.
    Closed,
    /// The budget of the month is used up.
    Spent,
    /// More waits than the pace lets through.
    Paced,
    /// A message is on its way.
    Sending,
    /// Something waits for its turn.
    Waiting,
    /// Nothing to do.
    Idle,
}

impl Lane {
    pub(super) fn state(&self) -> State {
        let full = self.pace.is_some_and(|pace| self.sent >= pace as usize);
        match self {
            Lane { configured: false, .. } => State::Unknown,
            Lane { closed_until: Some(_), .. } => State::Closed,
            Lane { budget: Some(budget), month, waiting: 1.., .. } if month >= budget => State::Spent,
            Lane { waiting: 1.., .. } if full => State::Paced,
            Lane { in_flight: 1.., .. } => State::Sending,
            Lane { waiting: 1.., .. } => State::Waiting,
            _ => State::Idle,
        }
    }

    /// What is to be seen first: the worst state, the longest queue, then by name.
    pub(super) fn need(&self) -> (State, std::cmp::Reverse<u64>, std::cmp::Reverse<u64>, &str) {
        (self.state(), std::cmp::Reverse(self.waiting), std::cmp::Reverse(self.dead), &self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_urgent_state_is_told() {
        let idle = Lane { configured: true, pace: Some(20), ..Lane::default() };
        let paced = Lane { waiting: 5, sent: 20, ..idle.clone() };
        assert_eq!(idle.state(), State::Idle);
        assert_eq!(paced.state(), State::Paced);
        assert_eq!(Lane { closed_until: Some(1), ..paced.clone() }.state(), State::Closed);
        assert_eq!(Lane { budget: Some(10), month: 10, ..paced.clone() }.state(), State::Spent);
        assert_eq!(Lane { in_flight: 1, ..idle.clone() }.state(), State::Sending);
        assert_eq!(Lane { configured: false, ..paced.clone() }.state(), State::Unknown);
        let mut lanes = [idle, Lane { name: "b".into(), closed_until: Some(1), configured: true, ..Lane::default() }, paced];
        lanes.sort_by(|a, b| a.need().cmp(&b.need()));
        assert_eq!(lanes.map(|lane| lane.state()), [State::Closed, State::Paced, State::Idle]);
    }
}
