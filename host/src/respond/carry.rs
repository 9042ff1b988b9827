//! Carries out what was asked for: over failures and restarts, until it is done or an hour has passed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::carry_out::{Trouble, carry_out};
use super::ilert::ApiError;
use super::shared::Shared;
use crate::clock::UnixMs;
use crate::outbox::OutboxError;
use crate::outbox::book::{Response, Step};

/// What is asked for is given up after this time: nobody expects an accept of yesterday.
pub(super) const PATIENCE_MS: i64 = 3_600_000;
/// Responses carried out at once, each of another incident.
const AT_ONCE: usize = 8;
/// Responses read at once.
const READ: usize = 200;
/// How long to sleep when nothing is asked for.
const IDLE: Duration = Duration::from_secs(30);
/// How soon to look again whether this host carries out now.
const ELSEWHERE: Duration = Duration::from_secs(1);
/// How soon to look again for what was asked for at another host.
const LOOK: Duration = Duration::from_millis(400);
/// How long an attempt may still take when the host is asked to stop.
const LAST_ATTEMPT: Duration = Duration::from_secs(8);
/// How long to leave an outbox alone that does not answer.
const OUTBOX_PAUSE_MS: i64 = 5_000;

/// Works until `stop`; what is being carried out then is brought to the end of its attempt.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut carrier = Carrier { shared: &shared, attempts: FuturesUnordered::new(), busy: HashSet::new(), pause_until: 0 };
    while !stop.is_cancelled() {
        let wait = if shared.leads().await { carrier.begin_what_is_due().await } else { ELSEWHERE };
        // What was asked for at another host is found by looking.
        let wait = if shared.outbox.is_shared() { wait.min(LOOK) } else { wait };
        tokio::select! {
            () = stop.cancelled() => break,
            Some((incident, noted)) = carrier.attempts.next() => carrier.end(&incident, noted),
            () = shared.asked.notified() => {}
            () = shared.clock.sleep(wait) => {}
        }
    }
    // What is cut off is looked at again after the next start.
    let rest = async { while carrier.attempts.next().await.is_some() {} };
    if tokio::time::timeout(LAST_ATTEMPT, rest).await.is_err() {
        warn!("A response was being carried out at the end; it is looked at again after the next start.");
    }
}

/// What is under way.
struct Carrier<'a> {
    shared: &'a Shared,
    attempts: FuturesUnordered<BoxFuture<'a, (String, Result<(), OutboxError>)>>,
    /// Incidents with an attempt.
    busy: HashSet<String>,
    /// The outbox is left alone so long.
    pause_until: UnixMs,
}

impl<'a> Carrier<'a> {
    /// Begins as many attempts as there may be; how long to wait for more that are due.
    async fn begin_what_is_due(&mut self) -> Duration {
        let pause = self.pause_until - self.shared.clock.steady();
        if pause > 0 {
            return Duration::from_millis(pause.unsigned_abs());
        }
        let open = match self.shared.book().open_responses(READ).await {
            Ok(open) => open,
            Err(error) => {
                self.fail(&error);
                return Duration::from_millis(OUTBOX_PAUSE_MS.unsigned_abs());
            }
        };
        let now = self.shared.clock.now();
        let (mut seen, mut next) = (HashSet::new(), IDLE);
        for response in open {
            // One of an incident at a time, in the order in which they were asked for.
            if !seen.insert(response.ask.incident.clone()) || self.busy.contains(&response.ask.incident) {
                continue;
            }
            if response.next_at > now {
                next = next.min(Duration::from_millis((response.next_at - now).unsigned_abs()));
            } else if self.attempts.len() < AT_ONCE {
                let (shared, incident) = (self.shared, response.ask.incident.clone());
                self.busy.insert(incident.clone());
                self.attempts.push(Box::pin(async move { (incident, attempt(shared, response).await) }));
            }
        }
        next
    }

    fn end(&mut self, incident: &str, noted: Result<(), OutboxError>) {
        self.busy.remove(incident);
        if let Err(error) = noted {
            self.fail(&error);
        }
    }

    fn fail(&mut self, error: &OutboxError) {
        error!(%error, "Responses could not be read or noted; tried again soon.");
        self.pause_until = self.shared.clock.steady().saturating_add(OUTBOX_PAUSE_MS);
    }
}

/// One attempt, and the note of what became of it.
async fn attempt(shared: &Shared, response: Response) -> Result<(), OutboxError> {
    let ask = &response.ask;
    let step = match carry_out(shared, &response).await {
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
        Err(Trouble::Api(error)) if error.is_temporary() && !is_too_late(shared, &response) => {
            let wait = wait_ms(&error, response.attempts);
            warn!(incident = ask.incident, action = ask.verb.as_str(), %error, wait_ms = wait, "A response could not be carried out; tried again.");
            Step::Again { at: shared.clock.now().saturating_add(wait), why: error.to_string() }
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
    shared.step(response.id, step).await
}

/// Whether a response is not tried again.
pub(super) fn is_too_late(shared: &Shared, response: &Response) -> bool {
    shared.clock.now().saturating_sub(response.created_at) >= PATIENCE_MS
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
