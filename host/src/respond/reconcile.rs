//! Catches up with what no webhook told: at the start and at an interval, iLert's open alerts against what the outbox knows.
//!
//! News become events and go through the intake like any other, marked as caught up. A difference is looked at twice, half a minute apart, so
//! that a webhook on its way is not overtaken; should it come later still, the outbox knows that people were told.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::budget::Purpose;
use super::ilert::{ApiError, PAGE};
use super::shared::Shared;
use crate::event::ilert::{EdgeHeaders, parse};
use crate::event::{Event, Status};
use crate::intake::IntakeError;
use crate::outbox::OutboxError;
use crate::outbox::book::{CAUGHT_UP, Incident};

/// How long a webhook may be on its way.
pub(super) const GRACE: Duration = Duration::from_secs(30);
/// The most pages read: 5,000 open alerts.
const MAX_PAGES: usize = 50;
/// The most open incidents compared.
const MAX_OPEN: usize = 10_000;
/// The most incidents in one run that are asked for one by one, because they are open no more; the next run goes on.
const MAX_ENDED: usize = 60;
/// How often iLert's limit is waited out within a run.
const MAX_WAITS: usize = 5;

/// Why a run did not come to its end. The next one begins anew.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReconcileError {
    #[error("{0}")]
    Api(#[from] ApiError),
    #[error("{0}")]
    Outbox(#[from] OutboxError),
    #[error("{0}")]
    Intake(#[from] IntakeError),
    #[error("iLert has more than {} open alerts; only so many are compared", MAX_PAGES * PAGE)]
    TooMany,
}

/// Runs at once, then at the interval, until `stop`.
pub(super) async fn run(shared: Arc<Shared>, every: Duration, grace: Duration, stop: CancellationToken) {
    let mut pages = Pages::default();
    loop {
        let all = async {
            let found = reconcile(&shared, &mut pages, grace).await;
            shared.ilert.metrics().reconciled(found.as_ref().ok().copied());
            match found {
                Ok(0) => debug!("Nothing was missed."),
                Ok(events) => info!(events, "What no webhook told of was caught up with."),
                Err(error) => warn!(%error, "iLert's open alerts could not be compared with what was received; tried again later."),
            }
            shared.clock.sleep(every).await;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = all => {}
        }
    }
}

/// One run; how many events were caught up with.
pub(super) async fn reconcile(shared: &Shared, pages: &mut Pages, grace: Duration) -> Result<usize, ReconcileError> {
    if missed(shared, pages).await?.is_empty() {
        return Ok(0);
    }
    shared.clock.sleep(grace).await;
    let events = missed(shared, pages).await?;
    if events.is_empty() {
        return Ok(0);
    }
    let source = Arc::from("reconcile");
    let report = shared.intake.accept(&source, events.into_iter().map(Ok).collect()).await?;
    Ok(report.accepted)
}

/// The events that tell the differences.
async fn missed(shared: &Shared, pages: &mut Pages) -> Result<Vec<Event>, ReconcileError> {
    let listed = pages.read(shared).await?;
    let known = shared.book().open_incidents(MAX_OPEN).await?;
    let (news, ended) = compare(&listed, &known);
    let now = Timestamp::from_millisecond(shared.clock.now()).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut events = Vec::new();
    for value in news {
        // Open in the list and unknown as open: new, or over already as far as the outbox knows, for a page may be older than an event.
        let id = id_of(value);
        let over = match &id {
            Some(id) => shared.book().incident(id).await?.is_some_and(|known| known.status == Status::Resolved),
            None => true,
        };
        if !over {
            events.extend(caught_up(value, now));
        }
    }
    for incident in ended.into_iter().take(MAX_ENDED) {
        match patient(shared, || shared.ilert.get(&incident.id, Purpose::Reconcile)).await {
            Ok(alert) if alert.status == Status::Resolved => events.extend(caught_up(&alert.value, now)),
            // Opened between the list and now.
            Ok(_) => {}
            Err(ApiError::NotFound) => {
                debug!(incident = incident.id, "iLert does not know an incident, or hides it from the API key's user.");
                shared.book().forget_incident(&incident.id).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(events)
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

/// An alert of the REST API as the event that the webhook would have told.
fn caught_up(value: &Value, now: Timestamp) -> Option<Event> {
    let (id, status) = (id_of(value)?, status_of(value)?);
    let mut event = parse(value, &EdgeHeaders::default(), now)
        .inspect_err(|error| warn!(incident = id, %error, "An alert of iLert's list cannot be read as an event."))
        .ok()?;
    event.id = format!("caught-up:{id}:{}", status.as_str());
    event.extra.push((CAUGHT_UP.to_owned(), "true".to_owned()));
    Some(event)
}

/// The list of open alerts, page by page; what has not changed is not sent again.
#[derive(Debug, Default)]
pub(super) struct Pages(Vec<(Option<String>, Vec<Value>)>);

impl Pages {
    async fn read(&mut self, shared: &Shared) -> Result<Vec<Value>, ReconcileError> {
        for index in 0..MAX_PAGES {
            let tag = self.0.get(index).and_then(|(tag, _)| tag.clone());
            if let Some((page, tag)) = patient(shared, || shared.ilert.list_open(index * PAGE, tag.as_deref())).await? {
                self.0.truncate(index);
                self.0.push((tag, page));
            }
            if self.0.get(index).is_none_or(|(_, page)| page.len() < PAGE) {
                self.0.truncate(index + 1);
                return Ok(self.0.iter().flat_map(|(_, page)| page.iter().cloned()).collect());
            }
        }
        Err(ReconcileError::TooMany)
    }
}

/// Waits iLert's limit out, a few times.
async fn patient<T, F: Future<Output = Result<T, ApiError>>>(shared: &Shared, call: impl Fn() -> F) -> Result<T, ApiError> {
    for _ in 0..MAX_WAITS {
        match call().await {
            Err(ApiError::Limited(ms)) => shared.clock.sleep(Duration::from_millis(ms.unsigned_abs())).await,
            result => return result,
        }
    }
    call().await
}
