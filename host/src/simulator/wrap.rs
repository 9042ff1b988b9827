//! Breaks styled text into lines of a given width, whatever a width is measured in.

use unicode_width::UnicodeWidthChar;

use crate::markup::{Span, Style};

/// A line of styled text.
pub(super) type Line = Vec<Span>;

/// Breaks at blanks and between wide characters; a word that is longer than a line is cut.
pub(super) fn wrap(spans: &[Span], width: u32, measure: &dyn Fn(&str, Style) -> u32) -> Vec<Line> {
    let mut lines: Vec<Line> = vec![Vec::new()];
    let mut used = 0;
    for (piece, style) in spans.iter().flat_map(|span| pieces(&span.text).into_iter().map(|piece| (piece, span.style))) {
        if piece == "\n" {
            lines.push(Vec::new());
            used = 0;
            continue;
        }
        let word = piece.trim_end_matches(' ');
        let needed = measure(word, style);
        if used > 0 && used + needed > width {
            lines.push(Vec::new());
            used = 0;
        }
        if needed > width {
            for letter in letters(word) {
                let needed = measure(letter, style);
                if used > 0 && used + needed > width {
                    lines.push(Vec::new());
                    used = 0;
                }
                put(&mut lines, letter, style);
                used += needed;
            }
            put(&mut lines, &piece[word.len()..], style);
            used += measure(&piece[word.len()..], style);
        } else if used > 0 || !piece.trim_matches(' ').is_empty() {
            put(&mut lines, piece, style);
            used += measure(piece, style);
        }
    }
    lines.iter_mut().for_each(trim_end);
    lines
}

fn put(lines: &mut [Line], text: &str, style: Style) {
    let Some(line) = lines.last_mut().filter(|_| !text.is_empty()) else { return };
    match line.last_mut() {
        Some(last) if last.style == style => last.text.push_str(text),
        _ => line.push(Span { text: text.to_owned(), style }),
    }
}

/// Blanks at a line's end are not drawn.
fn trim_end(line: &mut Line) {
    while let Some(last) = line.last_mut() {
        last.text.truncate(last.text.trim_end_matches(' ').len());
        if !last.text.is_empty() {
            return;
        }
        line.pop();
    }
}

/// Text that may be broken between its pieces: words with their blanks, single wide characters, line breaks.
fn pieces(text: &str) -> Vec<&str> {
    let mut cuts = vec![0];
    let mut before: Option<char> = None;
    for (at, next) in text.char_indices() {
        let cut = before.is_some_and(|before| {
            let joins = next.width() == Some(0) || next == ' ' || closes(next);
            (next == '\n' || before == '\n') || (!joins && (before == ' ' || wide(before) || wide(next)))
        });
        if cut {
            cuts.push(at);
        }
        // A mark that has no width does not change what stands before the next character.
        if next.width() != Some(0) || next == '\n' {
            before = Some(next);
        }
    }
    cuts.push(text.len());
    cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).filter(|piece| !piece.is_empty()).collect()
}

fn wide(c: char) -> bool {
    c.width() == Some(2)
}

/// Must not begin a line.
fn closes(c: char) -> bool {
    ",。、;:!?)》」』】,.;:!?)".contains(c)
}

/// Characters, each with the marks that belong to it.
fn letters(text: &str) -> impl Iterator<Item = &str> {
    let mut starts: Vec<usize> = text.char_indices().filter(|(at, c)| *at == 0 || c.width() != Some(0)).map(|(at, _)| at).collect();
    starts.push(text.len());
    (1..starts.len()).map(move |end| &text[starts[end - 1]..starts[end]])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr;

    use super::*;

    fn cells(text: &str, _: Style) -> u32 {
        u32::try_from(text.width()).unwrap()
    }

    fn wrapped(text: &str, width: u32) -> Vec<String> {
        let spans = [Span { text: text.into(), style: Style::default() }];
        wrap(&spans, width, &cells).into_iter().map(|line| line.into_iter().map(|span| span.text).collect()).collect()
    }

    #[test]
    fn words_break_at_blanks_and_chinese_anywhere_but_before_a_full_stop() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("数据库主库不可用。", 8), ["数据库主", "库不可", "用。"]);
        assert_eq!(wrapped("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrapped("a\n\nb", 4), ["a", "", "b"]);
    }

    proptest! {
        #[test]
        fn no_line_is_too_wide_and_no_letter_is_lost(text in "[a-z 数据库。,\n]{0,80}", width in 4u32..20) {
            let lines = wrapped(&text, width);
            for line in &lines {
                prop_assert!(line.width() <= width as usize, "{:?}", lines);
            }
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }
    }
}
