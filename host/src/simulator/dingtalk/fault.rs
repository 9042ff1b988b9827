//! What can go wrong between a client and DingTalk, on request.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::answer::{Answer, by_code};
use crate::simulator::SimulatorError;
use crate::simulator::front::{Reply, huge, in_pieces};

/// One way for a call to fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// An HTTP error from something in front of DingTalk; the message is lost.
    Status {
        /// 500, 502, 503, 429 …
        status: u16,
        /// Sent as `Retry-After`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<String>,
    },
    /// A TCP reset; the message is lost.
    ResetLost,
    /// A TCP reset after the group has seen the message.
    ResetShown,
    /// No answer, ever; the message is lost.
    HangLost,
    /// No answer, ever, although the group has seen the message.
    HangShown,
    /// The right answer, late.
    Delay {
        /// How late.
        ms: u64,
    },
    /// The right answer, four bytes at a time.
    SlowBody {
        /// Between the pieces.
        pause_ms: u64,
    },
    /// HTTP 200 and a web page; the message is lost.
    Html,
    /// HTTP 200 and nothing; the message is lost.
    Empty,
    /// The block for a whole IP address: HTTP 200, and no `errcode`; the message is lost.
    IpBlocked,
    /// The right answer, its `errcode` a string, as in DingTalk's own example.
    StringErrcode,
    /// An answer with this `errcode`; the message is lost.
    Errcode {
        /// Any number.
        code: i64,
        /// `None` for the text DingTalk's lists give it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// The right answer, cut in the middle.
    TruncatedJson,
    /// A redirect; the message is lost.
    Redirect {
        /// Where to.
        location: String,
    },
    /// HTTP 200 and this many blanks; the message is lost.
    Huge {
        /// How many.
        bytes: u64,
    },
}

impl Fault {
    /// Whether it can be answered at all.
    pub(super) fn check(&self) -> Result<(), SimulatorError> {
        let good = match self {
            Fault::Status { status, retry_after } => {
                StatusCode::from_u16(*status).is_ok() && retry_after.as_deref().is_none_or(|value| HeaderValue::try_from(value).is_ok())
            }
            Fault::Redirect { location } => HeaderValue::try_from(location).is_ok(),
            _ => true,
        };
        if good { Ok(()) } else { Err(SimulatorError::BadFault(format!("{self:?}"))) }
    }

    /// Whether the message is handled as always and only the answer suffers.
    pub(super) fn passes_on(&self) -> bool {
        matches!(
            self,
            Fault::ResetShown
                | Fault::HangShown
                | Fault::Delay { .. }
                | Fault::SlowBody { .. }
                | Fault::StringErrcode
                | Fault::TruncatedJson
        )
    }

    /// What the caller gets; `answer` is what it would have got.
    pub(super) async fn spoil(self, answer: &Answer) -> Reply {
        match self {
            Fault::Status { status, retry_after } => refuse(status, retry_after),
            Fault::ResetLost | Fault::ResetShown => Reply::Reset,
            Fault::HangLost | Fault::HangShown => Reply::Hang,
            Fault::Delay { ms } => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                reply(answer)
            }
            Fault::SlowBody { pause_ms } => json(in_pieces(text(answer), Duration::from_millis(pause_ms))),
            Fault::Html => {
                Reply::body(StatusCode::OK, "text/html;charset=utf-8", "<!doctype html><title>Verify</title><p>Please verify.</p>")
            }
            Fault::Empty => Reply::body(StatusCode::OK, "application/json", Body::empty()),
            Fault::IpBlocked => json(r#"{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"0a0b0c0d0e0f"}"#),
            Fault::StringErrcode => {
                let body = serde_json::json!({ "errcode": answer.errcode.to_string(), "errmsg": answer.errmsg });
                Reply::json(StatusCode::OK, &body)
            }
            Fault::Errcode { code, text } => {
                let known = by_code(code);
                reply(&Answer { errmsg: text.map_or(known.errmsg, Into::into), ..known })
            }
            Fault::TruncatedJson => {
                let mut text = text(answer);
                // The answer's first half is ASCII: `{"errcode":…,"`.
                text.truncate(14);
                json(text)
            }
            Fault::Redirect { location } => redirect(&location),
            Fault::Huge { bytes } => json(huge(bytes)),
        }
    }
}

fn text(answer: &Answer) -> String {
    serde_json::json!({ "errcode": answer.errcode, "errmsg": answer.errmsg }).to_string()
}

fn json(body: impl Into<Body>) -> Reply {
    Reply::body(StatusCode::OK, "application/json;charset=utf-8", body)
}

/// DingTalk's answer, good or bad: always HTTP 200.
pub(super) fn reply(answer: &Answer) -> Reply {
    json(text(answer))
}

fn refuse(status: u16, retry_after: Option<String>) -> Reply {
    let mut response = Response::new(Body::from("<html><h1>Tengine</h1></html>"));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(value) = retry_after.and_then(|value| HeaderValue::try_from(value).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    Reply::Answer(response)
}

fn redirect(location: &str) -> Reply {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Reply::Answer(response)
}
