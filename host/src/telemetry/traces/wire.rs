//! Spans as OTLP's JSON, without secrets.

use serde_json::{Value as Json, json};

use super::span::{Span, Value};
use crate::telemetry::Redactor;

/// A failed span.
const ERROR: u8 = 2;

/// The body of one request.
pub(super) fn request(spans: &[Span], redactor: &Redactor) -> Json {
    let spans: Vec<Json> = spans.iter().map(|span| self::span(span, redactor)).collect();
    let (name, version) = ("incident-sink", env!("CARGO_PKG_VERSION"));
    let resource =
        [("service.name", name), ("service.version", version)].map(|(key, value)| attribute(key, json!({ "stringValue": value })));
    json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": { "name": name, "version": version }, "spans": spans }]
    }] })
}

fn span(span: &Span, redactor: &Redactor) -> Json {
    let attributes: Vec<Json> = span.attributes.iter().map(|(key, value)| attribute(key, self::value(value, redactor))).collect();
    let mut json = json!({
        "traceId": span.trace.to_string(),
        "spanId": span.id.to_string(),
        "name": span.name,
        "kind": span.kind as u8,
        // 64-bit numbers are texts in protobuf's JSON.
        "startTimeUnixNano": span.began.to_string(),
        "endTimeUnixNano": span.ended.to_string(),
        "attributes": attributes,
        // Sampled.
        "flags": 1,
    });
    let mut set = |key: &str, value: Json| json.as_object_mut().map(|members| members.insert(key.to_owned(), value));
    if let Some(parent) = span.parent {
        set("parentSpanId", parent.to_string().into());
    }
    if !span.links.is_empty() {
        let link = |(trace, id): &(_, _)| json!({ "traceId": format!("{trace}"), "spanId": format!("{id}") });
        set("links", span.links.iter().map(link).collect());
    }
    if let Some(error) = &span.error {
        set("status", json!({ "code": ERROR, "message": redactor.redact(error) }));
    }
    json
}

fn attribute(key: &str, value: Json) -> Json {
    json!({ "key": key, "value": value })
}

fn value(value: &Value, redactor: &Redactor) -> Json {
    let text = |text: &String| json!({ "stringValue": redactor.redact(text) });
    match value {
        Value::Text(words) => text(words),
        Value::Number(number) => json!({ "intValue": number.to_string() }),
        Value::Flag(flag) => json!({ "boolValue": flag }),
        Value::List(texts) => json!({ "arrayValue": { "values": texts.iter().map(text).collect::<Vec<_>>() } }),
    }
}
