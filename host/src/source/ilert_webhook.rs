//! The webhook that iLert posts to, and whatever else speaks HTTP: Vector, Fluent Bit, curl.
//!
//! 202 and a report after everything is on disk. No two senders agree on what other codes mean, but all of them try again after a 503, and
//! most drop a batch for good after a 4xx: so every temporary state is a 503, and a batch is refused only where no retry can help. What is
//! refused for its content is kept as a dead letter before the sender hears of it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tracing::warn;

use super::auth::Guard;
use super::problem::Problem;
use super::read::{read_items, unreadable};
use super::{Source, SourceConfig, SourceContext, SourceScope};
use crate::config::secret_schema;
use crate::event::Event;
use crate::event::body::{self, BodyError, MAX_BODY, MAX_EVENT};
use crate::event::encoding::{ACCEPTED, DecodeError};
use crate::event::ilert::EdgeHeaders;
use crate::intake::IntakeError;
use crate::outbox::Unreadable;
use crate::secret::Secret;

/// How long a sender may take for its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How many large bodies are taken apart at once, each by a thread of its own.
const LARGE_AT_ONCE: usize = 4;
/// Seconds, for `Retry-After`.
const COME_AGAIN: u16 = 10;

/// `[sources.NAME]` with `type = "ilert_webhook"`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IlertWebhookConfig {
    /// Where iLert posts to, on the public server.
    #[serde(default = "default_path")]
    pub path: String,
    /// With `password`: HTTP Basic, as in the URL that iLert is given.
    pub username: Option<String>,
    /// See `username`.
    #[serde(default)]
    #[schemars(schema_with = "secret_schema")]
    pub password: Option<Secret>,
    /// A token, in `token_header` or as `Authorization: Bearer`.
    #[serde(default)]
    #[schemars(schema_with = "secret_schema")]
    pub token: Option<Secret>,
    /// The header that the token comes in.
    #[serde(default = "default_token_header")]
    pub token_header: String,
}

fn default_path() -> String {
    "/webhooks/ilert".to_owned()
}

fn default_token_header() -> String {
    "x-incident-sink-token".to_owned()
}

impl IlertWebhookConfig {
    fn guard(&self) -> Result<Guard, String> {
        let basic = match (&self.username, &self.password) {
            (None, None) => None,
            (Some(user), Some(password)) if !user.is_empty() && !user.contains(':') && !password.expose().is_empty() => {
                Some((Secret::new(user.as_str()), password.clone()))
            }
            (Some(_), None) => return Err("`username` is set and `password` is not".to_owned()),
            (None, Some(_)) => return Err("`password` is set and `username` is not".to_owned()),
            _ => return Err("`username` and `password` must not be empty, and `username` has no `:`".to_owned()),
        };
        let name: HeaderName =
            self.token_header.parse().map_err(|_| format!("`token_header` is no name of a header: `{}`", self.token_header))?;
        if self.token.as_ref().is_some_and(|token| token.expose().trim() != token.expose() || token.expose().is_empty()) {
            return Err("`token` must not be empty, nor begin or end with a space".to_owned());
        }
        Ok(Guard { basic, token: self.token.clone().map(|token| (name, token)) })
    }
}

#[async_trait]
#[typetag::deserialize(name = "ilert_webhook")]
impl SourceConfig for IlertWebhookConfig {
    fn validate(&self, scope: SourceScope) -> Result<(), String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte);
        if !self.path.starts_with('/') || !self.path.bytes().all(plain) {
            return Err(format!("`path` must begin with `/` and have only letters, digits and -._~/% in it: `{}`", self.path));
        }
        let guard = self.guard()?;
        if guard.basic.is_none() && guard.token.is_none() && !scope.loopback {
            return Err("set `username` and `password`, or `token`: without them anybody who reaches `server.listen` could post events \
                (on a loopback address they may be left out)"
                .to_owned());
        }
        Ok(())
    }

    fn paths(&self) -> Vec<&str> {
        vec![&self.path]
    }

    async fn build(&self, cx: SourceContext) -> Result<Source, String> {
        let webhook = Webhook { cx, guard: self.guard()?, large: Arc::new(Semaphore::new(LARGE_AT_ONCE)), body_timeout: BODY_TIMEOUT };
        let methods = get(greet).post(receive).put(receive).with_state(Arc::new(webhook));
        Ok(Source { routes: Router::new().route(&self.path, methods), task: None })
    }
}

struct Webhook {
    cx: SourceContext,
    guard: Guard,
    large: Arc<Semaphore>,
    body_timeout: Duration,
}

/// For browsers and health checks, which want exactly 200.
async fn greet() -> &'static str {
    "incident-sink takes iLert's events here, by POST.\n"
}

async fn receive(State(webhook): State<Arc<Webhook>>, request: Request) -> Response {
    match webhook.receive(request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

impl Webhook {
    async fn receive(self: &Arc<Self>, request: Request) -> Result<Response, Problem> {
        let (parts, body) = request.into_parts();
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
        let report = self.cx.intake.accept(&self.cx.name, events).await.map_err(|error| temporary(&error))?;
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
            return Ok(read_events(&self.cx, &headers, &body));
        }
        let busy = || Problem::come_again("too many large batches at once", COME_AGAIN);
        let permit = tokio::time::timeout(self.body_timeout, Arc::clone(&self.large).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(busy()) };
        let webhook = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            read_events(&webhook.cx, &headers, &body)
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

type Events = Vec<Result<Event, Unreadable>>;

fn read_events(cx: &SourceContext, headers: &HeaderMap, body: &[u8]) -> Result<Events, BodyError> {
    let encoding = headers.get(CONTENT_ENCODING).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let items = body::split(body, encoding.as_deref(), MAX_BODY)?;
    Ok(read_items(&cx.name, items, &edge_headers(headers), &cx.clock))
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

fn edge_headers(headers: &HeaderMap) -> EdgeHeaders {
    let text = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?.trim();
        (!value.is_empty()).then(|| value.to_owned())
    };
    EdgeHeaders { event_type: text("x-ilert-event-type"), alert_id: text("x-ilert-alert-id"), item_id: text("x-ilert-edge-item-id") }
}

#[cfg(test)]
#[path = "ilert_webhook_tests.rs"]
mod tests;
