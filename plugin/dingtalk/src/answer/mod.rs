//! What an answer of DingTalk means for the message: it says 200 for failures too, so the body decides.

#[cfg(test)]
mod reference;
mod table;
#[cfg(test)]
mod tests;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};

use self::table::{FIVE_MINUTES, TEN_MINUTES, Verdict, find};
use crate::escape;
use crate::json::Value;
use crate::types::{Again, Outcome, Reason, Receipt, Response};
use crate::words::Language;

/// The longest text that is shown to people, in characters.
const MAX_TEXT: usize = 300;

/// The outcome of one attempt.
pub(crate) fn outcome(answer: &Response, attempt: u32, language: Language) -> Outcome {
    let body: Option<Value> = Value::parse(&answer.body).ok();
    if let Some(body) = &body {
        if let Some(code) = code(body) {
            return of_code(answer, &code, body, attempt, language);
        }
        if let Some(wait) = blocked(body) {
            return throttled(wait, "1111", "DingTalk blocks this IP address for a time");
        }
    }
    of_status(answer, body.is_some(), language)
}

/// `errcode`, a number or a string of digits.
fn code(body: &Value) -> Option<String> {
    match body.get("errcode")? {
        Value::Whole(code) => Some(code.to_string()),
        Value::Number => Some("with a number that is no code".to_owned()),
        Value::Text(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        _ => None,
    }
}

/// How long the address is blocked, in milliseconds: such a body has no `errcode`, and says minutes.
fn blocked(body: &Value) -> Option<u64> {
    let number = |name: &str| body.get(name).and_then(|value| value.whole().or_else(|| value.text()?.parse().ok()));
    (number("status")? == 1111).then(|| number("wait").map_or(FIVE_MINUTES, |minutes| minutes.clamp(1, 60).unsigned_abs() * 60_000))
}

fn of_code(answer: &Response, code: &str, body: &Value, attempt: u32, language: Language) -> Outcome {
    if code == "0" {
        // Nothing but success says 0; an HTTP error around it was made on the way.
        return if (200..300).contains(&answer.status) {
            Outcome::Delivered(Receipt { id: None, memo: None })
        } else {
            of_status(answer, true, language)
        };
    }
    let words = shown(body.get("errmsg").and_then(Value::text).unwrap_or_default());
    let Some(row) = find(code, &words) else {
        let advice = language.pick(
            "The code is not known: look it up in DingTalk's documentation, then replay the message.",
            "未知错误码：请查阅钉钉文档，处理后再重放该消息。",
        );
        return rejected(code, &words, advice);
    };
    let advice = language.pick(row.english, row.chinese);
    match row.verdict {
        Verdict::Retry(after_ms) => again(after_ms, code, &words),
        Verdict::RetryThrice if attempt <= 3 => again(0, code, &words),
        Verdict::RetryThrice => throttled(TEN_MINUTES, code, &words),
        Verdict::RetryOnce if attempt <= 1 => again(0, code, &words),
        Verdict::Throttle(after_ms) => throttled(after_ms, code, &words),
        Verdict::RetryOnce | Verdict::Reject => rejected(code, &words, advice),
    }
}

/// Answers that say nothing in DingTalk's own words.
fn of_status(answer: &Response, json: bool, language: Language) -> Outcome {
    let status = answer.status;
    let code = format!("HTTP {status}");
    match status {
        429 => throttled(retry_after(answer), &code, "too many requests"),
        408 | 425 | 500.. | ..200 => again(retry_after(answer), &code, "the server could not answer"),
        200..300 if !json => throttled(FIVE_MINUTES, &code, "the answer is not DingTalk's JSON: the address may be blocked for a time"),
        403 if is_html(answer) => throttled(FIVE_MINUTES, &code, "a page instead of an answer: the address may be blocked for a time"),
        200..300 => throttled(FIVE_MINUTES, &code, "the answer has no errcode"),
        300..400 => rejected(
            &code,
            "the server redirects",
            language.pick(
                "Redirects are not followed: set the connector's url to DingTalk's own address.",
                "不跟随重定向：请将连接器的 url 设为钉钉的地址。",
            ),
        ),
        _ => rejected(
            &code,
            "the request was refused",
            language.pick("Check the connector's url and the proxy.", "请检查连接器的 url 与代理。"),
        ),
    }
}

fn is_html(answer: &Response) -> bool {
    let start = answer.body.iter().find(|byte| !byte.is_ascii_whitespace());
    start == Some(&b'<')
}

/// `Retry-After` in milliseconds, where it says seconds; at most an hour.
fn retry_after(answer: &Response) -> u64 {
    let header = answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
    let seconds = header.and_then(|(_, value)| value.trim().parse::<u64>().ok());
    seconds.map_or(0, |seconds| seconds.min(3600) * 1000)
}

/// DingTalk's words as people may see them: one line, short, without anything that looks like a token.
fn shown(text: &str) -> String {
    let mut line = String::new();
    escape::plain(&mut line, text, MAX_TEXT);
    let mut out = String::new();
    for word in line.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        if bare.len() >= 32 {
            out.push_str("[redacted]");
            out.push_str(word.get(bare.len()..).unwrap_or_default());
        } else {
            out.push_str(word);
        }
    }
    out
}

fn says(code: &str, words: &str) -> String {
    if words.is_empty() { format!("DingTalk answered {code}") } else { format!("DingTalk answered {code}: {words}") }
}

fn again(after_ms: u64, code: &str, words: &str) -> Outcome {
    Outcome::Retry(Again { after_ms, reason: says(code, words) })
}

fn throttled(after_ms: u64, code: &str, words: &str) -> Outcome {
    Outcome::Throttled(Again { after_ms, reason: says(code, words) })
}

fn rejected(code: &str, words: &str, advice: &str) -> Outcome {
    Outcome::Rejected(Reason { code: code.to_string(), text: says(code, words), advice: advice.to_string() })
}
