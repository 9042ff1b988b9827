//! `POST /api/events`: what machines say about an alert. 202 and nothing more, whether it had an effect or not.

use axum::body::Body;
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::alert::NewAlert;
use super::api::{ApiError, open};
use super::budget;
use super::desk::Desk;
use crate::simulator::front::{Call, Reply};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(alias = "apiKey")]
    integration_key: String,
    event_type: EventType,
    #[serde(default)]
    summary: Option<String>,
    #[serde(default)]
    details: Option<String>,
    #[serde(default, alias = "incidentKey")]
    alert_key: Option<String>,
    #[serde(default)]
    priority: Option<String>,
    #[serde(default)]
    severity: Option<u8>,
    #[serde(default)]
    comments: Vec<Comment>,
    #[serde(default)]
    links: Vec<Value>,
    #[serde(default)]
    images: Vec<Value>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum EventType {
    Alert,
    Accept,
    Resolve,
    Comment,
}

#[derive(Deserialize)]
struct Comment {
    #[serde(default)]
    creator: Option<String>,
    content: String,
}

/// Answers it.
pub(super) fn post(desk: &Desk, call: &Call) -> Result<Reply, ApiError> {
    let event: Event = serde_json::from_slice(call.body.as_deref().unwrap_or_default()).map_err(ApiError::bad)?;
    let unknown = || ApiError::new(StatusCode::NOT_FOUND, "NOT_FOUND", "The integration key is unknown.");
    let source = desk.source_of(&event.integration_key).ok_or_else(unknown)?.clone();
    if !desk.spend(&event.integration_key, budget::INTEGRATION_KEY) {
        return Err(ApiError::limited());
    }
    check(&event)?;
    let target = event.alert_key.as_deref().and_then(|key| desk.open_by_key(source.id, key));
    match (event.event_type, target) {
        (EventType::Alert, None) => {
            desk.create(NewAlert {
                summary: event.summary.unwrap_or_default(),
                details: event.details.unwrap_or_default(),
                priority: event.priority.unwrap_or_else(|| "HIGH".into()),
                severity: event.severity,
                alert_key: event.alert_key,
                alert_source: source,
                links: event.links,
                images: event.images,
                ..NewAlert::default()
            });
        }
        (EventType::Accept, Some(id)) => {
            desk.change(id, "acknowledged", |alert, _| open(alert).map(|()| alert.accept(None)))?;
        }
        (EventType::Resolve, Some(id)) => {
            desk.change(id, "resolved", |alert, now| open(alert).map(|()| alert.resolve(now)))?;
        }
        (EventType::Comment, Some(id)) => {
            for text in spoken(&event) {
                desk.comment(id, &text)?;
            }
        }
        // A repeated alert, or an answer to none: iLert's event log says so, its answer does not.
        (EventType::Alert, Some(_)) | (_, None) => {}
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(Reply::Answer(response))
}

fn check(event: &Event) -> Result<(), ApiError> {
    let empty = |text: &Option<String>| text.as_deref().is_none_or(|text| text.trim().is_empty());
    match event.event_type {
        EventType::Alert if empty(&event.summary) => Err(ApiError::bad("`summary` is missing.")),
        EventType::Alert => Ok(()),
        _ if empty(&event.alert_key) => Err(ApiError::bad("`alertKey` is missing.")),
        EventType::Comment if spoken(event).is_empty() => Err(ApiError::bad("A comment needs `comments` or `details`.")),
        _ => Ok(()),
    }?;
    if event.priority.as_deref().is_some_and(|priority| !["HIGH", "LOW"].contains(&priority)) {
        return Err(ApiError::bad("`priority` is neither HIGH nor LOW."));
    }
    if event.severity.is_some_and(|severity| !(1..=5).contains(&severity)) {
        return Err(ApiError::bad("`severity` is not from 1 to 5."));
    }
    Ok(())
}

/// The comments of a COMMENT event: the list, else its details, else its summary.
fn spoken(event: &Event) -> Vec<String> {
    let said = |comment: &Comment| match &comment.creator {
        Some(creator) => format!("{creator}: {}", comment.content),
        None => comment.content.clone(),
    };
    let listed: Vec<String> = event.comments.iter().map(said).collect();
    if !listed.is_empty() {
        return listed;
    }
    event.details.iter().chain(&event.summary).find(|text| !text.trim().is_empty()).cloned().into_iter().collect()
}
