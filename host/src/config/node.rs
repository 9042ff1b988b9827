//! A parsed document before it is filled in: what all three formats are read into.

use serde_json::Number;

use super::place::Position;

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) data: Data,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    List(Vec<Node>),
    /// In the order of the text; a key may still be there twice.
    Table(Vec<Entry>),
}

/// A key of a table with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: Position,
    pub(crate) node: Node,
}

/// Something that a reader cannot take, and where.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) at: Position,
    pub(crate) text: String,
}

impl Fault {
    pub(crate) fn new(at: Position, text: impl Into<String>) -> Self {
        Fault { at, text: text.into() }
    }
}

/// How deep tables and lists may be nested: far more than any config needs, far less than a stack holds.
pub(crate) const MAX_DEPTH: usize = 64;

/// The one text of that limit.
pub(crate) fn too_deep(at: Position) -> Fault {
    Fault::new(at, format!("nested too deeply; at most {MAX_DEPTH} levels"))
}
