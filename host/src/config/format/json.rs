//! Reads JSON, with the place of every value.

use std::ops::Range;

use crate::config::node::{Data, Entry, Fault, MAX_DEPTH, Node, too_deep};
use crate::config::place::{Lines, Position, narrow};

pub(crate) fn read(text: &str) -> Result<Node, Fault> {
    // serde_json says whether it is JSON at all; what follows only has to find where the values are.
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| fault_of(&error))?;
    Reader { text, lines: Lines::new(text), at: 0 }.node(0)
}

fn fault_of(error: &serde_json::Error) -> Fault {
    let at = Position { line: narrow(error.line()), column: narrow(error.column().max(1)) };
    let text = error.to_string();
    // The place is told by the fault itself.
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    Fault::new(at, format!("no valid JSON: {text}"))
}

/// Walks over a text that is known to be valid.
struct Reader<'t> {
    text: &'t str,
    lines: Lines<'t>,
    at: usize,
}

impl Reader<'_> {
    fn node(&mut self, depth: usize) -> Result<Node, Fault> {
        let first = self.peek();
        let at = self.lines.at(self.at);
        if depth > MAX_DEPTH {
            return Err(too_deep(at));
        }
        let data = match first {
            b'{' => self.table(depth)?,
            b'[' => self.list(depth)?,
            b'"' => Data::String(self.string(at)?),
            b't' => self.word(4, Data::Bool(true)),
            b'f' => self.word(5, Data::Bool(false)),
            b'n' => self.word(4, Data::Null),
            _ => self.number(at)?,
        };
        Ok(Node { at, data })
    }

    fn table(&mut self, depth: usize) -> Result<Data, Fault> {
        let mut entries = Vec::new();
        self.at += 1;
        while self.peek() != b'}' {
            let at = self.lines.at(self.at);
            let key = self.string(at)?;
            self.skip(b':');
            entries.push(Entry { key, at, node: self.node(depth + 1)? });
            self.skip(b',');
        }
        self.at += 1;
        Ok(Data::Table(entries))
    }

    fn list(&mut self, depth: usize) -> Result<Data, Fault> {
        let mut items = Vec::new();
        self.at += 1;
        while self.peek() != b']' {
            items.push(self.node(depth + 1)?);
            self.skip(b',');
        }
        self.at += 1;
        Ok(Data::List(items))
    }

    fn string(&mut self, at: Position) -> Result<String, Fault> {
        let start = self.at;
        self.at += 1;
        while !matches!(self.byte(), b'"' | 0) {
            self.at += if self.byte() == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        self.parse(at, start..self.at)
    }

    fn number(&mut self, at: Position) -> Result<Data, Fault> {
        let start = self.at;
        while matches!(self.byte(), b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E') {
            self.at += 1;
        }
        self.parse(at, start..self.at).map(Data::Number)
    }

    fn parse<T: serde::de::DeserializeOwned>(&self, at: Position, range: Range<usize>) -> Result<T, Fault> {
        let slice = self.text.get(range).unwrap_or_default();
        serde_json::from_str(slice).map_err(|error| Fault { at, ..fault_of(&error) })
    }

    fn word(&mut self, length: usize, data: Data) -> Data {
        self.at += length;
        data
    }

    /// The next byte that is no blank, without taking it.
    fn peek(&mut self) -> u8 {
        while self.byte().is_ascii_whitespace() {
            self.at += 1;
        }
        self.byte()
    }

    fn skip(&mut self, byte: u8) {
        if self.peek() == byte {
            self.at += 1;
        }
    }

    /// 0 at the end; a control character cannot be in valid JSON.
    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or_default()
    }
}
