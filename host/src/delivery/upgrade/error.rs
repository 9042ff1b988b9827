//! Why a version of a plugin is not put to use.

use crate::delivery::problem::Problem;
use crate::plugin::LoadError;
use crate::plugin::store::StoreError;

/// Why nothing was changed. The version in use goes on.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// The config knows no such plugin.
    #[error("the config has no plugin `{0}`; add it under [plugins] first")]
    Unknown(String),
    /// The file is no plugin, or not the one that it must be.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// An older version.
    #[error("version {found} is older than {current}, which is in use; force it, or go back with `incident-sink plugin rollback`")]
    Downgrade {
        /// In use.
        current: semver::Version,
        /// Offered.
        found: semver::Version,
    },
    /// A connector could not be used with it.
    #[error("the config of connector `{connector}` does not fit the new version: {}", lines(problems))]
    Config {
        /// Which.
        connector: String,
        /// What is wrong.
        problems: Vec<Problem>,
    },
    /// It cannot do its work.
    #[error("the new version fails with {event} for connector `{connector}`: {text}")]
    Golden {
        /// Which.
        connector: String,
        /// With what.
        event: String,
        /// How.
        text: String,
    },
    /// The disk.
    #[error("the version could not be kept, so it is not used: {0}")]
    Store(#[from] StoreError),
    /// Nothing to go back to.
    #[error("no earlier version of `{0}` is kept")]
    NoEarlier(String),
    /// A fault of the host.
    #[error("the upgrade ended unexpectedly, please report this: {0}")]
    Broken(String),
}

impl UpgradeError {
    /// A word for metrics: at which step it was refused.
    pub fn step(&self) -> &'static str {
        match self {
            UpgradeError::Unknown(_) => "name",
            UpgradeError::Load(LoadError::TooLarge { .. }) => "size",
            UpgradeError::Load(LoadError::Digest { .. }) => "pin",
            UpgradeError::Load(LoadError::Signature(_)) => "signature",
            UpgradeError::Load(_) => "load",
            UpgradeError::Downgrade { .. } => "version",
            UpgradeError::Config { .. } => "config",
            UpgradeError::Golden { .. } => "golden",
            UpgradeError::Store(_) => "store",
            UpgradeError::NoEarlier(_) => "rollback",
            UpgradeError::Broken(_) => "host",
        }
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}
