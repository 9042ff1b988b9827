//! What is wrong with a config, and where.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::names_a_secret;
use super::place::Position;

/// One thing that is wrong with a config.
///
/// ```
/// use incident_sink::config::{Document, Format};
/// let text = "[connectors.ops]\ntype = 7\n";
/// let document = Document::parse(text, Format::Toml, "incident-sink.toml", ".".as_ref(), &|_| None).unwrap();
/// let error = document.get::<String>(&["connectors", "ops", "type"]).unwrap_err();
/// assert_eq!(error.to_string(), "incident-sink.toml:2:8: connectors.ops.type: expected a string, found 7");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigError {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line, from 1; 0 where it is not known.
    pub line: u32,
    /// The column in characters, from 1; 0 where it is not known.
    pub column: u32,
    /// The key with its path, as `connectors.ops.language`; empty for the document itself.
    pub key: String,
    /// What is wrong, and what to do. Never shows a secret.
    pub text: String,
}

impl ConfigError {
    /// Something that is wrong with the file as a whole.
    pub fn of_file(file: &str, text: impl Into<String>) -> Self {
        ConfigError { file: file.into(), line: 0, column: 0, key: String::new(), text: text.into() }
    }

    pub(crate) fn at(file: &Arc<str>, position: Position, key: String, text: impl Into<String>) -> Self {
        ConfigError { file: Arc::clone(file), line: position.line, column: position.column, key, text: text.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.text)
    }
}

impl std::error::Error for ConfigError {}

/// Everything that is wrong with a config, in the order of the text. Never empty where it is an `Err`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl ConfigErrors {
    /// `Ok` where there are none; else all of them, sorted by place.
    pub fn check(mut errors: Vec<ConfigError>) -> Result<(), ConfigErrors> {
        if errors.is_empty() {
            return Ok(());
        }
        errors.sort_by(|a, b| (a.line, a.column, &a.key).cmp(&(b.line, b.column, &b.key)));
        Err(ConfigErrors(errors))
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        ConfigErrors(vec![error])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// The most of a line that an error shows.
const EXCERPT: usize = 100;

/// The offending line with a caret under the column, to be put under the text of a syntax error. Of a line that may hold a credential only
/// the key is shown; of one that is neither a key nor a header, nothing: it may be the middle of a credential.
pub(crate) fn excerpt(text: &str, position: Position) -> String {
    let number = position.line;
    let line = usize::try_from(number).ok().and_then(|number| text.lines().nth(number.checked_sub(1)?));
    let Some(shown) = line.and_then(presentable) else { return String::new() };
    let width = number.to_string().len();
    let column = usize::try_from(position.column).unwrap_or_default();
    // No caret where it would stand under something that is not shown.
    let caret = match column.checked_sub(1).filter(|before| *before <= shown.chars().count()) {
        Some(before) => format!("\n  {:width$} | {}^", "", " ".repeat(before)),
        None => String::new(),
    };
    format!("\n  {number} | {shown}{caret}")
}

fn presentable(line: &str) -> Option<String> {
    let start = line.trim_start();
    let header = start.starts_with(['[', '{', ']', '}', '#']) && !start.contains(['=', ':', '"', '\'']);
    let key_end = line.find(['=', ':']);
    let is_key = key_end.and_then(|end| line.get(..end)).is_some_and(|key| {
        key.len() <= 60 && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '"' | '\'' | ' ' | '{' | ','))
    });
    if !header && !is_key {
        return None;
    }
    let secretive = line.contains("://") || line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).any(names_a_secret);
    match key_end {
        Some(end) if secretive || line.chars().count() > EXCERPT => line.get(..=end).map(|key| format!("{key} …")),
        None if line.chars().count() > EXCERPT => None,
        _ => Some(line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_points_at_the_column() {
        let text = "[a]\nb = 1 2\n";
        assert_eq!(excerpt(text, Position { line: 2, column: 7 }), "\n  2 | b = 1 2\n    |       ^");
    }

    #[test]
    fn an_excerpt_shows_no_credential() {
        for line in [
            "password = \"hunter2",
            "url: https://x.example/?access_token=hunter2",
            "link = 'https://hunter2@x.example",
            "x = { env = 1, token = \"hunter2 }",
            "hunter2",
            "  hunter2/with+base64==",
        ] {
            let shown = excerpt(line, Position { line: 1, column: 20 });
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
