//! Many incidents in one message: a line each, as many as fit.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::card::{Pen, destination, full_name};
use crate::compose::keyed;
use crate::config::{Config, MessageType};
use crate::escape;
use crate::mention::At;
use crate::message::{Content, FeedLink, MAX_BODY};
use crate::template::Style;
use crate::time::span;
use crate::types::{Context, Event, Priority, Status};
use crate::words::{Language, clock, colour, shape};

/// Alert sources that are named; the rest is counted.
const SOURCES: usize = 6;

/// A longer address is left out of a line, which would crowd out two others.
const MAX_LINE_HREF: usize = 300;

/// One message and how many events it covers, from the front: at least one.
pub(crate) fn compose(batch: &[Event], config: &Config, cx: &Context) -> (Vec<u8>, u32) {
    let mut covers = estimate(batch, config);
    loop {
        let digest = Digest { all: batch.len(), shown: &batch[..covers], config, cx };
        let at = digest.at();
        let body = keyed(digest.content(&at), config, false).into_json(&at, &cx.message_id);
        if body.len() <= MAX_BODY || covers == 1 {
            return (body, u32::try_from(covers).unwrap_or(u32::MAX));
        }
        // The estimate counts lines, not mentions and the head: one more line in thirty has to wait.
        covers = (covers - covers.div_ceil(30)).max(1);
    }
}

/// How many lines fit if they were all.
fn estimate(batch: &[Event], config: &Config) -> usize {
    let mut used = 0;
    let fits = |event: &&Event| {
        used += match config.message_type {
            MessageType::FeedCard => {
                let urls = event.incident_url.as_ref().map_or(0, String::len) + picture(event, config).map_or(0, |url| url.len());
                urls + 160
            }
            MessageType::Text => escape::json_len(&line(event, config, Style::Plain, batch.len())) + 2,
            _ => escape::json_len(&line(event, config, Style::Markdown, batch.len())) + 2,
        };
        used <= MAX_BODY
    };
    batch.iter().take_while(fits).count().max(1)
}

fn picture(event: &Event, config: &Config) -> Option<String> {
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

/// The part of a batch that a message shows.
struct Digest<'a> {
    all: usize,
    shown: &'a [Event],
    config: &'a Config,
    cx: &'a Context,
}

impl Digest<'_> {
    /// Whom the incidents that still need somebody mention.
    fn at(&self) -> At {
        let mut at = At::default();
        for event in self.shown.iter().filter(|event| event.status != Status::Resolved) {
            at.add(event, self.config);
        }
        at
    }

    fn content(&self, at: &At) -> Content {
        match self.config.message_type {
            MessageType::Text => Content::Text { content: self.text(Style::Plain, at) },
            MessageType::FeedCard => match self.feed() {
                Some(links) => Content::FeedCard { links },
                None => self.markdown(at),
            },
            _ => self.markdown(at),
        }
    }

    fn markdown(&self, at: &At) -> Content {
        Content::Markdown { title: self.title(), text: self.text(Style::Markdown, at) }
    }

    /// A link for each incident; none if one of them has no page or no picture.
    fn feed(&self) -> Option<Vec<FeedLink>> {
        let mut links = Vec::with_capacity(self.shown.len());
        for event in self.shown {
            let href = event.incident_url.as_deref().and_then(escape::href).filter(|href| href.len() <= MAX_LINE_HREF)?;
            let title = line(event, self.config, Style::Plain, self.all);
            let message_url = destination(&href, self.config.pc_slide);
            links.push(FeedLink { title, message_url, picture: picture(event, self.config)? });
        }
        if let (Some(last), Some(rest)) = (links.last_mut(), self.rest()) {
            last.title.push_str(" · ");
            last.title.push_str(&rest);
        }
        Some(links)
    }

    fn title(&self) -> String {
        let mut out = String::from(self.shown.iter().map(|event| shape(&event.status)).next().unwrap_or("⚪"));
        out.push(' ');
        out.push_str(&self.amount());
        for (_, words) in self.states() {
            out.push_str(" · ");
            out.push_str(&words);
        }
        out
    }

    fn text(&self, style: Style, at: &At) -> String {
        let mut pen = Pen::new(style, None, MAX_LINE_HREF);
        self.head(&mut pen);
        pen.paragraph();
        self.sources(&mut pen);
        pen.paragraph();
        for event in self.shown {
            pen.own(&line(event, self.config, style, self.all));
            pen.own("\n");
        }
        if let Some(rest) = self.rest() {
            pen.own("\n");
            pen.own(&rest);
        }
        let mentions = at.line(self.config.language, &[]);
        if !mentions.is_empty() {
            pen.own(if self.rest().is_some() { "\n\n" } else { "\n" });
            pen.own(&mentions);
        }
        pen.finish()
    }

    fn head(&self, pen: &mut Pen) {
        pen.markup("### ");
        let oldest = self.shown.iter().map(|event| event.occurred_at).min_by_key(|at| at.unix_ms);
        let window = oldest.and_then(|oldest| span(oldest, self.cx.now)).map(|span| self.config.language.span(span));
        let (language, amount) = (self.config.language, self.amount());
        pen.own(&match window {
            Some(window) => language.pick(format!("{amount} in the last {window}"), format!("最近 {window}内 {amount}")),
            None => amount,
        });
        for (status, words) in self.states() {
            pen.own(" · ");
            if self.config.colours.0 && pen.is_markdown() {
                pen.own(&format!("<font color={}>{words}</font>", colour(&status)));
            } else {
                pen.own(&words);
            }
        }
    }

    fn amount(&self) -> String {
        let count = self.shown.len();
        let folded: u64 = self.shown.iter().map(|event| u64::from(event.folded)).sum();
        let mut out =
            self.config.language.pick(format!("{count} {}", if count == 1 { "incident" } else { "incidents" }), format!("{count} 条告警"));
        if folded > 0 {
            let events = folded + count as u64;
            out.push_str(&self.config.language.pick(format!(" ({events} events)"), format!("（{events} 次更新）")));
        }
        out
    }

    /// How many incidents stand where, worst first.
    fn states(&self) -> Vec<(Status, String)> {
        let words = match self.config.language {
            Language::English => ["pending", "accepted", "resolved", "in another state"],
            Language::Chinese => ["条待处理", "条已接手", "条已解决", "条其他状态"],
        };
        let mut counts = [0usize; 4];
        for event in self.shown {
            counts[match event.status {
                Status::Pending => 0,
                Status::Accepted => 1,
                Status::Resolved => 2,
                Status::Other(_) => 3,
            }] += 1;
        }
        let states = [Status::Pending, Status::Accepted, Status::Resolved, Status::Other(String::new())];
        let all = states.into_iter().zip(words).zip(counts).filter(|(_, count)| *count > 0);
        all.map(|((status, word), count)| (status, format!("{count} {word}"))).collect()
    }

    /// How many incidents came from where, most first.
    fn sources(&self, pen: &mut Pen) {
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for name in self.shown.iter().filter_map(|event| event.alert_source.as_ref()).map(|source| source.name.trim()) {
            match counts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, count)) => *count += 1,
                None if !name.is_empty() => counts.push((name, 1)),
                None => {}
            }
        }
        counts.sort_by_key(|(_, count)| core::cmp::Reverse(*count));
        for (name, count) in counts.iter().take(SOURCES) {
            pen.dot();
            pen.bold(name, 40);
            pen.own(&format!(" {count}"));
        }
        if counts.len() > SOURCES {
            let more = counts.len() - SOURCES;
            pen.dot();
            pen.own(&self.config.language.pick(format!("{more} more sources"), format!("另有 {more} 个告警源")));
        }
    }

    /// What does not fit, or waits behind the batch.
    fn rest(&self) -> Option<String> {
        let more = (self.all - self.shown.len()) as u64 + u64::from(self.cx.waiting);
        match (more, self.config.language) {
            (0, _) => None,
            (1, Language::English) => Some("1 more follows in the next message".into()),
            (_, Language::English) => Some(format!("{more} more follow in the next message")),
            (_, Language::Chinese) => Some(format!("其余 {more} 条见下一条消息")),
        }
    }
}
