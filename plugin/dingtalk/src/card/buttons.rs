//! The next moves: the buttons under a card.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Card, destination};
use crate::config::Buttons;
use crate::escape;
use crate::message::Button;
use crate::types::{Action, Kind, Status};

/// DingTalk's own templates end at five.
const MAX_BUTTONS: usize = 5;

/// The buttons of a card: what moves the incident first, Open last. Nothing that has already happened.
pub(crate) fn buttons(card: &Card<'_>) -> Vec<Button> {
    if card.event.kind == Kind::Test {
        return Vec::new();
    }
    let mut found: Vec<(u8, Button)> = Vec::new();
    if card.config.buttons == Buttons::Dtmd {
        let said = [(Action::Accept, "accept"), (Action::Resolve, "resolve")];
        found.extend(said.into_iter().filter(|(action, _)| is_offered(card, action)).map(|(action, word)| {
            let url = command(&format!("{word} {}", card.event.incident_id));
            (rank(&action), button(card, &action, url))
        }));
    }
    let links = card.cx.links.iter().filter(|link| link.incident_id == card.event.incident_id && is_offered(card, &link.action));
    for link in links {
        let replaced = card.config.buttons == Buttons::Dtmd && matches!(link.action, Action::Accept | Action::Resolve);
        if let Some(href) = escape::href(&link.href).filter(|href| !replaced && href.len() <= card.limits.href) {
            let rank = rank(&link.action);
            // Inserted in order: a sort of the library is more code.
            let at = found.partition_point(|(known, _)| *known <= rank);
            found.insert(at, (rank, button(card, &link.action, destination(&href, card.config.pc_slide))));
        }
    }
    found.into_iter().map(|(_, button)| button).take(MAX_BUTTONS).collect()
}

fn is_offered(card: &Card<'_>, action: &Action) -> bool {
    match action {
        Action::Accept => !matches!(card.event.status, Status::Accepted | Status::Resolved),
        Action::Resolve => card.event.status != Status::Resolved,
        _ => true,
    }
}

fn rank(action: &Action) -> u8 {
    match action {
        Action::Accept => 0,
        Action::Resolve => 1,
        Action::Comment => 2,
        Action::Other(_) => 3,
        Action::Open => 4,
    }
}

fn button(card: &Card<'_>, action: &Action, url: String) -> Button {
    let mut title = String::new();
    escape::plain(&mut title, card.config.language.button(action), 20);
    if title.is_empty() {
        // DingTalk refuses a button without a word on it.
        title.push_str(card.config.language.button(&Action::Open));
    }
    Button { title, url }
}

/// A click says this text in the chat, as the reader.
fn command(text: &str) -> String {
    let mut url = String::from("dtmd://dingtalkclient/sendMessage?content=");
    escape::encode(&mut url, text, b"-._~");
    url
}
