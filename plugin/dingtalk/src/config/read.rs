//! Reads a connector's config from the host's JSON. Members that are not known are left to `check`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Buttons, Colours, Config, Member, MessageType, Rule};
use crate::json::{self, Object, wrong};
use crate::types::Failure;
use crate::words::Language;

const MESSAGE_TYPES: [(&str, MessageType); 6] = [
    ("auto", MessageType::Auto),
    ("action_card", MessageType::ActionCard),
    ("markdown", MessageType::Markdown),
    ("text", MessageType::Text),
    ("link", MessageType::Link),
    ("feed_card", MessageType::FeedCard),
];

const LANGUAGES: [(&str, Language); 2] = [("en", Language::English), ("zh-CN", Language::Chinese)];

const BUTTONS: [(&str, Buttons); 2] = [("links", Buttons::Links), ("dtmd", Buttons::Dtmd)];

impl Config {
    /// Reads the host's JSON.
    pub(crate) fn parse(json: &str) -> Result<Config, Failure> {
        let read = json::object(json.as_bytes()).and_then(|members| config(&members));
        read.map_err(|mut text| {
            text.push('.');
            Failure { code: "config".into(), text }
        })
    }
}

fn config(of: &Object) -> Result<Config, String> {
    Ok(Config {
        message_type: choice(of, "message_type", &MESSAGE_TYPES)?,
        language: choice(of, "language", &LANGUAGES)?,
        colours: json::flag(of, "colours")?.map_or(Colours(true), Colours),
        buttons: choice(of, "buttons", &BUTTONS)?,
        pc_slide: json::flag(of, "pc_slide")?,
        picture_url: json::text(of, "picture_url")?.map(Into::into),
        keywords: json::texts(of, "keywords")?,
        is_at_all: json::flag(of, "is_at_all")?.unwrap_or_default(),
        at_mobiles: json::texts(of, "at_mobiles")?,
        at_user_ids: json::texts(of, "at_user_ids")?,
        mentions: named(of, "mentions", rule)?,
        people: named(of, "people", member)?,
    })
}

/// One of the words that a setting takes.
fn choice<T: Copy + Default>(of: &Object, name: &str, known: &[(&str, T)]) -> Result<T, String> {
    let Some(word) = json::text(of, name)? else { return Ok(T::default()) };
    let found = known.iter().find(|(known, _)| *known == word);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        wrong(name, &["one of ", &words.join(", ")].concat())
    })
}

/// An object of objects, in their order.
fn named<T>(of: &Object, name: &str, read: impl Fn(&Object) -> Result<T, String>) -> Result<Vec<(String, T)>, String> {
    let Some(all) = json::members(of, name)? else { return Ok(Vec::new()) };
    let mut out = Vec::with_capacity(all.len());
    for (name, value) in all.iter() {
        let value = value.members().ok_or_else(|| wrong(name, "an object"))?;
        out.push((name.to_string(), read(value)?));
    }
    Ok(out)
}

fn rule(of: &Object) -> Result<Rule, String> {
    Ok(Rule {
        is_at_all: json::flag(of, "is_at_all")?.unwrap_or_default(),
        at_mobiles: json::texts(of, "at_mobiles")?,
        at_user_ids: json::texts(of, "at_user_ids")?,
        people: json::flag(of, "people")?,
    })
}

fn member(of: &Object) -> Result<Member, String> {
    match (json::text(of, "mobile")?, json::text(of, "user_id")?, of.len()) {
        (Some(mobile), None, 1) => Ok(Member::Mobile(mobile.to_string())),
        (None, Some(id), 1) => Ok(Member::UserId(id.to_string())),
        _ => Err("A person has either \"mobile\" or \"user_id\"".to_string()),
    }
}
