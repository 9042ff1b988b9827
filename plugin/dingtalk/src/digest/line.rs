//! One line for each incident of a digest.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::card::{Pen, destination, full_name};
use crate::config::{Config, MessageType};
use crate::escape;
use crate::message::MAX_BODY;
use crate::template::Style;
use crate::types::{Event, Priority};
use crate::words::{clock, shape};

/// A longer address is left out of a line, which would crowd out two others.
pub(super) const MAX_LINE_HREF: usize = 300;

/// What the lines of a digest are made into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Markdown,
    Text,
    Feed,
}

impl Form {
    /// As configured; a feed needs a page and a picture of every incident.
    pub(super) fn of(batch: &[Event], config: &Config) -> Form {
        let can_feed = |event: &Event| page(event).is_some() && picture(event, config).is_some();
        match config.message_type {
            MessageType::Text => Form::Text,
            MessageType::FeedCard if batch.iter().all(can_feed) => Form::Feed,
            _ => Form::Markdown,
        }
    }

    pub(super) fn style(self) -> Style {
        if self == Form::Markdown { Style::Markdown } else { Style::Plain }
    }
}

/// One incident in a digest.
pub(super) struct Line {
    pub(super) text: String,
    /// What it takes of the body.
    bytes: usize,
}

/// The first line, and as many more as could fit if there were nothing else.
pub(super) fn lines(batch: &[Event], config: &Config, form: Form) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut used = 0;
    for event in batch {
        let text = line(event, config, form.style(), batch.len());
        let bytes = escape::json_len(&text) + if form == Form::Feed { feed_bytes(event, config) } else { r"\n".len() };
        used += bytes;
        if used > MAX_BODY && !lines.is_empty() {
            break;
        }
        lines.push(Line { text, bytes });
    }
    lines
}

/// What a link of a feed takes besides its title.
fn feed_bytes(event: &Event, config: &Config) -> usize {
    let url = page(event).map_or(0, |page| destination(&page, config.pc_slide).len());
    r#"{"title":"","messageURL":"","picURL":""},"#.len() + url + picture(event, config).map_or(0, |picture| picture.len())
}

/// How many lines at the end make up so many bytes: at least one.
pub(super) fn tail(lines: &[Line], over: usize) -> usize {
    let mut freed = 0;
    let needed = lines.iter().rev().take_while(|line| {
        let more = freed < over;
        freed += line.bytes;
        more
    });
    needed.count().max(1)
}

pub(super) fn page(event: &Event) -> Option<String> {
    event.incident_url.as_deref().and_then(escape::href).filter(|href| href.len() <= MAX_LINE_HREF)
}

pub(super) fn picture(event: &Event, config: &Config) -> Option<String> {
    let own = event.images.iter().find_map(|image| escape::href(&image.src));
    own.or_else(|| config.picture_url.as_deref().and_then(escape::href)).filter(|href| href.len() <= MAX_LINE_HREF)
}

/// `🔴 HIGH summary · who · when`, on one line; the more incidents there are, the shorter.
fn line(event: &Event, config: &Config, style: Style, crowd: usize) -> String {
    let (summary, name) = if crowd <= 40 { (100, 40) } else { (44, 14) };
    let mut pen = Pen::new(style, None, MAX_LINE_HREF);
    pen.markup("- ");
    pen.own(shape(&event.status));
    pen.own(" ");
    if event.priority == Some(Priority::High) {
        pen.own(config.language.pick("HIGH ", "高 "));
    }
    let words = if event.summary.trim().is_empty() { config.language.pick("(no summary)", "（无标题）") } else { &event.summary };
    if style == Style::Markdown {
        pen.link(words, escape::chars_in(words, summary), event.incident_url.as_deref().unwrap_or_default());
    } else {
        pen.user(words, escape::chars_in(words, summary));
    }
    if let Some(person) = &event.assigned_to {
        let who = full_name(person);
        pen.dot();
        pen.user(&who, escape::chars_in(&who, name));
    }
    pen.dot();
    pen.own(&clock(event.occurred_at));
    if event.folded > 0 {
        pen.own(&format!(" · +{}", event.folded));
    }
    pen.finish()
}
