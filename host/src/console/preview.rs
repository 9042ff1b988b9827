//! `POST /api/preview`: the message of any event with any connector's config, as the real component writes it. Nothing is sent.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::api::{Answer, Refusal, answer};
use crate::delivery::connector::ConnectorConfig;
use crate::delivery::links::{Links, OpenLinks};
use crate::delivery::preview::Preview;
use crate::delivery::{Item, MessageContext, problem};
use crate::event::Event;
use crate::event::body::{self, MAX_EVENT};
use crate::event::ilert::{self, EdgeHeaders};
use crate::host::Control;
use crate::outbox::Reason;
use crate::respond::ShownLinks;
use crate::source::problem::Problem;

/// What stands for a value that is not shown, and for one that was not shown before.
pub(super) const HIDDEN: &str = "…";
/// What takes the place of a hidden value that nobody knows.
const STAND_IN: &str = "stand-in";
const STAND_IN_URL: &str = "https://chat.example.com/send";

/// The most events of one preview.
const MAX_EVENTS: usize = 200;

/// What is to be shown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    /// A connector of the config; with `config`, the one whose hidden values are meant.
    #[serde(default)]
    connector: Option<String>,
    /// Another config for it.
    #[serde(default)]
    config: Option<Value>,
    /// One event, as iLert sends it.
    #[serde(default)]
    event: Option<Box<RawValue>>,
    /// Several: a digest.
    #[serde(default)]
    events: Option<Box<RawValue>>,
}

/// A preview to be made.
#[derive(Debug, Default)]
pub(super) struct Wish {
    pub(super) connector: Option<String>,
    pub(super) config: Option<Value>,
    /// JSON, as a sender posts it.
    pub(super) events: Vec<u8>,
}

/// Why there is no preview.
#[derive(Debug, thiserror::Error)]
pub(super) enum Missing {
    #[error("there is no connector `{0}`")]
    Connector(String),
    #[error("name a `connector`, or give a `config`")]
    Config,
    #[error("connector `{0}` is a sink of the program itself: no plugin writes its messages")]
    Native(String),
    #[error("{0}")]
    Event(String),
    #[error("the connector's config is not right")]
    Wrong(Vec<problem::Problem>),
    #[error("{}", .0.text)]
    Refused(Reason),
    #[error("the preview ended unexpectedly: {0}")]
    Broken(String),
}

impl From<Missing> for Refusal {
    fn from(missing: Missing) -> Self {
        let (status, title) = match &missing {
            Missing::Connector(_) => (StatusCode::NOT_FOUND, "Not found"),
            Missing::Config => (StatusCode::BAD_REQUEST, "Bad request"),
            Missing::Broken(_) => (StatusCode::INTERNAL_SERVER_ERROR, "Internal error"),
            _ => (StatusCode::UNPROCESSABLE_ENTITY, "There is no such message"),
        };
        let answer = Problem::new(status, title, missing.to_string());
        match missing {
            Missing::Wrong(problems) => {
                let list: Vec<Value> = problems.iter().map(|problem| json!({ "pointer": problem.pointer, "text": problem.text })).collect();
                answer.with("problems", list).into()
            }
            Missing::Refused(reason) => answer.with("code", reason.code).with("advice", reason.advice).into(),
            _ => answer.into(),
        }
    }
}

/// `POST /api/preview`: `{"connector": NAME, "config": {…}, "event": {…}}`, with `events` for a digest. Answers as `preview --json` prints.
pub(super) async fn preview(State(control): State<Control>, Json(body): Json<Body>) -> Answer {
    let events = match (body.event, body.events) {
        (Some(one), None) => one,
        (None, Some(list)) => list,
        _ => return Err(Problem::new(StatusCode::BAD_REQUEST, "Bad request", "give either `event` or `events`").into()),
    };
    let wish = Wish { connector: body.connector, config: body.config, events: events.get().as_bytes().to_vec() };
    answer(&show(&control, wish).await?)
}

/// Makes it, on a thread that may be busy for a while.
pub(super) async fn show(control: &Control, wish: Wish) -> Result<Preview, Missing> {
    let control = control.clone();
    let shown = tokio::task::spawn_blocking(move || show_now(&control, wish)).await;
    shown.unwrap_or_else(|error| Err(Missing::Broken(error.to_string())))
}

fn show_now(control: &Control, wish: Wish) -> Result<Preview, Missing> {
    let now = control.clock().now();
    let name = wish.connector.as_deref().unwrap_or("preview");
    let table = table(control, wish.connector.as_deref(), wish.config)?;
    let events = read_events(&wish.events, now)?;
    let config = Arc::new(ConnectorConfig::parse(&table).map_err(Missing::Wrong)?);
    let links: Arc<dyn Links> = match ShownLinks::new(&control.plan().settings) {
        Some(links) => Arc::new(links),
        None => Arc::new(OpenLinks),
    };
    let sink = control.sinks().factory.with_links(links).build(name.into(), config).map_err(Missing::Wrong)?;
    let batch: Vec<Item> = events.into_iter().map(|event| Item { event: event.into(), folded: 0 }).collect();
    let cx = MessageContext { now, attempt: 1, key: "preview".to_owned(), memo: None, waiting: 0 };
    sink.preview(&batch, &cx).map_err(Missing::Refused)
}

/// The connector's table: the given one, its hidden values taken from the named connector where both are of one type; else that one's own.
fn table(control: &Control, connector: Option<&str>, config: Option<Value>) -> Result<Value, Missing> {
    let plan = control.plan();
    let known = connector.and_then(|name| plan.document.value(&["connectors", name]));
    let Some(mut table) = config else {
        let name = connector.ok_or(Missing::Config)?;
        let table = known.ok_or_else(|| Missing::Connector(name.to_owned()))?.into_owned();
        let is_plugins = control.sinks().connectors.get(name).is_some_and(|built| built.plugin.is_some());
        return if is_plugins { Ok(table) } else { Err(Missing::Native(name.to_owned())) };
    };
    // Another plugin may hold for public what this one keeps secret.
    let base = known.filter(|known| known.get("type") == table.get("type"));
    if let Some(members) = table.as_object_mut() {
        members.iter_mut().for_each(|(key, value)| reveal(key, value, base.as_ref().and_then(|base| base.get(key))));
    }
    Ok(table)
}

/// Puts the true value in the place of a hidden one. What the config would take from the environment or a file counts as hidden: a preview reads
/// neither.
fn reveal(key: &str, value: &mut Value, base: Option<&Value>) {
    let elsewhere = |table: &serde_json::Map<String, Value>| table.len() == 1 && (table.contains_key("env") || table.contains_key("file"));
    let hidden = match &*value {
        Value::String(text) => text == HIDDEN,
        Value::Object(table) => elsewhere(table),
        _ => false,
    };
    if hidden {
        *value = base.cloned().unwrap_or_else(|| Value::from(if key.ends_with("url") { STAND_IN_URL } else { STAND_IN }));
    } else if let Some(members) = value.as_object_mut() {
        members.iter_mut().for_each(|(key, value)| reveal(key, value, base.as_ref().and_then(|base| base.get(key))));
    }
}

fn read_events(bytes: &[u8], now: i64) -> Result<Vec<Event>, Missing> {
    let wrong = |error: &dyn std::fmt::Display| Missing::Event(error.to_string());
    let items = body::split(bytes, None, MAX_EVENT).map_err(|error| wrong(&error))?;
    if items.is_empty() || items.len() > MAX_EVENTS {
        return Err(Missing::Event(format!("a preview is about 1 to {MAX_EVENTS} events, not {}", items.len())));
    }
    let received_at = Timestamp::from_millisecond(now).unwrap_or(Timestamp::UNIX_EPOCH);
    let read = |item: body::RawItem| {
        let value = item.value.map_err(|error| wrong(&error))?;
        ilert::parse(&value, &EdgeHeaders::default(), received_at).map_err(|error| wrong(&error))
    };
    items.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_value_is_taken_from_the_same_place_of_the_named_connector() {
        let base = json!({ "secret": "SEC1", "delivery": { "account": "a" } });
        let mut given = json!({ "secret": HIDDEN, "url": { "env": "URL" }, "delivery": { "account": HIDDEN, "timeout": "5s" } });
        given.as_object_mut().unwrap().iter_mut().for_each(|(key, value)| reveal(key, value, base.get(key)));
        assert_eq!(
            given,
            json!({ "secret": "SEC1", "url": STAND_IN_URL, "delivery": { "account": "a", "timeout": "5s" } }),
            "what the environment holds is not read"
        );
    }

    #[test]
    fn events_are_read_as_a_sender_posts_them() {
        assert_eq!(read_events(br#"[{"id":1,"summary":"a"},{"id":2,"summary":"b"}]"#, 0).unwrap().len(), 2);
        assert!(read_events(b"{", 0).unwrap_err().to_string().contains("line 1"));
        assert!(read_events(b"[]", 0).is_err());
        assert!(read_events(br#"{"status":"PENDING"}"#, 0).is_err());
    }
}
