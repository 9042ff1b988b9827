//! Commands as people type them: `accept 42`, `接手#42`, `comment 42 replaced the disk`, `status`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::types::Action;

/// Incidents in one command; what is beyond is text.
const MAX_INCIDENTS: usize = 10;

/// A longer text is cut: a comment of iLert's is no place for a log file. In characters.
const MAX_TEXT: usize = 2000;

/// One thing to do. Without an id the host knows which incident is meant, or asks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    pub(super) action: Action,
    pub(super) incident_id: Option<String>,
    pub(super) text: String,
}

/// Words of a command; the Chinese ones need no blank after them.
const WORDS: [(&[&str], &[&str], Verb); 4] = [
    (&["accept", "ack", "acknowledge"], &["接手", "认领"], Verb::Accept),
    (&["resolve", "close"], &["解决", "关闭"], Verb::Resolve),
    (&["comment", "note"], &["评论", "备注"], Verb::Comment),
    (&["status"], &["状态"], Verb::Status),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Accept,
    Resolve,
    Comment,
    Status,
}

impl Verb {
    fn action(self) -> Action {
        match self {
            Verb::Accept => Action::Accept,
            Verb::Resolve => Action::Resolve,
            Verb::Comment => Action::Comment,
            Verb::Status => Action::Other("status".to_string()),
        }
    }
}

/// What a message asks for; nothing where it is no command, so that help is the answer.
pub(super) fn parse(text: &str) -> Option<Vec<Asked>> {
    let text = unmentioned(text.trim());
    let (verb, rest) = verb(text)?;
    let (ids, rest) = incidents(rest, if verb == Verb::Comment { 1 } else { MAX_INCIDENTS });
    let text: String = rest.trim().chars().take(MAX_TEXT).collect();
    if verb == Verb::Comment && text.is_empty() {
        return None;
    }
    let asked = |incident_id| Asked { action: verb.action(), incident_id, text: text.clone() };
    Some(if ids.is_empty() { Vec::from([asked(None)]) } else { ids.into_iter().map(|id| asked(Some(id))).collect() })
}

/// The text behind the `@name`s at its start: DingTalk removes only the robot's.
fn unmentioned(mut text: &str) -> &str {
    while text.starts_with('@') {
        text = text.split_once(char::is_whitespace).map_or("", |(_, rest)| rest).trim_start();
    }
    text
}

fn is_gap(c: char) -> bool {
    c.is_whitespace() || matches!(c, ':' | '：' | ',' | '，' | '、')
}

fn verb(text: &str) -> Option<(Verb, &str)> {
    let text = text.strip_prefix('/').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end)?;
    let ends = rest.chars().next().is_none_or(|c| is_gap(c) || matches!(c, '#' | '＃'));
    for (english, chinese, verb) in WORDS {
        if ends && english.iter().any(|known| word.eq_ignore_ascii_case(known)) {
            return Some((verb, rest));
        }
        if let Some(rest) = chinese.iter().find_map(|known| text.strip_prefix(known)) {
            return Some((verb, rest));
        }
    }
    None
}

/// The ids at the start of a text, each once, and what follows them.
fn incidents(mut text: &str, max: usize) -> (Vec<String>, &str) {
    let mut ids = Vec::new();
    while ids.len() < max {
        let start = text.trim_start_matches(is_gap);
        let number = start.strip_prefix(['#', '＃']).unwrap_or(start);
        let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
        let (id, rest) = number.split_at_checked(end).unwrap_or((number, ""));
        let ends = rest.chars().next().is_none_or(|c| !c.is_alphanumeric() || !c.is_ascii());
        if id.is_empty() || id.len() > 19 || !ends {
            return (ids, start);
        }
        if !ids.iter().any(|known| known == id) {
            ids.push(id.to_string());
        }
        text = rest;
    }
    (ids, text.trim_start_matches(is_gap))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str) -> (Action, Option<String>, String) {
        let asked = parse(text).unwrap_or_else(|| panic!("{text} is a command"));
        let [Asked { action, incident_id, text }] = asked.try_into().expect("one command");
        (action, incident_id, text)
    }

    fn id(text: &str) -> Option<String> {
        Some(text.into())
    }

    #[test]
    fn a_command_is_understood_however_it_is_typed() {
        for text in [
            "accept 42",
            " ACCEPT #42",
            "ack 42",
            "/accept 42",
            "接手 42",
            "接手42",
            "接手#42",
            "接手：42",
            "认领 ＃42",
            "@robot accept 42",
            "accept#42",
        ] {
            assert_eq!(one(text), (Action::Accept, id("42"), String::new()), "{text}");
        }
        assert_eq!(one("resolve"), (Action::Resolve, None, String::new()));
        assert_eq!(one("解决 42 已更换磁盘"), (Action::Resolve, id("42"), "已更换磁盘".into()));
        assert_eq!(one("status"), (Action::Other("status".into()), None, String::new()));
        assert_eq!(one("状态 7"), (Action::Other("status".into()), id("7"), String::new()));
    }

    #[test]
    fn a_comment_keeps_its_words() {
        assert_eq!(one("comment #42 5 of 7 checks: fine"), (Action::Comment, id("42"), "5 of 7 checks: fine".into()));
        assert_eq!(one("评论 磁盘已更换"), (Action::Comment, None, "磁盘已更换".into()));
        assert_eq!(one("comment 5th node is down"), (Action::Comment, None, "5th node is down".into()));
    }

    #[test]
    fn several_incidents_are_several_commands() {
        let ids: Vec<_> = parse("accept 1, #2 2、3").expect("a command").into_iter().filter_map(|asked| asked.incident_id).collect();
        assert_eq!(ids, ["1", "2", "3"]);
    }

    #[test]
    fn chat_is_no_command() {
        for text in ["", "hello", "acceptance test", "help", "?", "comment", "评论 42", "I accept"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_command_with_short_parts_or_none(text: String) {
            for asked in parse(&text).unwrap_or_default() {
                prop_assert!(asked.text.chars().count() <= MAX_TEXT);
            }
        }

        #[test]
        fn an_id_is_never_more_than_its_digits(number in 0u64..1_000_000_000_000, tail in "[ ,，a-z]{0,9}") {
            let (_, ids, _) = one(&format!("resolve #{number} {tail}"));
            prop_assert_eq!(ids, Some(number.to_string()));
        }
    }
}
