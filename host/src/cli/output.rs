//! What commands print: results on standard output, complaints on standard error, colours only on a terminal.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::Failure;
use super::paint::Paint;

/// Says on standard error what went wrong, a line each, without credentials.
pub(super) fn complain(text: &str) {
    let clean = crate::telemetry::Redactor::default().redact(text).into_owned();
    let paint = Paint::of(&io::stderr());
    for line in clean.lines() {
        let (word, rest) = line.strip_prefix("warning: ").map_or(("", line), |rest| ("warning: ", rest));
        eprintln!("{} {}{rest}", paint.faint("incident-sink:"), paint.yellow(word));
    }
}

/// Prints a line. A reader that went away (`| head`) is no error.
pub(super) fn say(line: &str) -> Result<(), Failure> {
    match writeln!(io::stdout(), "{line}") {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::Failed(format!("cannot write to standard output: {error}"))),
    }
}

/// Prints a value as JSON, for programs.
pub(super) fn say_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::Failed(error.to_string()))?;
    say(&text)
}

/// Prints JSON where a program asked for it, else the sentence.
pub(super) fn say_either(json: bool, value: &impl Serialize, sentence: impl FnOnce() -> String) -> Result<(), Failure> {
    if json { say_json(value) } else { say(&sentence()) }
}

/// Whether standard output is a terminal that wants colours.
#[cfg(feature = "simulator")]
pub(super) fn colour() -> bool {
    Paint::of(&io::stdout()).is_on()
}

/// Columns as wide as their widest cell.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let paint = Paint::of(&io::stdout());
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.width()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| pad(cell, *width)).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![paint.faint(&line(&mut head.iter().copied()))];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines.join("\n")
}

/// Fills up with spaces to a width on the screen, where a Chinese character takes two columns.
pub(super) fn pad(cell: &str, width: usize) -> String {
    format!("{cell}{}", " ".repeat(width.saturating_sub(cell.width())))
}

/// A moment as people in any zone read it.
pub(super) fn moment(at: crate::clock::UnixMs) -> String {
    jiff::Timestamp::from_millisecond(at).map_or_else(|_| "-".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

/// Whether a person looks at standard error, and progress is worth drawing there.
pub(super) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_with_chinese_in_them() {
        let rows = [vec!["数据库".to_owned(), "1".to_owned()], vec!["db".to_owned(), "2".to_owned()]];
        let text = table(&["NAME", "N"], &rows);
        let places: Vec<usize> = text.lines().map(|line| line.width()).collect();
        assert_eq!(places, [9, 9, 9], "{text}");
    }
}
