//! Plugins swapped while events flow.
//!
//! | question | file |
//! |---|---|
//! | what is done to put a version to use, or back? | `install` |
//! | why was it refused? | `error` |
//! | what must it be able to do first? | `golden` |
//! | how are its first messages watched? | `trial`, [`crate::plugin::trials`] |
//! | who notices a changed file? | `watch` |
//! | what does a changed config do? | `reload` |
//! | what do people see? | `state` |
//! | what can an author check? | [`conformance`] |
//!
//! The [`Upgrader`] is made once a process, by [`Upgrader::open`], which loads the current versions into its [`Registry`]. The connectors'
//! sinks are built from that registry and handed over ([`Upgrader::set_sinks`]), at the start and after a reload, so that a new version is
//! tried with every connector's config. [`Upgrader::watch`] runs beside the lanes: it notices changed files, and writes automatic rollbacks to
//! disk. Everything else is a call: [`Upgrader::install`], [`Upgrader::rollback`], [`Upgrader::reload`], [`Upgrader::state`].
//!
//! A swap is one atomic store. A message that is in flight ends on the version that began it, since its draft names that version's digest; the
//! registry keeps the last versions, and after a restart the store on disk does.

pub mod conformance;
mod error;
mod golden;
mod install;
mod open;
mod reload;
mod state;
mod trial;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, oneshot};

pub use self::error::UpgradeError;
pub use self::state::{Counts, Failure, OnTrial, PluginState, VersionState};
use super::plugin_sink::PluginSink;
use crate::clock::Clock;
use crate::plugin::store::{Index, Store};
use crate::plugin::{Engine, PluginConfig, Registry, Usage};

pub use crate::plugin::store::Who;

/// Puts versions of plugins to use. Cheap to clone.
#[derive(Clone)]
pub struct Upgrader(Arc<Inner>);

struct Inner {
    engine: Engine,
    registry: Registry,
    base: PathBuf,
    clock: Clock,
    plugins: ArcSwap<BTreeMap<String, PluginConfig>>,
    sinks: ArcSwap<Vec<Arc<PluginSink>>>,
    accounts: Mutex<BTreeMap<String, Account>>,
    /// One upgrade at a time; others wait here, without a thread.
    place: Arc<Semaphore>,
    /// What looks at the disk takes its turn too.
    turn: Mutex<()>,
}

/// What happened to a plugin since the start.
#[derive(Clone, Debug, Default)]
struct Account {
    counts: Counts,
    failure: Option<Failure>,
    /// The digest that its file had when it was refused: it is not tried again.
    refused_file: Option<String>,
    /// Size and time of its file when it was looked at last.
    stamp: Option<(u64, std::time::SystemTime)>,
}

/// How to install.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstallOptions {
    /// Also a version that is older than the one in use.
    pub force: bool,
    /// Do not put it to use: have it write the next so many messages along, and note what differs.
    pub shadow: Option<u32>,
}

/// What an installation came to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Installed {
    /// The plugin.
    pub name: String,
    /// The version that was installed.
    pub version: String,
    /// Its SHA-256.
    pub digest: String,
    /// The version that was in use before.
    pub before: Option<String>,
    /// Whether it was put to use: not if it was in use already, or is a shadow.
    pub changed: bool,
}

impl std::fmt::Debug for Upgrader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upgrader").field("plugins", &self.0.registry.names()).finish_non_exhaustive()
    }
}

impl Upgrader {
    /// Which versions are in use.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// What plugins run in.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// The connectors that a new version must serve.
    pub fn set_sinks(&self, sinks: Vec<Arc<PluginSink>>) {
        self.0.engine.share();
        self.0.sinks.store(Arc::new(sinks));
    }

    /// Verifies a component and puts it to use, in place of the version in use. Takes as long as a compilation, on a thread of its own.
    /// Cancel-safe: once begun it is carried out. `signature` is the content of the component's `FILE.sig`.
    pub async fn install(
        &self,
        name: &str,
        bytes: Vec<u8>,
        signature: Option<String>,
        who: Who,
        options: InstallOptions,
    ) -> Result<Installed, UpgradeError> {
        let name = name.to_owned();
        run(&self.0, move |inner| inner.install(&name, &bytes, signature, who, options)).await
    }

    /// Goes back to the version that was installed before the one in use. As [`Upgrader::install`] otherwise.
    pub async fn rollback(&self, name: &str, who: Who) -> Result<Installed, UpgradeError> {
        let name = name.to_owned();
        run(&self.0, move |inner| inner.rollback(&name, who)).await
    }

    /// Takes the plugins of a changed config: new ones are loaded, changed ones installed from their files, missing ones forgotten. The ones that
    /// are refused stay as they were, each with its error. Sinks of a plugin that is new or missing are the caller's to build and to drop, with
    /// [`Upgrader::set_sinks`] after it; so is its `allow`, which [`super::plugin_sinks::PluginSinks::new`] takes.
    pub async fn reload(&self, plugins: BTreeMap<String, PluginConfig>) -> Result<(), Vec<(String, UpgradeError)>> {
        let reloaded = run(&self.0, move |inner| Ok(inner.reload(plugins))).await;
        reloaded.unwrap_or_else(|error| Err(vec![(String::new(), error)]))
    }

    /// The kept versions, the one installed last first. Reads the store.
    pub fn list(&self, name: &str) -> Result<Vec<VersionState>, UpgradeError> {
        let current = self.0.registry.current(name).ok_or_else(|| UpgradeError::Unknown(name.to_owned()))?;
        let index = self.0.index(name)?;
        let version = |record: crate::plugin::store::Record| VersionState {
            current: record.digest == current.digest(),
            version: record.version,
            digest: record.digest,
            at: record.at,
            who: record.who,
            signed: record.signature.is_some(),
            failed: record.failed,
        };
        Ok(index.versions.into_iter().map(version).collect())
    }

    /// One plugin, whole. Reads the store.
    pub fn state(&self, name: &str) -> Option<PluginState> {
        let current = self.0.registry.current(name)?;
        let account = self.0.accounts().get(name).cloned().unwrap_or_default();
        let trials = self.0.registry.trials();
        let versions = self.list(name).unwrap_or_else(|error| {
            tracing::warn!(plugin = name, %error, "Failed to read the kept versions of a plugin.");
            Vec::new()
        });
        Some(PluginState {
            name: name.to_owned(),
            version: current.descriptor().version.to_string(),
            digest: current.digest().to_owned(),
            size: current.size(),
            versions,
            canary: trials.canary_state(name),
            shadow: trials.shadow_state(name),
            last_failure: account.failure,
            counts: account.counts,
            usage: self.0.registry.usage_of(name),
        })
    }

    /// Every plugin. Reads the stores.
    pub fn states(&self) -> Vec<PluginState> {
        self.0.registry.names().iter().filter_map(|name| self.state(name)).collect()
    }

    /// How upgrades ended since the start, by plugin; touches no disk. For metrics, as is [`Upgrader::usage`].
    pub fn counts(&self) -> Vec<(String, Counts)> {
        self.0.accounts().iter().map(|(name, account)| (name.clone(), account.counts)).collect()
    }

    /// What the calls of each plugin came to since the start: how many, for how long, with which faults. Touches no disk.
    pub fn usage(&self) -> Vec<(String, Usage)> {
        self.0.registry.usage()
    }

    /// Versions that are watched, or write along, by plugin; touches no disk.
    pub fn on_trial(&self) -> Vec<(String, OnTrial)> {
        let trials = self.0.registry.trials();
        let one = |name: String| {
            let (canary, shadow) = (trials.canary_state(&name), trials.shadow_state(&name));
            (name, OnTrial { canary, shadow })
        };
        self.0.registry.names().into_iter().map(one).collect()
    }
}

impl Inner {
    fn accounts(&self) -> MutexGuard<'_, BTreeMap<String, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn account(&self, name: &str, change: impl FnOnce(&mut Account)) {
        change(self.accounts().entry(name.to_owned()).or_default());
    }

    fn config(&self, name: &str) -> Result<PluginConfig, UpgradeError> {
        self.plugins.load().get(name).cloned().ok_or_else(|| UpgradeError::Unknown(name.to_owned()))
    }

    fn store(&self, config: &PluginConfig) -> Store {
        Store::beside(&self.base.join(&config.path))
    }

    fn index(&self, name: &str) -> Result<Index, UpgradeError> {
        Ok(self.store(&self.config(name)?).index()?)
    }
}

/// Runs an upgrade on a thread of its own; only compiling, the most of it, gives way to those that deliver: the calls of a rehearsal have deadlines.
/// One at a time. Cancel-safe: once begun it is carried out.
async fn run<T: Send + 'static>(
    inner: &Arc<Inner>,
    work: impl FnOnce(&Inner) -> Result<T, UpgradeError> + Send + 'static,
) -> Result<T, UpgradeError> {
    let broken = |error: &dyn std::fmt::Display| UpgradeError::Broken(error.to_string());
    let place = Arc::clone(&inner.place).acquire_owned().await.map_err(|error| broken(&error))?;
    let (inner, (tell, told)) = (Arc::clone(inner), oneshot::channel());
    let thread = std::thread::Builder::new().name("plugin-upgrade".to_owned()).spawn(move || {
        let result = work(&inner);
        drop(place);
        // Nobody may be interested any more.
        let _ = tell.send(result);
    });
    thread.map_err(|error| broken(&error))?;
    told.await.unwrap_or_else(|_| Err(UpgradeError::Broken("its thread panicked".to_owned())))
}
