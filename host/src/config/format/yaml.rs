//! Reads YAML 1.2 with its core schema: one document, aliases within a limit, no tags but the core ones.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};
use serde_json::Number;

use crate::config::node::{Data, Entry, Fault, MAX_DEPTH, Node, too_deep};
use crate::config::place::{Position, narrow};

/// The most values that all aliases of a document may stand for: ten short lines of YAML can ask for a thousand million.
const MAX_COPIED: usize = 100_000;

pub(crate) fn read(text: &str) -> Result<Node, Fault> {
    let mut reader = Reader { parser: Parser::new_from_str(text), anchors: HashMap::new(), copied: 0 };
    let node = loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(_), _) => {}
            // An empty file is a table without keys, as an empty TOML file is.
            (Event::StreamEnd, span) => return Ok(Node { at: place(span.start), data: Data::Table(Vec::new()) }),
            (event, span) => break reader.node(event, span, 0)?,
        }
    };
    match reader.next()? {
        (Event::DocumentEnd, _) => {}
        (_, span) => return Err(Fault::new(place(span.start), "expected the end of the document")),
    }
    match reader.next()? {
        (Event::StreamEnd, _) => Ok(node),
        (_, span) => Err(Fault::new(place(span.start), "a second document begins here; a config is one document")),
    }
}

fn place(mark: Marker) -> Position {
    Position { line: narrow(mark.line()), column: narrow(mark.col() + 1) }
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    copied: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Fault> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Fault::new(place(*error.marker()), format!("no valid YAML: {}", error.info()))),
            None => Err(Fault::new(Position::default(), "no valid YAML: the text ends too early")),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Fault> {
        let at = place(span.start);
        if depth > MAX_DEPTH {
            return Err(too_deep(at));
        }
        let (data, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor, at),
            Event::Scalar(text, style, anchor, tag) => (scalar(&text, style, tag.as_deref()).map_err(|text| Fault::new(at, text))?, anchor),
            Event::SequenceStart(anchor, tag) => {
                only_core(tag.as_deref(), "seq").map_err(|text| Fault::new(at, text))?;
                (self.list(depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                only_core(tag.as_deref(), "map").map_err(|text| Fault::new(at, text))?;
                (self.table(depth)?, anchor)
            }
            _ => return Err(Fault::new(at, "expected a value")),
        };
        let node = Node { at, data };
        // Anchors are numbered from 1; 0 is none.
        if anchor > 0 {
            self.copy_allowed(&node, at)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Data, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Data::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn table(&mut self, depth: usize) -> Result<Data, Fault> {
        let mut entries = Vec::new();
        loop {
            let (key, at) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Data::Table(entries)),
                (Event::Scalar(text, _, 0, _), span) => (text.into_owned(), place(span.start)),
                (_, span) => return Err(Fault::new(place(span.start), "a key must be plain text")),
            };
            let (event, span) = self.next()?;
            entries.push(Entry { key, at, node: self.node(event, span, depth + 1)? });
        }
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<Node, Fault> {
        let node = self.anchors.get(&anchor).cloned();
        let node = node.ok_or_else(|| Fault::new(at, "the alias names a value that is not complete yet"))?;
        self.copy_allowed(&node, at)?;
        Ok(Node { at, data: node.data })
    }

    fn copy_allowed(&mut self, node: &Node, at: Position) -> Result<(), Fault> {
        self.copied = self.copied.saturating_add(size(node));
        match self.copied > MAX_COPIED {
            true => Err(Fault::new(at, format!("the aliases stand for more than {MAX_COPIED} values"))),
            false => Ok(()),
        }
    }
}

fn size(node: &Node) -> usize {
    match &node.data {
        Data::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Data::Table(entries) => 1 + entries.iter().map(|entry| size(&entry.node)).sum::<usize>(),
        _ => 1,
    }
}

fn only_core(tag: Option<&Tag>, suffix: &str) -> Result<(), String> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == suffix) => Err(format!("the tag `{tag}` is not known")),
        _ => Ok(()),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Data, String> {
    let Some(tag) = tag else {
        return if style == ScalarStyle::Plain { plain(text) } else { Ok(Data::String(text.to_owned())) };
    };
    let data = match tag.suffix.as_str() {
        _ if !tag.is_yaml_core_schema() => return Err(format!("the tag `{tag}` is not known")),
        "str" => Some(Data::String(text.to_owned())),
        "null" => plain(text).ok().filter(|data| matches!(data, Data::Null)),
        "bool" => plain(text).ok().filter(|data| matches!(data, Data::Bool(_))),
        "int" => integer(text).map(Data::Number),
        "float" => float(text).and_then(Number::from_f64).map(Data::Number),
        _ => return Err(format!("the tag `{tag}` is not known")),
    };
    data.ok_or_else(|| format!("the value does not fit its tag `{tag}`"))
}

/// A plain scalar by the core schema (YAML 1.2.2, 10.3.2): `no` and `on` are texts, and so is `0777` a number of base ten.
fn plain(text: &str) -> Result<Data, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Data::Null),
        "true" | "True" | "TRUE" => return Ok(Data::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Data::Bool(false)),
        _ => {}
    }
    if let Some(number) = integer(text) {
        return Ok(Data::Number(number));
    }
    match float(text) {
        Some(number) => Number::from_f64(number).map(Data::Number).ok_or_else(|| "expected a finite number".to_owned()),
        None => Ok(Data::String(text.to_owned())),
    }
}

fn integer(text: &str) -> Option<Number> {
    let (digits, radix) = match text.get(..2) {
        Some("0x") => (text.get(2..)?, 16),
        Some("0o") => (text.get(2..)?, 8),
        _ => (text, 10),
    };
    // `from_str_radix` takes a sign after `0x`, which the schema does not.
    if radix != 10 && digits.starts_with(['+', '-']) {
        return None;
    }
    let signed = i64::from_str_radix(digits, radix).map(Number::from);
    signed.or_else(|_| u64::from_str_radix(digits, radix).map(Number::from)).ok()
}

fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(f64::INFINITY);
    }
    // Rust reads all that the schema does, and `inf`, `nan` and `infinity` too.
    let numeric = unsigned.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    let begins = unsigned.trim_start_matches('.').starts_with(|c: char| c.is_ascii_digit());
    if numeric && begins { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        match plain(text) {
            Ok(Data::Null) => "null".to_owned(),
            Ok(Data::Bool(truth)) => format!("bool {truth}"),
            Ok(Data::Number(number)) => format!("number {number}"),
            Ok(Data::String(text)) => format!("string {text}"),
            Ok(_) => unreachable!("a scalar is no list"),
            Err(error) => error,
        }
    }

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        let table = [
            ("~", "null"),
            ("no", "string no"),
            ("True", "bool true"),
            ("0o17", "number 15"),
            ("0x1F", "number 31"),
            ("0x-1", "string 0x-1"),
            ("0777", "number 777"),
            ("-5", "number -5"),
            ("18446744073709551615", "number 18446744073709551615"),
            ("1.", "number 1.0"),
            (".5", "number 0.5"),
            ("1e3", "number 1000.0"),
            ("inf", "string inf"),
            (".inf", "expected a finite number"),
            ("1.2.3", "string 1.2.3"),
            ("+49 170", "string +49 170"),
            ("10s", "string 10s"),
        ];
        for (text, expected) in table {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (name, of) in ["b", "c", "d", "e", "f", "g"].iter().zip(["a", "b", "c", "d", "e", "f"]) {
            text += &format!("{name}: &{name} [{}]\n", vec![format!("*{of}"); 10].join(","));
        }
        let fault = read(&text).unwrap_err();
        assert!(fault.text.contains("aliases"), "{}", fault.text);
    }
}
