//! The config of the PostgreSQL outbox.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::PostgresOutbox;
use super::connect::settings;
use super::moving::SchemaMover;
use crate::clock::Clock;
use crate::config::{Span, secret_schema};
use crate::outbox::moving::Mover;
use crate::outbox::{Outbox, OutboxConfig, OutboxError};
use crate::secret::Secret;

/// `[outbox]` with `type = "postgres"`: a database that any number of hosts share.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresConfig {
    /// Where the database is: `postgres://user:password@host:5432/name`. Over a network it is asked for TLS and its certificate is checked;
    /// `?sslmode=disable` goes without on a network that you trust.
    #[schemars(schema_with = "secret_schema")]
    pub url: Secret,
    /// The schema that the outbox's tables are in; it is made where there is none. All hosts with the same schema work together.
    #[serde(default = "default_schema")]
    pub schema: String,
    /// A file of certificates, in PEM, that the database's has to be signed by; without it those that the system trusts.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// How long a host may give no sign of life before others take its lanes over.
    #[serde(default = "default_lease")]
    pub lease: Span,
    /// The most connections of this host; one more is kept for signs of life.
    #[serde(default = "default_connections")]
    pub connections: usize,
    /// How long delivered messages, and bodies that could not be read, are kept for people to look at.
    #[serde(default = "default_history")]
    pub history: Span,
    /// How long an event's id is remembered, so that the same event is not taken twice.
    #[serde(default = "default_dedup_window")]
    pub dedup_window: Span,
    /// The most items that nothing prunes: waiting events, dead letters, unreadable bodies; beyond it no events are taken in. Counted every few
    /// seconds.
    #[serde(default = "default_max_items")]
    pub max_items: u64,
}

fn default_schema() -> String {
    "incident_sink".to_owned()
}

fn default_lease() -> Span {
    Span::from_secs(3)
}

fn default_connections() -> usize {
    8
}

fn default_history() -> Span {
    Span::from_secs(7 * 86_400)
}

fn default_dedup_window() -> Span {
    Span::from_secs(86_400)
}

fn default_max_items() -> u64 {
    10_000_000
}

/// What the outbox holds, and for how long.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) lease: Duration,
    pub(super) history_ms: i64,
    pub(super) dedup_ms: i64,
    pub(super) max_items: u64,
}

impl PostgresConfig {
    /// Of the database at this address, with the defaults.
    pub fn new(url: impl Into<String>) -> PostgresConfig {
        PostgresConfig {
            url: Secret::new(url),
            schema: default_schema(),
            ca: None,
            lease: default_lease(),
            connections: default_connections(),
            history: default_history(),
            dedup_window: default_dedup_window(),
            max_items: default_max_items(),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        let ms = |span: Span| i64::try_from(span.millis()).unwrap_or(i64::MAX);
        Limits { lease: self.lease.duration(), history_ms: ms(self.history), dedup_ms: ms(self.dedup_window), max_items: self.max_items }
    }
}

#[async_trait]
#[typetag::deserialize(name = "postgres")]
impl OutboxConfig for PostgresConfig {
    fn validate(&self) -> Result<(), String> {
        settings(self)?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if self.schema.is_empty() || self.schema.len() > 40 || !self.schema.bytes().all(plain) || self.schema.starts_with("pg_") {
            return Err(format!("`schema` must be 1 to 40 small letters, digits and underscores, found {:?}", self.schema));
        }
        self.lease.within(Span::from_secs(1), Span::from_secs(60)).map_err(|text| format!("`lease`: {text}"))?;
        if !(2..=100).contains(&self.connections) {
            return Err(format!("`connections` must be from 2 to 100, found {}", self.connections));
        }
        if self.max_items == 0 {
            return Err("`max_items` must be at least 1".into());
        }
        Ok(())
    }

    async fn mover(&self, base: &Path, target: bool) -> Result<Box<dyn Mover>, OutboxError> {
        Ok(Box::new(SchemaMover::open(base, self, target).await?))
    }

    async fn build(&self, base: &Path, clock: Clock) -> Result<Arc<dyn Outbox>, OutboxError> {
        Ok(Arc::new(PostgresOutbox::open(base, self, clock).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: serde_json::Value) -> Result<Box<dyn OutboxConfig>, serde_json::Error> {
        serde_json::from_value(value)
    }

    #[test]
    fn a_config_names_what_differs_from_the_defaults() {
        let config = read(serde_json::json!({"type": "postgres", "url": "postgres://u:hidden@db/x", "lease": "5s"})).unwrap();
        config.validate().unwrap();
        let shown = format!("{config:?}");
        assert!(shown.contains("5000") && !shown.contains("hidden"), "{shown}");
        assert!(read(serde_json::json!({"type": "postgres"})).unwrap_err().to_string().contains("url"));
    }

    #[test]
    fn what_cannot_work_is_refused_without_its_password() {
        let with = |key: &str, value: serde_json::Value| {
            let mut config = serde_json::json!({"type": "postgres", "url": "postgres://u:hidden@db/x"});
            config[key] = value;
            read(config).unwrap().validate().unwrap_err()
        };
        for (key, value, part) in [
            ("url", "mysql://u:hidden@db/x".into(), "`url`"),
            ("url", "postgres://u:hidden@/".into(), "`url`"),
            ("schema", "Pg\"x".into(), "`schema`"),
            ("schema", "pg_mine".into(), "`schema`"),
            ("lease", "10ms".into(), "`lease`"),
            ("connections", 1.into(), "`connections`"),
            ("max_items", 0.into(), "`max_items`"),
        ] {
            let error = with(key, value);
            assert!(error.contains(part) && !error.contains("hidden"), "{error}");
        }
    }
}
