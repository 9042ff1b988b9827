//! Colours: on a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise.

use std::io::IsTerminal;

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paint {
    on: bool,
}

impl Paint {
    /// As a stream wants it.
    pub(super) fn of(stream: &impl IsTerminal) -> Paint {
        let set = |name: &str| std::env::var(name).ok();
        Paint { on: wanted(stream.is_terminal(), set("NO_COLOR").as_deref(), set("TERM").as_deref()) }
    }

    /// Never, for tests of what is drawn.
    #[cfg(test)]
    pub(super) const OFF: Paint = Paint { on: false };

    /// Always, for tests of what is drawn.
    #[cfg(test)]
    pub(super) const ON: Paint = Paint { on: true };

    /// Whether anything is coloured.
    #[cfg(feature = "simulator")]
    pub(super) fn is_on(self) -> bool {
        self.on
    }

    fn code(self, code: &str, text: &str) -> String {
        if self.on && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Something is wrong.
    pub(super) fn red(self, text: &str) -> String {
        self.code("31", text)
    }

    /// Something is to be looked at.
    pub(super) fn yellow(self, text: &str) -> String {
        self.code("33", text)
    }

    /// Something is as it should be.
    pub(super) fn green(self, text: &str) -> String {
        self.code("32", text)
    }

    /// Less important than what stands beside it.
    pub(super) fn faint(self, text: &str) -> String {
        self.code("2", text)
    }

    /// A heading.
    pub(super) fn bold(self, text: &str) -> String {
        self.code("1", text)
    }
}

/// <https://no-color.org>: the variable counts when it is set and not empty.
fn wanted(terminal: bool, no_color: Option<&str>, term: Option<&str>) -> bool {
    terminal && no_color.is_none_or(str::is_empty) && term != Some("dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_and_never_with_no_color() {
        assert!(wanted(true, None, Some("xterm")));
        assert!(wanted(true, Some(""), None));
        assert!(!wanted(false, None, Some("xterm")));
        assert!(!wanted(true, Some("1"), Some("xterm")));
        assert!(!wanted(true, None, Some("dumb")));
        assert_eq!(Paint::OFF.red("x"), "x");
        assert_eq!(Paint::ON.red("x"), "\u{1b}[31mx\u{1b}[0m");
    }
}
