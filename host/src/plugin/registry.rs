//! Which version of each plugin is in use, and which ones are kept.
//!
//! The whole table is one immutable value behind an atomic pointer: a reader never waits, a swap is seen at once by all or by none. A call
//! holds the version that it began with, so nothing has to be drained.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;

use super::call::Plugin;
use super::config::PluginConfig;
use super::engine::Engine;
use super::load::LoadError;
use super::meter::{Meter, Usage};
use super::trials::Trials;

/// Versions that are kept besides the current one, for rollback and for messages that one of them began.
const KEPT: usize = 3;

/// The plugins in use, by name. Cheap to clone; all clones see the same.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    table: ArcSwap<Table>,
    trials: Trials,
    recall: OnceLock<Recall>,
    meters: Mutex<BTreeMap<String, Arc<Meter>>>,
}

/// Finds a version by its plugin's name and its digest.
type Find = dyn Fn(&str, &str) -> Option<Plugin> + Send + Sync;

/// Finds a version that is not at hand.
pub struct Recall(Box<Find>);

impl Recall {
    /// By this function, of a plugin's name and a digest.
    pub fn new(find: impl Fn(&str, &str) -> Option<Plugin> + Send + Sync + 'static) -> Recall {
        Recall(Box::new(find))
    }
}

impl std::fmt::Debug for Recall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recall")
    }
}

type Table = BTreeMap<String, Slot>;

#[derive(Clone, Debug)]
struct Slot {
    current: Plugin,
    /// Earlier ones, the latest first.
    kept: Vec<Plugin>,
}

impl Slot {
    fn versions(&self) -> impl Iterator<Item = &Plugin> {
        std::iter::once(&self.current).chain(&self.kept)
    }

    /// Puts a version in front; one that was kept is not kept twice.
    fn replace(&mut self, plugin: Plugin) -> Plugin {
        let previous = std::mem::replace(&mut self.current, plugin);
        self.kept.insert(0, previous.clone());
        let current = self.current.digest();
        self.kept.retain(|kept| kept.digest() != current);
        self.kept.truncate(KEPT);
        previous
    }
}

impl Registry {
    /// Loads every plugin of a config, as many at a time as the machine has processors. All of them, or every error. Blocks.
    pub fn load(engine: &Engine, configs: &BTreeMap<String, PluginConfig>, base: &Path) -> Result<Registry, Vec<(String, LoadError)>> {
        let work: Vec<(&String, &PluginConfig)> = configs.iter().collect();
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::with_capacity(work.len()));
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(work.len());
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some((name, config)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let loaded = config.load(engine, name, base);
                        done.lock().unwrap_or_else(PoisonError::into_inner).push(((*name).clone(), loaded));
                    }
                });
            }
        });
        let mut table = Table::new();
        let mut errors = Vec::new();
        for (name, loaded) in done.into_inner().unwrap_or_else(PoisonError::into_inner) {
            match loaded {
                Ok(current) => drop(table.insert(name, Slot { current, kept: Vec::new() })),
                Err(error) => errors.push((name, error)),
            }
        }
        errors.sort_by(|a, b| a.0.cmp(&b.0));
        if !errors.is_empty() {
            return Err(errors);
        }
        let registry = Registry(Arc::new(Shared { table: ArcSwap::from_pointee(table), ..Shared::default() }));
        registry.0.table.load().iter().for_each(|(name, slot)| registry.count(name, &slot.current));
        Ok(registry)
    }

    /// From now on a version's calls are counted for its plugin.
    fn count(&self, name: &str, plugin: &Plugin) {
        let mut meters = self.0.meters.lock().unwrap_or_else(PoisonError::into_inner);
        plugin.count_by(Arc::clone(meters.entry(name.to_owned()).or_default()));
    }

    /// What the calls of every plugin came to since the start, by name. Touches no disk: for metrics.
    pub fn usage(&self) -> Vec<(String, Usage)> {
        let meters = self.0.meters.lock().unwrap_or_else(PoisonError::into_inner);
        meters.iter().map(|(name, meter)| (name.clone(), meter.usage())).collect()
    }

    /// The version in use.
    pub fn current(&self, name: &str) -> Option<Plugin> {
        self.0.table.load().get(name).map(|slot| slot.current.clone())
    }

    /// The same for one plugin.
    pub fn usage_of(&self, name: &str) -> Usage {
        let meters = self.0.meters.lock().unwrap_or_else(PoisonError::into_inner);
        meters.get(name).map(|meter| meter.usage()).unwrap_or_default()
    }

    /// A version by its digest: in use, kept, or found by [`Registry::set_recall`]'s function, which may block for as long as a component
    /// compiles, once a version.
    pub fn version(&self, name: &str, digest: &str) -> Option<Plugin> {
        if let Some(plugin) = self.at_hand(name, digest) {
            return Some(plugin);
        }
        self.current(name)?;
        let found = (self.0.recall.get()?.0)(name, digest)?;
        self.count(name, &found);
        self.change(|table| {
            let slot = table.get_mut(name)?;
            if !slot.versions().any(|plugin| plugin.digest() == digest) {
                slot.kept.push(found.clone());
            }
            Some(())
        });
        Some(found)
    }

    /// A version by its digest, in use or kept.
    pub fn at_hand(&self, name: &str, digest: &str) -> Option<Plugin> {
        self.0.table.load().get(name)?.versions().find(|plugin| plugin.digest() == digest).cloned()
    }

    /// Says where versions are found that are not at hand, such as those of messages that an earlier run began. Once; later calls change nothing.
    pub fn set_recall(&self, recall: Recall) {
        let _ = self.0.recall.set(recall);
    }

    /// What is on trial.
    pub fn trials(&self) -> &Trials {
        &self.0.trials
    }

    /// Takes a watched version out of use and goes back to the one before; answers that one. `None` where it is not watched (any more).
    pub fn convict(&self, name: &str, failed: &str, why: &str) -> Option<Plugin> {
        let old = self.0.trials.convict(name, failed, why)?;
        self.change(|table| {
            if let Some(slot) = table.get_mut(name).filter(|slot| slot.current.digest() == failed) {
                slot.replace(old.clone());
            }
        });
        Some(old)
    }

    /// All versions that are at hand: the one in use, then the kept ones, the latest first.
    pub fn versions(&self, name: &str) -> Vec<Plugin> {
        self.0.table.load().get(name).map(|slot| slot.versions().cloned().collect()).unwrap_or_default()
    }

    /// The plugins' names, sorted.
    pub fn names(&self) -> Vec<String> {
        self.0.table.load().keys().cloned().collect()
    }

    /// Puts a version to use, under a new name or in place of another; answers the one that was in use. Atomic.
    pub fn swap(&self, name: &str, plugin: Plugin) -> Option<Plugin> {
        self.count(name, &plugin);
        self.change(|table| match table.get_mut(name) {
            Some(slot) => Some(slot.replace(plugin.clone())),
            None => {
                table.insert(name.to_owned(), Slot { current: plugin.clone(), kept: Vec::new() });
                None
            }
        })
    }

    /// Goes back to the version before; answers it. `None` where none is kept.
    pub fn rollback(&self, name: &str) -> Option<Plugin> {
        self.change(|table| {
            let slot = table.get_mut(name)?;
            let previous = slot.kept.first()?.clone();
            slot.replace(previous.clone());
            Some(previous)
        })
    }

    /// Goes back from `failed` to the version before it, unless another one is in use meanwhile. For an automatic rollback.
    pub fn rollback_from(&self, name: &str, failed: &Plugin) -> Option<Plugin> {
        self.change(|table| {
            let slot = table.get_mut(name).filter(|slot| slot.current.digest() == failed.digest())?;
            let previous = slot.kept.first()?.clone();
            slot.replace(previous.clone());
            Some(previous)
        })
    }

    /// Forgets a plugin and its versions.
    pub fn remove(&self, name: &str) -> Option<Plugin> {
        self.change(|table| table.remove(name).map(|slot| slot.current))
    }

    /// Changes a copy of the table and puts it in place; again where somebody else was faster.
    fn change<T>(&self, mut change: impl FnMut(&mut Table) -> T) -> T {
        let mut answer = None;
        self.0.table.rcu(|table| {
            let mut table = Table::clone(table);
            answer = Some(change(&mut table));
            table
        });
        answer.expect("rcu runs its closure at least once")
    }
}
