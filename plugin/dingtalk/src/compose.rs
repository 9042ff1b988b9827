//! Chooses the type of a message and makes it fit.

use alloc::string::String;
use alloc::vec::Vec;

use crate::card::{Card, LEVELS, buttons, destination};
use crate::config::{Config, MessageType};
use crate::digest;
use crate::escape;
use crate::mention::At;
use crate::message::{Button, Content, FeedLink, MAX_BODY};
use crate::template::{Style, render};
use crate::types::{Action, Context, Event, Failure, Kind, Method, Request, Sending, Step, Target};

/// What `resume` finds in a continuation: nothing needs to be remembered but that this plugin wrote it.
pub(crate) const CONTINUATION: &[u8] = b"sent/1";

/// A template's title, in bytes of JSON.
const TITLE_BUDGET: usize = 400;

/// One message for as many events of the batch as fit.
pub(crate) fn begin(config: &str, batch: &[Event], cx: &Context) -> Result<Step, Failure> {
    let config = Config::parse(config)?;
    let (body, covers) = match batch {
        [] => return Err(Failure { code: "batch".into(), text: "A message needs at least one event.".into() }),
        [event] => (single(event, &config, cx), 1),
        batch => digest::compose(batch, &config, cx),
    };
    let headers = Vec::from([("content-type".into(), "application/json; charset=utf-8".into())]);
    let request = Request { target: Target::Connector, method: Method::Post, headers, query: Vec::new(), body };
    Ok(Step::Send(Sending { request, covers, continuation: CONTINUATION.into() }))
}

/// One incident, as large as DingTalk takes it.
fn single(event: &Event, config: &Config, cx: &Context) -> Vec<u8> {
    let at = At::of(event, config);
    let mut body = Vec::new();
    for (level, limits) in LEVELS.into_iter().enumerate() {
        let card = Card { event, config, cx, at: &at, limits };
        let content = templated(&card, content(&card), level > 0);
        body = keyed(content, config, level > 0).into_json(&at, &cx.message_id);
        if body.len() <= MAX_BODY {
            break;
        }
    }
    body
}

/// The default look in the type that the config asks for, or in the nearest that the incident allows.
fn content(card: &Card<'_>) -> Content {
    let buttons = buttons(card);
    let address = address(card);
    let markdown = || Content::Markdown { title: card.title(), text: card.text(Style::Markdown) };
    match card.config.message_type {
        MessageType::Text => Content::Text { content: card.text(Style::Plain) },
        MessageType::Link => match address {
            Some(message_url) => Content::Link { title: card.title(), text: card.brief(), message_url, picture: picture(card) },
            None => markdown(),
        },
        MessageType::FeedCard => match (address, picture(card)) {
            (Some(message_url), Some(picture)) => {
                Content::FeedCard { links: Vec::from([FeedLink { title: card.title(), message_url, picture }]) }
            }
            _ => markdown(),
        },
        MessageType::ActionCard => action_card(card, if buttons.is_empty() { open(card, address) } else { buttons }),
        MessageType::Auto => action_card(card, buttons),
        MessageType::Markdown => markdown(),
    }
}

/// A card with buttons; without any, DingTalk would refuse it, so that it is markdown.
fn action_card(card: &Card<'_>, buttons: Vec<Button>) -> Content {
    let (title, text) = (card.title(), card.text(Style::Markdown));
    if buttons.is_empty() { Content::Markdown { title, text } } else { Content::ActionCard { title, text, buttons } }
}

fn open(card: &Card<'_>, address: Option<String>) -> Vec<Button> {
    let title = card.config.language.button(&Action::Open);
    address.into_iter().map(|url| Button { title: title.into(), url }).collect()
}

/// Where the incident can be read: its page, or the host's link to it.
fn address(card: &Card<'_>) -> Option<String> {
    let of_host = card.cx.links.iter().find(|link| link.incident_id == card.event.incident_id && link.action == Action::Open);
    let found = card.event.incident_url.as_deref().and_then(escape::href).or_else(|| of_host.and_then(|link| escape::href(&link.href)));
    let short = found.filter(|href| href.len() <= card.limits.href)?;
    Some(destination(&short, card.config.pc_slide))
}

fn picture(card: &Card<'_>) -> Option<String> {
    let own = card.event.images.iter().filter(|_| card.limits.images > 0).find_map(|image| escape::href(&image.src));
    own.or_else(|| card.config.picture_url.as_deref().and_then(escape::href)).filter(|href| href.len() <= card.limits.href)
}

/// Puts the connector's own title and text in the place of the default ones. A test message keeps its words, and a template that comes out
/// empty changes nothing: DingTalk refuses empty members.
fn templated(card: &Card<'_>, content: Content, shortened: bool) -> Content {
    if card.event.kind == Kind::Test {
        return content;
    }
    let content = match own_title(card) {
        Some(title) => content.with_title(&title),
        None => content,
    };
    let style = match content {
        Content::Markdown { .. } | Content::ActionCard { .. } => Style::Markdown,
        _ => Style::Plain,
    };
    match own_text(card, style, shortened) {
        Some(text) => content.with_text(text),
        None => content,
    }
}

fn own_title(card: &Card<'_>) -> Option<String> {
    let (title, _) = render(card.cx.title.as_ref()?, Style::Plain, TITLE_BUDGET);
    escape::is_visible(&title).then_some(title)
}

fn own_text(card: &Card<'_>, style: Style, shortened: bool) -> Option<String> {
    // A quarter leaves room for everything else that the smaller levels of a card can hold.
    let budget = if shortened { MAX_BODY / 4 } else { MAX_BODY / 4 * 3 };
    let (mut text, cut) = render(card.cx.text.as_ref()?, style, budget);
    if !escape::is_visible(&text) {
        return None;
    }
    if cut {
        text.push_str(card.config.language.pick("\n\n(shortened)", "\n\n（内容过长，已截断）"));
    }
    let mentions = card.at.line(card.config.language, &[]);
    if !mentions.is_empty() {
        text.push_str("\n\n");
        text.push_str(&mentions);
    }
    Some(text)
}

/// Adds the note of a shortened message, and a keyword where the robot demands one and the message has none.
pub(crate) fn keyed(mut content: Content, config: &Config, shortened: bool) -> Content {
    let note = config.language.pick("Shortened: DingTalk takes no longer message.", "内容过长，已截断。");
    let (title, text, gap) = match &mut content {
        Content::Text { content } => (None, content, "\n"),
        Content::Link { title, text, .. } => (Some(title), text, "\n"),
        Content::Markdown { title, text } | Content::ActionCard { title, text, .. } => (Some(title), text, "\n\n"),
        Content::FeedCard { links } => {
            if let (Some(first), Some(missing)) = (links.first().map(|link| link.title.clone()), config.keywords.first())
                && !config.keywords.iter().any(|keyword| first.contains(keyword.as_str()))
            {
                links[0].title = [&first, " ", missing].concat();
            }
            return content;
        }
    };
    if shortened {
        text.push_str(gap);
        text.push_str(note);
    }
    let has = |keyword: &String| text.contains(keyword.as_str()) || title.as_ref().is_some_and(|title| title.contains(keyword.as_str()));
    if let Some(missing) = config.keywords.first()
        && !config.keywords.iter().any(has)
    {
        text.push_str(gap);
        text.push_str(missing);
    }
    content
}
