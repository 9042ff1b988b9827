//! User text as data: what an incident says can neither break the layout, nor mention anyone, nor forge a link.
//!
//! DingTalk does not document how its clients treat a backslash or an entity. So every break holds in both cases: `\]\(` is no link for a
//! client that knows backslash escapes, nor for one that does not; `<` is parted from the name of a tag; `@` is parted from a number.

use alloc::string::String;

/// An invisible character that parts `@` from a name and `<` from a tag. It is removed from user text, so only this module writes it.
pub(crate) const BREAK: char = '\u{200b}';

/// The longest address that becomes a link; a longer one is shown as text.
pub(crate) const MAX_HREF: usize = 2000;

/// Characters that are shown as nothing, or that reorder the text around them.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a reader would see anything.
pub(crate) fn is_visible(text: &str) -> bool {
    text.chars().any(|c| !c.is_whitespace() && !is_invisible(c))
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// The visible characters of a text as one line: runs of white space are one space, none at the ends.
struct Line<'a> {
    /// What has not been looked at.
    rest: &'a str,
    /// Whether the line stops where the text's line does, which is taken then. Otherwise a line's end is white space.
    stops: bool,
    /// Whether anything was shown.
    started: bool,
    /// Whether white space was passed that is owed before the next character.
    pending: bool,
}

impl<'a> Line<'a> {
    fn of(text: &'a str) -> Line<'a> {
        Line { rest: text, stops: false, started: false, pending: false }
    }

    fn first_of(text: &'a str) -> Line<'a> {
        Line { stops: true, ..Line::of(text) }
    }

    /// Takes letters and digits, with single spaces between them, that follow one: such runs are most of any text, and nothing in them is
    /// special. They are at most so many characters, whose number is returned too.
    fn run(&mut self, max: usize) -> (&'a str, usize) {
        let bytes = self.rest.as_bytes();
        let calm = |at: usize| bytes.get(at).map_or(0, |byte| CALM[usize::from(*byte)]);
        let (mut len, mut chars) = (0, 0);
        while chars < max {
            match calm(len) {
                0 if bytes.get(len) == Some(&b' ') && calm(len + 1) > 0 => len += 1,
                0 => break,
                size => len += usize::from(size),
            }
            chars += 1;
        }
        let (run, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.rest = rest;
        (run, chars)
    }
}

impl Iterator for Line<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        loop {
            let mut chars = self.rest.chars();
            let c = chars.next()?;
            let shown = matches!(c, '!'..='~') || is_calm(c) || !(c.is_whitespace() || is_invisible(c));
            if shown && core::mem::take(&mut self.pending) {
                return Some(' ');
            }
            self.rest = chars.as_str();
            if shown {
                self.started = true;
                return Some(c);
            }
            if self.stops && is_line_end(c) {
                return None;
            }
            self.pending |= self.started && c.is_whitespace();
        }
    }
}

/// Whether a character is always shown, and means nothing to markdown after another one of these.
fn is_calm(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '\u{4000}'..='\u{9fff}')
}

/// How many bytes such a character takes, by its first byte; 0 for a byte that begins none.
const CALM: [u8; 256] = {
    let mut sizes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        sizes[byte] = match byte as u8 {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => 1,
            0xe4..=0xe9 => 3,
            _ => 0,
        };
        byte += 1;
    }
    sizes
};

/// Appends one line without markup, for titles and text messages. True if it was cut at `max` characters.
pub(crate) fn plain(out: &mut String, text: &str, max: usize) -> bool {
    let mut last = ' ';
    let mut left = max;
    let mut shown = Line::of(text);
    while let Some(c) = shown.next() {
        if left == 0 {
            out.push('…');
            return true;
        }
        left -= 1;
        part_scheme(out, last, c);
        out.push(c);
        if is_at(c) {
            out.push(BREAK);
        }
        last = c;
        if is_calm(c) {
            let (run, chars) = shown.run(left);
            out.push_str(run);
            left -= chars;
        }
    }
    false
}

/// Appends one line for markdown. True if it was cut at `max` characters.
pub(crate) fn line(out: &mut String, text: &str, max: usize) -> bool {
    let mut shown = Line::of(text);
    let first = shown.next();
    escaped(out, first, &mut shown, &mut { max })
}

/// Appends a text of several lines for markdown. True if it was cut at `max` characters or at `max_lines` lines.
pub(crate) fn block(out: &mut String, text: &str, max: usize, max_lines: usize) -> bool {
    let mut left = max;
    let mut lines = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let mut shown = Line::first_of(rest);
        if let Some(first) = shown.next() {
            if lines == max_lines || left == 0 {
                out.push('…');
                return true;
            }
            if lines > 0 {
                out.push_str("  \n");
            }
            lines += 1;
            if escaped(out, Some(first), &mut shown, &mut left) {
                return true;
            }
        }
        rest = shown.rest;
    }
    false
}

/// Appends a line, of which `next` was taken already. True if it was cut where nothing is `left`.
fn escaped(out: &mut String, mut next: Option<char>, shown: &mut Line<'_>, left: &mut usize) -> bool {
    let mut escaper = Escaper::default();
    while let Some(c) = next {
        if *left == 0 {
            out.push('…');
            return true;
        }
        *left -= 1;
        escaper.push(out, c);
        if is_calm(c) {
            let (run, chars) = shown.run(*left);
            escaper.copy(out, run);
            *left -= chars;
        }
        next = shown.next();
    }
    false
}

/// How many characters of a text fill so many columns of a list: a Chinese character is two wide, and takes three bytes.
pub(crate) fn chars_in(text: &str, columns: usize) -> usize {
    let mut left = columns;
    let fits = |c: &char| {
        let width = if *c < '\u{1100}' { 1 } else { 2 };
        left.checked_sub(width).inspect(|rest| left = *rest).is_some()
    };
    Line::of(text).take_while(fits).count()
}

fn is_at(c: char) -> bool {
    matches!(c, '@' | '＠' | '﹫')
}

/// Parts the colon of a scheme such as `dtmd:` from its slashes, so that no client makes a command of it.
fn part_scheme(out: &mut String, last: char, c: char) {
    if c == '/' && last == ':' && !out.ends_with("http:") && !out.ends_with("https:") {
        out.push(BREAK);
    }
}

/// Escapes the characters of one line, one after the other.
#[derive(Default)]
struct Escaper {
    /// The last character of the text; none at the start of a line.
    last: Option<char>,
    /// Only digits so far: `1.` would start a list.
    digits: bool,
}

impl Escaper {
    fn push(&mut self, out: &mut String, c: char) {
        let start = self.last.is_none();
        let list = self.digits && matches!(c, '.' | ')');
        self.digits = (start || self.digits) && c.is_ascii_digit();
        if let Some(last) = self.last {
            part(out, last, c);
        }
        let last = self.last.replace(c).unwrap_or(' ');
        if (start && matches!(c, '#' | '>' | '-' | '+' | '=' | ':' | '|')) || list || is_markup(last, c) {
            out.push('\\');
        }
        out.push(c);
        if is_at(c) {
            out.push(BREAK);
        }
    }

    /// Appends what follows a letter or digit and needs nothing.
    fn copy(&mut self, out: &mut String, run: &str) {
        if let Some(last) = run.chars().next_back() {
            out.push_str(run);
            self.digits &= run.bytes().all(|byte| byte.is_ascii_digit());
            self.last = Some(last);
        }
    }
}

/// Parts what must not follow the last character directly.
fn part(out: &mut String, last: char, c: char) {
    let tag = last == '<' && (c.is_alphabetic() || matches!(c, '/' | '!' | '?'));
    let entity = last == '&' && (c.is_ascii_alphanumeric() || c == '#');
    if tag || entity {
        out.push(BREAK);
    } else if last == ']' && matches!(c, '(' | ':') {
        out.push('\\');
    } else {
        part_scheme(out, last, c);
    }
}

/// Whether a character must be escaped wherever it stands. An underscore inside a word (`app_server_1`) opens nothing and stays readable.
fn is_markup(last: char, c: char) -> bool {
    match c {
        '\\' | '*' | '`' | '[' | ']' | '<' => true,
        '_' => !last.is_alphanumeric(),
        '~' => last == '~',
        _ => false,
    }
}

/// An address that may stand in a link: http or https, a plain host, nothing that could end the link early. `None` is to be shown as text.
pub(crate) fn href(address: &str) -> Option<String> {
    let address = address.trim();
    let (scheme, rest) = address.split_once("://")?;
    if !(scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")) || address.len() > MAX_HREF {
        return None;
    }
    let end = rest.bytes().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (host, path) = rest.split_at_checked(end)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'_');
    if host.is_empty() || !host.bytes().all(plain) || (!path.bytes().all(|byte| byte.is_ascii_graphic()) && path.chars().any(is_invisible))
    {
        return None;
    }
    let mut out = String::with_capacity(address.len());
    out.push_str(&scheme.to_ascii_lowercase());
    out.push_str("://");
    out.push_str(host);
    encode(&mut out, path, b"-._~/?#!$&'+,;=:%");
    (out.len() <= MAX_HREF).then_some(out)
}

/// Appends a text percent-encoded, letters, digits and `keep` excepted.
pub(crate) fn encode(out: &mut String, text: &str, keep: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || keep.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// How many bytes a text takes inside a JSON string.
pub(crate) fn json_len(text: &str) -> usize {
    text.bytes()
        .map(|b| match b {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
            0..=31 => 6,
            _ => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::any::text;

    /// What is shown of a line, said in the plainest way.
    fn shown(text: &str) -> String {
        let visible: String = text.chars().filter(|c| c.is_whitespace() || !is_invisible(*c)).collect();
        visible.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The same for markdown, character by character.
    fn escaped_one_by_one(text: &str, max: usize) -> (String, bool) {
        let (mut out, mut escaper) = (String::new(), Escaper::default());
        let shown = shown(text);
        shown.chars().take(max).for_each(|c| escaper.push(&mut out, c));
        let cut = shown.chars().count() > max;
        if cut {
            out.push('…');
        }
        (out, cut)
    }

    proptest! {
        #[test]
        fn runs_are_copied_as_characters_would_be(source in prop_oneof![text(10), "[0-9a-z中 .)<&_@:\u{200b}\t-]{0,40}"], max in 0usize..60) {
            let mut out = String::new();
            let cut = line(&mut out, &source, max);
            prop_assert_eq!((out, cut), escaped_one_by_one(&source, max));
            prop_assert_eq!(Line::of(&source).collect::<String>(), shown(&source));
        }

        #[test]
        fn a_block_is_its_lines_that_show_anything(source in prop_oneof![text(10), "[a-z中 \n\r\u{2028}\u{200b}]{0,40}"]) {
            let mut out = String::new();
            prop_assert!(!block(&mut out, &source, usize::MAX, usize::MAX));
            let lines = source.split(is_line_end).filter(|line| is_visible(line));
            let lines: Vec<String> = lines.map(|line| escaped_one_by_one(line, usize::MAX).0).collect();
            prop_assert_eq!(out, lines.join("  \n"));
        }
    }
}
