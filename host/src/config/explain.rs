//! Turns what serde says into what a person can act on: the path of the key, the nearest known name, and no secret.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};

use super::names_a_secret;

/// What is wrong within a section.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Explained {
    /// From the section down.
    pub(crate) path: Vec<String>,
    /// Whether it is the key that is wrong, rather than its value.
    pub(crate) at_key: bool,
    /// For people.
    pub(crate) text: String,
}

/// Deserialises a section. `secret` says of a path within it whether its value came from the environment or a file.
pub(crate) fn read<T: DeserializeOwned>(section: &Value, secret: &dyn Fn(&[&str]) -> bool) -> Result<T, Explained> {
    let error = match serde_path_to_error::deserialize::<_, T>(section) {
        Ok(read) => return Ok(read),
        Err(error) => error,
    };
    // A section with a `type` is buffered until its type is known, and then errors have no path. With the type in front nothing is
    // buffered. The error is the same one, so that it is enough to look for it a second time.
    let ordered = type_first(section);
    let error = serde_path_to_error::deserialize::<_, T>(&ordered).err().unwrap_or(error);
    let mut explained = explain(section, existing(section, error.path()), &error.inner().to_string(), secret);
    explained.text = hide(section, explained.text, secret);
    Err(explained)
}

fn type_first(value: &Value) -> Value {
    match value {
        Value::Object(table) => {
            let first = table.get_key_value("type").into_iter();
            let rest = table.iter().filter(|(key, _)| *key != "type");
            Value::Object(first.chain(rest).map(|(key, value)| (key.clone(), type_first(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(type_first).collect()),
        scalar => scalar.clone(),
    }
}

/// The part of a path that is there. What serde calls an enum's variant is a key only where it has a value.
fn existing(section: &Value, path: &Path) -> Vec<String> {
    let mut at = section;
    let mut found = Vec::new();
    for segment in path {
        let name = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.clone(),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => continue,
        };
        let Some(child) = child(at, &name) else { continue };
        at = child;
        found.push(name);
    }
    found
}

/// An entry of a table by its key, or an item of a list by its index.
pub(crate) fn child<'v>(value: &'v Value, segment: &str) -> Option<&'v Value> {
    match value {
        Value::Object(table) => table.get(segment),
        Value::Array(items) => items.get(segment.parse::<usize>().ok()?),
        _ => None,
    }
}

fn explain(section: &Value, mut path: Vec<String>, message: &str, secret: &dyn Fn(&[&str]) -> bool) -> Explained {
    if let Some((name, known)) = named(message, "unknown field `") {
        if path.last().map(String::as_str) != Some(name) {
            path.push(name.to_owned());
        }
        return Explained { path, at_key: true, text: unknown_key(name, &known) };
    }
    if let Some((name, known)) = named(message, "unknown variant `") {
        let text = format!("`{name}` is not known; {}", hint(name, &known));
        return Explained { path, at_key: false, text };
    }
    if let Some((name, _)) = named(message, "missing field `") {
        return Explained { path, at_key: true, text: format!("`{name}` is missing") };
    }
    let text = match mismatch(message) {
        Some((found, expected)) if is_secret(section, &path, secret) => format!("expected {expected}, found {}", kind(&found)),
        Some((found, expected)) => format!("expected {expected}, found {found}"),
        None => message.to_owned(),
    };
    Explained { path, at_key: false, text }
}

/// The name in a message that begins so, and the names that it lists after it.
fn named<'m>(message: &'m str, begin: &str) -> Option<(&'m str, Vec<&'m str>)> {
    let (name, rest) = message.strip_prefix(begin)?.split_once('`')?;
    // Between two backticks, every second piece is a name.
    Some((name, rest.split('`').skip(1).step_by(2).collect()))
}

/// What to say of a key that nobody knows.
pub(crate) fn unknown_key(name: &str, known: &[&str]) -> String {
    format!("unknown key; {}", hint(name, known))
}

/// The known name that a wrong one was most likely meant to be; else all of them.
pub(crate) fn hint(name: &str, known: &[&str]) -> String {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let distance = |candidate: &str| strsim::damerau_levenshtein(&plain(candidate), &plain(name));
    let nearest = known.iter().map(|known| (distance(known), known)).min();
    match nearest {
        Some((distance, nearest)) if distance <= (name.chars().count() / 3).max(1) => format!("did you mean `{nearest}`?"),
        Some(_) => format!("known are {}", known.iter().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ")),
        None => "none is known here".to_owned(),
    }
}

/// What was found and what was expected, in a config's words.
fn mismatch(message: &str) -> Option<(String, String)> {
    let rest = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    let inner = |begin: &str| found.strip_prefix(begin).map(|rest| rest.trim_matches('`').to_owned());
    let found = match found {
        "map" => "a table".to_owned(),
        "sequence" => "a list".to_owned(),
        "null" | "unit value" | "Option value" => "nothing".to_owned(),
        other => inner("string ")
            .or_else(|| inner("integer "))
            .or_else(|| inner("floating point "))
            .or_else(|| inner("boolean "))
            .unwrap_or_else(|| other.to_owned()),
    };
    let expected = match expected {
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => "a whole number from 0 to 4294967295".to_owned(),
        "u64" | "usize" => "a whole number, not negative".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a map" => "a table".to_owned(),
        "a sequence" => "a list".to_owned(),
        other if other.starts_with("struct ") || other.starts_with("dyn ") => "a table".to_owned(),
        other => other.to_owned(),
    };
    Some((found, expected))
}

fn kind(found: &str) -> &str {
    match found {
        "a table" | "a list" | "nothing" => found,
        found if found.starts_with('"') => "another text",
        found if found.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => "a number",
        _ => "something else",
    }
}

fn is_secret(section: &Value, path: &[String], secret: &dyn Fn(&[&str]) -> bool) -> bool {
    let segments: Vec<&str> = path.iter().map(String::as_str).collect();
    let there = segments.iter().try_fold(section, |value, segment| child(value, segment)).is_some();
    there && (segments.iter().any(|key| names_a_secret(key)) || secret(&segments))
}

/// Takes every secret of the section out of a text: a message of a type's own may repeat any value.
fn hide(section: &Value, text: String, secret: &dyn Fn(&[&str]) -> bool) -> String {
    let mut secrets = Vec::new();
    collect(section, &mut Vec::new(), secret, false, &mut secrets);
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.iter().fold(text, |text, secret| {
        let escaped = format!("{secret:?}");
        let text = text.replace(&escaped, "…").replace(&format!("`{secret}`"), "…");
        // A short one would take letters out of every word.
        if secret.len() < 4 { text } else { text.replace(secret.as_str(), "…") }
    })
}

fn collect<'v>(value: &'v Value, path: &mut Vec<&'v str>, secret: &dyn Fn(&[&str]) -> bool, inside: bool, found: &mut Vec<String>) {
    let inside = inside || path.last().is_some_and(|key| names_a_secret(key)) || secret(path);
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                path.push(key);
                collect(value, path, secret, inside, found);
                path.pop();
            }
        }
        // Items of a list are as secret as the list, whatever their index.
        Value::Array(items) => items.iter().for_each(|item| collect(item, path, secret, inside, found)),
        Value::String(text) if inside && !text.is_empty() => found.push(text.clone()),
        Value::Number(number) if inside => found.push(number.to_string()),
        _ => {}
    }
}
