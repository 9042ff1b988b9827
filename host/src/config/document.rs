//! A config document: one tree of values, each of which knows its place.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::error::{ConfigError, ConfigErrors, excerpt};
use super::explain::{self, child, unknown_key};
use super::fill::fill;
use super::format::Format;
use super::place::{PathId, Places, Position};
use super::tree::Tree;
use crate::secret::Secret;

/// A config, parsed and filled in, not yet checked.
///
/// A path names a value from the top: keys, and indices of lists in digits. It prints as its name alone: the values hold secrets.
pub struct Document {
    tree: Tree,
    places: Places,
    secrets: Vec<Secret>,
    origin: Arc<str>,
    base: PathBuf,
    /// Where it was read from; `None` for a text.
    path: Option<PathBuf>,
    /// The files that its secrets came from.
    files: Vec<PathBuf>,
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Document {
    /// Reads a file and fills it in from the environment of the process. Blocks.
    pub fn load(path: &Path) -> Result<Document, ConfigErrors> {
        let origin = path.display().to_string();
        let Some(format) = Format::of(path) else {
            return Err(ConfigError::of_file(&origin, "the name of a config ends in .toml, .yaml, .yml or .json").into());
        };
        let bytes = std::fs::read(path).map_err(|error| ConfigError::of_file(&origin, format!("cannot be read: {error}")))?;
        let text = String::from_utf8(bytes).map_err(|_| ConfigError::of_file(&origin, "is no UTF-8 text"))?;
        let base = path.parent().unwrap_or(Path::new(""));
        let document = Document::parse(&text, format, &origin, base, &|name| std::env::var(name).ok())?;
        Ok(Document { path: Some(path.to_owned()), ..document })
    }

    /// Reads a text. `origin` is its name in errors, `base` the folder that relative paths in it start from, `env` the environment.
    pub fn parse(
        text: &str,
        format: Format,
        origin: &str,
        base: &Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Document, ConfigErrors> {
        let file: Arc<str> = origin.into();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let root = format.read(text).map_err(|faults| {
            let errors = faults.into_iter().map(|fault| {
                let shown = excerpt(text, fault.at);
                ConfigError::at(&file, fault.at, String::new(), fault.text + &shown)
            });
            ConfigErrors(errors.collect())
        })?;
        let filled = fill(root, base, env);
        let is_table = filled.value.is_object();
        let document = Document {
            tree: Tree::Whole(filled.value),
            places: filled.places,
            secrets: filled.secrets,
            origin: file,
            base: base.to_owned(),
            path: None,
            files: filled.files,
        };
        if !is_table {
            return Err(ConfigError::of_file(origin, "a config is a table of sections").into());
        }
        let faults = filled.faults.into_iter().map(|(path, fault)| {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            ConfigError::at(&document.origin, fault.at, document.name_of(&path), fault.text)
        });
        ConfigErrors::check(faults.collect())?;
        Ok(document)
    }

    /// The keys of a table in the order of the text; none where there is no table.
    pub fn keys(&self, path: &[&str]) -> Vec<String> {
        self.tree.keys(path)
    }

    /// The value at a path, filled in.
    pub fn value(&self, path: &[&str]) -> Option<Cow<'_, Value>> {
        self.tree.value(path)
    }

    /// Makes it small, once all of it was read: values are still to be had, but no longer their places and the order of keys.
    pub fn pack(&mut self) {
        self.tree.pack();
        self.places = Places::default();
    }

    /// Deserialises the value at a path. `None` where there is none.
    pub fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<Option<T>, ConfigError> {
        let Some(section) = self.value(path) else { return Ok(None) };
        let id = PathId::of(path);
        let filled = |below: &[&str]| self.places.is_filled(below.iter().fold(id, |parent, segment| parent.child(segment)));
        explain::read(&section, &filled).map(Some).map_err(|explained| {
            let full: Vec<&str> = path.iter().copied().chain(explained.path.iter().map(String::as_str)).collect();
            let position = if explained.at_key { self.key_position(&full) } else { self.position(&full) };
            ConfigError::at(&self.origin, position, self.name_of(&full), explained.text)
        })
    }

    /// One error for each key of a table that is not among the known ones.
    pub fn deny_unknown(&self, path: &[&str], known: &[&str]) -> Vec<ConfigError> {
        let Some(value) = self.value(path) else { return Vec::new() };
        let Some(table) = value.as_object() else { return Vec::new() };
        let unknown = table.keys().filter(|key| !known.contains(&key.as_str()));
        let errors = unknown.map(|key| {
            let full: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
            ConfigError::at(&self.origin, self.key_position(&full), self.name_of(&full), unknown_key(key, known))
        });
        errors.collect()
    }

    /// An error of the value at a path, with its place; or with that of the nearest table around it that is there.
    pub fn error(&self, path: &[&str], text: impl Into<String>) -> ConfigError {
        ConfigError::at(&self.origin, self.position(path), self.name_of(path), text)
    }

    /// The folder that relative paths in the config start from.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// A path of the config as it is to be opened.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }

    /// The file that it was read from; `None` for a text.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Every file that it depends on: its own, and those that `{ file }` values came from.
    pub fn files(&self) -> Vec<PathBuf> {
        self.path.iter().chain(&self.files).cloned().collect()
    }

    /// The file's name, as it was given.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Every text that came from the environment or a file, and every one under a key that names a secret; each once, in no order.
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// A digest of the value at a path, secrets included: equal where the section means the same, in whatever order its keys stand.
    pub fn section_digest(&self, path: &[&str]) -> [u8; 32] {
        let mut hasher = Sha256::new();
        match self.value(path) {
            Some(value) => feed(&mut hasher, &value),
            None => hasher.update([0]),
        }
        hasher.finalize().into()
    }

    /// Where a value stands: a scalar itself, a table or list by its key.
    fn position(&self, path: &[&str]) -> Position {
        match self.value(path) {
            Some(value) if !value.is_object() && !value.is_array() => {
                self.places.get(PathId::of(path)).map(|place| place.value).unwrap_or_else(|| self.key_position(path))
            }
            _ => self.key_position(path),
        }
    }

    /// Where the key stands, or the nearest one around it.
    fn key_position(&self, path: &[&str]) -> Position {
        let prefixes = (1..=path.len()).rev().filter_map(|length| path.get(..length));
        prefixes.filter_map(|prefix| self.places.get(PathId::of(prefix))).map(|place| place.key).next().unwrap_or_default()
    }

    /// A path for people: `actions[0].connector`.
    fn name_of(&self, path: &[&str]) -> String {
        let mut name = String::new();
        let root = self.value(&[]);
        let mut at = root.as_deref();
        for segment in path {
            if at.is_some_and(Value::is_array) {
                name += &format!("[{segment}]");
            } else {
                let dot = if name.is_empty() { "" } else { "." };
                let bare = !segment.is_empty() && segment.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$'));
                name += &if bare { format!("{dot}{segment}") } else { format!("{dot}{segment:?}") };
            }
            at = at.and_then(|value| child(value, segment));
        }
        name
    }
}

/// Feeds a value so that no two different ones feed the same bytes.
fn feed(hasher: &mut Sha256, value: &Value) {
    let mut text = |tag: u8, text: &str| {
        hasher.update([tag]);
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    };
    match value {
        Value::Null => text(1, ""),
        Value::Bool(truth) => text(2, if *truth { "1" } else { "" }),
        Value::Number(number) => text(3, &number.to_string()),
        Value::String(string) => text(4, string),
        Value::Array(items) => {
            text(5, &items.len().to_string());
            items.iter().for_each(|item| feed(hasher, item));
        }
        Value::Object(table) => {
            text(6, &table.len().to_string());
            let mut entries: Vec<_> = table.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| key.as_str());
            for (key, value) in entries {
                hasher.update((key.len() as u64).to_le_bytes());
                hasher.update(key);
                feed(hasher, value);
            }
        }
    }
}
