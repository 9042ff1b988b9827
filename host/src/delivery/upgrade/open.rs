//! The versions to begin with: each plugin's file, or the last good one that is kept.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;
use tracing::{error, warn};

use super::state::Failure;
use super::{Account, Inner, UpgradeError, Upgrader};
use crate::clock::Clock;
use crate::plugin::registry::Recall;
use crate::plugin::store::{Store, Who};
use crate::plugin::{Engine, LoadError, Plugin, PluginConfig, Registry};

/// A plugin to begin with, and what was wrong with its file.
struct First {
    plugin: Plugin,
    wrong: Option<String>,
}

impl Upgrader {
    /// Loads the current version of every plugin: its file, or the last good version that is kept where the file is broken or failed before.
    /// All of them, or every error. Blocks while they compile; writes nothing.
    pub fn open(
        engine: Engine,
        plugins: BTreeMap<String, PluginConfig>,
        base: &Path,
        clock: Clock,
    ) -> Result<Upgrader, Vec<(String, LoadError)>> {
        let registry = Registry::default();
        let (mut errors, mut accounts) = (Vec::new(), BTreeMap::new());
        for (name, first) in load_all(&engine, &plugins, base) {
            match first {
                Ok(First { plugin, wrong }) => {
                    let failure = |error| Failure { at: clock.now(), who: Who::File, digest: String::new(), step: "start", error };
                    accounts.insert(name.clone(), Account { failure: wrong.map(failure), ..Account::default() });
                    registry.swap(&name, plugin);
                }
                Err(error) => errors.push((name, error)),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Upgrader::with(engine, registry, plugins, base, clock, accounts))
    }

    /// Loads nothing: for the first installation, where there is no file yet.
    pub fn empty(engine: Engine, plugins: BTreeMap<String, PluginConfig>, base: &Path, clock: Clock) -> Upgrader {
        Upgrader::with(engine, Registry::default(), plugins, base, clock, BTreeMap::new())
    }

    fn with(
        engine: Engine,
        registry: Registry,
        plugins: BTreeMap<String, PluginConfig>,
        base: &Path,
        clock: Clock,
        accounts: BTreeMap<String, Account>,
    ) -> Upgrader {
        let (plugins, sinks, accounts) = (ArcSwap::from_pointee(plugins), ArcSwap::default(), Mutex::new(accounts));
        let (place, turn) = (Arc::new(Semaphore::new(1)), Mutex::new(()));
        let inner = Arc::new(Inner { engine, registry, base: base.to_owned(), clock, plugins, sinks, accounts, place, turn });
        let weak = Arc::downgrade(&inner);
        inner.registry.set_recall(Recall::new(move |name, digest| weak.upgrade()?.recall(name, digest)));
        Upgrader(inner)
    }
}

/// A plugin by its name, or why there is none.
type Loaded = (String, Result<First, LoadError>);

/// Loads every plugin on a thread of its own: they are few, and compiling is all there is to it.
fn load_all(engine: &Engine, plugins: &BTreeMap<String, PluginConfig>, base: &Path) -> Vec<Loaded> {
    std::thread::scope(|scope| {
        let running: Vec<_> =
            plugins.iter().map(|(name, config)| (name.clone(), scope.spawn(move || first(engine, name, config, base)))).collect();
        running.into_iter().map(|(name, thread)| (name, thread.join().expect("loading a plugin does not panic"))).collect()
    })
}

/// The file, unless it is broken or was taken out of use; then the version that is kept as the current one.
fn first(engine: &Engine, name: &str, config: &PluginConfig, base: &Path) -> Result<First, LoadError> {
    let store = Store::beside(&base.join(&config.path));
    let index = store.index().unwrap_or_else(|error| {
        warn!(plugin = name, %error, "Failed to read the kept versions of a plugin.");
        Default::default()
    });
    let loaded = config.load(engine, name, base);
    let wrong = match &loaded {
        Ok(plugin) => match index.find(plugin.digest()).and_then(|record| record.failed.clone()) {
            Some(failed) if index.current.as_deref() != Some(plugin.digest()) => format!("it was taken out of use: {failed}"),
            _ => return loaded.map(|plugin| First { plugin, wrong: None }),
        },
        Err(error) => error.to_string(),
    };
    let Some(kept) = index.current.as_deref().and_then(|digest| kept(engine, name, config, &store, digest)) else {
        return loaded.map(|plugin| First { plugin, wrong: Some(wrong) });
    };
    error!(
        plugin = name,
        file = %config.path.display(),
        error = wrong,
        version = %kept.descriptor().version,
        digest = kept.digest(),
        "The plugin's file cannot be used; the last good version is used instead."
    );
    Ok(First { plugin: kept, wrong: Some(wrong) })
}

/// A kept version, loaded: all that holds for an upload holds for it.
fn kept(engine: &Engine, name: &str, config: &PluginConfig, store: &Store, digest: &str) -> Option<Plugin> {
    let load = || -> Result<Plugin, UpgradeError> {
        let (index, bytes) = (store.index()?, store.read(digest)?);
        let signature = index.find(digest).and_then(|record| record.signature.as_deref());
        Ok(config.load_bytes(engine, name, &bytes, signature)?)
    };
    load().map_err(|error| warn!(plugin = name, digest, %error, "A kept version of a plugin cannot be used.")).ok()
}

impl Inner {
    /// A version that is not at hand, from the store: a message of an earlier run was begun with it.
    pub(super) fn recall(&self, name: &str, digest: &str) -> Option<Plugin> {
        let config = self.config(name).ok()?;
        let store = self.store(&config);
        store.index().ok()?.find(digest)?;
        kept(&self.engine, name, &config, &store, digest)
    }
}
