//! Text that a plugin wrote, made fit for logs and pages.

/// The most that is kept of one text, in bytes.
pub const LINE: usize = 2048;

/// One line: line breaks and tabs become spaces, other control characters go, the rest is cut to [`LINE`] bytes.
pub fn line(text: &str) -> String {
    clean(text, LINE, |c| if c.is_whitespace() { Some(' ') } else { None })
}

/// Many lines: control characters but line breaks and tabs go, the rest is cut to `most` bytes.
pub fn block(text: &str, most: usize) -> String {
    clean(text, most, |c| matches!(c, '\n' | '\t').then_some(c))
}

fn clean(text: &str, most: usize, control: impl Fn(char) -> Option<char>) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    for c in text.chars() {
        let Some(c) = (if is_control(c) { control(c) } else { Some(c) }) else { continue };
        if out.len() + c.len_utf8() > most {
            break;
        }
        out.push(c);
    }
    out
}

/// Control characters, and those that turn the direction of the text around them: a terminal or a page must not obey either.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The longest beginning of a text that has at most so many bytes and ends between characters.
pub fn prefix(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_has_no_escape_sequence_and_no_line_break() {
        assert_eq!(line("a\x1b[31mred\r\nb\u{202e}c"), "a[31mred  bc");
        assert_eq!(block("a\tb\r\nc\0", 10), "a\tb\nc");
    }

    proptest! {
        #[test]
        fn cleaned_text_is_bounded_and_clean(text in "\\PC*|.*", most in 0_usize..64) {
            let cut = block(&text, most);
            prop_assert!(cut.len() <= most);
            prop_assert!(!cut.chars().any(|c| is_control(c) && c != '\n' && c != '\t'));
            prop_assert!(!line(&text).chars().any(is_control));
            prop_assert!(text.starts_with(prefix(&text, most)) && prefix(&text, most).len() <= most);
        }
    }
}
