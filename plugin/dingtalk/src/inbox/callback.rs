//! The JSON that DingTalk posts when somebody writes to a robot.

use alloc::string::{String, ToString};

use super::quote;
use crate::escape;
use crate::json::{self, Value};

/// The members that matter; all of them may be absent.
#[derive(Debug)]
pub(super) struct Callback {
    msg_id: Option<String>,
    text: Option<String>,
    /// The incident of the message that this one quotes, if it quotes one.
    quoted: Option<String>,
    /// A plain text in one of DingTalk's samples, an object for everything but text messages.
    content: Option<Value>,
    sender_staff_id: Option<String>,
    sender_nick: Option<String>,
    session_webhook: Option<String>,
    session_webhook_expired_time: Option<i64>,
}

fn said(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

impl Callback {
    /// Reads a body; the error is for whoever reads the host's log.
    pub(super) fn parse(body: &[u8]) -> Result<Callback, String> {
        let start = body.iter().find(|byte| !byte.is_ascii_whitespace());
        if start != Some(&b'{') {
            return Err("The body is no JSON object.".to_string());
        }
        read(body).map_err(|error| ["The body is no message of DingTalk's: ", &error, "."].concat())
    }

    /// DingTalk's id of the message.
    pub(super) fn id(&self) -> Option<&str> {
        said(&self.msg_id)
    }

    /// What was written; none for pictures and the like.
    pub(super) fn text(&self) -> Option<String> {
        if let Some(text) = &self.text {
            return Some(text.clone());
        }
        match self.content.as_ref()? {
            Value::Text(text) => Some(text.clone()),
            content => {
                let pieces = content.get("richText")?.list()?;
                Some(pieces.iter().filter_map(|piece| piece.get("text")?.text()).collect())
            }
        }
    }

    /// The incident that is meant where the text names none: that of the quoted message, empty where that does not say.
    pub(super) fn quoted(&self) -> Option<&str> {
        self.quoted.as_deref()
    }

    /// The sender's user id in the company.
    pub(super) fn staff_id(&self) -> Option<&str> {
        said(&self.sender_staff_id)
    }

    /// The sender's name in the chat.
    pub(super) fn nick(&self) -> &str {
        self.sender_nick.as_deref().unwrap_or_default().trim()
    }

    /// Where a later answer goes, as long as DingTalk takes it there.
    pub(super) fn session_url(&self, now_ms: i64) -> Option<&str> {
        let open = self.session_webhook_expired_time.is_none_or(|end| end > now_ms);
        said(&self.session_webhook).filter(|url| open && escape::href(url).is_some())
    }
}

fn read(body: &[u8]) -> Result<Callback, String> {
    let mut members = json::object(body)?;
    let text = |name| json::text(&members, name).map(|text| text.map(ToString::to_string));
    let text_message = json::members(&members, "text")?;
    let words = |of| json::text(of, "content")?.ok_or_else(|| json::wrong("text", "a message"));
    let quoted = text_message.and_then(|of| of.get("repliedMsg")).filter(|quoted| !quoted.is_null()).map(quote::incident);
    Ok(Callback {
        msg_id: text("msgId")?,
        quoted,
        text: text_message.map(words).transpose()?.map(ToString::to_string),
        sender_staff_id: text("senderStaffId")?,
        sender_nick: text("senderNick")?,
        session_webhook: text("sessionWebhook")?,
        session_webhook_expired_time: json::number(&members, "sessionWebhookExpiredTime")?,
        content: members.take("content").filter(|content| !content.is_null()),
    })
}
