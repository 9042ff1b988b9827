//! What every webhook does with a request: who may post, how much, how fast, and what the sender is answered.
//!
//! 202 and a report after everything is on disk. No two senders agree on what other codes mean, but all of them try again after a 503, and
//! most drop a batch for good after a 4xx: so every temporary state is a 503, and a batch is refused only where no retry can help. What is
//! refused for its content is kept as a dead letter before the sender hears of it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tracing::warn;

use super::auth::Guard;
use super::problem::Problem;
use super::read::unreadable;
use super::{Source, SourceContext};
use crate::event::Event;
use crate::event::body::{BodyError, MAX_BODY, MAX_EVENT};
use crate::event::encoding::{ACCEPTED, DecodeError};
use crate::intake::IntakeError;
use crate::outbox::Unreadable;
use crate::telemetry::traces::Arrival;

/// How long a sender may take for its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How many large bodies are taken apart at once, each by a thread of its own.
const LARGE_AT_ONCE: usize = 4;
/// Seconds, for `Retry-After`.
const COME_AGAIN: u16 = 10;

/// What becomes of a body: items for the intake, or why it has none.
pub(super) type Read = dyn Fn(&SourceContext, &HeaderMap, &[u8]) -> Result<Events, BodyError> + Send + Sync;

/// Events, and what could not be read.
pub(super) type Events = Vec<Result<Event, Unreadable>>;

/// One webhook.
pub(super) struct Webhook {
    cx: SourceContext,
    guard: Guard,
    read: Box<Read>,
    greeting: &'static str,
    large: Arc<Semaphore>,
    body_timeout: Duration,
}

/// For browsers and health checks, which want exactly 200.
async fn greet(State(webhook): State<Arc<Webhook>>) -> &'static str {
    webhook.greeting
}

async fn receive(State(webhook): State<Arc<Webhook>>, request: Request) -> Response {
    match webhook.receive(request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

impl Webhook {
    /// `read` takes a body apart; it runs on a thread of its own where the body is large.
    pub(super) fn new(cx: SourceContext, guard: Guard, greeting: &'static str, read: Box<Read>) -> Webhook {
        Webhook { cx, guard, read, greeting, large: Arc::new(Semaphore::new(LARGE_AT_ONCE)), body_timeout: BODY_TIMEOUT }
    }

    /// The source that it is, under a path.
    pub(super) fn source(self, path: &str) -> Source {
        let methods = get(greet).post(receive).put(receive).with_state(Arc::new(self));
        Source { routes: Router::new().route(path, methods), task: None }
    }

    async fn receive(self: &Arc<Self>, request: Request) -> Result<Response, Problem> {
        let (parts, body) = request.into_parts();
        let arrival = Arrival::now(parts.headers.get("traceparent").and_then(|value| value.to_str().ok()));
        if !self.guard.allows(&parts.headers) {
            warn!(source = %self.cx.name, "A request without valid credentials was refused.");
            let challenge = HeaderValue::from_static(self.guard.challenge());
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "Wrong or missing credentials",
                "see the source's config for those expected",
            )
            .header(WWW_AUTHENTICATE, challenge));
        }
        if self.cx.intake.is_closed() {
            return Err(temporary(&IntakeError::Closing));
        }
        let body = self.read_body(&parts.headers, body).await?;
        let events = match self.read_events(parts.headers, body.clone()).await? {
            Ok(events) => events,
            Err(error) => return Err(self.refuse(&body, &error).await),
        };
        let report = self.cx.intake.accept_from(&self.cx.name, events, arrival).await.map_err(|error| temporary(&error))?;
        Ok((StatusCode::ACCEPTED, Json(report)).into_response())
    }

    /// Reads at most [`MAX_BODY`] bytes within the time that a sender has.
    async fn read_body(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
        let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok()).unwrap_or(0_usize);
        if announced > MAX_BODY {
            return Err(too_large(&format!("the body is larger than {MAX_BODY} bytes")));
        }
        let mut chunks = body.into_data_stream();
        let read = async {
            let mut whole = Vec::with_capacity(announced);
            while let Some(chunk) = chunks.next().await {
                let chunk = chunk.map_err(|error| {
                    Problem::new(StatusCode::BAD_REQUEST, "The body broke off", format!("the body could not be read: {error}"))
                })?;
                if whole.len() + chunk.len() > MAX_BODY {
                    return Err(too_large(&format!("the body is larger than {MAX_BODY} bytes")));
                }
                whole.extend_from_slice(&chunk);
            }
            Ok(Bytes::from(whole))
        };
        let late = |_| Problem::come_again(format!("the body did not arrive within {} seconds", self.body_timeout.as_secs()), COME_AGAIN);
        tokio::time::timeout(self.body_timeout, read).await.map_err(late)?
    }

    /// Reads the events of a body; of a large one on a thread of its own, so that it holds up nobody else.
    async fn read_events(self: &Arc<Self>, headers: HeaderMap, body: Bytes) -> Result<Result<Events, BodyError>, Problem> {
        if body.len() <= MAX_EVENT && !headers.contains_key(CONTENT_ENCODING) {
            return Ok((self.read)(&self.cx, &headers, &body));
        }
        let busy = || Problem::come_again("too many large batches at once", COME_AGAIN);
        let permit = tokio::time::timeout(self.body_timeout, Arc::clone(&self.large).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(busy()) };
        let webhook = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            (webhook.read)(&webhook.cx, &headers, &body)
        });
        // Fails only where the runtime is ending.
        read.await.map_err(|_| busy())
    }

    /// Keeps what cannot be read, then says why. If it cannot be kept, the sender is to come again.
    async fn refuse(&self, body: &[u8], error: &BodyError) -> Problem {
        if !matches!(error, BodyError::Empty) {
            let kept = self.cx.intake.accept(&self.cx.name, vec![Err(unreadable(&self.cx.name, body, error))]).await;
            if let Err(error) = kept {
                return temporary(&error);
            }
        }
        match error {
            BodyError::EventTooLarge { .. } | BodyError::TooManyItems | BodyError::Decode(DecodeError::TooLarge { .. }) => {
                too_large(&error.to_string())
            }
            BodyError::Decode(DecodeError::Unsupported(_)) => {
                Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "The content encoding is not supported", error.to_string())
                    .header(HeaderName::from_static("accept-encoding"), HeaderValue::from_static(ACCEPTED))
            }
            BodyError::Decode(DecodeError::Corrupt { .. }) => {
                Problem::new(StatusCode::BAD_REQUEST, "The body cannot be decompressed", error.to_string())
            }
            BodyError::NotJson { line, column, .. } => {
                Problem::new(StatusCode::BAD_REQUEST, "The body is not JSON", error.to_string()).with("line", *line).with("column", *column)
            }
            BodyError::Empty => Problem::new(StatusCode::BAD_REQUEST, "The body is empty", error.to_string()),
        }
    }
}

fn too_large(detail: &str) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "Too large", detail)
}

/// Details stay in the log: a sender learns only that it is to come again.
fn temporary(error: &IntakeError) -> Problem {
    match error {
        IntakeError::Closing => Problem::come_again(error.to_string(), COME_AGAIN).header(CONNECTION, HeaderValue::from_static("close")),
        IntakeError::Outbox(_) => Problem::come_again("the outbox cannot take anything in at the moment", COME_AGAIN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::testing::Door;

    #[tokio::test]
    async fn a_body_that_does_not_arrive_is_given_up_with_503() {
        let door = Door::new();
        let mut webhook = Webhook::new(door.context(), Guard::default(), "", Box::new(|_, _, _| Ok(Vec::new())));
        webhook.body_timeout = Duration::from_millis(5);
        let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        let response = receive(State(Arc::new(webhook)), Request::new(never)).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key("retry-after") && door.outbox.batches().is_empty());
    }
}
