//! What people and programs are told of a reload.

use std::fmt;

use serde::Serialize;

use super::ReloadError;
use crate::clock::UnixMs;
use crate::config::ConfigError;

/// What a reload came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reloaded {
    /// Whether anything is other than before.
    pub changed: bool,
    /// `[connectors.*]`
    pub connectors: Diff,
    /// `[sources.*]`
    pub sources: Diff,
    /// `[plugins.*]`
    pub plugins: Diff,
    /// Other settings that were put to use.
    pub settings: Vec<&'static str>,
    /// Changed settings that wait for a restart.
    pub needs_restart: Vec<&'static str>,
    /// What works, but hardly as it was meant.
    pub warnings: Vec<String>,
}

/// The names of a kind of section that differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// There were none of these.
    pub added: Vec<String>,
    /// These are other than before.
    pub changed: Vec<String>,
    /// There are no more of these.
    pub removed: Vec<String>,
}

impl Diff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }

    /// Everything that differs.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.added.iter().chain(&self.changed).chain(&self.removed).map(String::as_str)
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{} ~{} -{}", self.added.len(), self.changed.len(), self.removed.len())
    }
}

/// Which config is in use: `GET /api/config`.
#[derive(Clone, Debug, Serialize)]
pub struct ConfigState {
    /// Its file.
    pub file: String,
    /// Since when.
    pub taken_at: UnixMs,
    /// Changed settings that wait for a restart.
    pub needs_restart: Vec<&'static str>,
    /// What became of the last attempt to read it anew.
    pub last_read: Option<LastRead>,
}

/// An attempt to read the config anew.
#[derive(Clone, Debug, Serialize)]
pub struct LastRead {
    /// When.
    pub at: UnixMs,
    /// `signal`, `file` or `api`.
    pub by: &'static str,
    /// `changed`, `unchanged` or `failed`.
    pub result: &'static str,
    /// Why it failed.
    pub error: Option<String>,
    /// The errors with their places, where the config has them.
    pub errors: Vec<ConfigError>,
}

impl LastRead {
    pub(super) fn of(at: UnixMs, by: &'static str, result: &Result<Reloaded, ReloadError>) -> LastRead {
        let word = match result {
            Ok(done) if done.changed => "changed",
            Ok(_) => "unchanged",
            Err(_) => "failed",
        };
        let error = result.as_ref().err();
        let errors = error.map(|error| error.config_errors().to_vec()).unwrap_or_default();
        LastRead { at, by, result: word, error: error.map(ToString::to_string), errors }
    }
}
