//! The config, read anew while the host runs: only what changed begins anew, and a config with errors changes nothing.
//!
//! | file | does |
//! |---|---|
//! | `changes` | what differs between two configs: pure |
//! | `stage` | builds what is new, and touches nothing that is in use |
//! | `watch` | notices changed files |
//! | `report` | what people and programs are told |
//!
//! The running host ([`super::live`]) does it, one after the other: read, compare, build, and only then put to use. What an earlier config
//! began is brought to its end by what it began with: a message in flight, a request being answered.

mod changes;
mod report;
mod stage;
mod watch;

use std::time::Duration;

use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::{Control, HostError};
use crate::config::{ConfigError, ConfigErrors};
use crate::delivery::upgrade::UpgradeError;

pub(super) use changes::{Changes, Fixed};
pub use report::{ConfigState, Diff, LastRead, Reloaded};
pub(super) use stage::Stage;
pub use watch::watch_config;

/// How long a reload may take: plugins are compiled.
const PATIENCE: Duration = Duration::from_secs(300);
/// Errors that get a log line of their own.
const LOGGED: usize = 20;

/// Somebody who wants the config to be read anew.
pub(super) struct Request {
    pub(super) by: &'static str,
    pub(super) answer: oneshot::Sender<Result<Reloaded, ReloadError>>,
}

/// Why the config in use stays as it is.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReloadError {
    /// It was built by a program.
    #[error("this config was not read from a file")]
    NoFile,
    /// It has errors.
    #[error("{0}")]
    Config(ConfigErrors),
    /// A plugin's new version is refused.
    #[error("plugin `{name}`: {text}")]
    Plugin {
        /// Which.
        name: String,
        /// Why.
        text: String,
    },
    /// What it asks for cannot be built.
    #[error("{0}")]
    Build(String),
    /// Nothing can be changed any more, or not yet.
    #[error("the host is not running, or is stopping")]
    NotRunning,
    /// A fault of the host.
    #[error("reading the config anew ended unexpectedly, please report this: {0}")]
    Broken(String),
}

impl ReloadError {
    /// The errors with their places, where the config has them.
    pub fn config_errors(&self) -> &[ConfigError] {
        match self {
            ReloadError::Config(errors) => &errors.0,
            _ => &[],
        }
    }
}

impl From<HostError> for ReloadError {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Config(errors) => ReloadError::Config(errors),
            other => ReloadError::Build(other.to_string()),
        }
    }
}

impl From<Vec<(String, UpgradeError)>> for ReloadError {
    fn from(errors: Vec<(String, UpgradeError)>) -> Self {
        let (name, text) = errors.into_iter().next().map(|(name, error)| (name, error.to_string())).unwrap_or_default();
        ReloadError::Plugin { name, text }
    }
}

impl Control {
    /// Reads the config's file anew and puts to use what changed; answers when that is done. `by` says who asks, for the log. Cancel-safe: once
    /// begun it is carried out.
    pub async fn reload(&self, by: &'static str) -> Result<Reloaded, ReloadError> {
        let (answer, answered) = oneshot::channel();
        self.0.reloads.send(Request { by, answer }).await.map_err(|_| ReloadError::NotRunning)?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(ReloadError::NotRunning),
        }
    }

    /// Which config is in use, and what became of the last attempt to read it anew.
    pub fn config_state(&self) -> ConfigState {
        ConfigState::clone(&self.0.config.load())
    }

    /// Tells the operator, the metrics and the admin API what became of a reload.
    pub(super) fn note(&self, by: &'static str, result: &Result<Reloaded, ReloadError>) {
        let now = self.0.clock.now();
        let metrics = &self.0.metrics.config;
        let mut state = self.config_state();
        match result {
            Ok(done) => {
                metrics.taken(done.changed, done.needs_restart.len(), now);
                state.needs_restart.clone_from(&done.needs_restart);
                if done.changed {
                    state.taken_at = now;
                }
                tell(by, done);
            }
            Err(error) => {
                metrics.failed();
                complain(by, error);
            }
        }
        state.last_read = Some(LastRead::of(now, by, result));
        self.0.config.store(state.into());
    }
}

fn tell(by: &str, done: &Reloaded) {
    for warning in &done.warnings {
        warn!(%warning, "The config works, but hardly as it was meant.");
    }
    if !done.needs_restart.is_empty() {
        warn!(by, settings = done.needs_restart.join(", "), "Changed settings wait for a restart.");
    }
    if done.changed {
        let settings = done.settings.join(", ");
        info!(by, connectors = %done.connectors, sources = %done.sources, plugins = %done.plugins, settings, "The changed config is in use.");
    } else {
        info!(by, "The config has not changed.");
    }
    for connector in &done.connectors.removed {
        info!(connector, "A connector is gone: what still waits for it becomes dead letters, to be replayed once it is there again.");
    }
}

fn complain(by: &str, error: &ReloadError) {
    let errors = error.config_errors();
    for error in errors.iter().take(LOGGED) {
        error!(by, %error, "The changed config has an error.");
    }
    if errors.is_empty() {
        error!(by, %error, "The changed config cannot be used; the one before stays in use.");
    } else {
        error!(by, errors = errors.len(), "The changed config has errors; the one before stays in use.");
    }
}
