//! Draws a card at a phone's width, as a chat shows it. A picture: nothing in it can be pressed.

use maud::{Markup, html};

use super::card::Card;
use super::format::fill;
use super::words::Words;
use crate::markup::{Block, Kind, Span, Style};

/// The card, said by `who`.
pub(super) fn card(w: &Words, card: &Card, who: &str) -> Markup {
    html! {
        figure.chat {
            figcaption.unseen { (w.as_seen) }
            @if let Some(title) = &card.title { p.notice { span.notice-app aria-hidden="true" { "●" } span.unseen { (w.in_lists) ": " } (title) } }
            div.said {
                span.face aria-hidden="true" { (who.chars().next().unwrap_or('•')) }
                div.bubble-side {
                    span.who { (who) }
                    div.bubble {
                        div.bubble-text { @for block in &card.blocks { (draw_block(block, &card.called)) } }
                        @if !card.entries.is_empty() { ul.entries { @for entry in &card.entries { li { (entry) } } } }
                        @if !card.buttons.is_empty() {
                            div.buttons.across[card.across && card.buttons.len() <= 4] role="list" aria-label=(w.buttons) {
                                @for button in &card.buttons { span role="listitem" { (button) } }
                            }
                        }
                    }
                    (calls(w, card))
                }
            }
        }
    }
}

fn calls(w: &Words, card: &Card) -> Markup {
    let names: Vec<String> = card.called.iter().map(|name| format!("@{name}")).collect();
    html! {
        @if card.all { p.rings { (w.rings_all) } }
        @else if !names.is_empty() { p.rings { (fill(w.rings, &[&names.join(" ")])) } }
    }
}

fn draw_block(block: &Block, called: &[String]) -> Markup {
    let spans = html! { @for span in &block.spans { (draw_span(span, called)) } };
    match &block.kind {
        // Not real headings: they are no part of this page's outline.
        Kind::Heading(level) => html! { p class={ "h h" (level) } { (spans) } },
        Kind::Paragraph => html! { p { (spans) } },
        Kind::Quote => html! { p.quote { (spans) } },
        Kind::Item(marker) => html! { p.item { span.marker { (marker) } span { (spans) } } },
    }
}

fn draw_span(span: &Span, called: &[String]) -> Markup {
    let Style { bold, italic, link, colour, .. } = span.style;
    let class = [bold.then_some("b"), italic.then_some("i"), link.then_some("link"), colour.map(hue)];
    let class: Vec<&str> = class.into_iter().flatten().collect();
    let text = html! {
        @for (number, line) in span.text.split('\n').enumerate() {
            @if number > 0 { br; }
            @for (name, piece) in pieces(line, called) { @if name { span.call { (piece) } } @else { (piece) } }
        }
    };
    html! { @if class.is_empty() { (text) } @else { span class=(class.join(" ")) { (text) } } }
}

/// A line, cut where it calls somebody: `true` for the call.
fn pieces<'t>(line: &'t str, called: &[String]) -> Vec<(bool, &'t str)> {
    let mut out = Vec::new();
    let mut rest = line;
    let next = |rest: &str| {
        let found = called.iter().filter_map(|name| rest.find(&format!("@{name}")).map(|at| (at, name.len() + 1)));
        found.min_by_key(|(at, length)| (*at, usize::MAX - *length))
    };
    while let Some((at, length)) = next(rest) {
        out.push((false, &rest[..at]));
        out.push((true, &rest[at..at + length]));
        rest = &rest[at + length..];
    }
    out.push((false, rest));
    out.retain(|(_, piece)| !piece.is_empty());
    out
}

/// The nearest of the colours that read well on both backgrounds.
fn hue([red, green, blue]: [u8; 3]) -> &'static str {
    let (r, g, b) = (i32::from(red), i32::from(green), i32::from(blue));
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    let range = most - least;
    if range < 40 {
        return "hue-grey";
    }
    let angle = match most {
        _ if most == r => (60 * (g - b) / range).rem_euclid(360),
        _ if most == g => 60 * (b - r) / range + 120,
        _ => 60 * (r - g) / range + 240,
    };
    match angle {
        0..18 | 330..360 => "hue-red",
        18..70 => "hue-orange",
        70..170 => "hue-green",
        170..255 => "hue-blue",
        _ => "hue-violet",
    }
}

#[cfg(test)]
mod tests {
    use super::super::card::read;
    use super::*;

    #[test]
    fn a_card_is_drawn_with_its_styles_and_nothing_of_it_is_markup() {
        let body = serde_json::json!({ "card": {
            "title": "<b>down</b>",
            "text": "### <font color=#E5484D>PENDING</font> [x <script>](https://a/)\n\n> quoted\n\n- item @138 and\n\n**bold**",
            "btns": [{ "title": "Accept", "actionURL": "javascript://a" }],
            "at": ["138"]
        }});
        let html = card(Words::choose(Some("en"), None), &read(&body.to_string()).unwrap(), "ops").0;
        for wanted in [
            "<p class=\"h h3\"><span class=\"hue-red\">PENDING</span>",
            "<p class=\"quote\">quoted</p>",
            "<span class=\"call\">@138</span>",
            "<span class=\"b\">bold</span>",
            "&lt;b&gt;down&lt;/b&gt;",
        ] {
            assert!(html.contains(wanted), "{wanted}\n{html}");
        }
        assert!(!html.contains("<script") && !html.contains("href") && !html.contains("style="), "{html}");
    }

    #[test]
    fn a_colour_becomes_the_nearest_that_reads_well() {
        let hues = [[0xe5, 0x48, 0x4d], [0xf7, 0x6b, 0x15], [0x30, 0xa4, 0x6c], [0x3e, 0x63, 0xdd], [0x88, 0x88, 0x88], [0x8e, 0x4e, 0xc6]]
            .map(hue);
        assert_eq!(hues, ["hue-red", "hue-orange", "hue-green", "hue-blue", "hue-grey", "hue-violet"]);
    }
}
