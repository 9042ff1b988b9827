//! What holds for any message.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;

use super::any::{around, config, event, text};
use super::sample::{context, json, rich, sent};
use crate::escape;
use crate::message::MAX_BODY;
use crate::types::Kind;

fn names(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn all_said(of: &Value, members: &[&str]) {
    for name in members {
        let text = of[name].as_str().unwrap_or_else(|| panic!("{name} is missing in {of}"));
        assert!(!text.trim().is_empty(), "{name} is empty in {of}");
    }
}

fn only(of: &Value, members: &[&str]) {
    let allowed: BTreeSet<&str> = members.iter().copied().collect();
    assert!(names(of).is_subset(&allowed), "{of}");
}

fn opens(url: &Value) {
    let url = url.as_str().expect("an address");
    let scheme = url.split_once("://").expect("a scheme").0;
    assert!(["http", "https", "dingtalk", "dtmd"].contains(&scheme) && !url.contains(char::is_whitespace), "{url}");
}

/// DingTalk's rules, as strict as its documentation.
fn obeys(body: &[u8]) {
    assert!(body.len() <= MAX_BODY, "{} bytes", body.len());
    let message = json(body);
    let kind = message["msgtype"].as_str().expect("a type");
    only(&message, &["msgtype", kind, "at", "msgUuid"]);
    let content = &message[kind];
    match kind {
        "text" => all_said(content, &["content"]),
        "markdown" => all_said(content, &["title", "text"]),
        "link" => {
            all_said(content, &["title", "text", "messageUrl"]);
            opens(&content["messageUrl"]);
        }
        "actionCard" => {
            only(content, &["title", "text", "btnOrientation", "btns", "singleTitle", "singleURL"]);
            all_said(content, &["title", "text", "btnOrientation"]);
            match content.get("btns").and_then(Value::as_array) {
                None => {
                    all_said(content, &["singleTitle", "singleURL"]);
                    opens(&content["singleURL"]);
                }
                Some(buttons) => {
                    assert!((2..=5).contains(&buttons.len()));
                    for button in buttons {
                        all_said(button, &["title", "actionURL"]);
                        opens(&button["actionURL"]);
                    }
                }
            }
        }
        "feedCard" => {
            for link in content["links"].as_array().expect("links") {
                all_said(link, &["title", "messageURL", "picURL"]);
                opens(&link["messageURL"]);
            }
        }
        other => panic!("no type {other}"),
    }
    mentions(&message, kind, content);
}

fn mentions(message: &Value, kind: &str, content: &Value) {
    let text = content["text"].as_str().or_else(|| content["content"].as_str()).unwrap_or_default();
    let mut meant = BTreeSet::new();
    if let Some(at) = message.get("at") {
        assert!(!["link", "feedCard"].contains(&kind), "a {kind} mentions nobody");
        let lists = ["atMobiles", "atUserIds"].into_iter().flat_map(|list| at[list].as_array().expect("a list"));
        for name in lists.map(|name| name.as_str().expect("a name")) {
            assert!(text.contains(&format!("@{name}")), "@{name} is not in the text");
            assert!(meant.insert(name), "{name} twice");
        }
        assert!(meant.len() <= 50);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn any_event_is_a_message_that_dingtalk_takes(
        config in config(),
        (events, cx) in proptest::collection::vec(event(), 1..2).prop_flat_map(around),
    ) {
        let (body, covers) = sent(&config, &events, &cx);
        prop_assert_eq!(covers, 1);
        obeys(&body);
    }

    #[test]
    fn any_batch_is_a_message_that_dingtalk_takes(
        config in config(),
        (events, cx) in proptest::collection::vec(event(), 2..12).prop_flat_map(around),
        times in 1usize..20,
    ) {
        let batch: Vec<_> = std::iter::repeat_n(events, times).flatten().collect();
        let (body, covers) = sent(&config, &batch, &cx);
        prop_assert!(covers >= 1 && covers as usize <= batch.len());
        obeys(&body);
    }

    #[test]
    fn user_text_stays_between_its_markers(middle in text(20)) {
        let mut event = rich(Kind::Created);
        event.details = format!("BEGINMARK\n{middle}\nENDMARK");
        let plain = rich(Kind::Created);
        let get = |event| {
            let batch = [event];
            json(&sent(r#"{"message_type":"markdown"}"#, &batch, &context(&batch)).0)["markdown"]["text"].as_str().unwrap_or_default().to_owned()
        };
        let (text, usual) = (get(event), get(plain));
        prop_assert_eq!(text.lines().next(), usual.lines().next(), "the heading is its own");
        prop_assert_eq!(text.lines().last(), usual.lines().last(), "the last line is its own");
        prop_assert!(text.contains("\n\nBEGINMARK"));
    }

    #[test]
    fn escaped_text_holds_no_markup(source in text(10)) {
        let mut out = String::new();
        escape::block(&mut out, &source, 5000, 100);
        prop_assert!(!out.contains("](") && !out.contains("]:"));
        for line in out.lines() {
            let first = line.chars().next();
            prop_assert!(!matches!(first, Some('#' | '>' | '-' | '+' | '=' | '|' | '*' | ' ')), "{line:?}");
            prop_assert!(!line.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with(". ") || line.starts_with(". "), "{line:?}");
        }
        let chars: Vec<char> = out.chars().collect();
        for (n, pair) in chars.windows(2).enumerate() {
            prop_assert!(!matches!(pair[0], '@' | '＠') || pair[1] == escape::BREAK, "{out:?}");
            prop_assert!(pair[0] != '<' || !pair[1].is_alphabetic(), "{out:?}");
            let escaped = chars[..=n].iter().rev().take_while(|c| **c == '\\').count() % 2 == 1;
            prop_assert!(!matches!(pair[1], '*' | '`' | '[' | ']' | '<') || escaped, "{out:?}");
        }
    }

    #[test]
    fn plain_text_mentions_nobody_and_stays_on_its_line(source in text(10)) {
        let mut out = String::new();
        escape::plain(&mut out, &source, 500);
        let stray = out.contains(['\n', '\r', '\u{2028}', '\u{202e}', '\u{0}']);
        prop_assert!(!stray, "{out:?}");
        let chars: Vec<char> = out.chars().collect();
        prop_assert!(chars.windows(2).all(|pair| !matches!(pair[0], '@' | '＠') || pair[1] == escape::BREAK));
    }

    #[test]
    fn an_address_is_a_whole_http_address_or_none(source in prop_oneof![any::<String>(), "https?://[ -~]{0,60}", text(3)]) {
        if let Some(href) = escape::href(&source) {
            prop_assert!(href.starts_with("http://") || href.starts_with("https://"));
            prop_assert!(href.is_ascii() && !href.contains([' ', '(', ')', '<', '>', '"', '[', ']', '\\', '@']), "{href}");
        }
    }

    #[test]
    fn the_length_in_json_is_counted_right(source: String) {
        let json = serde_json::to_string(&source).expect("a string is JSON");
        prop_assert_eq!(escape::json_len(&source) + 2, json.len());
    }
}
