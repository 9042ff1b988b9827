//! The values of a config: a tree while it is read, text once it is in use, since a tree takes several times the memory.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::explain::child;

/// JSON that nests deeper is not read back.
const MAX_DEPTH: usize = 100;

/// The values of a config.
pub(super) enum Tree {
    /// As it was read.
    Whole(Value),
    /// For each section what is in it; in the order of their names.
    Packed(BTreeMap<Box<str>, Section>),
}

/// A section of a packed config.
pub(super) enum Section {
    /// A table by keys.
    Table(BTreeMap<Box<str>, Leaf>),
    /// A list.
    List(Vec<Leaf>),
    /// Anything else.
    Value(Value),
}

/// A value inside a section.
pub(super) enum Leaf {
    /// As JSON.
    Text(Box<str>),
    /// One that JSON could not be read back for.
    Value(Value),
}

impl Tree {
    /// The value at a path.
    pub(super) fn value(&self, path: &[&str]) -> Option<Cow<'_, Value>> {
        let sections = match self {
            Tree::Whole(value) => return below(Cow::Borrowed(value), path),
            Tree::Packed(sections) => sections,
        };
        let Some((section, path)) = path.split_first() else {
            let whole = sections.iter().map(|(name, section)| (name.to_string(), section.value()));
            return Some(Cow::Owned(Value::Object(whole.collect())));
        };
        let section = sections.get(*section)?;
        let Some((name, path)) = path.split_first() else { return Some(Cow::Owned(section.value())) };
        let leaf = match section {
            Section::Table(leaves) => leaves.get(*name)?.value(),
            Section::List(leaves) => leaves.get(name.parse::<usize>().ok()?)?.value(),
            Section::Value(value) => Cow::Borrowed(child(value, name)?),
        };
        below(leaf, path)
    }

    /// The keys of the table at a path; of a packed section in their order.
    pub(super) fn keys(&self, path: &[&str]) -> Vec<String> {
        if let (Tree::Packed(sections), [section]) = (self, path)
            && let Some(Section::Table(leaves)) = sections.get(*section)
        {
            return leaves.keys().map(ToString::to_string).collect();
        }
        let value = self.value(path);
        value.as_deref().and_then(Value::as_object).map(|table| table.keys().cloned().collect()).unwrap_or_default()
    }

    /// The same values, in little memory. Their order is lost.
    pub(super) fn pack(&mut self) {
        let Tree::Whole(Value::Object(table)) = self else { return };
        let sections = std::mem::take(table).into_iter().map(|(name, value)| (name.into(), Section::of(value)));
        *self = Tree::Packed(sections.collect());
    }
}

impl Section {
    fn of(value: Value) -> Section {
        match value {
            Value::Object(table) => Section::Table(table.into_iter().map(|(name, value)| (name.into(), Leaf::of(value))).collect()),
            Value::Array(items) => Section::List(items.into_iter().map(Leaf::of).collect()),
            value => Section::Value(value),
        }
    }

    fn value(&self) -> Value {
        match self {
            Section::Table(leaves) => {
                let table: Map<String, Value> = leaves.iter().map(|(name, leaf)| (name.to_string(), leaf.value().into_owned())).collect();
                Value::Object(table)
            }
            Section::List(leaves) => leaves.iter().map(|leaf| leaf.value().into_owned()).collect(),
            Section::Value(value) => value.clone(),
        }
    }
}

impl Leaf {
    fn of(value: Value) -> Leaf {
        if nests(&value, MAX_DEPTH) { Leaf::Value(value) } else { Leaf::Text(value.to_string().into()) }
    }

    fn value(&self) -> Cow<'_, Value> {
        match self {
            Leaf::Text(text) => Cow::Owned(serde_json::from_str(text).expect("a value that was written as JSON is read as JSON")),
            Leaf::Value(value) => Cow::Borrowed(value),
        }
    }
}

/// Whether a value is deeper than so many levels.
fn nests(value: &Value, levels: usize) -> bool {
    let Some(levels) = levels.checked_sub(1) else { return true };
    match value {
        Value::Array(items) => items.iter().any(|item| nests(item, levels)),
        Value::Object(table) => table.values().any(|item| nests(item, levels)),
        _ => false,
    }
}

/// What is below a value.
fn below<'v>(value: Cow<'v, Value>, path: &[&str]) -> Option<Cow<'v, Value>> {
    match value {
        Cow::Borrowed(value) => path.iter().try_fold(value, |value, segment| child(value, segment)).map(Cow::Borrowed),
        Cow::Owned(value) => path.iter().try_fold(&value, |value, segment| child(value, segment)).cloned().map(Cow::Owned),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_packed_tree_holds_the_same_values() {
        let deep = (0..200).fold(json!(1), |value, _| json!([value]));
        let value = json!({
            "connectors": { "a": { "url": "https://x/\u{1f600}", "list": [1, 2.5, null, { "b": true }] }, "b": "text", "deep": deep },
            "actions": [{ "name": "one" }, { "name": "two" }],
            "version": 3,
        });
        let whole = Tree::Whole(value.clone());
        let mut packed = Tree::Whole(value);
        packed.pack();
        let paths: [&[&str]; 11] = [
            &[],
            &["connectors"],
            &["connectors", "a"],
            &["connectors", "a", "list", "3", "b"],
            &["connectors", "deep", "0", "0"],
            &["connectors", "none"],
            &["actions", "1"],
            &["actions", "1", "name"],
            &["actions", "2"],
            &["version"],
            &["version", "x"],
        ];
        for path in paths {
            assert_eq!(packed.value(path), whole.value(path), "{path:?}");
            assert_eq!(packed.keys(path).len(), whole.keys(path).len(), "{path:?}");
        }
    }
}
