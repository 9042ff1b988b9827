//! What the pages, the inbox, the carrier and the reconciler have in common.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::budget::Purpose;
use super::carry_out::progress;
use super::ilert::IlertClient;
use super::links::LinkMaker;
use crate::clock::Clock;
use crate::config::AlertUrl;
use crate::delivery::listener::Listeners;
use crate::event::Status;
use crate::intake::Intake;
use crate::outbox::book::{Ask, Book, Booked, Progress, Response, Step, Verb};
use crate::outbox::{Claim, Outbox, OutboxError, RESPONDER};

/// While so many responses wait, no further comment is taken.
const MAX_OPEN: usize = 200;

/// How soon to look again for what another host may have done.
const LOOK: Duration = Duration::from_millis(200);

/// What the parts have in common.
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) intake: Intake,
    pub(super) ilert: IlertClient,
    pub(super) links: Option<Arc<LinkMaker>>,
    /// `ilert.alert_url`
    pub(super) alert_url: Option<AlertUrl>,
    /// Of the connectors that have one.
    pub(super) languages: BTreeMap<String, String>,
    /// Something was asked for.
    pub(super) asked: Notify,
    /// Something was carried out.
    pub(super) moved: watch::Sender<u64>,
    /// The connectors that people can write to.
    pub(super) listeners: Listeners,
    /// Who may give commands, by the chat system's user id; everybody if absent.
    pub(super) allowed: Option<HashSet<String>>,
    /// Callbacks held.
    pub(super) callers: Semaphore,
    /// Callbacks being read.
    pub(super) hearing: Arc<Semaphore>,
    /// Callbacks to be answered later.
    pub(super) late: Arc<Semaphore>,
    /// Their ids.
    pub(super) promised: Mutex<HashSet<String>>,
    /// Pages being made.
    pub(super) pages: Semaphore,
    /// Answers to commands.
    pub(super) tasks: TaskTracker,
    /// Ends answers that are given later.
    pub(super) stop: CancellationToken,
}

/// An incident, as it is to be shown.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) status: Option<Status>,
    pub(super) summary: String,
    pub(super) url: Option<String>,
    /// Who has it.
    pub(super) responders: Vec<String>,
    /// Whether iLert said so just now.
    pub(super) live: bool,
}

impl Shared {
    pub(super) fn book(&self) -> &dyn Book {
        self.outbox.book().expect("a responder is only built over an outbox that has one")
    }

    /// Where an incident stands: by iLert's own word if it comes soon, else as heard of last.
    pub(super) async fn look(&self, incident: &str) -> Seen {
        let known = self.book().incident(incident).await.unwrap_or_else(|error| {
            tracing::warn!(incident, %error, "The outbox could not be asked about an incident.");
            None
        });
        let told = known.as_ref().and_then(|known| known.about.url.clone());
        let url = told.or_else(|| Some(self.alert_url.as_ref()?.page_of(incident)));
        match self.ilert.get(incident, Purpose::Look).await {
            Ok(alert) => Seen { status: Some(alert.status), summary: alert.summary, url, responders: alert.responders, live: true },
            Err(error) => {
                tracing::debug!(incident, %error, "iLert did not tell an incident's state; the last known one is shown.");
                let (status, summary) = known.map(|known| (known.status, known.about.summary)).unzip();
                Seen { status, summary: summary.unwrap_or_default(), url, responders: Vec::new(), live: false }
            }
        }
    }

    /// Writes down what somebody asks for; it is carried out from then on.
    pub(super) async fn ask(&self, ask: Ask) -> Result<Booked, OutboxError> {
        // Accepts and resolves are one of each incident; of comments, whoever has a link could ask for any number.
        if ask.verb == Verb::Comment && self.book().open_responses(MAX_OPEN).await?.len() >= MAX_OPEN {
            return Err(OutboxError::Unavailable(format!("{MAX_OPEN} responses wait to be carried out")));
        }
        let booked = self.book().ask(ask, self.clock.now()).await?;
        if let Booked::New(Response { ask, .. }) = &booked {
            tracing::info!(
                incident = ask.incident,
                action = ask.verb.as_str(),
                connector = ask.connector,
                by = ask.who,
                "A response was asked for."
            );
            self.asked.notify_one();
        }
        Ok(booked)
    }

    /// Whether this host carries out and catches up: of those that share an outbox one does, and another takes over where that one ends.
    pub(super) async fn leads(&self) -> bool {
        match self.outbox.claim(RESPONDER).await {
            Ok(claim) => claim != Claim::Elsewhere,
            Err(error) => {
                tracing::debug!(%error, "It could not be found out which host responds.");
                false
            }
        }
    }

    /// Notes a step of a response, for those who wait for it too.
    pub(super) async fn step(&self, response: i64, step: Step) -> Result<(), OutboxError> {
        self.book().step(response, step, self.clock.now()).await?;
        self.moved.send_modify(|count| *count = count.wrapping_add(1));
        Ok(())
    }

    /// The response of a key, if possible once it is carried out. Cancel-safe.
    pub(super) async fn outcome(&self, key: &str, wait: Duration) -> Result<Option<Response>, OutboxError> {
        let mut moved = self.moved.subscribe();
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let mut response = self.book().response(key).await?;
            if let Some(response) = &mut response {
                response.progress = progress(response);
            }
            let open = response.as_ref().is_some_and(|response| response.progress == Progress::Open);
            if !open || tokio::time::Instant::now() >= deadline {
                return Ok(response);
            }
            // Another host may carry it out: then nothing is told here.
            let look = if self.outbox.is_shared() { deadline.min(tokio::time::Instant::now() + LOOK) } else { deadline };
            _ = tokio::time::timeout_at(look, moved.changed()).await;
        }
    }
}
