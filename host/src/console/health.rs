//! `/healthz`, `/readyz` and `/metrics`: what orchestrators and Prometheus ask.

use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::host::{Control, Health, MetricsError};
use crate::source::problem::Problem;
use crate::telemetry::metrics::plain;

/// Seconds, for `Retry-After`.
const COME_AGAIN: u16 = 5;

/// `GET /healthz`: 503 where only a restart helps.
pub(super) async fn alive(State(control): State<Control>, headers: HeaderMap) -> Response {
    let health = control.health().await;
    let word = if health.is_broken { "broken" } else { "ok" };
    let reasons = if health.is_broken { health.reasons } else { Vec::new() };
    tell(&headers, !reasons.is_empty(), word, &Health { reasons, ..Health::default() })
}

/// `GET /readyz`: 503 where no events can be taken in, with the reasons; and what is out of order besides.
pub(super) async fn ready(State(control): State<Control>, headers: HeaderMap) -> Response {
    let health = control.health().await;
    tell(&headers, !health.is_ready(), if health.is_ready() { "ready" } else { "not ready" }, &health)
}

fn tell(headers: &HeaderMap, refuses: bool, word: &str, health: &Health) -> Response {
    let status = if refuses { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let mut response = if wants(headers, "application/json") {
        (status, Json(json!({ "status": word, "reasons": health.reasons, "troubles": health.troubles }))).into_response()
    } else {
        let lines = health.reasons.iter().map(|reason| format!("{reason}\n"));
        let troubles = health.troubles.iter().map(|trouble| format!("besides, {trouble}\n"));
        let lines: String = lines.chain(troubles).collect();
        (status, format!("{word}\n{lines}")).into_response()
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if refuses {
        response.headers_mut().insert(RETRY_AFTER, COME_AGAIN.into());
    }
    response
}

/// `GET /metrics`: in OpenMetrics' format for who asks for it, else in Prometheus' older one.
pub(super) async fn metrics(State(control): State<Control>, headers: HeaderMap) -> Response {
    let text = match control.page_of_metrics().await {
        Ok(text) => text,
        Err(error @ MetricsError::Busy) => return Problem::come_again(error.to_string(), 1).into_response(),
        Err(error) => return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error", error.to_string()).into_response(),
    };
    if wants(&headers, "application/openmetrics-text") {
        return ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response();
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], plain(&text)).into_response()
}

fn wants(headers: &HeaderMap, kind: &str) -> bool {
    headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|value| value.to_ascii_lowercase().contains(kind))
}
