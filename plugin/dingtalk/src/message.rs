//! DingTalk's message JSON, field names as its docs spell them.

use alloc::string::String;
use alloc::vec::Vec;

use crate::json::Writer;
use crate::mention::At;

/// DingTalk takes no larger body, in bytes.
pub(crate) const MAX_BODY: usize = 20_000;

/// What is said, in one of DingTalk's types.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Text { content: String },
    Link { title: String, text: String, message_url: String, picture: Option<String> },
    Markdown { title: String, text: String },
    ActionCard { title: String, text: String, buttons: Vec<Button> },
    FeedCard { links: Vec<FeedLink> },
}

/// A button of an action card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Button {
    pub(crate) title: String,
    pub(crate) url: String,
}

/// A line of a feed card.
#[derive(Clone, Debug)]
pub(crate) struct FeedLink {
    pub(crate) title: String,
    pub(crate) message_url: String,
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
        let mut out = Writer::new();
        out.text("msgtype", self.name());
        out.open(self.name(), b'{');
        self.members(&mut out);
        out.close(b'}');
        if self.can_mention() && !at.is_empty() {
            at.write(&mut out);
        }
        if !uuid.is_empty() {
            out.text("msgUuid", uuid);
        }
        out.finish()
    }

    /// Its type, which is also the name of the member that carries it.
    fn name(&self) -> &'static str {
        match self {
            Content::Text { .. } => "text",
            Content::Link { .. } => "link",
            Content::Markdown { .. } => "markdown",
            Content::ActionCard { .. } => "actionCard",
            Content::FeedCard { .. } => "feedCard",
        }
    }

    fn members(&self, out: &mut Writer) {
        match self {
            Content::Text { content } => out.text("content", content),
            Content::Link { title, text, message_url, picture } => {
                titled(out, title, text);
                // `Url` here, `URL` in a feed card: DingTalk's spelling.
                out.text("messageUrl", message_url);
                if let Some(picture) = picture {
                    out.text("picUrl", picture);
                }
            }
            Content::Markdown { title, text } => titled(out, title, text),
            Content::ActionCard { title, text, buttons } => {
                titled(out, title, text);
                write_buttons(out, buttons);
            }
            Content::FeedCard { links } => {
                out.open("links", b'[');
                for link in links {
                    out.item();
                    out.text("title", &link.title);
                    out.text("messageURL", &link.message_url);
                    out.text("picURL", &link.picture);
                    out.close(b'}');
                }
                out.close(b']');
            }
        }
    }
}

fn titled(out: &mut Writer, title: &str, text: &str) {
    out.text("title", title);
    out.text("text", text);
}

/// Two buttons stand side by side, more of them one below the other; DingTalk has members of its own for a single one.
fn write_buttons(out: &mut Writer, buttons: &[Button]) {
    if let [only] = buttons {
        out.text("singleTitle", &only.title);
        out.text("singleURL", &only.url);
    }
    out.text("btnOrientation", if buttons.len() == 2 { "1" } else { "0" });
    if buttons.len() > 1 {
        out.open("btns", b'[');
        for button in buttons {
            out.item();
            out.text("title", &button.title);
            out.text("actionURL", &button.url);
            out.close(b'}');
        }
        out.close(b']');
    }
}
