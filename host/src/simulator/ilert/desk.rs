//! iLert's state: alerts, keys, what was called, and the events that follow.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::alert::{Alert, Named, NewAlert, User};
use super::budget::Budget;
use super::{Fault, Options};
use crate::clock::UnixMs;
use crate::secret::Secret;
use crate::simulator::SimulatorError;
use crate::simulator::timeline::Timeline;

/// The first alert's id.
const FIRST_ID: u64 = 2_983_781;

/// A REST call that was answered, or cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Called {
    /// When, by the simulator's clock.
    pub at: UnixMs,
    /// `GET`, `PUT`, `POST`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The answer's status; `None` for a connection that was reset or left to hang.
    pub status: Option<u16>,
}

/// A webhook event, and what came of posting it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Posted {
    /// The body.
    pub event: Value,
    /// The receiver's answer.
    pub status: Option<u16>,
    /// Why there was none.
    pub error: Option<String>,
}

#[derive(Debug)]
struct State {
    alerts: BTreeMap<u64, Alert>,
    next_id: u64,
    comments: Vec<(u64, UnixMs, String)>,
    calls: VecDeque<Called>,
    posted: VecDeque<Posted>,
    count: BTreeMap<String, u64>,
    budget: Budget,
    /// How, how often, and on which call.
    faults: VecDeque<(Fault, u32, Option<String>)>,
    webhook: Option<Secret>,
}

/// Everything, shared by the API, the poster and the handle.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) time: Timeline,
    limited: bool,
    keep: usize,
    old_names: bool,
    users: HashMap<String, User>,
    sources: HashMap<String, Named>,
    state: Mutex<State>,
    queue: mpsc::Sender<Value>,
    changes: watch::Sender<u64>,
}

impl Desk {
    pub(super) fn new(options: Options, queue: mpsc::Sender<Value>) -> Self {
        let users = options.api_keys.into_iter().map(|(key, user)| (key.expose().to_owned(), user)).collect();
        let sources = options.integration_keys.into_iter().map(|(key, source)| (key.expose().to_owned(), source)).collect();
        let state = State {
            alerts: BTreeMap::new(),
            next_id: FIRST_ID,
            comments: Vec::new(),
            calls: VecDeque::new(),
            posted: VecDeque::new(),
            count: BTreeMap::new(),
            budget: Budget::default(),
            faults: VecDeque::new(),
            webhook: options.webhook,
        };
        Desk {
            time: Timeline::new(options.clock),
            limited: options.rate_limit,
            keep: options.keep,
            old_names: options.incident_names,
            users,
            sources,
            state: Mutex::new(state),
            queue,
            changes: watch::channel(0).0,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything in it can panic, so a poisoned state is a sound one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn user_of(&self, key: &str) -> Option<&User> {
        self.users.get(key)
    }

    /// A user that some key belongs to.
    pub(super) fn user(&self, id: u64) -> Option<&User> {
        self.users.values().find(|user| user.id == id)
    }

    pub(super) fn source_of(&self, key: &str) -> Option<&Named> {
        self.sources.get(key)
    }

    /// Takes a call from a key's budget.
    pub(super) fn spend(&self, key: &str, most: u32) -> bool {
        let now = self.time.steady();
        !self.limited || self.state().budget.spend(key, most, now)
    }

    pub(super) fn alert(&self, id: u64) -> Result<Alert, SimulatorError> {
        self.state().alerts.get(&id).cloned().ok_or(SimulatorError::UnknownAlert(id))
    }

    /// All alerts, the newest first.
    pub(super) fn alerts(&self) -> Vec<Alert> {
        self.state().alerts.values().rev().cloned().collect()
    }

    /// The last open alert with that key, whose case does not matter.
    pub(super) fn open_by_key(&self, source: u64, key: &str) -> Option<u64> {
        let same = |alert: &&Alert| {
            alert.is_open() && alert.about.alert_source.id == source && alert.alert_key.trim().to_lowercase() == key.trim().to_lowercase()
        };
        self.state().alerts.values().rev().find(same).map(|alert| alert.id)
    }

    pub(super) fn create(&self, about: NewAlert) -> u64 {
        let mut state = self.state();
        let id = state.next_id;
        state.next_id += 1;
        let alert = Alert::new(id, about, self.time.now());
        state.alerts.insert(id, alert.clone());
        drop(state);
        self.announce(&alert, "created", None);
        id
    }

    /// Changes an alert where `change` says that it may be, and announces it.
    pub(super) fn change<E>(&self, id: u64, kind: &str, change: impl FnOnce(&mut Alert, UnixMs) -> Result<(), E>) -> Result<Alert, E>
    where
        E: From<SimulatorError>,
    {
        let now = self.time.now();
        let mut state = self.state();
        let alert = state.alerts.get_mut(&id).ok_or(SimulatorError::UnknownAlert(id))?;
        change(alert, now)?;
        let alert = alert.clone();
        drop(state);
        self.announce(&alert, kind, None);
        Ok(alert)
    }

    pub(super) fn comment(&self, id: u64, text: &str) -> Result<(), SimulatorError> {
        let alert = self.alert(id)?;
        self.state().comments.push((id, self.time.now(), text.to_owned()));
        self.announce(&alert, "comment-added", Some(text));
        Ok(())
    }

    pub(super) fn comments(&self, id: u64) -> Vec<String> {
        self.log(id).into_iter().map(|(_, text)| text).collect()
    }

    /// What was written under an alert, and when.
    pub(super) fn log(&self, id: u64) -> Vec<(UnixMs, String)> {
        self.state().comments.iter().filter(|(of, ..)| *of == id).map(|(_, at, text)| (*at, text.clone())).collect()
    }

    fn announce(&self, alert: &Alert, kind: &str, comment: Option<&str>) {
        let prefix = if self.old_names { "incident" } else { "alert" };
        self.post(alert.event(&format!("{prefix}-{kind}"), &uuid(), self.time.now(), comment));
    }

    /// Queues an event for the webhook; without one it is only kept.
    pub(super) fn post(&self, event: Value) {
        if self.webhook().is_none() {
            self.posted(Posted { event, status: None, error: Some("no webhook is configured".into()) });
        } else if let Err(full) = self.queue.try_send(event) {
            self.posted(Posted { event: full.into_inner(), status: None, error: Some("the webhook's queue is full".into()) });
        }
        self.changed();
    }

    pub(super) fn webhook(&self) -> Option<Secret> {
        self.state().webhook.clone()
    }

    pub(super) fn set_webhook(&self, url: Option<Secret>) {
        self.state().webhook = url;
    }

    pub(super) fn posted(&self, posted: Posted) {
        let mut state = self.state();
        keep(&mut state.posted, posted, self.keep);
        drop(state);
        self.changed();
    }

    pub(super) fn posts(&self) -> Vec<Posted> {
        self.state().posted.iter().cloned().collect()
    }

    /// Writes a call down; `name` is its path without ids.
    pub(super) fn called(&self, name: &str, called: Called) {
        let mut state = self.state();
        *state.count.entry(name.to_owned()).or_default() += 1;
        keep(&mut state.calls, called, self.keep);
        drop(state);
        self.changed();
    }

    pub(super) fn calls(&self) -> Vec<Called> {
        self.state().calls.iter().cloned().collect()
    }

    pub(super) fn counters(&self) -> BTreeMap<String, u64> {
        self.state().count.clone()
    }

    pub(super) fn fault(&self, fault: Fault, times: u32, on: Option<String>) {
        self.state().faults.push_back((fault, times.max(1), on));
    }

    /// The fault that this call meets.
    pub(super) fn next_fault(&self, call: &str) -> Option<Fault> {
        let mut state = self.state();
        let at = state.faults.iter().position(|(.., on)| on.as_deref().is_none_or(|on| on == call))?;
        let (fault, left, _) = state.faults.get_mut(at)?;
        let fault = *fault;
        *left -= 1;
        if *left == 0 {
            state.faults.remove(at);
        }
        Some(fault)
    }
}

/// A random UUID, version 4.
fn uuid() -> String {
    let bits = (fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn keep<T>(list: &mut VecDeque<T>, item: T, most: usize) {
    list.push_back(item);
    while list.len() > most {
        list.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_is_a_version_4_uuid() {
        for _ in 0..100 {
            let id = uuid();
            assert_eq!((id.len(), &id[14..15]), (36, "4"));
            assert!("89ab".contains(&id[19..20]), "{id}");
        }
    }
}
