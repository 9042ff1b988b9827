//! Which incident a quoted message is about.
//!
//! DingTalk does not document what it sends of a quoted message. Seen are `content.text` and `content.content` for texts, a list `content.richText`,
//! and for cards a tree `content.cardContent` whose leaves have a `value`. So every text in it counts, wherever it stands.

use alloc::string::{String, ToString};

use crate::json::Value;

/// What was found so far.
#[derive(Default)]
struct Found {
    id: Option<String>,
    several: bool,
}

/// The one incident whose number stands behind a `#` in the texts of a quoted message. Empty where there is none or, as in a digest, several: then
/// the host asks which one is meant, for any other than the quoted one would be wrong.
pub(super) fn incident(quoted: &Value) -> String {
    let mut found = Found::default();
    if let Some(content) = quoted.get("content") {
        search(content, &mut found);
    }
    found.id.filter(|_| !found.several).unwrap_or_default()
}

/// Goes no deeper than a `Value` does.
fn search(value: &Value, found: &mut Found) {
    match value {
        Value::Text(text) => numbers(text, found),
        Value::List(items) => items.iter().for_each(|item| search(item, found)),
        Value::Members(members) => members.iter().for_each(|(_, member)| search(member, found)),
        _ => {}
    }
}

fn numbers(text: &str, found: &mut Found) {
    for piece in text.split(['#', '＃']).skip(1) {
        let end = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
        let (id, rest) = piece.split_at_checked(end).unwrap_or((piece, ""));
        // `#12ab` is a colour or a commit.
        let is_id = !id.is_empty() && id.len() <= 19 && !rest.starts_with(|c: char| c.is_ascii_alphabetic());
        match &found.id {
            _ if !is_id => {}
            None => found.id = Some(id.to_string()),
            Some(known) => found.several |= known != id,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn quoted(json: &serde_json::Value) -> String {
        incident(&Value::parse(json.to_string().as_bytes()).expect("JSON"))
    }

    fn of(content: serde_json::Value) -> String {
        quoted(&json!({ "msgType": "any", "msgId": "#99", "content": content }))
    }

    #[test]
    fn the_number_is_found_in_every_form_of_a_quote() {
        let id = "42";
        assert_eq!(of(json!({ "text": "Pending · disk full\n\n**Zabbix** · High · #42" })), id);
        assert_eq!(of(json!({ "content": "Incident #42" })), id);
        assert_eq!(of(json!({ "richText": [{ "msgType": "text", "content": "see " }, { "msgType": "text", "content": "#42" }] })), id);
        let leaf = json!({ "elementType": "TEXT", "value": "告警 #42" });
        assert_eq!(of(json!({ "cardContent": { "elementType": "CARD", "children": [{ "children": [leaf] }] } })), id);
        assert_eq!(of(json!({ "text": "#42 and again #42" })), id);
    }

    #[test]
    fn a_quote_of_several_or_of_none_leaves_it_open() {
        for text in ["#42 #43", "no number", "colour #12ab56", "#", "# 42", "#12345678901234567890"] {
            assert_eq!(of(json!({ "text": text })), "", "{text}");
        }
        assert_eq!(quoted(&json!({ "content": 5 })), "");
        assert_eq!(quoted(&json!("#42")), "", "a card whose content DingTalk keeps to itself");
    }

    proptest! {
        #[test]
        fn any_text_has_a_number_or_none(text: String) {
            let id = of(json!({ "text": text }));
            if !id.is_empty() {
                let (plain, wide) = (["#", &id].concat(), ["＃", &id].concat());
                prop_assert!(text.contains(&plain) || text.contains(&wide));
            }
        }
    }
}
