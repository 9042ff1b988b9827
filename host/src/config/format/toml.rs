//! Reads TOML.

use serde_json::Number;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::node::{Data, Entry, Fault, MAX_DEPTH, Node, too_deep};
use crate::config::place::{Lines, Position};

/// One broken line tends to break what follows: more faults than this help nobody.
const MAX_FAULTS: usize = 10;

pub(crate) fn read(text: &str) -> Result<Node, Vec<Fault>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut lines = Lines::new(text);
    let mut faults: Vec<Fault> = errors
        .iter()
        .map(|error| {
            let at = error.span().map(|span| lines.at(span.start)).unwrap_or_default();
            Fault::new(at, error.message().trim().replace('\n', ", "))
        })
        .collect();
    if faults.is_empty() {
        let mut reader = Reader { lines, faults: Vec::new() };
        let data = reader.table(table.into_inner(), 1);
        if reader.faults.is_empty() {
            return Ok(Node { at: Position { line: 1, column: 1 }, data });
        }
        faults = reader.faults;
    }
    faults.sort_by_key(|fault| fault.at);
    faults.dedup_by_key(|fault| fault.at.line);
    faults.truncate(MAX_FAULTS);
    Err(faults)
}

struct Reader<'t> {
    lines: Lines<'t>,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn table(&mut self, table: DeTable<'_>, depth: usize) -> Data {
        let entries = table.into_iter().map(|(key, value)| {
            let at = self.lines.at(key.span().start);
            Entry { key: key.into_inner().into_owned(), at, node: self.node(value, depth) }
        });
        Data::Table(entries.collect())
    }

    fn node(&mut self, value: Spanned<DeValue<'_>>, depth: usize) -> Node {
        let at = self.lines.at(value.span().start);
        let data = match value.into_inner() {
            _ if depth > MAX_DEPTH => {
                self.faults.push(too_deep(at));
                Data::Null
            }
            DeValue::String(text) => Data::String(text.into_owned()),
            DeValue::Integer(integer) => self.number(at, integer_of(integer.as_str(), integer.radix()), "a whole number of 64 bits"),
            DeValue::Float(float) => self.number(at, float.as_str().parse().ok().and_then(Number::from_f64), "a finite number"),
            DeValue::Boolean(truth) => Data::Bool(truth),
            DeValue::Datetime(time) => Data::String(time.to_string()),
            DeValue::Array(items) => Data::List(items.into_iter().map(|item| self.node(item, depth + 1)).collect()),
            DeValue::Table(table) => self.table(table, depth + 1),
        };
        Node { at, data }
    }

    fn number(&mut self, at: Position, number: Option<Number>, expected: &str) -> Data {
        match number {
            Some(number) => Data::Number(number),
            None => {
                self.faults.push(Fault::new(at, format!("expected {expected}")));
                Data::Null
            }
        }
    }
}

fn integer_of(digits: &str, radix: u32) -> Option<Number> {
    let signed = i64::from_str_radix(digits, radix).map(Number::from);
    signed.or_else(|_| u64::from_str_radix(digits, radix).map(Number::from)).ok()
}
