//! The JSON API: what waits, what was sent, what died, and what to do about it.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::delivery::{Outcome, Profile};
use crate::host::{Control, test_connection};
use crate::outbox::{ConnectorStatus, Filter, MessageId, OutboxError};
use crate::source::problem::Problem;

pub(super) type Answer = Result<Json<Value>, Refusal>;

/// An answer that is an error; boxed, for it is large and rare.
pub(super) struct Refusal(Box<Response>);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Refusal(Box::new(problem.into_response()))
    }
}

/// An error of the outbox, as an answer.
fn trouble(error: &OutboxError) -> Refusal {
    match error {
        OutboxError::NotFound(_) => Problem::new(StatusCode::NOT_FOUND, "Not found", error.to_string()).into(),
        OutboxError::Conflict(_) => Problem::new(StatusCode::CONFLICT, "Conflict", error.to_string()).into(),
        _ => Problem::come_again(error.to_string(), 5).into(),
    }
}

pub(super) fn answer<T: serde::Serialize>(value: &T) -> Answer {
    serde_json::to_value(value)
        .map(Json)
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error", error.to_string()).into())
}

/// `GET /api/outbox`: one line a connector, every configured one.
pub(super) async fn outbox(State(control): State<Control>) -> Answer {
    let mut lines = control.outbox().status().await.map_err(|error| trouble(&error))?;
    let known: std::collections::HashSet<String> = lines.iter().map(|line| line.connector.clone()).collect();
    let plan = control.plan();
    let idle = plan.connectors.keys().filter(|name| !known.contains(&***name));
    lines.extend(idle.map(|name| ConnectorStatus { connector: name.to_string(), ..ConnectorStatus::default() }));
    lines.sort_by(|a, b| a.connector.cmp(&b.connector));
    answer(&lines)
}

/// `GET /api/connectors`: every connector with its pace, its budget and its plugin.
pub(super) async fn connectors(State(control): State<Control>) -> Answer {
    let lines = control.outbox().status().await.map_err(|error| trouble(&error))?;
    let of = |name: &str| lines.iter().find(|line| line.connector == name).cloned().unwrap_or_default();
    let sinks = control.sinks();
    let list: Vec<Value> = sinks
        .connectors
        .iter()
        .map(|(name, built)| {
            let (profile, policy, line) = (built.connector.sink.profile(), &built.connector.policy, of(name));
            json!({
                "name": &**name,
                "type": built.plugin.as_ref().map_or("native", |sink| sink.config().kind()),
                "url": built.plugin.as_ref().map(|sink| sink.config().redacted_url()),
                "pace": pace(policy.pace(&profile).map(|pace| Profile { pace: Some(pace), ..profile })),
                "monthly_budget": policy.monthly_budget,
                "waiting": line.waiting,
                "oldest": line.oldest,
                "in_flight": line.in_flight,
                "dead": line.dead,
                "closed_until": (line.pace.closed_until > control.clock().steady()).then_some(line.pace.closed_until),
                "month": line.pace.month,
                "sent_this_month": line.pace.month_count,
            })
        })
        .collect();
    answer(&list)
}

fn pace(profile: Option<Profile>) -> Option<Value> {
    let pace = profile?.pace?;
    Some(json!({ "messages": pace.messages, "window_ms": pace.window_ms, "penalty_ms": pace.penalty_ms }))
}

/// `POST /api/connectors/{name}/test`: sends a test message.
pub(super) async fn test(State(control): State<Control>, Path(name): Path<String>) -> Answer {
    let connectors = control.dispatcher().connectors();
    let Some(connector) = connectors.get(name.as_str()) else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "Not found", format!("there is no connector `{name}`")).into());
    };
    let (outcome, reason) = match test_connection(&*connector.sink, control.clock()).await {
        Ok(Outcome::Delivered { .. }) => ("delivered", None),
        Ok(Outcome::Retry { reason, .. }) => ("retry", Some(reason)),
        Ok(Outcome::Unknown { reason }) => ("unknown", Some(reason)),
        Ok(Outcome::Throttled { reason, .. }) => ("throttled", Some(reason)),
        Ok(Outcome::Rejected { reason }) => ("rejected", Some(reason)),
        Err(reason) => ("failed", Some(reason)),
    };
    answer(&json!({ "connector": name, "outcome": outcome, "reason": reason }))
}

/// What a list of messages wants.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wanted {
    state: Option<String>,
    connector: Option<String>,
    text: Option<String>,
    before: Option<i64>,
    limit: Option<usize>,
}

/// `GET /api/messages?state=&connector=&text=&before=&limit=`: newest first.
pub(super) async fn messages(State(control): State<Control>, Query(wanted): Query<Wanted>) -> Answer {
    if let Some(state) = wanted.state.as_deref().filter(|state| !matches!(*state, "open" | "delivered" | "dead")) {
        let text = format!("`{state}` is no state of a message; there are open, delivered and dead");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "Bad request", text).into());
    }
    let filter = Filter {
        state: wanted.state,
        connector: wanted.connector,
        text: wanted.text.filter(|text| !text.is_empty()),
        before: wanted.before.map(MessageId),
        limit: wanted.limit.unwrap_or(100).min(1_000),
    };
    let list = control.outbox().messages(filter).await.map_err(|error| trouble(&error))?;
    answer(&list)
}

/// `GET /api/messages/{id}`: one message, whole.
pub(super) async fn message(State(control): State<Control>, Path(id): Path<i64>) -> Answer {
    let detail = control.outbox().message(MessageId(id)).await.map_err(|error| trouble(&error))?;
    answer(&detail)
}

/// `POST /api/dead-letters/{id}/replay`
pub(super) async fn replay(State(control): State<Control>, Path(id): Path<i64>) -> Answer {
    let connector = control.outbox().replay(MessageId(id), control.clock().steady()).await.map_err(|error| trouble(&error))?;
    control.dispatcher().wake(std::slice::from_ref(&connector));
    answer(&json!({ "replayed": id, "connector": &*connector }))
}

/// `POST /api/dead-letters/{id}/discard`
pub(super) async fn discard(State(control): State<Control>, Path(id): Path<i64>) -> Answer {
    control.outbox().discard(MessageId(id)).await.map_err(|error| trouble(&error))?;
    answer(&json!({ "discarded": id }))
}

/// `GET /api/unreadable`: what sources received and could not read.
pub(super) async fn unreadable(State(control): State<Control>) -> Answer {
    let list = control.outbox().unreadable(100).await.map_err(|error| trouble(&error))?;
    let list: Vec<Value> = list
        .into_iter()
        .map(|(id, at, item)| {
            json!({ "id": id, "at": at, "source": &*item.source, "error": item.error, "body": String::from_utf8_lossy(&item.body) })
        })
        .collect();
    answer(&list)
}
