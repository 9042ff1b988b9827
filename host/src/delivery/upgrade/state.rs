//! What people and programs see of a plugin's versions: `GET /api/plugins`, `plugin list`, metrics.

use serde::Serialize;

use crate::clock::UnixMs;
use crate::plugin::Usage;
use crate::plugin::store::Who;
use crate::plugin::trials::{CanaryState, ShadowState};

/// One plugin.
#[derive(Clone, Debug, Serialize)]
pub struct PluginState {
    /// What a connector's `type` says.
    pub name: String,
    /// The version in use.
    pub version: String,
    /// Its SHA-256.
    pub digest: String,
    /// Its size in bytes.
    pub size: usize,
    /// Versions that are kept on disk, the one installed last first.
    pub versions: Vec<VersionState>,
    /// The version in use is being watched.
    pub canary: Option<CanaryState>,
    /// A version that writes along, or has.
    pub shadow: Option<ShadowState>,
    /// The last upgrade that was refused, or taken back by the host.
    pub last_failure: Option<Failure>,
    /// How often what happened since the start.
    pub counts: Counts,
    /// What its calls came to since the start.
    pub usage: Usage,
}

/// One kept version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionState {
    /// The plugin's version.
    pub version: String,
    /// Its SHA-256.
    pub digest: String,
    /// When it was installed, in Unix milliseconds.
    pub at: UnixMs,
    /// By whom.
    pub who: Who,
    /// Whether it is the one in use.
    pub current: bool,
    /// Whether it came with a signature.
    pub signed: bool,
    /// Why the host took it out of use.
    pub failed: Option<String>,
}

/// An upgrade that did not last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// When.
    pub at: UnixMs,
    /// Who asked for the upgrade.
    pub who: Who,
    /// SHA-256 of what was offered.
    pub digest: String,
    /// At which step: `size`, `pin`, `signature`, `load`, `version`, `config`, `golden`, `store`, `rollback`, `start` or `canary`.
    pub step: &'static str,
    /// Why.
    pub error: String,
}

/// How upgrades of a plugin ended since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Versions put to use.
    pub swaps: u64,
    /// Upgrades refused.
    pub refused: u64,
    /// Rollbacks that were asked for.
    pub rollbacks: u64,
    /// Rollbacks that the host decided on.
    pub automatic_rollbacks: u64,
}

/// What of a plugin is on trial.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OnTrial {
    /// The version in use is being watched.
    pub canary: Option<CanaryState>,
    /// A version that writes along, or has.
    pub shadow: Option<ShadowState>,
}
