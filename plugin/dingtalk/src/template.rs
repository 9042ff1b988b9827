//! A connector's own title and text: markup as its author wrote it, event text escaped, cut where it no longer fits.

use alloc::string::String;

use crate::escape;
use crate::types::Part;

/// How event text is escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Markdown,
    Plain,
}

/// A rendered template in at most `budget` bytes of JSON. True if it was cut.
pub(crate) fn render(parts: &[Part], style: Style, budget: usize) -> (String, bool) {
    let mut out = String::new();
    let mut used = 0;
    for part in parts {
        let cut = match part {
            Part::Markup(markup) => append(&mut out, &mut used, markup, budget),
            Part::Text(text) => {
                let mut escaped = String::new();
                match style {
                    Style::Markdown => escape::block(&mut escaped, text, budget, usize::MAX),
                    Style::Plain => escape::plain(&mut escaped, text, budget),
                };
                append(&mut out, &mut used, &escaped, budget)
            }
        };
        if cut {
            out.push('…');
            return (out, true);
        }
    }
    (out, false)
}

/// Appends what fits, never between a backslash and the character that it escapes. True if it was cut.
fn append(out: &mut String, used: &mut usize, text: &str, budget: usize) -> bool {
    let mut start = 0;
    while start < text.len() {
        let end = unit(text, start);
        let unit = text.get(start..end).unwrap_or_default();
        let bytes = escape::json_len(unit);
        if *used + bytes + '…'.len_utf8() > budget {
            return true;
        }
        *used += bytes;
        out.push_str(unit);
        start = end;
    }
    false
}

/// The end of the character at `start`, with what belongs to it: what a backslash escapes, the break that follows.
fn unit(text: &str, start: usize) -> usize {
    let mut chars = text.get(start..).unwrap_or_default().char_indices().peekable();
    let escapes = matches!(chars.next(), Some((_, '\\')));
    if escapes {
        chars.next();
    }
    chars.next_if(|(_, c)| *c == escape::BREAK);
    chars.peek().map_or(text.len(), |(n, _)| start + n)
}
