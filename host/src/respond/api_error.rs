//! Why a call to iLert has no result.

use http::StatusCode;
use serde_json::Value;

/// Why a call has no result, in words for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// Not sent: the budget is used up. Milliseconds until there is room.
    #[error("iLert's limit of 120 calls a minute is reached; it goes on in {} s", (.0 + 999) / 1000)]
    Limited(i64),
    /// Not sent: no connection.
    #[error("iLert cannot be reached: {0}")]
    Unreachable(String),
    /// Sent, and no answer; the call may have had its effect.
    #[error("iLert did not answer: {0}")]
    Unanswered(String),
    /// 5xx.
    #[error("iLert is having trouble (HTTP {0})")]
    Trouble(u16),
    /// 401, 403.
    #[error("iLert does not take the API key ({0}); check `ilert.api_key`, and whether its user may respond to this alert")]
    Key(String),
    /// The integration key is unknown.
    #[error("iLert does not take the integration key; check `ilert.integration_key` and `ilert.integration_keys`")]
    IntegrationKey,
    /// There is none for the alert's source.
    #[error("there is no integration key for this alert's source, so no comment can be written; set `ilert.integration_key`")]
    NoIntegrationKey,
    /// 404.
    #[error("iLert has no such alert, or the API key's user may not see it")]
    NotFound,
    /// 402.
    #[error("iLert's plan does not allow this: {0}")]
    Plan(String),
    /// Any other refusal.
    #[error("iLert refused: {0}")]
    Refused(String),
    /// An answer that is none of iLert's.
    #[error("iLert's answer cannot be read: {0}")]
    Unreadable(String),
}

impl ApiError {
    /// A word for metrics.
    pub fn word(&self) -> &'static str {
        match self {
            ApiError::Limited(_) => "limited",
            ApiError::Unreachable(_) => "unreachable",
            ApiError::Unanswered(_) => "unanswered",
            ApiError::Trouble(_) => "trouble",
            ApiError::Key(_) => "key",
            ApiError::IntegrationKey => "integration_key",
            ApiError::NoIntegrationKey => "no_integration_key",
            ApiError::NotFound => "not_found",
            ApiError::Plan(_) => "plan",
            ApiError::Refused(_) => "refused",
            ApiError::Unreadable(_) => "unreadable",
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_temporary(&self) -> bool {
        use ApiError::{Limited, Trouble, Unanswered, Unreachable, Unreadable};
        matches!(self, Limited(_) | Unreachable(_) | Unanswered(_) | Trouble(_) | Unreadable(_))
    }

    /// Whether the call may have had its effect although there is no good answer. A gateway's 502 and 504 say nothing of what is behind it.
    pub fn may_have_acted(&self) -> bool {
        matches!(self, ApiError::Unanswered(_) | ApiError::Unreadable(_) | ApiError::Trouble(502 | 504))
    }
}

/// A call without an answer.
pub(super) fn unanswered(error: reqwest::Error) -> ApiError {
    if error.is_connect() { ApiError::Unreachable(plain(error)) } else { ApiError::Unanswered(plain(error)) }
}

/// The causes alone: the client's own sentence names the URL.
fn plain(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let error = error.without_url();
    let mut text = "the connection failed".to_owned();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}

/// What an error answer means. iLert's are `{status, message, code}`; `code` decides where the status does not.
pub(super) fn refusal(status: StatusCode, body: &[u8]) -> ApiError {
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    let member = |name: &str| crate::plugin::text::line(error.get(name).and_then(Value::as_str).unwrap_or_default());
    let (code, message) = (member("code"), member("message"));
    let words = match (message.is_empty(), code.is_empty()) {
        (false, false) => format!("{message} ({code})"),
        (false, true) => message,
        (true, false) => code,
        (true, true) => format!("HTTP {}", status.as_u16()),
    };
    match status.as_u16() {
        401 | 403 => ApiError::Key(words),
        402 => ApiError::Plan(words),
        404 => ApiError::NotFound,
        500.. => ApiError::Trouble(status.as_u16()),
        408 | 425 => ApiError::Unanswered(words),
        _ => ApiError::Refused(words),
    }
}
