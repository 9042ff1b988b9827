//! OpenTelemetry's export of logs (OTLP over HTTP, in JSON): an envelope around records, of which each is an item.
//!
//! A record whose body is a JSON object, as text or as a map, is that object; attributes fill in what it lacks. Of any other record the
//! attributes are the members, and the text of the body is the summary.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Where the one member of an export begins, in bytes from its start: exporters write no white space.
const LOOK_AT: usize = 64;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Export<'a> {
    #[serde(borrow)]
    resource_logs: Vec<Resource<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource<'a> {
    #[serde(borrow, default)]
    scope_logs: Vec<Scope<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Scope<'a> {
    #[serde(borrow, default)]
    log_records: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Record {
    time_unix_nano: Value,
    attributes: Vec<Pair>,
    body: Any,
}

#[derive(Deserialize)]
struct Pair {
    key: String,
    #[serde(default)]
    value: Any,
}

/// Any of the forms of a value; the first that is there counts.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Any {
    string_value: Option<Value>,
    bool_value: Option<Value>,
    int_value: Option<Value>,
    double_value: Option<Value>,
    bytes_value: Option<Value>,
    array_value: Option<Values<Any>>,
    kvlist_value: Option<Values<Pair>>,
}

#[derive(Deserialize)]
struct Values<T> {
    #[serde(default = "Vec::new")]
    values: Vec<T>,
}

/// Whether a document is an export of logs.
pub(super) fn is_export(document: &[u8]) -> bool {
    let head = &document[..document.len().min(LOOK_AT)];
    let Some(rest) = head.trim_ascii_start().strip_prefix(b"{") else { return false };
    rest.trim_ascii_start().starts_with(b"\"resourceLogs\"")
}

/// The records of an export, as they came.
pub(super) fn records(export: &Bytes) -> Result<Vec<Bytes>, serde_json::Error> {
    let Export { resource_logs } = serde_json::from_slice(export)?;
    let records = resource_logs.iter().flat_map(|resource| &resource.scope_logs).flat_map(|scope| &scope.log_records);
    Ok(records.map(|record| export.slice_ref(record.get().as_bytes())).collect())
}

/// A record as the item that it stands for.
pub(super) fn item(record: &[u8]) -> Result<Value, serde_json::Error> {
    let record: Record = serde_json::from_slice(record)?;
    let attributes: Map<String, Value> = record.attributes.into_iter().map(|Pair { key, value }| (key, plain(value))).collect();
    let mut item = match plain(record.body) {
        Value::Object(members) => members,
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(Value::Object(members)) => members,
            _ => Map::from_iter([("summary".to_owned(), Value::String(text))]),
        },
        _ => Map::new(),
    };
    for (name, value) in attributes {
        item.entry(name).or_insert(value);
    }
    if !item.contains_key("timestamp")
        && let Some(time) = milliseconds(&record.time_unix_nano)
    {
        item.insert("timestamp".to_owned(), time.into());
    }
    Ok(Value::Object(item))
}

fn plain(any: Any) -> Value {
    if let Some(Values { values }) = any.kvlist_value {
        return Value::Object(values.into_iter().map(|Pair { key, value }| (key, plain(value))).collect());
    }
    if let Some(Values { values }) = any.array_value {
        return Value::Array(values.into_iter().map(plain).collect());
    }
    let scalars = [any.string_value, any.bool_value, any.int_value, any.double_value, any.bytes_value];
    scalars.into_iter().flatten().next().unwrap_or_default()
}

/// Nanoseconds come as text, since they do not fit a JSON number.
fn milliseconds(nanoseconds: &Value) -> Option<u64> {
    let nanoseconds = nanoseconds.as_u64().or_else(|| nanoseconds.as_str()?.parse().ok())?;
    (nanoseconds > 0).then_some(nanoseconds / 1_000_000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(record: Value) -> Value {
        let export = json!({"resourceLogs": [{"resource": {}, "scopeLogs": [{"scope": {}, "logRecords": [record]}]}]}).to_string();
        assert!(is_export(export.as_bytes()));
        let records = records(&Bytes::from(export)).unwrap();
        assert_eq!(records.len(), 1);
        item(&records[0]).unwrap()
    }

    #[test]
    fn a_body_that_is_an_event_stays_that_event() {
        let event = json!({"id": 7, "eventType": "alert-created", "timestamp": "2026-01-01T00:00:00Z"});
        assert_eq!(read(json!({"timeUnixNano": "1", "body": {"stringValue": event.to_string()}})), event);
        let map =
            json!({"kvlistValue": {"values": [{"key": "id", "value": {"intValue": "7"}}, {"key": "up", "value": {"boolValue": false}}]}});
        assert_eq!(read(json!({"body": map})), json!({"id": "7", "up": false}));
    }

    #[test]
    fn of_other_records_the_attributes_are_the_members_and_the_text_is_the_summary() {
        let record = json!({
            "timeUnixNano": "1764000000123456789",
            "body": {"stringValue": "disk full"},
            "attributes": [{"key": "id", "value": {"stringValue": "9"}}, {"key": "tags", "value": {"arrayValue": {"values": [{"intValue": "1"}]}}}],
        });
        assert_eq!(read(record), json!({"summary": "disk full", "id": "9", "tags": ["1"], "timestamp": 1_764_000_000_123_u64}));
        assert_eq!(read(json!({})), json!({}));
    }

    #[test]
    fn only_an_export_is_one() {
        assert!(is_export(b" { \"resourceLogs\" : []}"));
        for other in [&b"{\"id\":1,\"resourceLogs\":[]}"[..], b"[]", b"", b"{", b"{\"resourceSpans\":[]}"] {
            assert!(!is_export(other));
        }
        assert_eq!(records(&Bytes::from_static(b"{\"resourceLogs\":[]}")).unwrap(), Vec::<Bytes>::new());
        assert!(records(&Bytes::from_static(b"{\"resourceLogs\":7}")).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_record_or_an_error(text in "\\PC{0,60}|\\{\"body\":[\\{\\}\\[\\]a-z:\",0-9]{0,60}\\}") {
            let _ = item(text.as_bytes());
        }
    }
}
