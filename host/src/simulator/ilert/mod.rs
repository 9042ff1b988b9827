//! iLert on loopback: the REST calls that answer an alert, the Events API, and the webhook events that follow.
//!
//! As strict as documented: Bearer keys (401 without one, 403 `KEY_ERROR` for an unknown one), 120 calls in each minute of the clock for a key
//! (429 without `Retry-After`), pages of 100 at the most, and a resolved alert that nobody can accept, resolve or reopen.

mod act;
mod alert;
mod api;
mod budget;
mod control;
mod desk;
mod events;
mod serve;
#[cfg(test)]
mod tests;
mod webhook;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use self::alert::{Alert, Named, NewAlert, Status, User};
pub use self::desk::{Called, Posted};

use self::desk::Desk;
use super::SimulatorError;
use super::front::{Front, Handler};
use super::outgoing::client;
use crate::clock::Clock;
use crate::secret::Secret;

/// How iLert is set up.
#[derive(Debug)]
pub struct Options {
    /// Loopback only; port 0 for any free one.
    pub listen: SocketAddr,
    /// What its own clock follows.
    pub clock: Clock,
    /// API keys, and whose they are.
    pub api_keys: Vec<(Secret, User)>,
    /// Integration keys, and of which alert source.
    pub integration_keys: Vec<(Secret, Named)>,
    /// Where events are posted; the password may be in the URL.
    pub webhook: Option<Secret>,
    /// Whether events are named `incident-…`, as before October 2021.
    pub incident_names: bool,
    /// Whether a key's calls are limited.
    pub rate_limit: bool,
    /// How many calls, and how many posts, are kept.
    pub keep: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clock: Clock::system(),
            api_keys: Vec::new(),
            integration_keys: Vec::new(),
            webhook: None,
            incident_names: false,
            rate_limit: true,
            keep: 20_000,
        }
    }
}

/// One way for a REST call to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// An HTTP error from something in front; nothing is done.
    Status {
        /// 500, 502, 503, 504 …
        status: u16,
    },
    /// A TCP reset; nothing is done.
    ResetLost,
    /// A TCP reset after it was done.
    ResetDone,
    /// No answer, ever; nothing is done.
    HangLost,
    /// No answer, ever, although it was done.
    HangDone,
    /// Done, and answered so many milliseconds later.
    Slow {
        /// How long the answer takes.
        ms: u64,
    },
}

impl Fault {
    fn check(self) -> Result<(), SimulatorError> {
        match self {
            Fault::Status { status } if http::StatusCode::from_u16(status).is_err() => Err(SimulatorError::BadFault(format!("{self:?}"))),
            _ => Ok(()),
        }
    }
}

/// A running iLert. It stops when dropped; [`Ilert::shutdown`] also waits for its tasks.
#[derive(Debug)]
pub struct Ilert {
    front: Front,
    desk: Arc<Desk>,
    poster: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl Ilert {
    /// Starts to listen.
    pub async fn start(options: Options) -> Result<Self, SimulatorError> {
        let listen = options.listen;
        let poster_client = client(webhook::TIMEOUT)?;
        let (send, receive) = mpsc::channel(webhook::QUEUE);
        let desk = Arc::new(Desk::new(options, send));
        let handler: Handler = {
            let desk = Arc::clone(&desk);
            Arc::new(move |call| Box::pin(serve::serve(Arc::clone(&desk), call)))
        };
        let front = Front::start(listen, handler).await?;
        let (poster, stop) = (TaskTracker::new(), CancellationToken::new());
        poster.spawn(webhook::run(Arc::clone(&desk), poster_client, receive, stop.clone()));
        Ok(Ilert { front, desk, poster, _stop_on_drop: stop.clone().drop_guard(), stop })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.front.addr()
    }

    /// `http://127.0.0.1:PORT`, where `/_sim/…` is.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// What goes into `api_url`.
    pub fn api_url(&self) -> String {
        format!("{}/api", self.base_url())
    }

    /// Creates an alert and posts `alert-created`.
    pub fn create(&self, about: NewAlert) -> u64 {
        self.desk.create(about)
    }

    /// Somebody accepts it in iLert's own app; `None` is the alert source.
    pub fn accept(&self, id: u64, by: Option<&User>) -> Result<(), SimulatorError> {
        act::accept(&self.desk, id, by)
    }

    /// It is resolved in iLert's own app, or by its source.
    pub fn resolve(&self, id: u64) -> Result<(), SimulatorError> {
        act::resolve(&self.desk, id)
    }

    /// Nobody accepted it: the policy asks the next one.
    pub fn escalate(&self, id: u64, to: &User) -> Result<(), SimulatorError> {
        act::escalate(&self.desk, id, to)
    }

    /// Somebody hands it over.
    pub fn assign(&self, id: u64, to: &User) -> Result<(), SimulatorError> {
        act::assign(&self.desk, id, to)
    }

    /// Its priority becomes HIGH.
    pub fn raise(&self, id: u64) -> Result<(), SimulatorError> {
        act::raise(&self.desk, id)
    }

    /// Somebody writes under it.
    pub fn comment(&self, id: u64, text: &str) -> Result<(), SimulatorError> {
        self.desk.comment(id, text)
    }

    /// Posts any event to the webhook, as it is.
    pub fn post(&self, event: Value) {
        self.desk.post(event);
    }

    /// Where events go from now on.
    pub fn set_webhook(&self, url: Option<Secret>) {
        self.desk.set_webhook(url);
    }

    /// An alert as it is now.
    pub fn alert(&self, id: u64) -> Result<Alert, SimulatorError> {
        self.desk.alert(id)
    }

    /// What was written under an alert.
    pub fn comments(&self, id: u64) -> Vec<String> {
        self.desk.comments(id)
    }

    /// Every REST call, oldest first.
    pub fn calls(&self) -> Vec<Called> {
        self.desk.calls()
    }

    /// How often each call was made: `PUT /alerts/{id}/accept`, `POST /events` …
    pub fn counters(&self) -> BTreeMap<String, u64> {
        self.desk.counters()
    }

    /// Every event that was posted, oldest first.
    pub fn posts(&self) -> Vec<Posted> {
        self.desk.posts()
    }

    /// Waits until so many events have been posted, with or without success. Cancel-safe.
    pub async fn wait_for_posts(&self, wanted: usize, timeout: Duration) -> Result<Vec<Posted>, SimulatorError> {
        let mut changes = self.desk.changes();
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            let posts = self.posts();
            if posts.len() >= wanted {
                return Ok(posts);
            }
            if tokio::time::timeout_at(deadline, changes.changed()).await.is_err() {
                return Err(SimulatorError::TooFew { wanted: wanted as u64, seen: posts.len() as u64, waited: timeout });
            }
        }
    }

    /// The next `times` REST calls fail in that way. 0 counts as 1.
    pub fn fault(&self, fault: Fault, times: u32) -> Result<(), SimulatorError> {
        fault.check()?;
        self.desk.fault(fault, times, None);
        Ok(())
    }

    /// The next `times` calls of that name, as the [counters](Ilert::counters) have it, fail in that way.
    pub fn fault_on(&self, call: &str, fault: Fault, times: u32) -> Result<(), SimulatorError> {
        fault.check()?;
        self.desk.fault(fault, times, Some(call.to_owned()));
        Ok(())
    }

    /// Lets time pass at once.
    pub fn advance(&self, by: Duration) {
        self.desk.time.advance(by);
    }

    /// Stops listening and posting, and returns when no task is left. Events that have not been posted are lost.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.poster.close();
        self.poster.wait().await;
        self.front.shutdown().await;
    }
}
