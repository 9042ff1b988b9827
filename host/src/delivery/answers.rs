//! Between the contract's values and the delivery's: requests, stamps, answers, outcomes. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::draft::Decided;
use super::http::Answer;
use super::request::{Method, Place, Request, Stamp, Target};
use super::template::Part;
use crate::clock::UnixMs;
use crate::outbox::Reason;
use crate::plugin::{CallError, text, wit};

/// Nobody is left alone for longer because a receiver or a plugin said so, in milliseconds.
const LONGEST_WAIT_MS: u64 = 86_400_000;

/// A reason of the host's own.
pub(super) fn reason(code: &str, text: impl Into<String>, advice: &str) -> Reason {
    Reason { code: code.to_owned(), text: text.into(), advice: advice.to_owned() }
}

/// A fault of the plugin, as a reason.
pub(super) fn fault(error: &CallError) -> Reason {
    let advice = match error {
        CallError::Busy | CallError::Deadline { .. } => "The machine may be overloaded.",
        _ => "Report it to the plugin's author, or go back with `incident-sink plugin rollback`.",
    };
    reason(error.code(), error.to_string(), advice)
}

pub(super) fn request(request: wit::Request) -> Request {
    Request {
        target: match request.target {
            wit::Target::Connector => Target::Connector,
            wit::Target::Allowed(url) => Target::Allowed(url),
        },
        method: match request.method {
            wit::Method::Post => Method::Post,
            wit::Method::Put => Method::Put,
        },
        headers: request.headers,
        query: request.query,
        body: request.body,
    }
}

pub(super) fn method(method: Method) -> wit::Method {
    match method {
        Method::Post => wit::Method::Post,
        Method::Put => wit::Method::Put,
    }
}

pub(super) fn stamp(stamp: wit::Stamp) -> Stamp {
    let place = match stamp.place {
        wit::Place::Query => Place::Query,
        wit::Place::Header => Place::Header,
        wit::Place::BodyField => Place::BodyField,
    };
    Stamp { place, name: stamp.name, value: stamp.value }
}

pub(super) fn part(part: Part) -> wit::Part {
    match part {
        Part::Markup(text) => wit::Part::Markup(text),
        Part::Text(text) => wit::Part::Text(text),
    }
}

pub(super) fn response(answer: Answer) -> wit::Response {
    wit::Response { status: answer.status, headers: answer.headers, body: answer.body }
}

/// What a plugin decided without having sent anything.
pub(super) fn decided(outcome: wit::Outcome) -> Decided {
    judged(outcome, "plugin", 0)
}

/// What a plugin read out of an answer; `hint_ms` is what the answer's `Retry-After` asks for, for where the plugin names no time.
pub(super) fn judged(outcome: wit::Outcome, code: &str, hint_ms: u64) -> Decided {
    let wait = |after_ms: u64| if after_ms == 0 { hint_ms } else { after_ms }.min(LONGEST_WAIT_MS);
    let why = |again: &wit::Again| reason(code, text::line(&again.reason), "");
    match outcome {
        wit::Outcome::Delivered(wit::Receipt { id, memo }) => Decided::Delivered { receipt: id, memo },
        wit::Outcome::Retry(again) => Decided::Retry { after_ms: wait(again.after_ms), reason: why(&again) },
        wit::Outcome::Throttled(again) => Decided::Throttled { after_ms: wait(again.after_ms), reason: why(&again) },
        wit::Outcome::Rejected(wit::Reason { code, text, advice }) => Decided::Rejected { reason: Reason { code, text, advice } },
    }
}

/// What `Retry-After` asks for: a number of seconds, or a date. 0 where it is absent or makes no sense.
pub(super) fn retry_after_ms(headers: &[(String, String)], now: UnixMs) -> u64 {
    let Some((_, value)) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after")) else { return 0 };
    let value = value.trim();
    let asked = match value.parse::<u64>() {
        Ok(seconds) => seconds.saturating_mul(1000),
        Err(_) => httpdate::parse_http_date(value).map_or(0, |date| until(date, now)),
    };
    asked.min(LONGEST_WAIT_MS)
}

fn until(date: SystemTime, now: UnixMs) -> u64 {
    let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(now).unwrap_or_default());
    date.duration_since(now).map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(value: &str) -> u64 {
        // Sun, 06 Nov 1994 08:49:37 GMT
        retry_after_ms(&[("Retry-After".into(), value.into())], 784_111_777_000)
    }

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_date() {
        assert_eq!(after("7"), 7_000);
        assert_eq!(after(" 120 "), 120_000);
        assert_eq!(after("Sun, 06 Nov 1994 08:50:37 GMT"), 60_000);
        assert_eq!(after("Sun, 06 Nov 1994 08:00:00 GMT"), 0);
        assert_eq!(after("99999999999999"), LONGEST_WAIT_MS);
        assert_eq!(after("soon") + after("-1") + after(""), 0);
        assert_eq!(retry_after_ms(&[], 0), 0);
    }

    #[test]
    fn the_plugins_own_time_comes_before_the_receivers() {
        let again = |after_ms| wit::Outcome::Throttled(wit::Again { after_ms, reason: "busy".into() });
        assert!(matches!(judged(again(5), "429", 9), Decided::Throttled { after_ms: 5, .. }));
        assert!(matches!(judged(again(0), "429", 9), Decided::Throttled { after_ms: 9, .. }));
        assert!(matches!(judged(again(u64::MAX), "429", 9), Decided::Throttled { after_ms: LONGEST_WAIT_MS, .. }));
    }
}
