//! `GET /live`: tells pages that something has changed, by server-sent events; they ask for themselves again.
//!
//! While somebody listens, the outbox is looked at once a second, by whichever stream comes first, for all of them. Nobody listens, nobody
//! looks; no task lives on. A look that was slow is followed by a longer pause.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use super::Console;
use crate::outbox::{Filter, OutboxError};
use crate::source::problem::Problem;

/// Streams at once.
const LISTENERS: usize = 64;
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// A look may take so much of the time: one part in this many.
const SHARE: u32 = 10;
/// So that proxies and browsers know that the stream lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Messages that are looked at; older ones change seldom.
const NEWEST: usize = 60;

/// What all streams share.
pub(super) struct Live {
    places: Arc<Semaphore>,
    last: Mutex<Option<Look>>,
}

#[derive(Clone, Copy)]
struct Look {
    state: u64,
    until: Instant,
}

impl Default for Live {
    fn default() -> Self {
        Live { places: Arc::new(Semaphore::new(LISTENERS)), last: Mutex::default() }
    }
}

/// A digest of all that pages show: two that are equal show the same.
async fn look(console: &Console) -> Result<u64, OutboxError> {
    let mut last = console.0.live.last.lock().await;
    let begun = Instant::now();
    if let Some(look) = last.filter(|look| begun < look.until) {
        return Ok(look.state);
    }
    let control = console.control();
    let lines = control.outbox().status().await?;
    let newest = control.outbox().messages(Filter { limit: NEWEST, ..Filter::default() }).await?;
    let mut hasher = DefaultHasher::new();
    for line in &lines {
        (&line.connector, line.waiting, line.in_flight, line.dead, line.pace.closed_until, &line.pace.sends).hash(&mut hasher);
    }
    for one in &newest {
        (one.id, &one.state, one.attempts, one.updated_at).hash(&mut hasher);
    }
    let sinks = control.sinks();
    for name in sinks.registry.names() {
        let digest = sinks.registry.current(&name).map(|plugin| plugin.digest().to_owned());
        let trials = sinks.registry.trials();
        let (canary, shadow) = (trials.canary_state(&name), trials.shadow_state(&name));
        (&name, digest, canary.map(|state| state.left), shadow.map(|state| state.left)).hash(&mut hasher);
    }
    let look = Look { state: hasher.finish(), until: Instant::now() + PAUSE.max(begun.elapsed() * SHARE) - PAUSE / 10 };
    *last = Some(look);
    Ok(look.state)
}

struct Stream {
    console: Console,
    told: Option<u64>,
    _place: OwnedSemaphorePermit,
}

/// `GET /live`. A browser that comes back says what it was told last, and hears only of what is new.
pub(super) async fn listen(State(console): State<Console>, headers: HeaderMap) -> Response {
    let Ok(place) = Arc::clone(&console.0.live.places).try_acquire_owned() else {
        return Problem::come_again("too many pages listen at once", 30).into_response();
    };
    let told = headers.get("last-event-id").and_then(|id| u64::from_str_radix(id.to_str().ok()?, 16).ok());
    let events = stream::unfold(Stream { console, told, _place: place }, next);
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response();
    // For nginx, which would wait for more.
    response.headers_mut().insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    *response.status_mut() = StatusCode::OK;
    response
}

/// Waits for the next change; `None` when the host stops. Cancel-safe.
async fn next(mut stream: Stream) -> Option<(Result<Event, Infallible>, Stream)> {
    loop {
        if stream.console.0.stop.is_cancelled() || stream.console.control().intake().is_closed() {
            return None;
        }
        match look(&stream.console).await {
            Ok(state) if stream.told != Some(state) => {
                stream.told = Some(state);
                return Some((Ok(Event::default().id(format!("{state:016x}")).data("changed")), stream));
            }
            Ok(_) => {}
            Err(OutboxError::Closed) => return None,
            Err(error) => tracing::debug!(%error, "The console cannot look at the outbox; trying again."),
        }
        tokio::select! {
            () = stream.console.0.stop.cancelled() => return None,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}
