//! An incident-sink plugin: events in, requests out; answers in, outcomes out. Pure functions, without network, files or clock.
//!
//! This one writes plain text to a chat system that takes `{"channel", "text", "id"}` and answers with HTTP codes. Change `line`, `begin` and
//! `outcome` to what yours wants.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use serde_json::{Value, json};

use bindings::exports::incident_sink::plugin::signer::{Guest as Signer, Outline, Place, Stamp};
use bindings::exports::incident_sink::plugin::sink::Guest as Sink;
use bindings::incident_sink::plugin::types::{
    Action, Again, Context, Descriptor, Event, Failure, Kind, Method, Outcome, Pace, Part, Problem, Reason, Receipt, Request, Response,
    Sending, Step, Target,
};

mod bindings {
    #![allow(missing_docs)]

    wit_bindgen::generate!({ path: "wit", world: "incident-sink", pub_export_macro: false });

    #[cfg(target_arch = "wasm32")]
    export!(Plugin with_types_in self);
    #[cfg(target_arch = "wasm32")]
    use crate::Plugin;
}

#[cfg(target_arch = "wasm32")]
mod wasm;

/// What the chat system shows of a message, in bytes.
const MAX_TEXT: usize = 4_000;

/// In JSON a byte can become six.
const MAX_BODY: u32 = 32 * 1024;

/// The plugin.
pub struct Plugin;

impl Sink for Plugin {
    fn describe() -> Descriptor {
        Descriptor {
            name: "my-chat".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            config_schema: include_str!("config.schema.json").into(),
            // The chat system's limit: the host keeps to it, and makes batches of what is behind.
            pace: Some(Pace { messages: 60, window_ms: 60_000, penalty_ms: 60_000 }),
            max_batch: 50,
            max_body: MAX_BODY,
            extra: Vec::new(),
        }
    }

    /// What the schema cannot say.
    fn check(config: String) -> Vec<Problem> {
        match channel(&config) {
            Ok(channel) if channel.starts_with('#') => vec![Problem { path: "/channel".into(), text: "leave the # away".into() }],
            _ => Vec::new(),
        }
    }

    fn begin(config: String, batch: Vec<Event>, cx: Context) -> Result<Step, Failure> {
        let (text, covers) = text(&batch, &cx);
        let body = json!({"channel": channel(&config)?, "text": text, "id": cx.message_id});
        Ok(Step::Send(Sending {
            request: Request {
                target: Target::Connector,
                method: Method::Post,
                headers: vec![("content-type".into(), "application/json".into())],
                query: Vec::new(),
                body: body.to_string().into_bytes(),
            },
            covers,
            continuation: Vec::new(),
        }))
    }

    fn resume(_config: String, _continuation: Vec<u8>, answer: Response, _cx: Context) -> Result<Step, Failure> {
        Ok(Step::Done(outcome(&answer)))
    }
}

impl Signer for Plugin {
    /// Sees the secrets, and nothing of what a message says.
    fn sign(secrets: Vec<(String, String)>, _request: Outline, _now_ms: u64) -> Result<Vec<Stamp>, Failure> {
        let token = secrets.into_iter().find(|(pointer, _)| pointer == "/token").map(|(_, token)| token);
        let stamp = |token| Stamp { place: Place::Header, name: "authorization".into(), value: format!("Bearer {token}") };
        Ok(token.map(stamp).into_iter().collect())
    }
}

/// The text for as many events as fit, at least one, and how many these are.
fn text(batch: &[Event], cx: &Context) -> (String, u32) {
    let mut text = String::new();
    let mut covers = 0;
    for event in batch {
        let line = line(event, cx);
        if covers > 0 && text.len() + line.len() > MAX_TEXT {
            break;
        }
        text.push_str(&line);
        covers += 1;
    }
    let waiting = cx.waiting + batch.len() as u32 - covers;
    if waiting > 0 && covers > 1 {
        text.push_str(&format!("… and {waiting} more\n"));
    }
    (text, covers)
}

/// One incident. All of an event's text is untrusted: escape here whatever your chat system takes for markup.
fn line(event: &Event, cx: &Context) -> String {
    let what = match &event.kind {
        Kind::Created => "created",
        Kind::Acknowledged => "accepted",
        Kind::Resolved | Kind::AutoResolved => "resolved",
        Kind::Test => "test",
        _ => "updated",
    };
    // The connector's own template, where the operator wrote one.
    let summary = match &cx.text {
        Some(parts) => parts
            .iter()
            .map(|part| match part {
                Part::Markup(text) | Part::Text(text) => text.as_str(),
            })
            .collect(),
        None => event.summary.clone(),
    };
    let link = cx.links.iter().find(|link| link.incident_id == event.incident_id && matches!(link.action, Action::Open));
    let link = link.map(|link| format!(" {}", link.href)).unwrap_or_default();
    let line = format!("[{what}] #{} {}{link}", event.incident_id, summary.replace(char::is_control, " "));
    format!("{}\n", prefix(&line, MAX_TEXT / 2))
}

/// At most so many bytes, cut between characters.
fn prefix(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// What an answer means. What is unknown is never a success.
fn outcome(answer: &Response) -> Outcome {
    let again = || Again { after_ms: 0, reason: format!("HTTP {}", answer.status) };
    match answer.status {
        200..=299 => Outcome::Delivered(Receipt { id: None, memo: None }),
        429 => Outcome::Throttled(again()),
        408 | 500..=599 => Outcome::Retry(again()),
        status => Outcome::Rejected(Reason {
            code: status.to_string(),
            text: prefix(&String::from_utf8_lossy(&answer.body), 200).replace(char::is_control, " "),
            advice: "See the chat system's documentation of this code.".into(),
        }),
    }
}

fn channel(config: &str) -> Result<String, Failure> {
    let config: Value = serde_json::from_str(config).map_err(|error| Failure { code: "config".into(), text: error.to_string() })?;
    Ok(config["channel"].as_str().unwrap_or("general").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!((prefix("äöü", 3), prefix("äöü", 4), prefix("a", 9)), ("ä", "äö", "a"));
    }

    #[test]
    fn what_is_unknown_is_never_a_success() {
        let answer = |status| outcome(&Response { status, headers: Vec::new(), body: b"no".to_vec() });
        assert!(matches!(answer(204), Outcome::Delivered(_)));
        assert!(matches!(answer(429), Outcome::Throttled(_)));
        assert!(matches!(answer(503), Outcome::Retry(_)));
        assert!(matches!(answer(302), Outcome::Rejected(_)));
    }
}
