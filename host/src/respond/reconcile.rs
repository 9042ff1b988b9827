//! Catches up with what no webhook told: at the start and at an interval, iLert's alerts against what the outbox knows.
//!
//! News become events and go through the intake like any other, marked as caught up. A difference is looked at twice, half a minute apart, so
//! that a webhook on its way is not overtaken; should it come later still, the outbox knows that people were told.
//!
//! What had been reported before the host first looked is taken note of and not told: nobody wants a hundred old alerts as the first message.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::budget::Purpose;
use super::ilert::ApiError;
use super::pages::{MAX_LISTED, Pages, over_since, patient};
use super::shared::Shared;
use crate::clock::UnixMs;
use crate::event::ilert::{EdgeHeaders, parse};
use crate::event::{Event, Status};
use crate::intake::{IntakeError, MAX_BATCH};
use crate::outbox::book::{CAUGHT_UP, Incident};
use crate::outbox::{Incoming, OutboxError};

/// How long a webhook may be on its way.
pub(super) const GRACE: Duration = Duration::from_secs(30);
/// How soon to look again whether this host catches up now.
const ELSEWHERE: Duration = Duration::from_secs(5);
/// The most open incidents compared.
const MAX_OPEN: usize = 10_000;
/// The most incidents that are asked for one by one before what was found is told, because they are open no more.
const MAX_ENDED: usize = 60;
/// What began and ended within a gap is told only if it was reported within this time: older ones help nobody.
const MAX_GAP_MS: i64 = 86_400_000;
/// The list of what is over begins so long before the last look: iLert's clock is not the host's.
const CLOCKS_MS: i64 = 120_000;
/// The name under which the source of these events is logged.
const SOURCE: &str = "reconcile";

/// Why a run did not come to its end. The next one begins anew.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReconcileError {
    #[error("{0}")]
    Api(#[from] ApiError),
    #[error("{0}")]
    Outbox(#[from] OutboxError),
    #[error("{0}")]
    Intake(#[from] IntakeError),
    #[error("iLert has more than {} open alerts; only so many are compared", MAX_LISTED)]
    TooMany,
}

/// Runs at once, then at the interval, until `stop`.
pub(super) async fn run(shared: Arc<Shared>, every: Duration, grace: Duration, stop: CancellationToken) {
    let mut pages = Pages::default();
    loop {
        let all = async {
            if !shared.leads().await {
                return shared.clock.sleep(every.min(ELSEWHERE)).await;
            }
            let done = reconcile(&shared, &mut pages, grace).await;
            shared.ilert.metrics().reconciled(done.as_ref().ok().map(|done| done.told));
            let more = match done {
                Ok(Done { told: 0, noted: 0, more }) => {
                    debug!("Nothing was missed.");
                    more
                }
                Ok(Done { told, noted, more }) => {
                    info!(
                        told,
                        noted, "What no webhook told of was caught up with; what was reported before the first start is only noted."
                    );
                    more
                }
                Err(error) => {
                    warn!(%error, "iLert's alerts could not be compared with what was received; tried again later.");
                    false
                }
            };
            if !more {
                shared.clock.sleep(every).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = all => {}
        }
    }
}

/// What a run came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Events for people.
    told: usize,
    /// Incidents that are known from now on.
    noted: usize,
    /// There is more to look at.
    more: bool,
}

/// One run.
pub(super) async fn reconcile(shared: &Shared, pages: &mut Pages, grace: Duration) -> Result<Done, ReconcileError> {
    let began = shared.clock.now();
    let marks = Marks::read(shared, began).await?;
    let mut missed = look(shared, pages, marks).await?;
    if !missed.is_empty() {
        shared.clock.sleep(grace).await;
        missed = look(shared, pages, marks).await?;
    }
    let Missed { news, old, more } = missed;
    let done = Done { told: news.len(), noted: old.len(), more };
    note(shared, &old).await?;
    shared.intake.accept(&Arc::from(SOURCE), news.into_iter().map(Ok).collect()).await?;
    if !more {
        shared.book().keep_note(Marks::LOOKED, &began.to_string()).await?;
    }
    Ok(done)
}

/// Takes note of incidents without telling anybody.
async fn note(shared: &Shared, events: &[Event]) -> Result<(), OutboxError> {
    let incoming = |event: &Event| Incoming { source: Arc::from(SOURCE), event: Arc::new(event.clone()), connectors: Vec::new() };
    for some in events.chunks(MAX_BATCH) {
        shared.outbox.accept(shared.clock.now(), some.iter().map(incoming).collect(), Vec::new()).await?;
    }
    Ok(())
}

/// Since when the host looks, and when it looked last.
#[derive(Clone, Copy, Debug)]
struct Marks {
    first: UnixMs,
    looked: Option<UnixMs>,
}

impl Marks {
    const FIRST: &str = "reconcile first look";
    const LOOKED: &str = "reconcile last look";

    /// The first look of all is now.
    async fn read(shared: &Shared, now: UnixMs) -> Result<Marks, OutboxError> {
        let time = |note: Option<String>| note.and_then(|at| at.parse().ok());
        let looked = time(shared.book().note(Marks::LOOKED).await?);
        if let Some(first) = time(shared.book().note(Marks::FIRST).await?) {
            return Ok(Marks { first, looked });
        }
        shared.book().keep_note(Marks::FIRST, &now.to_string()).await?;
        Ok(Marks { first: now, looked })
    }
}

/// What no webhook told.
#[derive(Default)]
struct Missed {
    news: Vec<Event>,
    /// Reported before the host first looked.
    old: Vec<Event>,
    more: bool,
}

impl Missed {
    fn is_empty(&self) -> bool {
        self.news.is_empty() && self.old.is_empty()
    }
}

/// The events that tell the differences.
async fn look(shared: &Shared, pages: &mut Pages, marks: Marks) -> Result<Missed, ReconcileError> {
    let listed = pages.read(shared).await?;
    let now = shared.clock.now();
    let over = match marks.looked {
        Some(looked) => over_since(shared, time((looked - CLOCKS_MS).max(now - MAX_GAP_MS))).await?,
        None => Vec::new(),
    };
    let known = shared.book().open_incidents(MAX_OPEN).await?;
    let (news, ended) = compare(&listed, &known);
    let mut missed = Missed { more: ended.len() > MAX_ENDED, ..Missed::default() };
    for value in news.into_iter().chain(&over) {
        missed.add(shared, value, marks.first, now).await?;
    }
    let told: HashSet<String> = over.iter().filter_map(id_of).collect();
    for incident in ended.into_iter().filter(|incident| !told.contains(&incident.id)).take(MAX_ENDED) {
        match patient(shared, || shared.ilert.get(&incident.id, Purpose::Reconcile)).await {
            Ok(alert) if alert.status == Status::Resolved => missed.news.extend(caught_up(&alert.value, Some(incident), now)),
            // Opened between the list and now.
            Ok(_) => {}
            Err(ApiError::NotFound) => {
                debug!(incident = incident.id, "iLert does not know an incident, or hides it from the API key's user.");
                shared.book().forget_incident(&incident.id).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(missed)
}

impl Missed {
    /// An alert that is not known to be where iLert lists it.
    async fn add(&mut self, shared: &Shared, value: &Value, first: UnixMs, now: UnixMs) -> Result<(), OutboxError> {
        let Some(id) = id_of(value) else { return Ok(()) };
        let known = shared.book().incident(&id).await?;
        // A page may be older than an event that came meanwhile.
        if known.as_ref().is_some_and(|known| known.status == Status::Resolved) {
            return Ok(());
        }
        let Some(event) = caught_up(value, known.as_ref(), now) else { return Ok(()) };
        let is_old = known.is_none() && event.reported_at.as_millisecond() < first;
        let list = if is_old { &mut self.old } else { &mut self.news };
        list.push(event);
        Ok(())
    }
}

/// Listed alerts that the outbox does not know in that state, and known incidents that are not listed. Pure.
fn compare<'a>(listed: &'a [Value], known: &'a [Incident]) -> (Vec<&'a Value>, Vec<&'a Incident>) {
    let states: HashMap<&str, &Status> = known.iter().map(|incident| (incident.id.as_str(), &incident.status)).collect();
    let ids: HashSet<String> = listed.iter().filter_map(id_of).collect();
    let is_news = |value: &&Value| {
        let known = id_of(value).and_then(|id| states.get(id.as_str()).copied());
        match (known, status_of(value)) {
            (None, _) => true,
            // Back to pending is no news of its own: iLert's escalation tells of it.
            (Some(known), Some(Status::Accepted)) => *known != Status::Accepted,
            _ => false,
        }
    };
    let news = listed.iter().filter(is_news).collect();
    (news, known.iter().filter(|incident| !ids.contains(&incident.id)).collect())
}

fn time(at: UnixMs) -> Timestamp {
    Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn id_of(value: &Value) -> Option<String> {
    match value.get("id")? {
        Value::Number(id) => id.as_u64().map(|id| id.to_string()),
        Value::String(id) => Some(id.clone()),
        _ => None,
    }
}

fn status_of(value: &Value) -> Option<Status> {
    Some(Status::from(value.get("status")?.as_str()?.to_owned()))
}

/// An alert of the REST API as the event that the webhook would have told. Its id is the same for the same difference, however often it is found.
fn caught_up(value: &Value, known: Option<&Incident>, now: UnixMs) -> Option<Event> {
    let (id, status) = (id_of(value)?, status_of(value)?);
    let mut event = parse(value, &EdgeHeaders::default(), time(now))
        .inspect_err(|error| warn!(incident = id, %error, "An alert of iLert's list cannot be read as an event."))
        .ok()?;
    event.id = format!("caught-up:{id}:{}:{}", status.as_str(), known.map_or(0, |known| known.seen_at));
    event.extra.push((CAUGHT_UP.to_owned(), "true".to_owned()));
    Some(event)
}
