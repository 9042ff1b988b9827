//! Replaces `{ env = "X" }` and `{ file = "p" }`, and takes the places out of the tree.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::names_a_secret;
use super::node::{Data, Entry, Fault, Node};
use super::place::{PathId, Place, Places, Position};
use crate::secret::Secret;

/// The longest credential that is read from a file: a private key is a twentieth of it.
const MAX_FILE: u64 = 64 * 1024;

/// A filled document.
pub(crate) struct Filled {
    pub(crate) value: Value,
    pub(crate) places: Places,
    pub(crate) secrets: Vec<Secret>,
    /// The files that were read, or that could not be.
    pub(crate) files: Vec<PathBuf>,
    /// What is wrong, each with the path of its key.
    pub(crate) faults: Vec<(Vec<String>, Fault)>,
}

/// Fills a tree in. `env` answers for the environment; files lie beside `base`.
pub(crate) fn fill(root: Node, base: &Path, env: &dyn Fn(&str) -> Option<String>) -> Filled {
    let places = Places::default();
    let mut filler = Filler { base, env, places, secrets: HashSet::new(), files: Vec::new(), path: Vec::new(), faults: Vec::new() };
    let value = filler.value(root, PathId::ROOT);
    let secrets = filler.secrets.into_iter().map(Secret::new).collect();
    Filled { value, places: filler.places.sorted(), secrets, files: filler.files, faults: filler.faults }
}

struct Filler<'a> {
    base: &'a Path,
    env: &'a dyn Fn(&str) -> Option<String>,
    places: Places,
    secrets: HashSet<String>,
    files: Vec<PathBuf>,
    path: Vec<String>,
    faults: Vec<(Vec<String>, Fault)>,
}

impl Filler<'_> {
    fn value(&mut self, node: Node, id: PathId) -> Value {
        match node.data {
            Data::Null => Value::Null,
            Data::Bool(truth) => Value::Bool(truth),
            Data::Number(number) => Value::Number(number),
            Data::String(text) => {
                if self.is_credential(&text) {
                    self.remember(&text);
                }
                Value::String(text)
            }
            Data::List(items) => self.list(items, id),
            Data::Table(entries) => match reference(&entries) {
                Some(reference) if id != PathId::ROOT => self.referred(&reference, node.at, id),
                _ => self.table(entries, id),
            },
        }
    }

    fn list(&mut self, items: Vec<Node>, id: PathId) -> Value {
        let items = items.into_iter().enumerate().map(|(index, item)| {
            let segment = index.to_string();
            let place = Place { key: item.at, value: item.at };
            self.child(segment, place, item, id)
        });
        Value::Array(items.collect())
    }

    fn table(&mut self, entries: Vec<Entry>, id: PathId) -> Value {
        let mut table = Map::with_capacity(entries.len());
        for Entry { key, at, node } in entries {
            let place = Place { key: at, value: node.at };
            if table.contains_key(&key) {
                self.path.push(key);
                self.fault(at, "the key is there twice");
                self.path.pop();
                continue;
            }
            let value = self.child(key.clone(), place, node, id);
            table.insert(key, value);
        }
        Value::Object(table)
    }

    fn child(&mut self, segment: String, place: Place, node: Node, parent: PathId) -> Value {
        let id = parent.child(&segment);
        self.places.note(id, place);
        self.path.push(segment);
        let value = self.value(node, id);
        self.path.pop();
        value
    }

    fn referred(&mut self, reference: &Reference, at: Position, id: PathId) -> Value {
        let text = match reference {
            Reference::Env(name) => match (self.env)(name) {
                Some(text) if !text.is_empty() => Ok(text),
                Some(_) => Err(format!("the environment variable `{name}` is empty")),
                None => Err(format!("the environment variable `{name}` is not set")),
            },
            Reference::File(path) => {
                let file = self.base.join(path);
                let read = read_secret(&file).map_err(|cause| format!("the file `{path}` {cause}"));
                self.files.push(file);
                read
            }
        };
        match text {
            Ok(text) => {
                self.places.note_filled(id);
                self.remember(&text);
                Value::String(text)
            }
            Err(text) => {
                self.fault(at, text);
                Value::Null
            }
        }
    }

    /// Whether a text in place is a credential by its key. The addresses of servers and the paths of TLS keys are none, and people need
    /// them in the log.
    fn is_credential(&self, text: &str) -> bool {
        let mut above = self.path.iter().rev().map(|key| key.to_ascii_lowercase());
        let (Some(key), parent) = (above.next(), above.next()) else { return false };
        match key.as_str() {
            "key" if parent.as_deref() == Some("tls") => false,
            _ if parent.as_deref() == Some("headers") => true,
            key if key.ends_with("_url") => text.contains(['?', '@']),
            key => names_a_secret(key),
        }
    }

    fn remember(&mut self, text: &str) {
        if !text.is_empty() && !self.secrets.contains(text) {
            self.secrets.insert(text.to_owned());
        }
    }

    fn fault(&mut self, at: Position, text: impl Into<String>) {
        self.faults.push((self.path.clone(), Fault::new(at, text)));
    }
}

enum Reference {
    Env(String),
    File(String),
}

/// A table of exactly one key, `env` or `file`, with a text. A source that is named `file` is a table in a table, and stays.
fn reference(entries: &[Entry]) -> Option<Reference> {
    let [Entry { key, node: Node { data: Data::String(text), .. }, .. }] = entries else { return None };
    match key.as_str() {
        "env" => Some(Reference::Env(text.clone())),
        "file" => Some(Reference::File(text.clone())),
        _ => None,
    }
}

fn read_secret(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let about = std::fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        return Err("is no plain file".to_owned());
    }
    if about.len() > MAX_FILE {
        return Err(format!("is longer than {MAX_FILE} bytes"));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let mut text = String::from_utf8(bytes).map_err(|_| "is no UTF-8 text".to_owned())?;
    // Editors and `echo` end a file with a newline; it is no part of a password.
    if text.ends_with('\n') {
        text.truncate(text.len() - if text.ends_with("\r\n") { 2 } else { 1 });
    }
    if text.is_empty() { Err("is empty".to_owned()) } else { Ok(text) }
}
