//! What can be wrong with a config that its schema cannot say.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Config, MessageType, Rule, is_mobile, is_user_id};
use super::{Member, SCHEMA};
use crate::escape::href;
use crate::json;
use crate::mention::MAX_MENTIONS;
use crate::types::Problem;

/// DingTalk takes no more of them for a robot.
const MAX_KEYWORDS: usize = 10;

const KINDS: [&str; 14] = [
    "created",
    "assigned",
    "auto-escalated",
    "acknowledged",
    "raised",
    "comment-added",
    "resolved",
    "auto-resolved",
    "rejected",
    "responder-added",
    "responder-removed",
    "escalation-ended",
    "not-resolved",
    "test",
];

/// Everything wrong with a config; empty where it can be used.
pub(crate) fn check(json: &str) -> Vec<Problem> {
    let config = match Config::parse(json) {
        Ok(config) => config,
        Err(failure) => return Vec::from([Problem { path: String::new(), text: failure.text }]),
    };
    let mut found = Vec::new();
    if let Ok(members) = json::object(json.as_bytes()) {
        unknown_keys(&mut found, members.iter().map(|(name, _)| name));
    }
    rule(&mut found, "", &config.at_mobiles, &config.at_user_ids);
    for (kind, one) in &config.mentions {
        let path = format!("/mentions/{}", pointer(kind));
        if !KINDS.contains(&kind.as_str()) {
            push(&mut found, &path, format!("\"{kind}\" is no kind of event. Kinds: {}.", KINDS.join(", ")));
        }
        rule(&mut found, &path, &one.at_mobiles, &one.at_user_ids);
    }
    for (name, member) in &config.people {
        person(&mut found, name, member);
    }
    message(&mut found, &config);
    found
}

fn push(found: &mut Vec<Problem>, path: &str, text: impl Into<String>) {
    found.push(Problem { path: path.to_string(), text: text.into() });
}

/// A name as a step of a JSON Pointer.
fn pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn unknown_keys<'a>(found: &mut Vec<Problem>, keys: impl Iterator<Item = &'a str>) {
    let schema = json::object(SCHEMA.as_bytes()).unwrap_or_default();
    let known = schema.get("properties");
    for key in keys {
        if known.is_none_or(|known| known.get(key).is_none()) {
            push(found, &format!("/{}", pointer(key)), format!("The plugin \"dingtalk\" has no setting \"{key}\"."));
        }
    }
}

fn rule(found: &mut Vec<Problem>, path: &str, mobiles: &[String], user_ids: &[String]) {
    if mobiles.len() + user_ids.len() > MAX_MENTIONS {
        let text = format!("{} people are mentioned; DingTalk takes at most {MAX_MENTIONS}.", mobiles.len() + user_ids.len());
        push(found, &format!("{path}/at_mobiles"), text);
    }
    for (n, mobile) in mobiles.iter().enumerate().filter(|(_, mobile)| !is_mobile(mobile)) {
        push(found, &format!("{path}/at_mobiles/{n}"), bad_mobile(mobile));
    }
    for (n, id) in user_ids.iter().enumerate().filter(|(_, id)| !is_user_id(id)) {
        push(found, &format!("{path}/at_user_ids/{n}"), bad_user_id(id));
    }
}

fn person(found: &mut Vec<Problem>, name: &str, member: &Member) {
    let path = format!("/people/{}", pointer(name));
    match member {
        Member::Mobile(mobile) if !is_mobile(mobile) => push(found, &format!("{path}/mobile"), bad_mobile(mobile)),
        Member::UserId(id) if !is_user_id(id) => push(found, &format!("{path}/user_id"), bad_user_id(id)),
        _ => {}
    }
}

fn bad_mobile(mobile: &str) -> String {
    format!("\"{mobile}\" is no mobile number: write digits only, with a country code as in +1-1234567890 for numbers from abroad.")
}

fn bad_user_id(id: &str) -> String {
    format!("\"{id}\" is no DingTalk user id: at most 64 letters, digits and _ - @ .")
}

fn message(found: &mut Vec<Problem>, config: &Config) {
    if config.keywords.len() > MAX_KEYWORDS {
        let text = format!("{} keywords; a robot has at most {MAX_KEYWORDS}.", config.keywords.len());
        push(found, "/keywords", text);
    }
    let picture = config.picture_url.as_deref().and_then(href);
    if config.picture_url.is_some() && picture.is_none() {
        push(found, "/picture_url", "This is no http or https address.");
    }
    if config.message_type == MessageType::FeedCard && config.picture_url.is_none() {
        push(found, "/picture_url", "DingTalk wants a picture for every link of a feed card: set picture_url.");
    }
    let all = || config.mentions.iter().map(|(_, rule)| rule);
    let mentions = config.is_at_all
        || !config.at_mobiles.is_empty()
        || !config.at_user_ids.is_empty()
        || !config.people.is_empty()
        || all().any(|rule| *rule != Rule::default());
    if mentions && matches!(config.message_type, MessageType::Link | MessageType::FeedCard) {
        push(found, "/message_type", "A link or feed card cannot mention anyone: choose another message_type, or remove the mentions.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(json: &str) -> Vec<String> {
        check(json).into_iter().map(|problem| problem.path).collect()
    }

    #[test]
    fn an_empty_config_can_be_used() {
        assert_eq!(check("{}"), []);
    }

    #[test]
    fn every_setting_of_the_schema_is_read() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
        let json = r#"{"message_type":"text","language":"zh-CN","colours":false,"buttons":"dtmd","pc_slide":true,
            "picture_url":"https://x.example/p.png","keywords":["a"],"is_at_all":true,"at_mobiles":["13800000000"],"at_user_ids":["u"],
            "mentions":{"created":{"people":false}},"people":{"a@b.example":{"user_id":"u"}}}"#;
        assert_eq!(check(json), []);
        let config: serde_json::Value = serde_json::from_str(json).expect("the config is JSON");
        for (key, value) in schema["properties"].as_object().expect("an object") {
            assert!(value["writeOnly"] == true || config.get(key).is_some(), "{key} is not tried");
        }
    }

    #[test]
    fn more_mentions_and_keywords_than_dingtalk_takes_are_reported() {
        let mobiles: Vec<String> = (0..51).map(|n| format!("138000000{n:02}")).collect();
        let keywords: Vec<String> = (0..11).map(|n| format!("k{n}")).collect();
        let json = serde_json::json!({"at_mobiles": mobiles, "keywords": keywords}).to_string();
        assert_eq!(paths(&json), ["/at_mobiles", "/keywords"]);
    }

    #[test]
    fn a_mobile_that_is_none_is_named_with_its_place() {
        let json = r#"{"at_mobiles":["13800000000","138 0000"],"people":{"a/b":{"mobile":"call me"}}}"#;
        assert_eq!(paths(json), ["/at_mobiles/1", "/people/a~1b/mobile"]);
    }

    #[test]
    fn a_number_from_abroad_is_a_mobile() {
        assert!(is_mobile("+1-1234567890") && is_mobile("13800000000"));
        assert!(!is_mobile("+") && !is_mobile("") && !is_mobile("13800000000 "));
    }

    #[test]
    fn a_type_that_cannot_mention_is_refused_with_mention_settings() {
        assert_eq!(paths(r#"{"message_type":"link","mentions":{"created":{"is_at_all":true}}}"#), ["/message_type"]);
        assert_eq!(paths(r#"{"message_type":"feed_card"}"#), ["/picture_url"]);
    }

    #[test]
    fn a_misspelt_kind_or_key_is_reported() {
        assert_eq!(paths(r#"{"mentions":{"incident-created":{}}}"#), ["/mentions/incident-created"]);
        assert_eq!(paths(r#"{"langauge":"en"}"#), ["/langauge"]);
        assert_eq!(paths(r#"{"language":"fr"}"#), [""]);
    }
}
