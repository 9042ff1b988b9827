//! The markdown of chat messages, read into blocks of styled text: for whoever draws them.

/// One block, drawn from the left margin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) kind: Kind,
    pub(crate) spans: Vec<Span>,
}

/// What a block is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 1 is the largest, 6 the smallest.
    Heading(u8),
    Paragraph,
    Quote,
    /// With `•` or a number.
    Item(String),
}

/// Text of one style. A line break is `\n`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) text: String,
    pub(crate) style: Style,
}

/// How text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) bold: bool,
    pub(crate) italic: bool,
    pub(crate) link: bool,
    pub(crate) mention: bool,
    pub(crate) colour: Option<[u8; 3]>,
}

/// Reads a text. A single line break inside a paragraph is a blank, as in the chats' clients.
pub(crate) fn read(text: &str) -> Vec<Block> {
    let mut blocks: Vec<(Kind, String)> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let trimmed = line.trim_start();
        let (kind, rest) = kind_of(trimmed);
        match blocks.last_mut() {
            // The line goes on with the paragraph, the item or the quote before it.
            Some((last, content)) if open && !trimmed.is_empty() && (kind == Kind::Paragraph || (kind == Kind::Quote && *last == kind)) => {
                let hard = content.ends_with("  ") || line.starts_with("  ");
                content.truncate(content.trim_end().len());
                content.push(if hard || kind == Kind::Quote { '\n' } else { ' ' });
                content.push_str(rest);
            }
            _ if trimmed.is_empty() => open = false,
            _ => {
                open = !matches!(kind, Kind::Heading(_));
                blocks.push((kind, rest.to_owned()));
            }
        }
    }
    blocks.into_iter().map(|(kind, content)| Block { kind, spans: inline(content.trim_end(), Style::default()) }).collect()
}

/// Reads plain text: nothing is markup, every line break counts.
pub(crate) fn plain(text: &str, style: Style) -> Block {
    Block { kind: Kind::Paragraph, spans: vec![Span { text: text.to_owned(), style }] }
}

fn kind_of(line: &str) -> (Kind, &str) {
    let hashes = line.bytes().take_while(|byte| *byte == b'#').count();
    if let (level @ 1..=6, Some(rest)) = (hashes, line[hashes..].strip_prefix(' ')) {
        return (Kind::Heading(level as u8), rest.trim());
    }
    if let Some(rest) = line.strip_prefix('>') {
        return (Kind::Quote, rest.trim_start());
    }
    if let Some(rest) = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")) {
        return (Kind::Item("•".into()), rest);
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    match line[digits..].strip_prefix(". ") {
        Some(rest) if (1..=3).contains(&digits) => (Kind::Item(format!("{}.", &line[..digits])), rest),
        _ => (Kind::Paragraph, line),
    }
}

/// How deep markup may nest; deeper is text.
const DEEPEST: u8 = 8;

/// Reads bold, italic, links, pictures and font colours.
pub(crate) fn inline(text: &str, style: Style) -> Vec<Span> {
    let mut spans = Vec::new();
    read_inline(text, style, DEEPEST, &mut spans);
    spans
}

fn read_inline(mut text: &str, style: Style, depth: u8, out: &mut Vec<Span>) {
    while let Some(next) = text.chars().next() {
        let found = if depth == 0 { None } else { markup(text, style) };
        if let Some((inner, inner_style, length)) = found {
            read_inline(inner, inner_style, depth - 1, out);
            text = &text[length..];
        } else if let Some((written, length)) = escape(text) {
            push(out, written, style);
            text = &text[length..];
        } else {
            push(out, next, style);
            text = &text[next.len_utf8()..];
        }
    }
}

fn push(out: &mut Vec<Span>, next: char, style: Style) {
    match out.last_mut() {
        Some(last) if last.style == style => last.text.push(next),
        _ => out.push(Span { text: next.into(), style }),
    }
}

/// Markup that begins here: its content, its style, and its length in bytes.
fn markup(text: &str, style: Style) -> Option<(&str, Style, usize)> {
    if let Some(rest) = text.strip_prefix("**") {
        let end = closing(rest, "**").filter(|end| *end > 0)?;
        return Some((&rest[..end], Style { bold: true, ..style }, end + 4));
    }
    if let Some(rest) = text.strip_prefix('*') {
        let end = closing(rest, "*").filter(|end| *end > 0 && !rest.starts_with(' '))?;
        return Some((&rest[..end], Style { italic: true, ..style }, end + 2));
    }
    if let Some(rest) = text.strip_prefix("![") {
        return bracketed(rest).map(|(label, length)| (label, Style { italic: true, ..style }, length + 2));
    }
    if let Some(rest) = text.strip_prefix('[') {
        return bracketed(rest).map(|(label, length)| (label, Style { link: true, ..style }, length + 1));
    }
    let rest = text.strip_prefix("<font color=")?;
    let close = rest.find('>')?;
    let end = closing(&rest[close + 1..], "</font>")?;
    let colour = hex(rest[..close].trim_matches(['"', '\'', ' ']));
    Some((&rest[close + 1..close + 1 + end], Style { colour: colour.or(style.colour), ..style }, 12 + close + 1 + end + 7))
}

/// `label](url)`: the label, and the length up to and with the `)`.
fn bracketed(rest: &str) -> Option<(&str, usize)> {
    let end = closing(rest, "]")?;
    let url = rest[end + 1..].strip_prefix('(')?;
    let close = url.find([')', '\n']).filter(|close| url[*close..].starts_with(')'))?;
    Some((&rest[..end], end + 2 + close + 1))
}

/// Where `mark` stands unescaped.
fn closing(text: &str, mark: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, next)| {
        let here = !escaped && text[at..].starts_with(mark);
        escaped = next == '\\' && !escaped;
        here.then_some(at)
    })
}

/// A backslash before punctuation, or an entity: the character that is meant, and the length in bytes.
fn escape(text: &str) -> Option<(char, usize)> {
    if let Some(rest) = text.strip_prefix('\\') {
        return rest.chars().next().filter(char::is_ascii_punctuation).map(|next| (next, 2));
    }
    let end = text.strip_prefix('&')?.find(';').filter(|end| *end <= 8)?;
    let written = match &text[1..=end] {
        "nbsp" => '\u{a0}',
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        name => match name.strip_prefix("#x") {
            Some(hex) => char::from_u32(u32::from_str_radix(hex, 16).ok()?)?,
            None => char::from_u32(name.strip_prefix('#')?.parse().ok()?)?,
        },
    };
    Some((written, end + 2))
}

fn hex(colour: &str) -> Option<[u8; 3]> {
    let digits = colour.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
    let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
    Some([part(0)?, part(2)?, part(4)?])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn flat(text: &str) -> String {
        inline(text, Style::default()).into_iter().map(|span| span.text).collect()
    }

    #[test]
    fn markup_becomes_style_and_leaves_the_text() {
        let spans = inline("<font color=#E5484D>PENDING</font> [a **b**](https://x) \\*c\\* &lt;", Style::default());
        let red = Style { colour: Some([0xe5, 0x48, 0x4d]), ..Style::default() };
        assert_eq!(spans[0], Span { text: "PENDING".into(), style: red });
        assert_eq!(spans[2], Span { text: "a ".into(), style: Style { link: true, ..Style::default() } });
        assert!(spans[3].style.bold && spans[3].style.link);
        assert_eq!(spans[4].text, " *c* <");
    }

    #[test]
    fn what_is_not_closed_is_text() {
        for text in ["**a", "*", "* a *", "[a](b", "[a] (b)", "<font color=#fff>a", "![", "&;", "&unknown;", "\\", "a\\b"] {
            assert_eq!(flat(text), text);
        }
    }

    #[test]
    fn lines_join_unless_two_blanks_say_otherwise() {
        let blocks = read("### head\na\nb  \nc\n\n> q\n> r\n\n- one\n- two\n12. twelve");
        let kinds: Vec<_> = blocks.iter().map(|block| block.kind.clone()).collect();
        let item = |marker: &str| Kind::Item(marker.into());
        assert_eq!(kinds, [Kind::Heading(3), Kind::Paragraph, Kind::Quote, item("•"), item("•"), item("12.")]);
        assert_eq!((blocks[1].spans[0].text.as_str(), blocks[2].spans[0].text.as_str()), ("a b\nc", "q\nr"));
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in "[*\\[\\]()!<>a-f#=&;\\\\ \n字-]{0,80}") {
            read(&text);
        }

        #[test]
        fn text_without_marks_stays_as_it_is(text in "[a-zA-Z0-9 字,.:]{0,40}") {
            prop_assert_eq!(flat(&text), text);
        }
    }
}
