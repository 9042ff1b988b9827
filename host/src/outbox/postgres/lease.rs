//! Which lanes are this host's, and for how long it may believe so. Pure: the times are handed in.
//!
//! A host is a row of `hosts` with a time that each sign of life moves on. When that time is over, another host deletes the row, and from
//! then on its lanes are free; a row that is gone never comes back, so "the row is there" is all that a claim has to look at. The host
//! itself believes in its lanes only while the row cannot be deleted yet: it counts from before the sign of life left.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::outbox::{ConnectorName, RESPONDER};

/// A lane with nothing to do is free for others after this time.
pub(super) const RESTING: Duration = Duration::from_secs(10);
/// That a lane is another host's is believed so long without asking again.
const ELSEWHERE: Duration = Duration::from_secs(1);
/// In the place of a host's number: none, of a lane that was given away.
pub(super) const NOBODY: i64 = 0;
/// So many lanes more than its share a host keeps.
const SLACK: usize = 8;

/// What this host knows of lanes.
#[derive(Debug, Default)]
pub(super) struct Lanes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The row of this host.
    host: Option<i64>,
    /// It is there at least so long.
    until: Option<Instant>,
    /// The lanes that it holds, each with the time since when it has nothing to do.
    held: HashMap<ConnectorName, Option<Instant>>,
    /// Those of them that are to be another's.
    giving: HashSet<ConnectorName>,
    /// Lanes that another host holds, since when that is known, and which.
    elsewhere: HashMap<ConnectorName, (Instant, i64)>,
}

/// What is known of a lane without asking.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It is this host's.
    Held,
    /// It was this host's, and is to be freed for others now.
    Given,
    /// It is this one's.
    Elsewhere(i64),
    /// The database has to be asked.
    Nothing,
}

impl Lanes {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The row of this host, if it has one.
    pub(super) fn host(&self) -> Option<i64> {
        self.lock().host
    }

    /// This host has a new row: nothing that it held is its own any more.
    pub(super) fn begin(&self, host: i64, until: Instant) {
        *self.lock() = State { host: Some(host), until: Some(until), ..State::default() };
    }

    /// This host has no row any more.
    pub(super) fn end(&self) {
        *self.lock() = State::default();
    }

    /// A sign of life was noted, unless the row is another by now.
    pub(super) fn alive(&self, host: i64, until: Instant) {
        let mut state = self.lock();
        if state.host == Some(host) {
            state.until = state.until.max(Some(until));
        }
    }

    /// What is known of a lane. That it is asked for means that it has something to do.
    pub(super) fn known(&self, connector: &str, now: Instant) -> Known {
        let mut state = self.lock();
        if state.giving.remove(connector) && state.held.remove(connector).is_some() {
            return Known::Given;
        }
        if let Some(resting) = state.held.get_mut(connector) {
            *resting = None;
            return Known::Held;
        }
        match state.elsewhere.get(connector) {
            Some((since, host)) if now.saturating_duration_since(*since) < ELSEWHERE => Known::Elsewhere(*host),
            _ => Known::Nothing,
        }
    }

    /// Whether a message may leave: the lane is this host's, and nobody can have taken it over yet.
    pub(super) fn holds(&self, connector: &str, now: Instant) -> bool {
        let state = self.lock();
        state.held.contains_key(connector) && state.until.is_some_and(|until| now < until)
    }

    /// This host has claimed a lane, if its row is still that one.
    pub(super) fn take(&self, host: i64, connector: &str) -> bool {
        let mut state = self.lock();
        let is_ours = state.host == Some(host);
        if is_ours {
            state.elsewhere.remove(connector);
            state.held.insert(Arc::from(connector), None);
        }
        is_ours
    }

    /// Another host has a lane.
    pub(super) fn see(&self, connector: &str, host: i64, now: Instant) {
        let mut state = self.lock();
        state.held.remove(connector);
        state.elsewhere.insert(Arc::from(connector), (now, host));
    }

    /// The database says that no other host has these lanes, whatever was known. Those that this host gave away a moment ago are left to the others.
    pub(super) fn see_none(&self, connectors: &[ConnectorName]) {
        let mut state = self.lock();
        let given = |state: &State, name: &ConnectorName| state.elsewhere.get(name).is_some_and(|(_, host)| *host == NOBODY);
        for name in connectors {
            if !given(&state, name) {
                state.elsewhere.remove(name);
            }
        }
    }

    /// The database refused a change: what is known of the lane may be wrong.
    pub(super) fn doubt(&self, connector: &str) {
        let mut state = self.lock();
        state.held.remove(connector);
        state.elsewhere.remove(connector);
    }

    /// A lane has nothing to do.
    pub(super) fn rest(&self, connector: &str, now: Instant) {
        if let Some(resting) = self.lock().held.get_mut(connector) {
            resting.get_or_insert(now);
        }
    }

    /// Lets go of the lanes that have rested long enough, at most so many. They are to be freed in the database.
    pub(super) fn let_go(&self, now: Instant, most: usize) -> Vec<ConnectorName> {
        let mut state = self.lock();
        state.elsewhere.retain(|_, (since, _)| now.saturating_duration_since(*since) < ELSEWHERE);
        let rested = |since: &Option<Instant>| since.is_some_and(|since| now.saturating_duration_since(since) >= RESTING);
        let gone: Vec<ConnectorName> =
            state.held.iter().filter(|(_, since)| rested(since)).map(|(name, _)| Arc::clone(name)).take(most).collect();
        for name in &gone {
            state.held.remove(name);
        }
        gone
    }

    /// How many lanes it holds.
    fn count(&self) -> usize {
        self.lock().held.len()
    }

    /// Marks lanes for others where this host has many more than its share of `lanes` on so many `hosts`. Each is given when it is asked for next,
    /// which is between two messages.
    pub(super) fn share(&self, lanes: usize, hosts: usize) {
        let surplus = surplus(self.count(), lanes, hosts);
        let mut state = self.lock();
        let works = |(name, resting): &(&ConnectorName, &Option<Instant>)| resting.is_none() && &***name != RESPONDER;
        state.giving = state.held.iter().filter(works).map(|(name, _)| Arc::clone(name)).take(surplus).collect();
    }
}

/// How many lanes to give: half of what is too much, so that two who give at once do not take turns; none for a small difference.
fn surplus(held: usize, lanes: usize, hosts: usize) -> usize {
    let fair = lanes.div_ceil(hosts.max(1));
    let too_many = held.saturating_sub(fair);
    if too_many > SLACK.max(fair / 4) { too_many.div_ceil(2) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_with_many_more_lanes_than_its_share_gives_some_away() {
        assert_eq!([surplus(100, 100, 1), surplus(40, 90, 3), surplus(90, 90, 3), surplus(6, 6, 3)], [0, 5, 30, 0]);
        let (lanes, now) = (Lanes::default(), Instant::now());
        lanes.begin(1, now + 100 * RESTING);
        lanes.take(1, RESPONDER);
        (0..20).for_each(|n| _ = lanes.take(1, &format!("c{n}")));
        lanes.share(20, 2);
        let given = (0..20).filter(|n| lanes.known(&format!("c{n}"), now) == Known::Given).count();
        assert_eq!((given, lanes.count()), (6, 15));
        assert_eq!(lanes.known(RESPONDER, now), Known::Held);
    }

    #[test]
    fn a_lane_is_held_as_long_as_the_row_is_certainly_there() {
        let (lanes, now) = (Lanes::default(), Instant::now());
        let lease = Duration::from_secs(3);
        lanes.begin(7, now + lease);
        assert_eq!(lanes.known("ops", now), Known::Nothing);
        assert!(!lanes.take(6, "ops"), "a claim of the row before");
        assert!(lanes.take(7, "ops") && lanes.holds("ops", now) && !lanes.holds("other", now));
        assert!(!lanes.holds("ops", now + lease), "it may be another host's by now");
        lanes.alive(6, now + 9 * lease);
        assert!(!lanes.holds("ops", now + lease));
        lanes.alive(7, now + 2 * lease);
        assert!(lanes.holds("ops", now + lease));
        lanes.begin(8, now + 3 * lease);
        assert!(!lanes.holds("ops", now), "a new row begins with nothing");
    }

    #[test]
    fn a_lane_that_rests_is_let_go_and_one_that_works_is_not() {
        let (lanes, now) = (Lanes::default(), Instant::now());
        lanes.begin(1, now + 100 * RESTING);
        for name in ["idle", "busy"] {
            lanes.take(1, name);
            lanes.rest(name, now);
        }
        assert_eq!(lanes.known("busy", now), Known::Held);
        assert!(lanes.let_go(now, 10).is_empty());
        assert_eq!(lanes.let_go(now + RESTING, 10), ["idle".into()]);
        assert_eq!(lanes.count(), 1);
    }

    #[test]
    fn where_a_lane_is_is_asked_again_after_a_moment() {
        let (lanes, now) = (Lanes::default(), Instant::now());
        lanes.begin(1, now + ELSEWHERE);
        lanes.see("ops", 2, now);
        assert_eq!(lanes.known("ops", now), Known::Elsewhere(2));
        assert_eq!(lanes.known("ops", now + ELSEWHERE), Known::Nothing);
        lanes.see("ops", 2, now);
        lanes.doubt("ops");
        assert_eq!(lanes.known("ops", now), Known::Nothing);
        lanes.see("ops", 2, now);
        lanes.take(1, "own");
        lanes.see_none(&["ops".into(), "own".into()]);
        assert_eq!((lanes.known("ops", now), lanes.known("own", now)), (Known::Nothing, Known::Held));
        lanes.see("given", NOBODY, now);
        lanes.see_none(&["given".into()]);
        assert_eq!(lanes.known("given", now), Known::Elsewhere(NOBODY));
    }
}
