//! Draws a conversation as a picture: DingTalk on a phone, as SVG without fonts or links of its own.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use unicode_width::UnicodeWidthChar;

use super::card;
use super::dingtalk::Shown;
use super::terminal::close_together;
use super::wrap::wrap;
use crate::markup::{Block, Kind, Span, Style};

/// How the picture is drawn.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The group's name, at the top.
    pub group: String,
    /// For the times between the messages.
    pub zone: TimeZone,
}

impl Default for Picture {
    fn default() -> Self {
        Picture { group: "On-call".into(), zone: TimeZone::UTC }
    }
}

/// A phone's width, in pixels.
const WIDTH: u32 = 390;
/// Of the bar with the group's name.
const BAR: u32 = 54;
/// Where cards begin, beside the robot's picture.
const CARD_X: u32 = 62;
const CARD_WIDTH: u32 = 312;
/// Inside a card.
const PADDING: u32 = 14;
const BUTTON: u32 = 44;
const FONTS: &str = "-apple-system,'Segoe UI',Roboto,'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif";
const BLUE: &str = "#1677ff";
const INK: &str = "#171a1d";
const GREY: &str = "#747677";

/// The messages, oldest first, below each other.
pub fn draw(conversation: &[Shown], picture: &Picture) -> String {
    let mut sheet = Sheet { out: String::new(), y: BAR };
    let mut minute = None;
    for shown in conversation {
        if minute != Some(shown.at.div_euclid(60_000)) {
            minute = Some(shown.at.div_euclid(60_000));
            sheet.time(shown.at, &picture.zone);
        }
        sheet.message(shown);
    }
    let height = sheet.y + 24;
    let name = escape(&card::line(&picture.group));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"{FONTS}\" font-size=\"15\" fill=\"{INK}\" role=\"img\" aria-label=\"{name}\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" rx=\"18\" fill=\"#f2f3f5\"/>\n\
         <path d=\"M0 {BAR}V18a18 18 0 0 1 18-18H372a18 18 0 0 1 18 18V{BAR}Z\" fill=\"#fff\"/>\n\
         <path d=\"M24 20l-8 8 8 8\" fill=\"none\" stroke=\"{INK}\" stroke-width=\"2\" stroke-linecap=\"round\" stroke-linejoin=\"round\"/>\n\
         <text x=\"195\" y=\"33\" text-anchor=\"middle\" font-size=\"17\" font-weight=\"600\">{name}</text>\n{}</svg>\n",
        sheet.out
    )
}

struct Sheet {
    out: String,
    /// Where the next thing begins.
    y: u32,
}

impl Sheet {
    /// Writing into a string cannot fail.
    fn put(&mut self, what: std::fmt::Arguments<'_>) {
        self.out.write_fmt(what).ok();
        self.out.push('\n');
    }

    fn time(&mut self, at: i64, zone: &TimeZone) {
        let time = Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX).to_zoned_datetime(zone.clone()).strftime("%H:%M");
        let y = self.y + 24;
        self.put(format_args!("<text x=\"195\" y=\"{y}\" text-anchor=\"middle\" font-size=\"12\" fill=\"{GREY}\">{time}</text>"));
        self.y += 32;
    }

    fn message(&mut self, shown: &Shown) {
        let top = self.y + 8;
        self.robot(top);
        let name = escape(&card::line(&shown.robot));
        self.put(format_args!("<text x=\"{CARD_X}\" y=\"{}\" font-size=\"12\" fill=\"{GREY}\">{name}</text>", top + 11));
        self.y = top + 18;
        let (card, inside) = (self.y, std::mem::take(&mut self.out));
        self.y += PADDING;
        self.blocks(&card::blocks(shown));
        self.y += PADDING;
        self.buttons(shown);
        // The card is drawn before what is on it, but only now is its height known.
        let content = std::mem::replace(&mut self.out, inside);
        let height = self.y - card;
        self.put(format_args!("<rect x=\"{CARD_X}\" y=\"{card}\" width=\"{CARD_WIDTH}\" height=\"{height}\" rx=\"10\" fill=\"#fff\"/>"));
        self.out.push_str(&content);
        self.rings(shown);
        self.y += 6;
    }

    /// The robot's picture.
    fn robot(&mut self, y: u32) {
        self.put(format_args!(
            "<g transform=\"translate(14 {y})\"><rect width=\"38\" height=\"38\" rx=\"8\" fill=\"{BLUE}\"/>\
             <path d=\"M19 7v5\" stroke=\"#fff\" stroke-width=\"2\" stroke-linecap=\"round\"/>\
             <rect x=\"9\" y=\"12\" width=\"20\" height=\"16\" rx=\"5\" fill=\"#fff\"/>\
             <circle cx=\"15\" cy=\"20\" r=\"2\" fill=\"{BLUE}\"/><circle cx=\"23\" cy=\"20\" r=\"2\" fill=\"{BLUE}\"/></g>"
        ));
    }

    fn blocks(&mut self, blocks: &[Block]) {
        let mut before: Option<&Kind> = None;
        for block in blocks {
            if let Some(before) = before {
                self.y += if close_together(before, &block.kind) { 2 } else { 10 };
            }
            self.block(block);
            before = Some(&block.kind);
        }
    }

    fn block(&mut self, block: &Block) {
        let size = match block.kind {
            Kind::Heading(level) => 21 - u32::from(level.min(5)),
            _ => 15,
        };
        let (left, leading, from) = (CARD_X + PADDING, size + 7, self.y);
        let indent = match &block.kind {
            Kind::Quote => 12,
            Kind::Item(marker) => u32::try_from(marker.chars().count()).unwrap_or(1) * 9 + 9,
            _ => 0,
        };
        let heading = matches!(block.kind, Kind::Heading(_));
        let measure = |text: &str, style: Style| thousandths(text, style.bold || heading) * size / 1000;
        let lines = wrap(&block.spans, CARD_WIDTH - 2 * PADDING - indent, &measure);
        if let Kind::Item(marker) = &block.kind {
            self.put(format_args!("<text x=\"{left}\" y=\"{}\">{}</text>", from + size, escape(marker)));
        }
        let quote = matches!(block.kind, Kind::Quote);
        for line in lines {
            let (x, y) = (left + indent, self.y + size);
            let weight = if heading { " font-weight=\"600\"" } else { "" };
            let fill = if quote { format!(" fill=\"{GREY}\"") } else { String::new() };
            let text: String = line.iter().map(tspan).collect();
            self.put(format_args!("<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\"{weight}{fill} xml:space=\"preserve\">{text}</text>"));
            self.y += leading;
        }
        // The last line's leading belongs to the gap.
        self.y -= 4;
        if quote {
            let height = self.y - from;
            self.put(format_args!("<rect x=\"{left}\" y=\"{from}\" width=\"3\" height=\"{height}\" rx=\"1.5\" fill=\"#dcdfe3\"/>"));
        }
    }

    fn buttons(&mut self, shown: &Shown) {
        let count = u32::try_from(shown.buttons.len()).unwrap_or(u32::MAX).max(1);
        let across = shown.side_by_side && count <= 3;
        let width = if across { CARD_WIDTH / count } else { CARD_WIDTH };
        let mut x = CARD_X;
        for (number, button) in shown.buttons.iter().enumerate() {
            let y = self.y;
            let line = if number > 0 && across { format!("M{x} {}v{}", y + 12, BUTTON - 24) } else { format!("M{x} {y}h{width}") };
            self.put(format_args!("<path d=\"{line}\" stroke=\"#eceef0\"/>"));
            if number > 0 && across {
                self.put(format_args!("<path d=\"M{x} {y}h{width}\" stroke=\"#eceef0\"/>"));
            }
            let (middle, title) = (x + width / 2, escape(&card::line(&button.title)));
            self.put(format_args!("<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" fill=\"{BLUE}\">{title}</text>", y + 27));
            if across {
                x += width;
            } else {
                self.y += BUTTON;
            }
        }
        if across && !shown.buttons.is_empty() {
            self.y += BUTTON;
        }
    }

    /// Who the message calls, below the card.
    fn rings(&mut self, shown: &Shown) {
        let mut people: Vec<String> = shown.mentions.people.iter().map(|name| format!("@{}", card::line(name))).collect();
        if shown.mentions.all {
            people.insert(0, "@all".into());
        }
        if !people.is_empty() {
            self.y += 18;
            let (y, people) = (self.y - 2, escape(&people.join(" ")));
            self.put(format_args!("<text x=\"{CARD_X}\" y=\"{y}\" font-size=\"12\" fill=\"{GREY}\">{people}</text>"));
        }
    }
}

fn tspan(span: &Span) -> String {
    let mut attributes = String::new();
    if span.style.bold {
        attributes.push_str(" font-weight=\"600\"");
    }
    if span.style.italic {
        attributes.push_str(" font-style=\"italic\"");
    }
    match span.style {
        Style { colour: Some([red, green, blue]), .. } => attributes.push_str(&format!(" fill=\"#{red:02x}{green:02x}{blue:02x}\"")),
        Style { link: true, .. } | Style { mention: true, .. } => attributes.push_str(&format!(" fill=\"{BLUE}\"")),
        _ => {}
    }
    let text = escape(&span.text);
    if attributes.is_empty() { text } else { format!("<tspan{attributes}>{text}</tspan>") }
}

/// The width of a text in thousandths of its size: a little more than common fonts need, as nobody knows which one will be there.
fn thousandths(text: &str, bold: bool) -> u32 {
    let width: u32 = text.chars().map(letter).sum();
    if bold { width * 107 / 100 } else { width }
}

fn letter(c: char) -> u32 {
    match c {
        _ if c.width() == Some(2) => {
            if c >= '\u{1f000}' {
                1300
            } else {
                1000
            }
        }
        _ if c.width() == Some(0) => 0,
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 280,
        ' ' | 'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | '-' | '·' => 360,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' | '—' => 900,
        'A'..='Z' => 690,
        _ => 570,
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
