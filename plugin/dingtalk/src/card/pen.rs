//! Writes one layout either as markdown or as plain text, user text escaped for it.

use alloc::string::String;

use crate::escape;
use crate::template::Style;

/// A text being written.
pub(crate) struct Pen {
    out: String,
    style: Style,
    pc_slide: Option<bool>,
    max_href: usize,
}

impl Pen {
    pub(crate) fn new(style: Style, pc_slide: Option<bool>, max_href: usize) -> Pen {
        Pen { out: String::new(), style, pc_slide, max_href }
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }

    pub(crate) fn is_markdown(&self) -> bool {
        self.style == Style::Markdown
    }

    /// The plugin's own words, as they stand.
    pub(crate) fn own(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// The plugin's own words in markdown; nothing in plain text.
    pub(crate) fn markup(&mut self, text: &str) {
        if self.is_markdown() {
            self.out.push_str(text);
        }
    }

    /// User text on one line. True if it was cut.
    pub(crate) fn user(&mut self, text: &str, max: usize) -> bool {
        match self.style {
            Style::Markdown => escape::line(&mut self.out, text, max),
            Style::Plain => escape::plain(&mut self.out, text, max),
        }
    }

    /// User text on several lines. True if it was cut.
    pub(crate) fn block(&mut self, text: &str, max: usize, max_lines: usize) -> bool {
        if self.is_markdown() {
            return escape::block(&mut self.out, text, max, max_lines);
        }
        let mut left = max;
        let mut lines = text.lines().filter(|line| !line.trim().is_empty()).peekable();
        for _ in 0..max_lines {
            let Some(line) = lines.next() else { return false };
            if escape::plain(&mut self.out, line, left) {
                return true;
            }
            left = left.saturating_sub(line.chars().count());
            if lines.peek().is_some() {
                self.out.push('\n');
            }
        }
        if lines.peek().is_some() {
            self.out.push('…');
            return true;
        }
        false
    }

    /// User text, escaped, to be put into a sentence.
    pub(crate) fn escaped(&self, text: &str, max: usize) -> String {
        let mut part = Pen::new(self.style, None, 0);
        part.user(text, max);
        part.finish()
    }

    /// Bold user text.
    pub(crate) fn bold(&mut self, text: &str, max: usize) {
        self.wrapped("**", text, max);
    }

    /// Italic user text.
    pub(crate) fn italic(&mut self, text: &str, max: usize) {
        self.wrapped("*", text, max);
    }

    fn wrapped(&mut self, mark: &str, text: &str, max: usize) {
        self.markup(mark);
        self.user(text, max);
        self.markup(mark);
    }

    /// User text that leads to an address; without the link where the address is none that may be followed.
    pub(crate) fn link(&mut self, text: &str, max: usize, address: &str) {
        let href = escape::href(address).filter(|href| href.len() <= self.max_href);
        match (self.style, href) {
            (Style::Markdown, Some(href)) => {
                self.out.push('[');
                self.user(text, max);
                self.out.push_str("](");
                self.out.push_str(&destination(&href, self.pc_slide));
                self.out.push(')');
            }
            (Style::Plain, Some(href)) => {
                if text != address {
                    self.user(text, max);
                    self.out.push(' ');
                }
                self.out.push_str(&href);
            }
            (_, None) => {
                self.user(text, max);
            }
        }
    }

    /// A picture, where it may be loaded; its address as a link in plain text.
    pub(crate) fn image(&mut self, alt: &str, max: usize, address: &str) {
        match escape::href(address).filter(|src| self.is_markdown() && src.len() <= self.max_href) {
            Some(src) => {
                self.out.push_str("![");
                self.user(alt, max);
                self.out.push_str("](");
                self.out.push_str(&src);
                self.out.push(')');
            }
            None => self.link(alt, max, address),
        }
    }

    /// Whether nothing stands on the line yet.
    pub(crate) fn is_fresh(&self) -> bool {
        self.out.is_empty() || self.out.ends_with('\n')
    }

    /// A new paragraph, unless nothing was written yet.
    pub(crate) fn paragraph(&mut self) {
        self.gap(if self.is_markdown() { "\n\n" } else { "\n" });
    }

    /// ` · `, unless this is the first thing of its line.
    pub(crate) fn dot(&mut self) {
        if !self.is_fresh() {
            self.gap(" · ");
        }
    }

    fn gap(&mut self, gap: &str) {
        if !self.out.is_empty() && !self.out.ends_with('\n') {
            self.out.push_str(gap);
        }
    }
}

/// Where a click leads: the address, or DingTalk's own link that says where to open it on a computer.
pub(crate) fn destination(href: &str, pc_slide: Option<bool>) -> String {
    let Some(slide) = pc_slide else { return href.into() };
    let mut out = String::from("dingtalk://dingtalkclient/page/link?url=");
    escape::encode(&mut out, href, b"-._~");
    out.push_str(if slide { "&pc_slide=true" } else { "&pc_slide=false" });
    out
}
