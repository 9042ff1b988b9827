//! What is read of iLert's alerts.

use serde::Deserialize;
use serde_json::Value;

use super::api_error::ApiError;
use crate::clock::UnixMs;
use crate::event::{Named, Status};

/// What is read of an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Where it stands.
    pub status: Status,
    /// One line.
    pub summary: String,
    /// The monitoring tool's own key.
    pub alert_key: Option<String>,
    /// Where iLert got it from.
    pub alert_source: Option<Named>,
    /// Who has it, as people are shown; empty if nobody.
    pub responders: Vec<String>,
    /// All of it, as iLert sent it.
    pub value: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    status: Status,
    #[serde(default)]
    summary: Option<String>,
    #[serde(default)]
    alert_key: Option<String>,
    #[serde(default)]
    alert_source: Option<WireSource>,
    #[serde(default)]
    responders: Option<Vec<WireResponder>>,
}

#[derive(Deserialize)]
struct WireSource {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct WireResponder {
    #[serde(default)]
    user: Option<WireUser>,
    #[serde(default)]
    status: Option<Status>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireUser {
    username: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
}

impl Alert {
    pub(super) fn read(value: Value) -> Result<Alert, ApiError> {
        let wire = Wire::deserialize(&value).map_err(|error| ApiError::Unreadable(error.to_string()))?;
        let accepted = wire.responders.into_iter().flatten().filter(|responder| responder.status == Some(Status::Accepted));
        let responders = accepted.filter_map(|responder| name(responder.user?)).collect();
        let alert_source = wire.alert_source.map(|source| Named { id: plain(&source.id), name: source.name });
        Ok(Alert {
            status: wire.status,
            summary: wire.summary.unwrap_or_default(),
            alert_key: wire.alert_key,
            alert_source,
            responders,
            value,
        })
    }
}

/// A number or a text, as text.
fn plain(id: &Value) -> String {
    id.as_str().map_or_else(|| id.as_u64().map(|id| id.to_string()).unwrap_or_default(), str::to_owned)
}

fn name(user: WireUser) -> Option<String> {
    let full = [user.first_name, user.last_name].into_iter().flatten().collect::<Vec<_>>().join(" ");
    if full.trim().is_empty() { user.username } else { Some(full) }
}

/// One line of an alert's timeline.
#[derive(Debug, Deserialize)]
pub(super) struct LogEntry {
    #[serde(default)]
    timestamp: Option<String>,
    #[serde(default)]
    text: Option<String>,
}

impl LogEntry {
    /// Whether it holds these words, and is not older than `since`. An entry without a time is as young as any.
    pub(super) fn says(&self, words: &str, since: UnixMs) -> bool {
        let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let at = self.timestamp.as_deref().and_then(|at| at.parse::<jiff::Timestamp>().ok());
        let young = at.is_none_or(|at| at.as_millisecond() >= since);
        young && self.text.as_deref().is_some_and(|text| plain(text).contains(&plain(words)))
    }
}
