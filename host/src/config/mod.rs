//! Config: read, filled in, checked.
//!
//! A [`Document`] is a TOML, YAML or JSON text, parsed once: every value keeps its place, and every `{ env = "X" }` or `{ file = "p" }`
//! table is replaced by the text that it names. Then each room deserialises its own sections through [`Document::get`], so that an error
//! of any of them reads the same: file, line, column, key, and what to do. The host's own sections are [`Settings`].

mod document;
mod error;
mod explain;
mod fill;
mod format;
mod node;
mod otlp;
mod place;
mod schema;
mod settings;
mod span;
#[cfg(test)]
mod tests;
mod tree;
mod watch;

pub use document::Document;
pub use error::{ConfigError, ConfigErrors};
pub(crate) use explain::{hint, read as read_section, unknown_key};
pub use format::Format;
pub use otlp::Otlp;
pub use schema::secret_schema;
pub use settings::{Admin, AlertUrl, ChatPerson, Ilert, Log, LogFormat, Server, Settings, Tls};
pub use span::{Span, SpanError};
pub use watch::FileWatch;

/// Whether a value under this key is a credential, or may hold one: then no error shows it.
pub(crate) fn names_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["secret", "password", "token", "credential", "headers"].iter().any(|word| key.contains(word))
        || ["key", "url"].iter().any(|word| key.ends_with(word))
}
