//! Draws a shown message as a card in the terminal.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use unicode_width::UnicodeWidthStr;

use super::card;
use super::dingtalk::Shown;
use super::wrap::{Line, wrap};
use crate::markup::{Block, Kind, Span, Style};

/// How cards are drawn.
#[derive(Clone, Debug)]
pub struct Look {
    /// Of the whole card, in terminal cells; at least 24.
    pub width: usize,
    /// With ANSI colours.
    pub colour: bool,
    /// For the time in the card's frame.
    pub zone: TimeZone,
}

impl Default for Look {
    fn default() -> Self {
        Look { width: 64, colour: false, zone: TimeZone::UTC }
    }
}

const FRAME: &str = "\x1b[38;5;244m";
const RESET: &str = "\x1b[0m";

/// The card, with a line break at its end.
pub fn draw(shown: &Shown, look: &Look) -> String {
    let mut sheet = Sheet { out: String::new(), inner: look.width.max(24) - 4, colour: look.colour };
    if !shown.title.is_empty() {
        let title = cut(&card::line(&shown.title), sheet.inner);
        sheet.frame(&format!("  {title}"));
        sheet.out.push('\n');
    }
    let time = Timestamp::from_millisecond(shown.at).unwrap_or(Timestamp::MAX).to_zoned_datetime(look.zone.clone()).strftime("%H:%M:%S");
    sheet.edge('╭', '╮', &format!("{} · {time}", card::line(&shown.robot)));
    let mut before: Option<Kind> = None;
    for block in card::blocks(shown) {
        if before.as_ref().is_some_and(|before| !close_together(before, &block.kind)) {
            sheet.row(&[]);
        }
        sheet.block(&block);
        before = Some(block.kind);
    }
    if !shown.buttons.is_empty() {
        sheet.edge('├', '┤', "");
        sheet.buttons(shown);
    }
    sheet.edge('╰', '╯', &notified(shown));
    sheet.out
}

/// Whether two blocks stand without a blank line between them.
pub(super) fn close_together(before: &Kind, next: &Kind) -> bool {
    matches!((before, next), (Kind::Item(_), Kind::Item(_)) | (Kind::Quote, Kind::Quote))
}

fn notified(shown: &Shown) -> String {
    let mut people: Vec<String> = shown.mentions.people.iter().map(|name| format!("@{}", card::line(name))).collect();
    if shown.mentions.all {
        people.insert(0, "@all".into());
    }
    if people.is_empty() { String::new() } else { format!("rings {}", people.join(" ")) }
}

struct Sheet {
    out: String,
    /// Cells between the two edges and their blanks.
    inner: usize,
    colour: bool,
}

impl Sheet {
    /// Text in the frame's colour.
    fn frame(&mut self, text: &str) {
        if self.colour {
            self.out.extend([FRAME, text, RESET]);
        } else {
            self.out.push_str(text);
        }
    }

    fn edge(&mut self, left: char, right: char, label: &str) {
        let label = if label.is_empty() { String::new() } else { format!(" {} ", cut(label, self.inner - 2)) };
        let rest = "─".repeat(self.inner + 1 - label.width());
        self.frame(&format!("{left}─{label}{rest}{right}"));
        self.out.push('\n');
    }

    fn block(&mut self, block: &Block) {
        let (first, next) = match &block.kind {
            Kind::Heading(_) | Kind::Paragraph => (String::new(), String::new()),
            Kind::Quote => ("▏ ".into(), "▏ ".into()),
            Kind::Item(marker) => (format!("{marker} "), " ".repeat(marker.width() + 1)),
        };
        let heading = matches!(block.kind, Kind::Heading(_));
        let bold = |span: &Span| Span { style: Style { bold: span.style.bold || heading, ..span.style }, ..span.clone() };
        let spans: Vec<Span> = block.spans.iter().map(bold).collect();
        let width = self.inner - first.width();
        for (number, line) in wrap(&spans, cells(width), &|text, _| cells(text.width())).into_iter().enumerate() {
            let lead = if number == 0 { &first } else { &next };
            let mut row: Line = vec![Span { text: lead.clone(), style: Style::default() }];
            row.extend(line);
            self.row(&row);
        }
    }

    /// A line between the edges.
    fn row(&mut self, line: &[Span]) {
        self.frame("│ ");
        let used: usize = line.iter().map(|span| span.text.width()).sum();
        for span in line {
            self.span(span);
        }
        let rest = " ".repeat(self.inner.saturating_sub(used));
        self.out.push_str(&rest);
        self.frame(" │");
        self.out.push('\n');
    }

    fn span(&mut self, span: &Span) {
        let codes = codes(span.style);
        if self.colour && !codes.is_empty() && !span.text.is_empty() {
            // Writing into a string cannot fail.
            write!(self.out, "\x1b[{}m{}{RESET}", codes.join(";"), span.text).ok();
        } else {
            self.out.push_str(&span.text);
        }
    }

    /// `[ Accept ]   [ Resolve ]`, or one below the other where the card says so or the width does not do.
    fn buttons(&mut self, shown: &Shown) {
        let style = Style { bold: true, link: true, ..Style::default() };
        let button = |title: &str| Span { text: format!("[ {} ]", cut(&card::line(title), self.inner - 4)), style };
        let buttons: Vec<Span> = shown.buttons.iter().map(|it| button(&it.title)).collect();
        let gap = Span { text: "   ".into(), style: Style::default() };
        let across: Vec<Span> = buttons.iter().flat_map(|button| [gap.clone(), button.clone()]).skip(1).collect();
        let width: usize = across.iter().map(|span| span.text.width()).sum();
        if shown.side_by_side && width <= self.inner {
            self.row(&across);
        } else {
            buttons.into_iter().for_each(|button| self.row(&[button]));
        }
    }
}

fn codes(style: Style) -> Vec<String> {
    let mut codes = Vec::new();
    if style.bold {
        codes.push("1".into());
    }
    if style.italic {
        codes.push("3".into());
    }
    if style.link && style.colour.is_none() {
        codes.push("4;38;5;33".into());
    }
    if style.mention {
        codes.push("1;38;5;33".into());
    }
    if let Some([red, green, blue]) = style.colour {
        codes.push(format!("38;2;{red};{green};{blue}"));
    }
    codes
}

fn cells(width: usize) -> u32 {
    u32::try_from(width).unwrap_or(u32::MAX)
}

/// The beginning that fits, with `…` where something is missing.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    for next in text.chars() {
        cut.push(next);
        if cut.width() + 1 > width {
            cut.pop();
            break;
        }
    }
    cut + "…"
}
