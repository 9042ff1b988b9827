//! The config of the SQLite outbox.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::SqliteOutbox;
use super::desk::Limits;
use super::moving::FileMover;
use crate::clock::Clock;
use crate::config::Span;
use crate::outbox::moving::Mover;
use crate::outbox::{Outbox, OutboxConfig, OutboxError};

/// `[outbox]` with `type = "sqlite"`: one file on a local disk.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SqliteConfig {
    /// The file; a relative path starts at the config's folder. It is made where there is none.
    pub path: PathBuf,
    /// How long delivered messages, and bodies that could not be read, are kept for people to look at.
    pub history: Span,
    /// How long an event's id is remembered, so that the same event is not taken twice.
    pub dedup_window: Span,
    /// The most bytes of the file in use; beyond it no events are taken in. No limit if absent.
    pub max_size: Option<u64>,
    /// The most items that nothing prunes: waiting events, dead letters, unreadable bodies; beyond it no events are taken in.
    pub max_items: u64,
}

impl Default for SqliteConfig {
    fn default() -> Self {
        SqliteConfig {
            path: PathBuf::from("incident-sink.db"),
            history: Span::from_secs(7 * 86_400),
            dedup_window: Span::from_secs(86_400),
            max_size: None,
            max_items: 10_000_000,
        }
    }
}

impl SqliteConfig {
    pub(super) fn limits(&self) -> Limits {
        let ms = |span: Span| i64::try_from(span.millis()).unwrap_or(i64::MAX);
        Limits {
            max_bytes: self.max_size,
            max_items: self.max_items,
            history_ms: ms(self.history),
            dedup_ms: ms(self.dedup_window),
            chores_every: Duration::from_secs(60),
        }
    }
}

#[async_trait]
#[typetag::deserialize(name = "sqlite")]
impl OutboxConfig for SqliteConfig {
    fn validate(&self) -> Result<(), String> {
        if self.path.file_name().is_none() {
            return Err(format!("`path` must name a file, found {:?}", self.path));
        }
        if self.max_items == 0 {
            return Err("`max_items` must be at least 1".into());
        }
        if self.max_size.is_some_and(|bytes| bytes < 1 << 20) {
            return Err("`max_size` must be at least 1048576 bytes".into());
        }
        Ok(())
    }

    fn folder(&self, base: &Path) -> PathBuf {
        let path = base.join(&self.path);
        path.parent().map_or_else(|| base.to_owned(), Path::to_owned)
    }

    async fn mover(&self, base: &Path, target: bool) -> Result<Box<dyn Mover>, OutboxError> {
        Ok(Box::new(FileMover::open(base.join(&self.path), target).await?))
    }

    async fn build(&self, base: &Path, clock: Clock) -> Result<Arc<dyn Outbox>, OutboxError> {
        Ok(Arc::new(SqliteOutbox::open(base, self, clock).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_names_what_differs_from_the_defaults() {
        let config: Box<dyn OutboxConfig> = serde_json::from_value(serde_json::json!({"type": "sqlite", "history": "2d"})).unwrap();
        config.validate().unwrap();
        assert!(format!("{config:?}").contains("172800000"), "{config:?}");
        let error = serde_json::from_value::<Box<dyn OutboxConfig>>(serde_json::json!({"type": "sqlite", "hystory": "2d"})).unwrap_err();
        assert!(error.to_string().contains("hystory"), "{error}");
    }

    #[test]
    fn a_path_that_is_no_file_is_refused() {
        assert!(SqliteConfig { path: "..".into(), ..SqliteConfig::default() }.validate().is_err());
    }
}
