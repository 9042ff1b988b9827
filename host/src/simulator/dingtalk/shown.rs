//! A message as the group sees it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::UnixMs;

/// One message in the chat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// 1, 2, 3 … over all robots of a simulator.
    pub number: u64,
    /// When it arrived, by the simulator's clock.
    pub at: UnixMs,
    /// The robot that said it.
    pub robot: String,
    /// `text`, `link`, `markdown`, `actionCard` or `feedCard`.
    pub msgtype: String,
    /// What the list of conversations shows; empty for `text` and `feedCard`.
    pub title: String,
    /// The content: markdown for `markdown` and `actionCard`, plain otherwise; empty for `feedCard`.
    pub text: String,
    /// The buttons of an `actionCard`.
    pub buttons: Vec<Button>,
    /// Whether the buttons stand side by side.
    pub side_by_side: bool,
    /// The target of a `link`, or the entries of a `feedCard`.
    pub links: Vec<Link>,
    /// Who was notified, and who was meant to be.
    pub mentions: Mentions,
    /// The idempotency key, where one was given.
    pub msg_uuid: Option<String>,
    /// The message as it came.
    pub raw: Value,
}

impl Shown {
    /// The button with that label.
    pub fn button(&self, title: &str) -> Option<&Button> {
        self.buttons.iter().find(|button| button.title == title)
    }
}

/// A button of a card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// Its label.
    pub title: String,
    /// What it opens.
    pub url: String,
}

impl Button {
    /// What a tap says in the chat, as the one who taps; `None` where it opens a page.
    pub fn says(&self) -> Option<String> {
        let content = self.url.strip_prefix("dtmd://dingtalkclient/sendMessage?content=")?;
        let query = format!("content={content}");
        url::form_urlencoded::parse(query.as_bytes()).next().map(|(_, text)| text.into_owned())
    }

    /// The page that a tap opens, without what tells DingTalk where to open it.
    pub fn page(&self) -> Option<String> {
        let url = url::Url::parse(&self.url).ok()?;
        match url.scheme() {
            "dingtalk" => url.query_pairs().find(|(name, _)| name == "url").map(|(_, page)| page.into_owned()),
            "dtmd" => None,
            _ => Some(self.url.clone()),
        }
    }
}

/// A link with a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its text.
    pub title: String,
    /// What it opens.
    pub url: String,
    /// A URL or a media id.
    pub picture: Option<String>,
}

/// Who a message calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mentions {
    /// Mobile numbers and user ids that are in `at` and, after an `@`, in the text: these people's phones ring.
    pub people: Vec<String>,
    /// In `at` only: DingTalk says ok and nobody is notified.
    pub unheard: Vec<String>,
    /// Everybody.
    pub all: bool,
}
