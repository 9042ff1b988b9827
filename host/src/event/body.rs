//! What a sender posts, taken apart into items.
//!
//! One object, an array, newline-delimited or concatenated objects, compressed or not; EventBridge's and OpenTelemetry's envelopes are taken
//! off. A bad item does not spoil the others: it stays an item, with its error.

use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

use super::encoding::{self, DecodeError};
use super::otlp;

/// The largest event, in bytes.
pub const MAX_EVENT: usize = 256 * 1024;

/// The largest body, in bytes, both as it comes and decompressed: many events may come in one.
pub const MAX_BODY: usize = 16 * 1024 * 1024;

/// The most items of one body: real events are larger than the 160 bytes that this leaves for each.
pub const MAX_ITEMS: usize = 100_000;

/// One item of a body.
#[derive(Clone, Debug)]
pub struct RawItem {
    /// As it came, without the envelope's neighbours.
    pub raw: Bytes,
    /// Its JSON.
    pub value: Result<Value, ItemError>,
}

/// Why one item of a body that is fine otherwise cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// A line that is no JSON, or JSON that nests too deep.
    #[error("line {line}, column {column}: {text}")]
    NotJson {
        /// In the body, from 1; in the item, where it nests too deep.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong there.
        text: String,
    },
    /// Over [`MAX_EVENT`].
    #[error("the event has {size} bytes, more than the limit of {MAX_EVENT}")]
    TooLarge {
        /// In bytes.
        size: usize,
    },
}

/// Why a body cannot be taken apart at all.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The content coding.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// There is nothing in it.
    #[error("the body is empty; an event is a JSON object")]
    Empty,
    /// It is no JSON.
    #[error("line {line}, column {column}: {text}")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong there.
        text: String,
    },
    /// More than [`MAX_ITEMS`].
    #[error("the body has more than {MAX_ITEMS} items; send smaller batches")]
    TooManyItems,
    /// One single event, over [`MAX_EVENT`].
    #[error("the event has {size} bytes, more than the limit of {MAX_EVENT}")]
    EventTooLarge {
        /// In bytes.
        size: usize,
    },
}

/// Takes a body apart. At most `limit` bytes, both before and after decompression.
pub fn split(body: &[u8], content_encoding: Option<&str>, limit: usize) -> Result<Vec<RawItem>, BodyError> {
    let body = Bytes::from(encoding::decode(body, content_encoding, limit)?.into_owned());
    let body = body.strip_prefix(b"\xEF\xBB\xBF").map_or(body.clone(), |rest| body.slice_ref(rest));
    if body.trim_ascii().is_empty() {
        return Err(BodyError::Empty);
    }
    match documents(&body) {
        Ok(documents) => items(documents),
        Err(_) if body.split(|byte| *byte == b'\n').nth(MAX_ITEMS).is_some() => Err(BodyError::TooManyItems),
        Err(error) => lines(&body).ok_or_else(|| not_json(&error)),
    }
}

/// One JSON document after the other: a single one, NDJSON or concatenated objects.
fn documents(body: &Bytes) -> Result<Vec<Bytes>, serde_json::Error> {
    serde_json::Deserializer::from_slice(body)
        .into_iter::<&RawValue>()
        .map(|document| document.map(|document| body.slice_ref(document.get().as_bytes())))
        .take(MAX_ITEMS + 1)
        .collect()
}

fn items(documents: Vec<Bytes>) -> Result<Vec<RawItem>, BodyError> {
    let mut items = Vec::with_capacity(documents.len());
    let single = documents.len() == 1;
    for document in documents {
        if document.starts_with(b"[") {
            let elements: Vec<&RawValue> = serde_json::from_slice(&document).map_err(|error| not_json(&error))?;
            items.extend(elements.into_iter().take(MAX_ITEMS + 1).map(|element| item(document.slice_ref(element.get().as_bytes()))));
        } else if otlp::is_export(&document) {
            let records = otlp::records(&document).map_err(|error| not_json(&error))?;
            items.extend(records.into_iter().take(MAX_ITEMS + 1).map(|record| item_by(record, otlp::item)));
        } else if single && document.len() > MAX_EVENT {
            return Err(BodyError::EventTooLarge { size: document.len() });
        } else {
            items.push(item(document));
        }
        if items.len() > MAX_ITEMS {
            return Err(BodyError::TooManyItems);
        }
    }
    Ok(items)
}

/// Lines, of which some are no JSON. `None` where the body does not look like lines of JSON: then it is one broken document.
fn lines(body: &Bytes) -> Option<Vec<RawItem>> {
    let lines = body.split(|byte| *byte == b'\n').enumerate().map(|(number, line)| (number + 1, line.trim_ascii()));
    let items: Vec<RawItem> =
        lines.filter(|(_, line)| !line.is_empty()).map(|(number, line)| line_item(number, body.slice_ref(line))).collect();
    let whole = |item: &&RawItem| matches!(&item.value, Ok(Value::Object(_)) | Err(ItemError::TooLarge { .. }));
    let good = items.iter().filter(whole).count();
    // A broken document that was printed over many lines has hardly a line that is an object by itself; its first never is.
    let looks_like_lines = items.first().as_ref().is_some_and(whole) || (good > 0 && good * 2 >= items.len());
    looks_like_lines.then_some(items)
}

fn line_item(number: usize, raw: Bytes) -> RawItem {
    let mut item = item(raw);
    if let Err(ItemError::NotJson { line, .. }) = &mut item.value {
        *line = number;
    }
    item
}

fn item(raw: Bytes) -> RawItem {
    item_by(raw, |raw| serde_json::from_slice(raw).map(without_envelope))
}

fn item_by(raw: Bytes, read: impl FnOnce(&[u8]) -> Result<Value, serde_json::Error>) -> RawItem {
    let value = if raw.len() > MAX_EVENT {
        Err(ItemError::TooLarge { size: raw.len() })
    } else {
        read(&raw).map_err(|error| ItemError::NotJson { line: error.line(), column: error.column(), text: without_place(&error) })
    };
    RawItem { raw, value }
}

/// Takes EventBridge's envelope off. During iLert's renaming in 2021 its `detail-type` was ahead of the `eventType` within; it is used only
/// where there is none.
fn without_envelope(value: Value) -> Value {
    let Value::Object(mut envelope) = value else { return value };
    let wrapped = envelope.get("detail").is_some_and(Value::is_object) && envelope.get("detail-type").is_some_and(Value::is_string);
    if !wrapped {
        return Value::Object(envelope);
    }
    let detail_type = envelope.remove("detail-type");
    let mut detail = envelope.remove("detail").unwrap_or_default();
    if let (Some(detail), Some(detail_type)) = (detail.as_object_mut(), detail_type)
        && !detail.contains_key("eventType")
    {
        detail.insert("eventType".to_owned(), detail_type);
    }
    detail
}

pub(super) fn not_json(error: &serde_json::Error) -> BodyError {
    BodyError::NotJson { line: error.line(), column: error.column(), text: without_place(error) }
}

/// serde_json ends its texts with the place, which our errors begin with.
pub(super) fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text).to_owned()
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
