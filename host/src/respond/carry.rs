//! Carries out what was asked for: over failures and restarts, until it is done or an hour has passed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::budget::Purpose;
use super::ilert::{ApiError, Comment};
use super::shared::Shared;
use crate::event::Status;
use crate::outbox::OutboxError;
use crate::outbox::book::{Response, Step, Verb};

/// What is asked for is given up after this time: nobody expects an accept of yesterday.
pub(super) const PATIENCE_MS: i64 = 3_600_000;
/// Responses carried out at once, each of another incident.
const AT_ONCE: usize = 4;
/// Responses read at once.
const READ: usize = 200;
/// How long to sleep when nothing is asked for.
const IDLE: Duration = Duration::from_secs(30);
/// How long an attempt may still take when the host is asked to stop.
const LAST_ATTEMPT: Duration = Duration::from_secs(8);
/// How long to leave an outbox alone that does not answer.
const OUTBOX_PAUSE: Duration = Duration::from_secs(5);

/// The result of a response that found its wish fulfilled.
pub(super) const ALREADY: &str = "already";
/// The result of a response that found the incident over.
pub(super) const OVER: &str = "over";
/// The result of a response that did what was asked for.
pub(super) const DONE: &str = "done";

/// Works until `stop`; what is being carried out then is brought to the end of its attempt.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let round = tokio::select! {
            round = round(&shared) => round,
            // What is cut off is looked at again after the next start.
            () = cut_off(&stop) => return,
        };
        let wait = match round {
            Ok(wait) => wait,
            Err(error) => {
                error!(%error, "Responses could not be read or noted; tried again soon.");
                Some(OUTBOX_PAUSE)
            }
        };
        if let Some(wait) = wait {
            tokio::select! {
                () = stop.cancelled() => {}
                () = shared.asked.notified() => {}
                () = shared.clock.sleep(wait) => {}
            }
        }
    }
}

async fn cut_off(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(LAST_ATTEMPT).await;
}

/// Carries out what is due. How long to wait for more; `None` where there may be more at once.
async fn round(shared: &Arc<Shared>) -> Result<Option<Duration>, OutboxError> {
    let now = shared.clock.now();
    let mut incidents = HashSet::new();
    // One of an incident at a time, in the order in which they were asked for.
    let mut first = shared.book().open_responses(READ).await?;
    first.retain(|response| incidents.insert(response.ask.incident.clone()));
    let (due, later): (Vec<Response>, Vec<Response>) = first.into_iter().partition(|response| response.next_at <= now);
    if due.is_empty() {
        let next = later.iter().map(|response| response.next_at - now).min();
        return Ok(Some(next.map_or(IDLE, |ms| Duration::from_millis(ms.unsigned_abs()).min(IDLE))));
    }
    let mut attempts = futures_util::stream::iter(due).map(|response| attempt(shared, response)).buffer_unordered(AT_ONCE);
    while let Some(noted) = attempts.next().await {
        noted?;
    }
    Ok(None)
}

/// One attempt, and the note of what became of it.
async fn attempt(shared: &Shared, response: Response) -> Result<(), OutboxError> {
    let ask = &response.ask;
    let now = shared.clock.now();
    let step = match carry(shared, &response).await {
        Ok(result) => {
            info!(
                incident = ask.incident,
                action = ask.verb.as_str(),
                connector = ask.connector,
                by = ask.who,
                result,
                "A response was carried out."
            );
            Step::Done(result.to_owned())
        }
        Err(Trouble::Outbox(error)) => return Err(error),
        Err(Trouble::Api(error)) if error.is_temporary() && now.saturating_sub(response.created_at) < PATIENCE_MS => {
            let wait = wait_ms(&error, response.attempts);
            warn!(incident = ask.incident, action = ask.verb.as_str(), %error, wait_ms = wait, "A response could not be carried out; tried again.");
            Step::Again { at: now.saturating_add(wait), why: error.to_string() }
        }
        Err(Trouble::Api(error)) => {
            error!(incident = ask.incident, action = ask.verb.as_str(), connector = ask.connector, by = ask.who, %error, "A response was given up.");
            Step::Failed(error.to_string())
        }
    };
    let result = match &step {
        Step::Done(_) => "done",
        Step::Failed(_) => "failed",
        Step::Again { .. } | Step::Made { .. } => "retry",
    };
    shared.ilert.metrics().response(ask.verb.as_str(), result);
    shared.book().step(response.id, step, shared.clock.now()).await?;
    shared.moved.send_modify(|count| *count = count.wrapping_add(1));
    Ok(())
}

/// As long as iLert's limit lasts, else from two seconds to a minute with jitter.
fn wait_ms(error: &ApiError, attempts: u32) -> i64 {
    match error {
        ApiError::Limited(ms) => *ms,
        _ => {
            let most = 2_000_i64 << attempts.min(5);
            fastrand::i64(most / 2..=most).min(60_000)
        }
    }
}

enum Trouble {
    Api(ApiError),
    Outbox(OutboxError),
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Self {
        Trouble::Api(error)
    }
}

impl From<OutboxError> for Trouble {
    fn from(error: OutboxError) -> Self {
        Trouble::Outbox(error)
    }
}

/// A comment finds an alert only while it is open, so the name is written before a resolve, and after an accept, which is what counts.
async fn carry(shared: &Shared, response: &Response) -> Result<&'static str, Trouble> {
    let ask = &response.ask;
    match ask.verb {
        Verb::Comment => {
            comment(shared, response, &ask.text).await?;
            Ok(DONE)
        }
        Verb::Accept => {
            let result = act(shared, response).await?;
            if result == DONE {
                sign(shared, response, "Accepted").await?;
            }
            Ok(result)
        }
        Verb::Resolve => {
            if response.stage == 0 {
                sign(shared, response, "Resolved").await?;
                shared.book().step(response.id, Step::Made { stage: 1 }, shared.clock.now()).await?;
            }
            Ok(act(shared, response).await?)
        }
    }
}

/// Accepts or resolves. What may have been done before, or by somebody else, is looked at rather than done again.
async fn act(shared: &Shared, response: &Response) -> Result<&'static str, ApiError> {
    let ask = &response.ask;
    if (response.attempts > 0 || response.created_at < shared.started_at)
        && let Some(result) = fulfilled(ask.verb, &shared.ilert.get(&ask.incident, Purpose::Respond).await?.status)
    {
        return Ok(result);
    }
    let person = ask.person.as_deref();
    let sent = match ask.verb {
        Verb::Accept => shared.ilert.accept(&ask.incident, person).await,
        _ => shared.ilert.resolve(&ask.incident, person).await,
    };
    match sent {
        Ok(_) => Ok(DONE),
        Err(error @ ApiError::Refused(_)) => {
            let status = shared.ilert.get(&ask.incident, Purpose::Respond).await?.status;
            fulfilled(ask.verb, &status).ok_or(error)
        }
        Err(error) => Err(error),
    }
}

fn fulfilled(verb: Verb, status: &Status) -> Option<&'static str> {
    match (verb, status) {
        (Verb::Accept, Status::Accepted) | (Verb::Resolve, Status::Resolved) => Some(ALREADY),
        (Verb::Accept, Status::Resolved) => Some(OVER),
        _ => None,
    }
}

/// Writes under the alert who did it, where iLert would name the host's own user. The response itself does not depend on it.
async fn sign(shared: &Shared, response: &Response, did: &str) -> Result<(), OutboxError> {
    let ask = &response.ask;
    if !shared.ilert.takes_comments() || ask.person.as_deref().is_some_and(|person| shared.ilert.knows(person)) {
        return Ok(());
    }
    let text = format!("{did} by {} ({}).", ask.who, ask.connector);
    match comment(shared, response, &text).await {
        Err(Trouble::Outbox(error)) => Err(error),
        Err(Trouble::Api(error)) => {
            warn!(incident = ask.incident, %error, "The name of who responded could not be written under the alert.");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

async fn comment(shared: &Shared, response: &Response, text: &str) -> Result<(), Trouble> {
    let ask = &response.ask;
    let known = shared.book().incident(&ask.incident).await?.map(|known| (known.about.alert_key, known.about.summary));
    let (alert_key, summary) = match known {
        Some((Some(alert_key), summary)) => (Some(alert_key), summary),
        _ => {
            let alert = shared.ilert.get(&ask.incident, Purpose::Respond).await?;
            (alert.alert_key, alert.summary)
        }
    };
    let no_key = || ApiError::Refused("the alert has no alert key, without which iLert takes no comments".to_owned());
    let alert_key = alert_key.ok_or_else(no_key)?;
    shared.ilert.comment(&Comment { alert_key: &alert_key, summary: &summary, who: &ask.who, text }).await?;
    Ok(())
}
