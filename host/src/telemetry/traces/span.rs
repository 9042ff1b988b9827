//! A span: what was done from when to when, in which trace.

use std::borrow::Cow;

use super::UnixNs;
use super::context::{SpanId, TraceId};

/// Characters that are kept of a text.
const LONGEST: usize = 512;

/// What a span is of, in OTLP's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Internal = 1,
    Server = 2,
    Client = 3,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// Texts.
    List(Vec<String>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.chars().take(LONGEST).collect())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::from(text.as_str())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Number(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Flag(flag)
    }
}

/// A span that has ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) name: Cow<'static, str>,
    pub(super) kind: Kind,
    pub(super) began: UnixNs,
    pub(super) ended: UnixNs,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) links: Vec<(TraceId, SpanId)>,
    /// Why it failed, if so.
    pub(super) error: Option<String>,
}

impl Span {
    pub(super) fn new(
        trace: TraceId,
        id: SpanId,
        parent: Option<SpanId>,
        name: impl Into<Cow<'static, str>>,
        kind: Kind,
        began: UnixNs,
        ended: UnixNs,
    ) -> Span {
        // A clock that was set back makes no span end before it began.
        let ended = ended.max(began);
        Span { trace, id, parent, name: name.into(), kind, began, ended, attributes: Vec::new(), links: Vec::new(), error: None }
    }

    pub(super) fn note(&mut self, key: &'static str, value: impl Into<Value>) {
        self.attributes.push((key, value.into()));
    }

    pub(super) fn fail(&mut self, why: &str) {
        self.error = Some(why.chars().take(LONGEST).collect());
    }
}
