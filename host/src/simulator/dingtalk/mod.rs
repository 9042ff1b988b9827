//! A DingTalk group on loopback: custom robots that check every message as the documentation says.
//!
//! The checks, in order: method, content type, token; then the call counts against the pace (20 in any 60 s, else ten minutes of mute), and meets
//! a [`Fault`] if one is queued; then the caller's address, timestamp and signature, the size, the [schema](self#what-is-refused), the keywords,
//! the month's quota, and whether the group has seen the message's `msgUuid` before. All answers are HTTP 200 with `errcode` and `errmsg`.
//!
//! # What is refused
//! Everything that the documentation does not name: another `msgtype`, a missing or empty member, one of the wrong type, one more than there
//! are, `messageURL` where it is spelt `messageUrl`, a mention on a type that cannot have one. DingTalk itself lets some of it pass and shows
//! something else than was meant; a test should hear of it.

pub mod answer;
mod callback;
mod control;
mod fault;
mod gate;
mod group;
mod mention;
mod pace;
mod place;
mod robot;
mod schema;
mod serve;
mod shown;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

pub use self::callback::{Heard, Spoken};
pub use self::fault::Fault;
pub use self::group::Refused;
pub use self::place::Counters;
pub use self::robot::{BadRange, IpRange, Robot};
pub use self::shown::{Button, Link, Mentions, Shown};

use self::group::Group;
use super::SimulatorError;
use super::front::{Front, Handler};
use super::timeline::Timeline;
use crate::clock::Clock;

/// Reads a message as the group would, without showing it to anybody.
pub(super) fn read_message(body: &[u8], robot: &str) -> Option<Shown> {
    schema::read(body).ok().map(|message| group::shown(1, Clock::system().now(), robot, message))
}

/// How a group is set up.
#[derive(Debug)]
pub struct Options {
    /// Loopback only; port 0 for any free one.
    pub listen: SocketAddr,
    /// What its own clock follows.
    pub clock: Clock,
    /// The robots to begin with.
    pub robots: Vec<Robot>,
    /// Whether more than 20 calls a minute mute a robot; they are measured in any case.
    pub rate_limit: bool,
    /// How long a `msgUuid` is remembered. DingTalk does not say; an hour is how long a signed URL is good for.
    pub repeat_window: Duration,
    /// How many messages, and how many refusals, are kept; the counters go on.
    pub keep: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clock: Clock::system(),
            robots: Vec::new(),
            rate_limit: true,
            repeat_window: Duration::from_secs(3600),
            keep: 20_000,
        }
    }
}

/// A running group. It stops when dropped; [`DingTalk::shutdown`] also waits for its tasks.
#[derive(Debug)]
pub struct DingTalk {
    front: Front,
    group: Arc<Group>,
}

impl DingTalk {
    /// Starts to listen.
    pub async fn start(options: Options) -> Result<Self, SimulatorError> {
        let listen = options.listen;
        let group = Arc::new(Group::new(options)?);
        let handler: Handler = {
            let group = Arc::clone(&group);
            Arc::new(move |call| Box::pin(serve::serve(Arc::clone(&group), call)))
        };
        Ok(DingTalk { front: Front::start(listen, handler).await?, group })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.front.addr()
    }

    /// `http://127.0.0.1:PORT`, where `/_sim/…` is.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// A robot's webhook URL, its token included.
    pub fn url_of(&self, robot: &str) -> Result<String, SimulatorError> {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("access_token", &self.group.token(robot)?);
        Ok(format!("{}/robot/send?{}", self.base_url(), query.finish()))
    }

    /// Adds a robot.
    pub fn add(&self, robot: Robot) -> Result<(), SimulatorError> {
        self.group.add(robot)
    }

    /// Opens a session as an inbound message does; the URL speaks as that robot until `ttl` has passed.
    pub fn open_session(&self, robot: &str, ttl: Duration) -> Result<String, SimulatorError> {
        let session = self.group.open_session(robot, ttl)?;
        Ok(format!("{}/robot/sendBySession?session={session}", self.base_url()))
    }

    /// Somebody writes to a robot in the group; its address has 2.5 seconds to answer, and may do so with a message.
    pub async fn say_to(&self, spoken: &Spoken) -> Result<Heard, SimulatorError> {
        callback::call(&self.group, &self.base_url(), spoken).await
    }

    /// What a robot has said, oldest first.
    pub fn messages(&self, robot: &str) -> Vec<Shown> {
        self.group.messages(Some(robot))
    }

    /// What all robots have said, oldest first.
    pub fn conversation(&self) -> Vec<Shown> {
        self.group.messages(None)
    }

    /// What was refused, oldest first.
    pub fn refusals(&self) -> Vec<Refused> {
        self.group.refused()
    }

    /// What has happened to a robot.
    pub fn counters(&self, robot: &str) -> Result<Counters, SimulatorError> {
        self.group.counters(robot)
    }

    /// Every message from now on, as it is shown.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Shown>> {
        self.group.subscribe()
    }

    /// Waits until `robot` has had `wanted` messages shown since the start, and returns those that are kept. Cancel-safe.
    pub async fn wait_for(&self, robot: &str, wanted: u64, timeout: Duration) -> Result<Vec<Shown>, SimulatorError> {
        wait_for(&self.group, Some(robot), wanted, timeout).await?;
        Ok(self.messages(robot))
    }

    /// The next `times` calls to `robot` fail in that way, after those faults that are queued already. 0 counts as 1.
    pub fn fault(&self, robot: &str, fault: Fault, times: u32) -> Result<(), SimulatorError> {
        self.group.fault(robot, fault, times)
    }

    /// Forgets the faults that no call has met yet.
    pub fn clear_faults(&self, robot: &str) -> Result<(), SimulatorError> {
        self.group.clear_faults(robot)
    }

    /// Mutes a robot as if it had been too fast.
    pub fn mute(&self, robot: &str, time: Duration) -> Result<(), SimulatorError> {
        self.group.mute(robot, time)
    }

    /// Its clock, to be moved or set wrong.
    pub fn time(&self) -> &Timeline {
        &self.group.time
    }

    /// Lets time pass at once.
    pub fn advance(&self, by: Duration) {
        self.group.time.advance(by);
    }

    /// Stops listening, lets answers under way end, and returns when no task is left.
    pub async fn shutdown(&self) {
        self.front.shutdown().await;
    }
}

/// Waits until so many messages have been shown by one robot, or by all.
async fn wait_for(group: &Group, robot: Option<&str>, wanted: u64, timeout: Duration) -> Result<(), SimulatorError> {
    let mut changes = group.changes();
    let shown = || match robot {
        Some(robot) => group.counters(robot).map(|counters| counters.shown),
        None => group.names().iter().map(|name| group.counters(name).map(|counters| counters.shown)).sum(),
    };
    let deadline = tokio::time::Instant::now() + timeout;
    loop {
        let seen = shown()?;
        if seen >= wanted {
            return Ok(());
        }
        let changed = tokio::time::timeout_at(deadline, changes.changed()).await;
        if changed.is_err() {
            return Err(SimulatorError::TooFew { wanted, seen, waited: timeout });
        }
    }
}
