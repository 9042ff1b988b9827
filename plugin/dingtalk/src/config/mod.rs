//! A connector's config, as it arrives: without its secrets.

mod check;
mod read;

use alloc::string::String;
use alloc::vec::Vec;

use crate::types::Kind;
use crate::words::{Language, kind_name};

pub(crate) use check::check;

/// What a connector may say, in JSON Schema.
pub(crate) const SCHEMA: &str = include_str!("schema.json");

/// One connector's settings.
#[derive(Debug, Default)]
pub(crate) struct Config {
    pub(crate) message_type: MessageType,
    pub(crate) language: Language,
    pub(crate) colours: Colours,
    pub(crate) buttons: Buttons,
    pub(crate) pc_slide: Option<bool>,
    pub(crate) picture_url: Option<String>,
    pub(crate) keywords: Vec<String>,
    is_at_all: bool,
    at_mobiles: Vec<String>,
    at_user_ids: Vec<String>,
    mentions: Vec<(String, Rule)>,
    people: Vec<(String, Member)>,
}

/// How a message is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MessageType {
    #[default]
    Auto,
    ActionCard,
    Markdown,
    Text,
    Link,
    FeedCard,
}

/// Whether the state is coloured; on unless switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Colours(pub(crate) bool);

impl Default for Colours {
    fn default() -> Self {
        Colours(true)
    }
}

/// What Accept and Resolve do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Buttons {
    #[default]
    Links,
    Dtmd,
}

/// Whom to mention.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) is_at_all: bool,
    pub(crate) at_mobiles: Vec<String>,
    pub(crate) at_user_ids: Vec<String>,
    pub(crate) people: Option<bool>,
}

/// A rule as it holds for one kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mentioned<'a> {
    pub(crate) is_at_all: bool,
    pub(crate) at_mobiles: &'a [String],
    pub(crate) at_user_ids: &'a [String],
    pub(crate) people: bool,
}

/// How DingTalk knows a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    Mobile(String),
    UserId(String),
}

impl Config {
    /// Whom the settings mention when an event of this kind comes.
    pub(crate) fn mentioned(&self, kind: &Kind) -> Mentioned<'_> {
        let asks = asks_somebody(kind);
        let own = self.mentions.iter().find(|(name, _)| name == kind_name(kind));
        match own.map(|(_, rule)| rule) {
            Some(rule) => Mentioned {
                is_at_all: rule.is_at_all,
                at_mobiles: &rule.at_mobiles,
                at_user_ids: &rule.at_user_ids,
                people: rule.people.unwrap_or(asks),
            },
            None => Mentioned { is_at_all: self.is_at_all, at_mobiles: &self.at_mobiles, at_user_ids: &self.at_user_ids, people: asks },
        }
    }

    /// A person of iLert's in DingTalk, by e-mail address or username, in any case.
    pub(crate) fn member(&self, email: &str, username: &str) -> Option<&Member> {
        let named = |wanted: &str| {
            let found = self.people.iter().find(|(name, _)| !wanted.is_empty() && name.eq_ignore_ascii_case(wanted));
            found.map(|(_, member)| member)
        };
        named(email).or_else(|| named(username))
    }
}

/// Kinds after which somebody must act. News (accepted, resolved, a comment) wakes nobody.
fn asks_somebody(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Created
            | Kind::Assigned
            | Kind::AutoEscalated
            | Kind::Raised
            | Kind::Rejected
            | Kind::ResponderAdded
            | Kind::EscalationEnded
            | Kind::NotResolved
    )
}

/// A mobile number as DingTalk takes it: digits, with a country code `+1-` where it is not from mainland China.
pub(crate) fn is_mobile(text: &str) -> bool {
    let (country, number) = match text.strip_prefix('+') {
        Some(rest) => rest.split_once('-').unwrap_or(("", rest)),
        None => ("", text),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    digits(country) && country.len() <= 4 && digits(number) && (5..=15).contains(&number.len())
}

/// A user id as DingTalk allows it.
pub(crate) fn is_user_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'@' | b'.'))
}
