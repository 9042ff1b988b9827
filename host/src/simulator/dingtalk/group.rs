//! The group: its robots, what they have said, what they were refused.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};

use super::answer::{Answer, OK, TOO_FAST, TOO_LONG, UNKNOWN_TOKEN};
use super::fault::Fault;
use super::place::{Counters, Place};
use super::robot::Robot;
use super::schema::{self, Message};
use super::shown::Shown;
use super::{Options, gate};
use crate::clock::UnixMs;
use crate::simulator::SimulatorError;
use crate::simulator::timeline::Timeline;

/// The longest body, in bytes.
const LONGEST: usize = 20_000;
/// How much of a refused body is kept, in characters.
const KEPT_OF_REFUSED: usize = 2_000;
/// Messages that a slow subscriber may be behind before it misses some.
const BEHIND: usize = 1024;

/// A call that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// When.
    pub at: UnixMs,
    /// Whose token it was; `None` if nobody's.
    pub robot: Option<String>,
    /// What was answered.
    pub answer: Answer,
    /// The beginning of the body.
    pub body: String,
}

#[derive(Debug, Default)]
struct State {
    places: HashMap<String, Place>,
    sessions: HashMap<String, (String, UnixMs)>,
    shown: VecDeque<Arc<Shown>>,
    refused: VecDeque<Refused>,
    number: u64,
}

/// One group, shared by the server and its handle.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) time: Timeline,
    limited: bool,
    repeat_window_ms: i64,
    keep: usize,
    state: Mutex<State>,
    told: broadcast::Sender<Arc<Shown>>,
    changes: watch::Sender<u64>,
}

/// A call to the robot, as far as the robot looks at it.
pub(super) struct Said<'a> {
    pub(super) peer: SocketAddr,
    pub(super) timestamp: Option<&'a str>,
    pub(super) sign: Option<&'a str>,
    /// `None` for one too long to be read.
    pub(super) body: Option<&'a [u8]>,
    /// The URL is a session's: signature, address and keywords do not apply.
    pub(super) by_session: bool,
}

impl Group {
    pub(super) fn new(options: Options) -> Result<Self, SimulatorError> {
        let group = Group {
            time: Timeline::new(options.clock),
            limited: options.rate_limit,
            repeat_window_ms: i64::try_from(options.repeat_window.as_millis()).unwrap_or(i64::MAX),
            keep: options.keep,
            state: Mutex::default(),
            told: broadcast::channel(BEHIND).0,
            changes: watch::channel(0).0,
        };
        options.robots.into_iter().try_for_each(|robot| group.add(robot))?;
        Ok(group)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything in it can panic, so a poisoned state is a sound one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, robot: Robot) -> Result<(), SimulatorError> {
        let mut state = self.state();
        let same = |place: &Place| place.robot.name == robot.name || place.robot.access_token.expose() == robot.access_token.expose();
        if state.places.values().any(same) {
            return Err(SimulatorError::DuplicateRobot(robot.name));
        }
        let name = robot.name.clone();
        state.places.insert(name, Place::new(robot));
        Ok(())
    }

    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.state().places.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// The robot whose token that is.
    pub(super) fn by_token(&self, token: &str) -> Option<String> {
        let state = self.state();
        let place = state.places.values().find(|place| place.robot.access_token.matches(token.as_bytes()))?;
        Some(place.robot.name.clone())
    }

    /// The robot whose session that is, unless it has expired.
    pub(super) fn by_session(&self, session: &str) -> Option<String> {
        let now = self.time.steady();
        self.state().sessions.get(session).filter(|(_, until)| now < *until).map(|(robot, _)| robot.clone())
    }

    pub(super) fn open_session(&self, robot: &str, ttl: Duration) -> Result<String, SimulatorError> {
        let until = self.time.steady().saturating_add(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
        self.with(robot, |_| ())?;
        let session = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let mut state = self.state();
        state.sessions.retain(|_, (_, until)| self.time.steady() < *until);
        state.sessions.insert(session.clone(), (robot.to_owned(), until));
        Ok(session)
    }

    /// Does something with a robot's place.
    fn with<T>(&self, robot: &str, act: impl FnOnce(&mut Place) -> T) -> Result<T, SimulatorError> {
        self.state().places.get_mut(robot).map(act).ok_or_else(|| SimulatorError::UnknownRobot(robot.to_owned()))
    }

    pub(super) fn token(&self, robot: &str) -> Result<String, SimulatorError> {
        self.with(robot, |place| place.robot.access_token.expose().to_owned())
    }

    pub(super) fn counters(&self, robot: &str) -> Result<Counters, SimulatorError> {
        self.with(robot, |place| place.counters())
    }

    pub(super) fn mute(&self, robot: &str, time: Duration) -> Result<(), SimulatorError> {
        let until = self.time.steady().saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        self.with(robot, |place| place.pace.mute(until))
    }

    pub(super) fn fault(&self, robot: &str, fault: Fault, times: u32) -> Result<(), SimulatorError> {
        fault.check()?;
        self.with(robot, |place| place.faults.push_back((fault, times)))
    }

    pub(super) fn clear_faults(&self, robot: &str) -> Result<(), SimulatorError> {
        self.with(robot, |place| place.faults.clear())
    }

    pub(super) fn messages(&self, robot: Option<&str>) -> Vec<Shown> {
        let state = self.state();
        let of_robot = |shown: &&Arc<Shown>| robot.is_none_or(|name| shown.robot == name);
        state.shown.iter().filter(of_robot).map(|shown| Shown::clone(shown)).collect()
    }

    pub(super) fn refused(&self) -> Vec<Refused> {
        self.state().refused.iter().cloned().collect()
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<Shown>> {
        self.told.subscribe()
    }

    /// Changes with every message and every refusal.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A call has arrived: it counts, whatever comes of it. Says whether the robot listens, and the fault it meets.
    pub(super) fn arrives(&self, robot: &str) -> (bool, Option<Fault>) {
        let (now, limited) = (self.time.steady(), self.limited);
        self.with(robot, |place| {
            place.counters.requests += 1;
            let heard = place.pace.arrives(now, limited);
            let fault = place.next_fault();
            place.counters.faulted += u64::from(fault.is_some());
            (heard, fault)
        })
        .unwrap_or((true, None))
    }

    /// Checks a message and shows it.
    pub(super) fn hear(&self, robot: &str, said: &Said<'_>) -> Answer {
        match self.judge(robot, said) {
            Ok(()) => OK,
            Err(answer) => {
                self.refuse(Some(robot), &answer, said.body);
                answer
            }
        }
    }

    fn judge(&self, robot: &str, said: &Said<'_>) -> Result<(), Answer> {
        let settings = self.with(robot, |place| place.robot.clone()).map_err(|_| UNKNOWN_TOKEN)?;
        if !said.by_session {
            gate::address(&settings, said.peer)?;
            gate::signature(&settings, said.timestamp, said.sign, self.time.now())?;
        }
        let body = said.body.filter(|body| body.len() <= LONGEST).ok_or(TOO_LONG)?;
        let message = schema::read(body)?;
        if !said.by_session {
            gate::keywords(&settings, &message)?;
        }
        self.show(robot, message, body)
    }

    fn show(&self, robot: &str, message: Message, body: &[u8]) -> Result<(), Answer> {
        let (now, steady) = (self.time.now(), self.time.steady());
        let mut guard = self.state();
        let state = &mut *guard;
        let place = state.places.get_mut(robot).ok_or(UNKNOWN_TOKEN)?;
        place.spend(now)?;
        if let Some(key) = &message.msg_uuid
            && place.repeats(key, body, steady, self.repeat_window_ms)
        {
            return Ok(());
        }
        place.counters.shown += 1;
        state.number += 1;
        let shown = Arc::new(shown(state.number, now, robot, message));
        keep(&mut state.shown, Arc::clone(&shown), self.keep);
        drop(guard);
        // Nobody need listen.
        self.told.send(shown).ok();
        self.changes.send_modify(|changes| *changes += 1);
        Ok(())
    }

    /// Writes a refusal down.
    pub(super) fn refuse(&self, robot: Option<&str>, answer: &Answer, body: Option<&[u8]>) {
        let body = String::from_utf8_lossy(body.unwrap_or_default()).chars().take(KEPT_OF_REFUSED).collect();
        let refused = Refused { at: self.time.now(), robot: robot.map(str::to_owned), answer: answer.clone(), body };
        tracing::debug!(robot, errcode = answer.errcode, errmsg = %answer.errmsg, "The simulated robot refuses a message.");
        let mut state = self.state();
        if let Some(place) = robot.and_then(|robot| state.places.get_mut(robot)) {
            place.counters.refused += 1;
        }
        keep(&mut state.refused, refused, self.keep);
        drop(state);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// The answer of a robot that does not listen.
    pub(super) fn too_fast(&self, robot: &str, body: Option<&[u8]>) -> Answer {
        self.refuse(Some(robot), &TOO_FAST, body);
        TOO_FAST
    }
}

pub(super) fn shown(number: u64, at: UnixMs, robot: &str, message: Message) -> Shown {
    Shown {
        number,
        at,
        robot: robot.to_owned(),
        msgtype: message.msgtype,
        title: message.title,
        text: message.text,
        buttons: message.buttons,
        side_by_side: message.side_by_side,
        links: message.links,
        mentions: message.mentions,
        msg_uuid: message.msg_uuid,
        raw: message.raw,
    }
}

fn keep<T>(list: &mut VecDeque<T>, item: T, most: usize) {
    list.push_back(item);
    while list.len() > most {
        list.pop_front();
    }
}
