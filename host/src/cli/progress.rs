//! How far long work is: one line on standard error, only where somebody looks at it.

use std::io::Write;
use std::time::{Duration, Instant};

/// How often the line is drawn anew.
const EVERY: Duration = Duration::from_millis(100);

/// The line; it is gone when this is dropped.
pub(super) struct Progress {
    shown: bool,
    drawn: Option<Instant>,
}

impl Progress {
    /// Draws nothing yet.
    pub(super) fn new() -> Progress {
        Progress { shown: super::output::is_watched(), drawn: None }
    }

    /// So much of so much is done.
    pub(super) fn at(&mut self, done: usize, all: usize, what: &str) {
        self.draw(&bar(done, all, what));
    }

    /// So much is left, of an amount that nobody knows.
    pub(super) fn left(&mut self, count: u64, what: &str) {
        self.draw(&format!("{count} {what} left"));
    }

    fn draw(&mut self, line: &str) {
        if self.shown && self.drawn.is_none_or(|at| at.elapsed() >= EVERY) {
            self.drawn = Some(Instant::now());
            // A terminal that went away loses nothing but this line.
            let _ = write!(std::io::stderr(), "\r{line}\u{1b}[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}

fn bar(done: usize, all: usize, what: &str) -> String {
    const WIDTH: usize = 24;
    let filled = (done.min(all) * WIDTH).checked_div(all).unwrap_or(WIDTH);
    format!("{}{} {done} of {all} {what}", "█".repeat(filled), "░".repeat(WIDTH - filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_up_and_never_overflows() {
        assert!(bar(0, 10, "replayed").starts_with("░"));
        assert!(bar(10, 10, "replayed").ends_with("█ 10 of 10 replayed"));
        assert_eq!(bar(20, 10, "x").matches('█').count(), 24);
        assert_eq!(bar(0, 0, "x").matches('█').count(), 24);
    }
}
