//! What an event is deduplicated by.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::ilert::EdgeHeaders;

/// Longer ids of senders are hashed, so that nobody can fill the memory of what was seen.
const MAX_SENDERS_ID: usize = 128;

/// The event's id: `event:` and iLert's `eventId`, else `edge:` and the edge connector's item id, else `message:` and the id that a broker's
/// message has, else `hash:` and the hash of the item. The prefixes keep them apart.
pub(super) fn dedup_id(event_id: Option<&str>, headers: &EdgeHeaders, item: &Value) -> String {
    match (event_id, &headers.item_id, &headers.message_id) {
        (Some(id), ..) => format!("event:{}", bounded(id)),
        (None, Some(id), _) => format!("edge:{}", bounded(id)),
        (None, None, Some(id)) => format!("message:{}", bounded(id)),
        (None, None, None) => format!("hash:{}", item_hash(item)),
    }
}

/// SHA-256 over the item in canonical form, as hexadecimal digits: the order of the members and the white space do not matter.
pub(super) fn item_hash(item: &Value) -> String {
    let mut hash = Sha256::new();
    feed(&mut hash, item);
    hex(&hash.finalize())
}

pub(super) fn bounded(id: &str) -> String {
    if id.len() <= MAX_SENDERS_ID { id.to_owned() } else { format!("sha256:{}", hex(&Sha256::digest(id.as_bytes()))) }
}

/// Writes compact JSON with sorted members. Depth is bounded by the parser that made the value.
fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Array(elements) => {
            hash.update(b"[");
            for element in elements {
                feed(hash, element);
                hash.update(b",");
            }
            hash.update(b"]");
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            hash.update(b"{");
            for (name, member) in members {
                hash.update(Value::from(name.as_str()).to_string());
                hash.update(b":");
                feed(hash, member);
                hash.update(b",");
            }
            hash.update(b"}");
        }
        scalar => hash.update(scalar.to_string()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_members_does_not_matter_and_that_of_elements_does() {
        let parse = |text| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(item_hash(&parse(r#"{"a":1,"b":{"c":2,"d":3}}"#)), item_hash(&parse(r#"{ "b":{"d":3,"c":2},"a":1}"#)));
        assert_ne!(item_hash(&json!([1, 2])), item_hash(&json!([2, 1])));
        assert_ne!(item_hash(&json!(["1"])), item_hash(&json!([1])));
    }

    #[test]
    fn the_kinds_of_id_cannot_collide() {
        let item = json!({});
        let edge = EdgeHeaders { item_id: Some("7".into()), message_id: Some("7".into()), ..EdgeHeaders::default() };
        let broker = EdgeHeaders { message_id: Some("7".into()), ..EdgeHeaders::default() };
        assert_eq!(dedup_id(Some("7"), &edge, &item), "event:7");
        assert_eq!(dedup_id(None, &edge, &item), "edge:7");
        assert_eq!(dedup_id(None, &broker, &item), "message:7");
        assert!(dedup_id(None, &EdgeHeaders::default(), &item).starts_with("hash:"));
        assert_eq!(dedup_id(Some(&"x".repeat(1000)), &edge, &item).len(), "event:sha256:".len() + 64);
    }
}
