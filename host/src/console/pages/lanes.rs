//! What the connectors' page knows of each of them: pure, from the outbox's line and the connector's policy.

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::UnixMs;
use crate::delivery::budget::{self, Payer, Standing};
use crate::delivery::pace;
use crate::delivery::policy::Policy;
use crate::delivery::{Connector, Pace};
use crate::outbox::ConnectorStatus;

/// How a lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// The receiver wants to be left alone.
    Closed,
    /// The month's messages are used up.
    Spent,
    /// More waits than one message holds.
    Behind,
    /// A message is under way.
    Sending,
    /// Nothing to do.
    Quiet,
}

/// One connector.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) name: Arc<str>,
    pub(super) state: State,
    pub(super) waiting: u64,
    pub(super) in_flight: u64,
    pub(super) oldest: Option<UnixMs>,
    pub(super) dead: u64,
    /// Milliseconds.
    pub(super) closed_for: i64,
    /// Messages in the window, and the pace.
    pub(super) pace: Option<(u32, Pace)>,
    /// Messages this month, what the budget allows, and how that stands.
    pub(super) month: u32,
    pub(super) budget: Option<(u32, Standing)>,
    /// Whether others pay from the same budget.
    pub(super) shared: bool,
}

/// Messages of this month by who pays for them.
pub(super) fn spendings<'a>(lanes: impl Iterator<Item = (&'a Policy, &'a ConnectorStatus)>, now: UnixMs) -> HashMap<Payer, u32> {
    let mut spent: HashMap<Payer, u32> = HashMap::new();
    for (policy, line) in lanes {
        if line.pace.month == budget::month(now, &policy.zone) {
            *spent.entry(policy.payer.clone()).or_default() += line.pace.month_count;
        }
    }
    spent
}

/// One connector as it is. `steady` is the time that the pace is measured in.
pub(super) fn lane(connector: &Connector, line: &ConnectorStatus, spent: u32, steady: UnixMs) -> Lane {
    let policy = &connector.policy;
    let kept = policy.pace(&connector.sink.profile());
    let open = crate::outbox::PaceLog { closed_until: 0, ..line.pace.clone() };
    let used = kept.map(|kept| (kept.messages.saturating_sub(pace::free(Some(kept), &open, steady)), kept));
    let closed_for = line.pace.closed_until.saturating_sub(steady).max(0);
    let budget = policy.monthly_budget.map(|limit| (limit, budget::standing(spent, Some(limit))));
    let full = used.is_some_and(|(used, kept)| used >= kept.messages);
    let state = match () {
        () if closed_for > 0 => State::Closed,
        () if line.waiting > 0 && budget.is_some_and(|(_, standing)| standing == Standing::Spent) => State::Spent,
        () if line.waiting > 0 && (full || line.in_flight > 0) => State::Behind,
        () if line.waiting + line.in_flight > 0 => State::Sending,
        () => State::Quiet,
    };
    Lane {
        name: Arc::clone(&connector.name),
        state,
        waiting: line.waiting,
        in_flight: line.in_flight,
        oldest: line.oldest,
        dead: line.dead,
        closed_for,
        pace: used,
        month: spent,
        budget,
        shared: matches!(policy.payer, Payer::Account(_)),
    }
}

/// The ones that need a look first; the others by name.
pub(super) fn sort(lanes: &mut [Lane]) {
    lanes.sort_by(|a, b| (a.state, a.dead == 0, &a.name).cmp(&(b.state, b.dead == 0, &b.name)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::policy::PaceRule;
    use crate::delivery::{Attempt, IncidentSink, Item, MessageContext, Prepared, Profile};
    use crate::outbox::{Draft, PaceLog, Reason};

    struct Robot;

    #[async_trait::async_trait]
    impl IncidentSink for Robot {
        fn profile(&self) -> Profile {
            Profile { pace: Some(Pace { messages: 20, window_ms: 60_000, penalty_ms: 600_000 }), max_batch: 10 }
        }
        fn prepare(&self, _: &[Item], _: &MessageContext) -> Result<Prepared, Reason> {
            Err(Reason::default())
        }
        fn can_attempt(&self, _: &Draft) -> bool {
            false
        }
        async fn attempt(&self, _: &Draft, _: &MessageContext) -> Attempt {
            unreachable!("nothing is sent here")
        }
    }

    fn connector(budget: Option<u32>) -> Connector {
        let policy = Policy {
            pace: PaceRule::Sink,
            max_age_ms: 1,
            monthly_budget: budget,
            payer: Payer::Connector("ops".into()),
            zone: jiff::tz::TimeZone::UTC,
        };
        Connector { name: "ops".into(), sink: Arc::new(Robot), policy }
    }

    fn line(waiting: u64, in_flight: u64, pace: PaceLog) -> ConnectorStatus {
        ConnectorStatus { connector: "ops".into(), waiting, in_flight, pace, ..ConnectorStatus::default() }
    }

    #[test]
    fn the_pace_is_what_left_within_the_window() {
        let log = PaceLog { sends: vec![0, 50_000, 99_000], ..PaceLog::default() };
        let lane = lane(&connector(None), &line(0, 0, log), 0, 100_000);
        assert_eq!((lane.pace.unwrap().0, lane.state), (2, State::Quiet));
    }

    #[test]
    fn a_closed_lane_says_how_long_and_still_shows_its_pace() {
        let log = PaceLog { sends: vec![99_000], closed_until: 160_000, ..PaceLog::default() };
        let lane = lane(&connector(None), &line(5, 0, log), 0, 100_000);
        assert_eq!((lane.state, lane.closed_for, lane.pace.unwrap().0), (State::Closed, 60_000, 1));
    }

    #[test]
    fn the_state_is_the_worst_that_is_true() {
        let log = PaceLog::default;
        let state = |budget, waiting, in_flight, spent| lane(&connector(budget), &line(waiting, in_flight, log()), spent, 0).state;
        assert_eq!(state(Some(10), 1, 0, 10), State::Spent);
        assert_eq!(state(None, 1, 1, 0), State::Behind);
        assert_eq!(state(None, 0, 1, 0), State::Sending);
        assert_eq!(state(None, 1, 0, 0), State::Sending);
        assert_eq!(state(Some(10), 0, 0, 10), State::Quiet);
    }

    #[test]
    fn what_an_account_spent_is_the_sum_of_this_month() {
        let policy = connector(None).policy;
        let of = |month: &str, month_count| line(0, 0, PaceLog { month: month.into(), month_count, ..PaceLog::default() });
        let lines = [of("1970-01", 3), of("1970-01", 4), of("1969-12", 9)];
        let spent = spendings(lines.iter().map(|line| (&policy, line)), 0);
        assert_eq!(spent.get(&policy.payer), Some(&7));
    }
}
