//! Many incidents in one message: a line each, as many as fit.

mod line;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use self::line::{Form, Line, MAX_LINE_HREF, lines, page, picture, tail};
use crate::card::{Pen, destination};
use crate::compose::keyed;
use crate::config::Config;
use crate::mention::At;
use crate::message::{Content, FeedLink, MAX_BODY};
use crate::time::span;
use crate::types::{Context, Event, Status};
use crate::words::{Language, colour, shape};

/// Alert sources that are named; the rest is counted.
const SOURCES: usize = 6;

/// One message and how many events it covers, from the front: at least one.
pub(crate) fn compose(batch: &[Event], config: &Config, cx: &Context) -> (Vec<u8>, u32) {
    let form = Form::of(batch, config);
    let lines = lines(batch, config, form);
    let mut covers = lines.len();
    loop {
        let digest = Digest { all: batch.len(), shown: &batch[..covers], lines: &lines[..covers], form, config, cx };
        let at = digest.at();
        let body = keyed(digest.content(&at), config, false).into_json(&at, &cx.message_id);
        let over = body.len().saturating_sub(MAX_BODY);
        if over == 0 || covers == 1 {
            return (body, u32::try_from(covers).unwrap_or(u32::MAX));
        }
        covers -= tail(&lines[..covers], over).min(covers - 1);
    }
}

/// The part of a batch that a message shows.
struct Digest<'a> {
    all: usize,
    shown: &'a [Event],
    /// A line for each of them.
    lines: &'a [Line],
    form: Form,
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
        match self.form {
            Form::Text => Content::Text { content: self.text(at) },
            Form::Feed => Content::FeedCard { links: self.feed() },
            Form::Markdown => Content::Markdown { title: self.title(), text: self.text(at) },
        }
    }

    /// A link for each incident.
    fn feed(&self) -> Vec<FeedLink> {
        let link = |(event, line): (&Event, &Line)| {
            let message_url = destination(&page(event)?, self.config.pc_slide);
            Some(FeedLink { title: line.text.clone(), message_url, picture: picture(event, self.config)? })
        };
        let mut links: Vec<FeedLink> = self.shown.iter().zip(self.lines).filter_map(link).collect();
        if let (Some(last), Some(rest)) = (links.last_mut(), self.rest()) {
            last.title.push_str(" · ");
            last.title.push_str(&rest);
        }
        links
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

    fn text(&self, at: &At) -> String {
        let mut pen = Pen::new(self.form.style(), None, MAX_LINE_HREF);
        self.head(&mut pen);
        pen.paragraph();
        self.sources(&mut pen);
        pen.paragraph();
        for line in self.lines {
            pen.own(&line.text);
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
        // Six passes at most: a sort of the library is more code.
        for n in 0..counts.len().min(SOURCES) {
            let Some(most) = (n..counts.len()).rev().max_by_key(|at| counts.get(*at).map(|(_, count)| *count)) else { break };
            if let Some(part) = counts.get_mut(n..=most) {
                part.rotate_right(1);
            }
        }
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
