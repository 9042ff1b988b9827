//! DingTalk's message JSON, field names as its docs spell them.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

use crate::mention::At;

/// DingTalk takes no larger body, in bytes.
pub(crate) const MAX_BODY: usize = 20_000;

/// One message: exactly one of the type members is set, the one that `msgtype` names.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Envelope {
    msgtype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    markdown: Option<Markdown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_card: Option<ActionCard>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feed_card: Option<FeedCard>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<At>,
    #[serde(skip_serializing_if = "String::is_empty")]
    msg_uuid: String,
}

/// What is said, in one of DingTalk's types.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Text { content: String },
    Link { title: String, text: String, message_url: String, picture: Option<String> },
    Markdown { title: String, text: String },
    ActionCard { title: String, text: String, buttons: Vec<Button> },
    FeedCard { links: Vec<FeedLink> },
}

#[derive(Debug, Serialize)]
struct Text {
    content: String,
}

/// `Url` here, `URL` in a feed card: DingTalk's spelling.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    title: String,
    text: String,
    message_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pic_url: Option<String>,
}

#[derive(Debug, Serialize)]
struct Markdown {
    title: String,
    text: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ActionCard {
    title: String,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    single_title: Option<String>,
    #[serde(rename = "singleURL", skip_serializing_if = "Option::is_none")]
    single_url: Option<String>,
    btn_orientation: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    btns: Vec<Button>,
}

/// A button of an action card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Button {
    pub(crate) title: String,
    #[serde(rename = "actionURL")]
    pub(crate) url: String,
}

#[derive(Debug, Serialize)]
struct FeedCard {
    links: Vec<FeedLink>,
}

/// A line of a feed card.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FeedLink {
    pub(crate) title: String,
    #[serde(rename = "messageURL")]
    pub(crate) message_url: String,
    #[serde(rename = "picURL")]
    pub(crate) picture: String,
}

impl Content {
    /// Whether DingTalk mentions people in messages of this type.
    pub(crate) fn can_mention(&self) -> bool {
        !matches!(self, Content::Link { .. } | Content::FeedCard { .. })
    }

    /// The same under another title; a text message has none.
    pub(crate) fn with_title(mut self, new: &str) -> Content {
        match &mut self {
            Content::Link { title, .. } | Content::Markdown { title, .. } | Content::ActionCard { title, .. } => *title = new.into(),
            Content::FeedCard { links } => links.iter_mut().for_each(|link| link.title = new.into()),
            Content::Text { .. } => {}
        }
        self
    }

    /// The same with other words; a feed card has only titles.
    pub(crate) fn with_text(mut self, new: String) -> Content {
        match &mut self {
            Content::Text { content: text }
            | Content::Link { text, .. }
            | Content::Markdown { text, .. }
            | Content::ActionCard { text, .. } => {
                *text = new;
            }
            Content::FeedCard { .. } => {}
        }
        self
    }

    /// The message as DingTalk takes it. An empty `uuid` is left out.
    pub(crate) fn into_json(self, at: &At, uuid: &str) -> Vec<u8> {
        let at = (self.can_mention() && !at.is_empty()).then(|| at.clone());
        let base = Envelope { at, msg_uuid: uuid.into(), ..Envelope::default() };
        let envelope = match self {
            Content::Text { content } => Envelope { msgtype: "text", text: Some(Text { content }), ..base },
            Content::Link { title, text, message_url, picture } => {
                Envelope { msgtype: "link", link: Some(Link { title, text, message_url, pic_url: picture }), ..base }
            }
            Content::Markdown { title, text } => Envelope { msgtype: "markdown", markdown: Some(Markdown { title, text }), ..base },
            Content::ActionCard { title, text, buttons } => {
                Envelope { msgtype: "actionCard", action_card: Some(action_card(title, text, buttons)), ..base }
            }
            Content::FeedCard { links } => Envelope { msgtype: "feedCard", feed_card: Some(FeedCard { links }), ..base },
        };
        serde_json::to_vec(&envelope).expect("an envelope has string keys only, so that it always is JSON")
    }
}

/// Two buttons stand side by side, more of them one below the other.
fn action_card(title: String, text: String, mut buttons: Vec<Button>) -> ActionCard {
    let btn_orientation = if buttons.len() == 2 { "1" } else { "0" };
    if buttons.len() != 1 {
        return ActionCard { title, text, single_title: None, single_url: None, btn_orientation, btns: buttons };
    }
    let only = buttons.remove(0);
    ActionCard { title, text, single_title: Some(only.title), single_url: Some(only.url), btn_orientation, btns: buttons }
}
