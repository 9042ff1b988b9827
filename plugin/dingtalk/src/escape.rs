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
fn one_line(text: &str) -> impl Iterator<Item = char> + '_ {
    let mut pending = false;
    let mut started = false;
    text.chars()
        .filter(|c| c.is_whitespace() || is_line_end(*c) || !is_invisible(*c))
        .flat_map(move |c| {
            if c.is_whitespace() || is_line_end(c) {
                pending = started;
                return [None, None];
            }
            started = true;
            let space = core::mem::take(&mut pending).then_some(' ');
            [space, Some(c)]
        })
        .flatten()
}

/// Appends one line without markup, for titles and text messages. True if it was cut at `max` characters.
pub(crate) fn plain(out: &mut String, text: &str, max: usize) -> bool {
    let mut last = ' ';
    for (n, c) in one_line(text).enumerate() {
        if n == max {
            out.push('…');
            return true;
        }
        part_scheme(out, last, c);
        out.push(c);
        if is_at(c) {
            out.push(BREAK);
        }
        last = c;
    }
    false
}

/// Appends one line for markdown. True if it was cut at `max` characters.
pub(crate) fn line(out: &mut String, text: &str, max: usize) -> bool {
    let mut escaper = Escaper::default();
    for (n, c) in one_line(text).enumerate() {
        if n == max {
            out.push('…');
            return true;
        }
        escaper.push(out, c);
    }
    false
}

/// Appends a text of several lines for markdown. True if it was cut at `max` characters or at `max_lines` lines.
pub(crate) fn block(out: &mut String, text: &str, max: usize, max_lines: usize) -> bool {
    let mut left = max;
    let mut lines = 0;
    for source in text.split(is_line_end) {
        let mut shown = one_line(source).peekable();
        if shown.peek().is_none() {
            continue;
        }
        if lines == max_lines || left == 0 {
            out.push('…');
            return true;
        }
        if lines > 0 {
            out.push_str("  \n");
        }
        lines += 1;
        let mut escaper = Escaper::default();
        for c in shown {
            if left == 0 {
                out.push('…');
                return true;
            }
            left -= 1;
            escaper.push(out, c);
        }
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
    one_line(text).take_while(fits).count()
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
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at_checked(end)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'_');
    if host.is_empty() || !host.bytes().all(plain) || path.chars().any(is_invisible) {
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
