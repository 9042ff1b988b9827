//! Errors as HTTP answers: RFC 9457, `application/problem+json`.

use axum::http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

/// An error for a client.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A kind of error, and what is wrong in this case.
    pub fn new(status: StatusCode, title: &str, detail: impl Into<String>) -> Self {
        let members = [
            ("type", Value::from("about:blank")),
            ("title", Value::from(title)),
            ("status", Value::from(status.as_u16())),
            ("detail", Value::from(detail.into())),
        ];
        Problem { status, members: members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(), headers: Vec::new() }
    }

    /// 503: the same request will be welcome in this many seconds.
    pub fn come_again(detail: impl Into<String>, seconds: u16) -> Self {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "For now this cannot be done", detail).header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Adds a member of its own.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let content_type = [(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        let mut response = (self.status, content_type, Value::Object(self.members).to_string()).into_response();
        response.headers_mut().extend(self.headers);
        response
    }
}
