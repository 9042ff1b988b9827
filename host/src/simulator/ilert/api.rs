//! iLert's REST API: the calls that answer an alert.

use std::fmt::Display;

use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::alert::{Alert, Status, User};
use super::budget;
use super::desk::Desk;
use crate::simulator::SimulatorError;
use crate::simulator::front::{Call, Reply};

/// The largest page of a list.
const LARGEST_PAGE: usize = 100;

/// An error body: `{status, message, code}`.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Display) -> Self {
        ApiError { status, code, message: message.to_string() }
    }

    pub(super) fn bad(message: impl Display) -> Self {
        ApiError::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    pub(super) fn limited() -> Self {
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", "Too many requests in this minute.")
    }

    pub(super) fn reply(&self) -> Reply {
        let body = json!({ "status": self.status.as_u16(), "message": self.message, "code": self.code });
        Reply::json(self.status, &body)
    }
}

impl From<SimulatorError> for ApiError {
    fn from(error: SimulatorError) -> Self {
        ApiError::new(StatusCode::NOT_FOUND, "NOT_FOUND", error)
    }
}

/// The id of an alert, and what is wanted of it.
fn path_of(call: &Call) -> (&str, &str) {
    let path = call.parts.uri.path().trim_start_matches("/api/alerts").trim_matches('/');
    path.split_once('/').unwrap_or((path, ""))
}

/// Names a call, without ids.
pub(super) fn name_of(call: &Call) -> &'static str {
    match (&call.parts.method, path_of(call)) {
        (&Method::GET, ("", "")) => "GET /alerts",
        (&Method::GET, (_, "")) => "GET /alerts/{id}",
        (&Method::GET, (_, "log-entries")) => "GET /alerts/{id}/log-entries",
        (&Method::PUT, (_, "accept")) => "PUT /alerts/{id}/accept",
        (&Method::PUT, (_, "resolve")) => "PUT /alerts/{id}/resolve",
        (&Method::PUT, (_, "assign")) => "PUT /alerts/{id}/assign",
        _ => "other",
    }
}

/// Answers `/api/alerts…`.
pub(super) fn alerts(desk: &Desk, call: &Call, name: &str) -> Result<Reply, ApiError> {
    let user = authorize(desk, call)?;
    let (id, verb) = path_of(call);
    match name {
        "other" => Err(ApiError::new(StatusCode::NOT_FOUND, "NOT_FOUND", "There is no such call.")),
        "GET /alerts" => list(desk, call),
        _ => id.parse().map_err(|_| ApiError::bad("The id is no number.")).and_then(|id| one(desk, call, user, id, verb)),
    }
}

/// The user whose key the call carries; the call counts against the key's minute.
fn authorize<'a>(desk: &'a Desk, call: &Call) -> Result<&'a User, ApiError> {
    let Some(value) = call.parts.headers.get(header::AUTHORIZATION) else {
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "The Authorization header is missing."));
    };
    let key = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
    let wrong = || ApiError::new(StatusCode::FORBIDDEN, "KEY_ERROR", "The API key is unknown or has been revoked.");
    let (key, user) = key.and_then(|key| Some((key, desk.user_of(key)?))).ok_or_else(wrong)?;
    if desk.spend(key, budget::API_KEY) { Ok(user) } else { Err(ApiError::limited()) }
}

fn one(desk: &Desk, call: &Call, user: &User, id: u64, verb: &str) -> Result<Reply, ApiError> {
    let alert = match verb {
        "" => desk.alert(id)?,
        "log-entries" => return desk.alert(id).map(|_| tagged(call, &log(desk, id))).map_err(ApiError::from),
        "accept" => desk.change(id, "acknowledged", |alert, _| open(alert).map(|()| alert.accept(Some(user))))?,
        "resolve" => desk.change(id, "resolved", |alert, now| open(alert).map(|()| alert.resolve(now)))?,
        _ => {
            let to = assignee(desk, call)?;
            desk.change(id, "assigned", |alert, _| open(alert).map(|()| alert.assign(&to)))?
        }
    };
    Ok(tagged(call, &alert.rest()))
}

/// The comments of an alert's timeline, the newest first.
fn log(desk: &Desk, id: u64) -> Value {
    let entry = |(number, (at, text)): (usize, (i64, String))| {
        let at = jiff::Timestamp::from_millisecond(at).unwrap_or(jiff::Timestamp::MAX);
        json!({ "id": number, "timestamp": format!("{at:.3}"), "logEntryType": "CommentLogEntry", "text": text, "alertId": id })
    };
    desk.log(id).into_iter().enumerate().map(entry).rev().collect()
}

/// A resolved alert is not reopened, nor resolved again.
pub(super) fn open(alert: &Alert) -> Result<(), ApiError> {
    if alert.is_open() { Ok(()) } else { Err(ApiError::bad(format_args!("Alert {} has been resolved already.", alert.id))) }
}

fn assignee(desk: &Desk, call: &Call) -> Result<User, ApiError> {
    let query = call.query();
    let id = query.iter().find(|(name, _)| name == "user" || name == "user-id").and_then(|(_, id)| id.parse().ok());
    let user = id.and_then(|id| desk.user(id));
    user.cloned().ok_or_else(|| ApiError::bad("`user` does not name a user."))
}

#[derive(Default)]
struct Filter {
    states: Vec<Status>,
    sources: Vec<u64>,
    from: Option<i64>,
    until: Option<i64>,
    start: usize,
    page: usize,
}

fn list(desk: &Desk, call: &Call) -> Result<Reply, ApiError> {
    let filter = filter(&call.query())?;
    let wanted = |alert: &Alert| {
        (filter.states.is_empty() || filter.states.contains(&alert.status))
            && (filter.sources.is_empty() || filter.sources.contains(&alert.about.alert_source.id))
            && filter.from.is_none_or(|from| alert.report_time >= from)
            && filter.until.is_none_or(|until| alert.report_time <= until)
    };
    let page = desk.alerts().into_iter().filter(wanted).skip(filter.start).take(filter.page);
    Ok(tagged(call, &page.map(|alert| alert.rest()).collect()))
}

fn filter(query: &[(String, String)]) -> Result<Filter, ApiError> {
    let mut filter = Filter { page: 50, ..Filter::default() };
    for (name, value) in query {
        let bad = || ApiError::bad(format_args!("`{value}` is no value for `{name}`."));
        match name.as_str() {
            "states" => filter.states.push(serde_json::from_value(Value::from(value.as_str())).map_err(|_| bad())?),
            "sources" => filter.sources.push(value.parse().map_err(|_| bad())?),
            "from" => filter.from = Some(time(value).ok_or_else(bad)?),
            "until" => filter.until = Some(time(value).ok_or_else(bad)?),
            "start-index" => filter.start = value.parse().map_err(|_| bad())?,
            "max-results" => filter.page = value.parse().ok().filter(|page| (1..=LARGEST_PAGE).contains(page)).ok_or_else(bad)?,
            "include" => {}
            // iLert ignores these; a test should hear of a misspelt filter.
            _ => return Err(ApiError::bad(format_args!("There is no parameter `{name}`."))),
        }
    }
    Ok(filter)
}

fn time(value: &str) -> Option<i64> {
    value.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond())
}

/// The value with its `ETag`; 304 for a caller that has it already.
fn tagged(call: &Call, value: &Value) -> Reply {
    let digest = Sha256::digest(value.to_string());
    let tag = format!("\"{:02x}{:02x}{:02x}{:02x}{:02x}{:02x}\"", digest[0], digest[1], digest[2], digest[3], digest[4], digest[5]);
    let known = call.parts.headers.get(header::IF_NONE_MATCH).is_some_and(|have| have.as_bytes() == tag.as_bytes());
    let mut reply = if known && call.parts.method == Method::GET {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        Reply::Answer(response)
    } else {
        Reply::json(StatusCode::OK, value)
    };
    if let (Reply::Answer(response), Ok(tag)) = (&mut reply, HeaderValue::try_from(tag)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    reply
}
