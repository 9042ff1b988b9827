//! A robot's place in the group: its settings, and what it has done so far.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::answer::{Answer, QUOTA_USED_UP};
use super::fault::Fault;
use super::pace::Pace;
use super::robot::Robot;
use crate::clock::UnixMs;

/// Keys that a robot remembers at the most.
const KEYS: usize = 1_000_000;

/// What has happened to one robot so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Calls with this robot's token.
    pub requests: u64,
    /// Messages that the group has seen.
    pub shown: u64,
    /// Calls that were answered with ok because the group had seen the message already.
    pub repeated: u64,
    /// Of those, the ones whose body was not the first one's: a client that gives one key to two messages loses the second.
    pub altered: u64,
    /// Calls that were refused, for any reason.
    pub refused: u64,
    /// Calls that met a fault.
    pub faulted: u64,
    /// Most calls in any 60 seconds.
    pub worst_minute: u64,
    /// How often it was muted.
    pub mutes: u64,
    /// Calls that counted against this month's quota.
    pub used_this_month: u64,
}

/// All that is known of one robot.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) robot: Robot,
    pub(super) pace: Pace,
    month: String,
    pub(super) counters: Counters,
    /// The last messages by key: the hash of the body, and when.
    heard: HashMap<String, u64>,
    heard_in_order: VecDeque<(UnixMs, String)>,
    pub(super) faults: VecDeque<(Fault, u32)>,
}

impl Place {
    pub(super) fn new(robot: Robot) -> Self {
        Place {
            robot,
            pace: Pace::default(),
            month: String::new(),
            counters: Counters::default(),
            heard: HashMap::new(),
            heard_in_order: VecDeque::new(),
            faults: VecDeque::new(),
        }
    }

    pub(super) fn counters(&self) -> Counters {
        Counters { worst_minute: self.pace.worst as u64, mutes: self.pace.mutes, ..self.counters.clone() }
    }

    pub(super) fn next_fault(&mut self) -> Option<Fault> {
        let (fault, left) = self.faults.front_mut()?;
        let fault = fault.clone();
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.faults.pop_front();
        }
        Some(fault)
    }

    /// One call of this month's quota. DingTalk's months are China's.
    pub(super) fn spend(&mut self, now: UnixMs) -> Result<(), Answer> {
        let month = month_in_china(now);
        if month != self.month {
            self.month = month;
            self.counters.used_this_month = 0;
        }
        if self.robot.monthly_quota.is_some_and(|quota| self.counters.used_this_month >= quota) {
            return Err(QUOTA_USED_UP);
        }
        self.counters.used_this_month += 1;
        Ok(())
    }

    /// Whether the group has seen the message with this key within the window; takes note of it.
    pub(super) fn repeats(&mut self, key: &str, body: &[u8], now: UnixMs, window_ms: i64) -> bool {
        let old = |at: UnixMs| now.saturating_sub(at) > window_ms;
        while self.heard_in_order.len() >= KEYS || self.heard_in_order.front().is_some_and(|(at, _)| old(*at)) {
            if let Some((_, old)) = self.heard_in_order.pop_front() {
                self.heard.remove(&old);
            }
        }
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let hash = hasher.finish();
        match self.heard.get(key) {
            Some(first) => {
                self.counters.repeated += 1;
                self.counters.altered += u64::from(*first != hash);
                true
            }
            None => {
                self.heard.insert(key.to_owned(), hash);
                self.heard_in_order.push_back((now, key.to_owned()));
                false
            }
        }
    }
}

fn month_in_china(now: UnixMs) -> String {
    let zone = TimeZone::fixed(jiff::tz::offset(8));
    Timestamp::from_millisecond(now).unwrap_or(Timestamp::MAX).to_zoned_datetime(zone).strftime("%Y-%m").to_string()
}
