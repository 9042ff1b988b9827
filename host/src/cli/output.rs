//! What commands print: results on standard output, complaints on standard error, colours only on a terminal.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::Failure;

/// Says on standard error what went wrong, a line each, without credentials.
pub(super) fn complain(text: &str) {
    let clean = crate::telemetry::Redactor::default().redact(text).into_owned();
    for line in clean.lines() {
        eprintln!("incident-sink: {line}");
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

/// Whether standard output is a terminal that wants colours.
pub(super) fn colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Columns as wide as their widest cell.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&mut head.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines.join("\n")
}

/// A moment as people in any zone read it.
pub(super) fn moment(at: crate::clock::UnixMs) -> String {
    jiff::Timestamp::from_millisecond(at).map_or_else(|_| "-".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}
