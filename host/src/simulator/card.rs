//! A shown message as blocks, whatever its type: what the terminal and the picture draw.

use super::dingtalk::Shown;
use crate::markup::{self, Block, Kind, Span, Style};

/// The message's content, safe to print: no control characters, people who were called stand out.
pub(super) fn blocks(shown: &Shown) -> Vec<Block> {
    let text = clean(&shown.text);
    let bold = Style { bold: true, ..Style::default() };
    let mut blocks = match shown.msgtype.as_str() {
        "markdown" | "actionCard" => markup::read(&text),
        "link" => vec![markup::plain(&clean(&shown.title), bold), markup::plain(&text, Style::default())],
        "feedCard" => shown.links.iter().map(|link| entry(&clean(&link.title))).collect(),
        _ => vec![markup::plain(&text, Style::default())],
    };
    for block in &mut blocks {
        block.spans = block.spans.drain(..).flat_map(|span| called(span, &shown.mentions.people)).collect();
    }
    blocks
}

fn entry(title: &str) -> Block {
    let style = Style { link: true, ..Style::default() };
    Block { kind: Kind::Item("▣".into()), spans: vec![Span { text: title.to_owned(), style }] }
}

/// One line without control characters: a title or a label.
pub(super) fn line(text: &str) -> String {
    clean(text).replace('\n', " ")
}

/// Without what could steer a terminal or turn the reading direction round.
fn clean(text: &str) -> String {
    let steers = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.replace("\r\n", "\n").replace('\t', " ").chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

/// Cuts the span where it calls someone.
fn called(span: Span, people: &[String]) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut rest = span.text.as_str();
    while let Some((at, length)) = first_call(rest, people) {
        let mention = Style { mention: true, ..span.style };
        spans.push(Span { text: rest[..at].to_owned(), style: span.style });
        spans.push(Span { text: rest[at..at + length].to_owned(), style: mention });
        rest = &rest[at + length..];
    }
    spans.push(Span { text: rest.to_owned(), style: span.style });
    spans.retain(|span| !span.text.is_empty());
    spans
}

/// Where the first `@` of one of them stands; the longest name, where several begin there.
fn first_call(text: &str, people: &[String]) -> Option<(usize, usize)> {
    let found = people.iter().filter_map(|name| text.find(&format!("@{name}")).map(|at| (at, name.len() + 1)));
    found.min_by_key(|(at, length)| (*at, usize::MAX - *length))
}
