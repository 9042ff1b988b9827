//! The part of the JSON API that reads the config anew.

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;

use super::api::{Answer, answer};
use crate::host::{Control, ReloadError};
use crate::source::problem::Problem;

/// `GET /api/config`: which config is in use, and what became of the last attempt to read it anew.
pub(super) async fn state(State(control): State<Control>) -> Answer {
    answer(&control.config_state())
}

/// `POST /api/reload`: reads the config's file anew and puts to use what changed. A config with errors changes nothing: then the answer has
/// them, each with its place.
pub(super) async fn reload(State(control): State<Control>) -> Answer {
    let error = match control.reload("api").await {
        Ok(done) => return answer(&done),
        Err(error) => error,
    };
    let problem = match &error {
        ReloadError::NotRunning => Problem::come_again(error.to_string(), 5),
        ReloadError::NoFile => Problem::new(StatusCode::CONFLICT, "Conflict", error.to_string()),
        ReloadError::Broken(_) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error", error.to_string()),
        ReloadError::Config(_) | ReloadError::Plugin { .. } | ReloadError::Build(_) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "The changed config cannot be used", error.to_string())
        }
    };
    Err(problem.with("errors", json!(error.config_errors())).into())
}
