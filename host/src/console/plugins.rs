//! The part of the JSON API that swaps plugins.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Answer, Refusal, answer};
use crate::delivery::upgrade::{InstallOptions, UpgradeError, Who};
use crate::host::Control;
use crate::plugin::inspect::PaceView;
use crate::source::problem::Problem;

/// The most bytes of an upload; the plugin's own limit may be lower.
pub(super) const UPLOAD: usize = 64 << 20;

/// How to install.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct How {
    /// Also an older version.
    force: bool,
    /// Only write so many messages along.
    shadow: Option<u32>,
}

fn refused(error: &UpgradeError) -> Refusal {
    let (status, title) = match error {
        UpgradeError::Unknown(_) => (StatusCode::NOT_FOUND, "Not found"),
        UpgradeError::Downgrade { .. } | UpgradeError::NoEarlier(_) => (StatusCode::CONFLICT, "Conflict"),
        UpgradeError::Store(_) => return Problem::come_again(error.to_string(), 5).into(),
        UpgradeError::Broken(_) => (StatusCode::INTERNAL_SERVER_ERROR, "Internal error"),
        UpgradeError::Load(_) | UpgradeError::Config { .. } | UpgradeError::Golden { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "The plugin is refused")
        }
    };
    Problem::new(status, title, error.to_string()).into()
}

/// `GET /api/plugins`: the version in use of each plugin, the kept ones, what is on trial, the last failure, counters.
pub(super) async fn list(State(control): State<Control>) -> Answer {
    let upgrader = control.sinks().upgrader.clone();
    let states = tokio::task::spawn_blocking(move || upgrader.states()).await;
    let states = states.map_err(|error| refused(&UpgradeError::Broken(error.to_string())))?;
    let sinks = control.sinks();
    let list: Result<Vec<Value>, Refusal> = states
        .iter()
        .map(|state| {
            let Json(mut shown) = answer(state)?;
            shown["sha256"] = json!(state.digest);
            if let Some(plugin) = sinks.registry.current(&state.name) {
                shown["world"] = json!(plugin.world());
                shown["pace"] = json!(plugin.descriptor().pace.map(PaceView::from));
            }
            Ok(shown)
        })
        .collect();
    answer(&list?)
}

/// `PUT /api/plugins/{name}`: the component is the body, its signature (the content of `FILE.sig`) in `x-plugin-signature`;
/// `?force=true` takes an older version, `?shadow=20` only has it write so many messages along.
pub(super) async fn install(
    State(control): State<Control>,
    Path(name): Path<String>,
    Query(how): Query<How>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let signature = headers.get("x-plugin-signature").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let options = InstallOptions { force: how.force, shadow: how.shadow };
    let installed = control.sinks().upgrader.install(&name, body.into(), signature, Who::Api, options).await;
    answer(&installed.map_err(|error| refused(&error))?)
}

/// `POST /api/plugins/{name}/rollback`: back to the version that was installed before the one in use.
pub(super) async fn rollback(State(control): State<Control>, Path(name): Path<String>) -> Answer {
    answer(&control.sinks().upgrader.rollback(&name, Who::Api).await.map_err(|error| refused(&error))?)
}
