//! The formats that a config can be written in.

mod json;
mod toml;
mod yaml;

use std::path::Path;

use super::node::{Fault, Node};

/// A format, by the ending of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `.toml`
    Toml,
    /// `.yaml`, `.yml`
    Yaml,
    /// `.json`
    Json,
}

impl Format {
    /// By the ending of the file's name, in any case.
    pub fn of(path: &Path) -> Option<Format> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "toml" => Some(Format::Toml),
            "yaml" | "yml" => Some(Format::Yaml),
            "json" => Some(Format::Json),
            _ => None,
        }
    }

    /// Reads a text; all faults that can be told apart from each other.
    pub(crate) fn read(self, text: &str) -> Result<Node, Vec<Fault>> {
        match self {
            Format::Toml => toml::read(text),
            Format::Yaml => yaml::read(text).map_err(|fault| vec![fault]),
            Format::Json => json::read(text).map_err(|fault| vec![fault]),
        }
    }
}
