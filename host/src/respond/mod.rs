//! Responding from the chat: accept, resolve, comment.
//!
//! | file | does |
//! |---|---|
//! | `links`, `token`, `key` | signed links on messages |
//! | `web`, `page`, `words` | the pages behind them |
//! | `inbox` | commands typed in a chat |
//! | `carry`, `carry_out` | carry out what was written down, over failures and restarts |
//! | [`ilert`], [`budget`] | iLert's REST API, within its limits |
//! | `reconcile`, `pages` | catch up with what no webhook told |
//!
//! A click is answered once it is in the outbox. The event that iLert then posts is the answer that the group sees; the outbox adds who asked.

mod alert;
mod api_error;
pub mod budget;
mod by_source;
mod carry;
mod carry_out;
pub mod ilert;
mod inbox;
pub mod key;
mod links;
mod page;
mod pages;
mod reconcile;
mod shared;
#[cfg(test)]
#[cfg(feature = "simulator")]
mod tests;
pub mod token;
mod web;
mod words;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use links::{LinkMaker, ShownLinks};

use self::ilert::{ClientError, IlertClient};
use self::shared::Shared;
use crate::clock::Clock;
use crate::config::Ilert;
use crate::delivery::listener::Listeners;
use crate::intake::Intake;
use crate::outbox::Outbox;
use crate::telemetry::metrics::ApiMetrics;

/// Pages made at once; more visitors are asked to come again.
const PAGES: usize = 64;
/// Callbacks held at once, 64 KiB each at the most; more are told to come again.
const CALLERS: usize = 64;
/// Callbacks verified and read by plugins at once; the others wait for a moment.
const HEARING: usize = 2;
/// Callbacks that are answered later; further ones get the immediate answer only.
const LATE: usize = 256;

/// How long answers may still take when the host is asked to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// What a responder is built with.
pub struct Needs {
    /// The time.
    pub clock: Clock,
    /// Keeps what was asked for, and what is known of incidents.
    pub outbox: Arc<dyn Outbox>,
    /// Where what was missed goes.
    pub intake: Intake,
    /// The links; without them there are no pages, and the rest works.
    pub links: Option<Arc<LinkMaker>>,
    /// The languages of the connectors that name one.
    pub languages: BTreeMap<String, String>,
    /// The connectors that people can write to, should their plugins listen.
    pub listeners: Listeners,
    /// Where calls and results are counted.
    pub metrics: ApiMetrics,
}

/// Why there is no responder.
#[derive(Debug, thiserror::Error)]
pub enum RespondError {
    /// The outbox keeps no incidents.
    #[error("this type of outbox cannot keep responses: leave `ilert.api_key` out, or use `type = \"sqlite\"` or `\"postgres\"`")]
    Outbox,
    /// The HTTP client.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Everything that responds, built: nothing of it runs yet.
pub struct Responder {
    shared: Arc<Shared>,
    every: Duration,
    grace: Duration,
}

impl Responder {
    /// `None` without `ilert.api_key`: then the host receives only. Looks at nothing, spawns nothing.
    pub fn build(config: &Ilert, needs: Needs) -> Result<Option<Responder>, RespondError> {
        let Needs { clock, outbox, intake, links, languages, listeners, metrics } = needs;
        let Some(ilert) = IlertClient::new(config, clock.clone())? else { return Ok(None) };
        let ilert = ilert.measured(metrics);
        if outbox.book().is_none() {
            return Err(RespondError::Outbox);
        }
        let allowed = config.allowed_users.as_ref().map(|users| users.iter().cloned().collect());
        let (asked, moved, pages) = (Notify::new(), watch::Sender::new(0), Semaphore::new(PAGES));
        let (callers, hearing, late) = (Semaphore::new(CALLERS), Arc::new(Semaphore::new(HEARING)), Arc::new(Semaphore::new(LATE)));
        let shared = Arc::new(Shared {
            clock,
            outbox,
            intake,
            ilert,
            links,
            alert_url: config.alert_url.clone(),
            languages,
            listeners,
            allowed,
            callers,
            hearing,
            late,
            promised: Mutex::default(),
            asked,
            moved,
            pages,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        Ok(Some(Responder { shared, every: config.reconcile_interval.duration(), grace: reconcile::GRACE }))
    }

    /// The pages and the inbox, for the public server.
    pub fn routes(&self) -> Router {
        let routes = Router::new().route("/webhooks/inbox/{connector}", post(inbox::receive));
        self.pages(routes).with_state(Arc::clone(&self.shared))
    }

    fn pages(&self, mut routes: Router<Arc<Shared>>) -> Router<Arc<Shared>> {
        let Some(links) = &self.shared.links else { return routes };
        let path = |base: &str| format!("{}{{token}}", base);
        let own = format!("/{}/", links::PATH);
        routes = routes.route(&path(&own), get(web::show).post(web::act));
        // Where `public_url` has a path, a proxy may pass it on or cut it off.
        let outside = links.base().path();
        if outside != own && !outside.contains(['{', '}', '*']) {
            routes = routes.route(&path(outside), get(web::show).post(web::act));
        }
        routes
    }

    /// Carries out what is asked for, and catches up, until `stop`. What is being carried out then is brought to the end of its attempt.
    pub fn run(self, stop: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let carry = carry::run(Arc::clone(&self.shared), stop.clone());
            tokio::join!(carry, reconcile::run(Arc::clone(&self.shared), self.every, self.grace, stop));
            self.shared.stop.cancel();
            self.shared.tasks.close();
            // The public server has its grace for answers; what is left of them here is at the most one request each.
            if tokio::time::timeout(LAST_ANSWERS, self.shared.tasks.wait()).await.is_err() {
                tracing::warn!(answers = self.shared.tasks.len(), "Answers to commands were under way at the end and are not given.");
            }
        })
    }
}
