//! Routes a request, lets it meet its fault, and writes it down.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Method, Response, StatusCode};

use super::api::{self, ApiError};
use super::desk::{Called, Desk};
use super::{Fault, control, events};
use crate::simulator::front::{Call, Reply};

/// Answers one request.
pub(super) async fn serve(desk: Arc<Desk>, call: Call) -> Reply {
    if call.parts.uri.path().starts_with("/_sim/") {
        return control::serve(&desk, &call);
    }
    let called = name_of(&call);
    let fault = desk.next_fault(called);
    let (reply, name) = match fault {
        Some(Fault::ResetLost) => (Reply::Reset, "lost"),
        Some(Fault::HangLost) => (Reply::Hang, "lost"),
        Some(Fault::Status { status }) => (failing(status), "lost"),
        None | Some(Fault::ResetDone | Fault::HangDone | Fault::Slow { .. }) => (answer(&desk, &call, called), called),
    };
    let reply = match fault {
        Some(Fault::ResetDone) => Reply::Reset,
        Some(Fault::HangDone) => Reply::Hang,
        Some(Fault::Slow { ms }) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            reply
        }
        _ => reply,
    };
    let status = if let Reply::Answer(response) = &reply { Some(response.status().as_u16()) } else { None };
    let path = call.parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    desk.called(name, Called { at: desk.time.now(), method: call.parts.method.to_string(), path, status });
    reply
}

/// A call without its ids, for the counters.
fn name_of(call: &Call) -> &'static str {
    match (&call.parts.method, call.parts.uri.path()) {
        (&Method::POST, "/api/events") => "POST /events",
        (_, path) if path == "/api/alerts" || path.starts_with("/api/alerts/") => api::name_of(call),
        _ => "other",
    }
}

fn answer(desk: &Desk, call: &Call, name: &'static str) -> Reply {
    let answer = match name {
        "POST /events" => events::post(desk, call),
        _ if call.parts.uri.path().starts_with("/api/alerts") => api::alerts(desk, call, name),
        _ => Err(ApiError::new(StatusCode::NOT_FOUND, "NOT_FOUND", "There is no such call.")),
    };
    answer.unwrap_or_else(|error| error.reply())
}

fn failing(status: u16) -> Reply {
    let mut response = Response::new(Body::from("<html><h1>Bad gateway</h1></html>"));
    // Checked when the fault was queued.
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Reply::Answer(response)
}
