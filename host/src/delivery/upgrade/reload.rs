//! The plugins of a changed config: new ones loaded, changed ones installed, missing ones forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::info;

use super::{Inner, InstallOptions, UpgradeError};
use crate::plugin::config::read_capped;
use crate::plugin::store::Who;
use crate::plugin::{PluginConfig, signature};

impl Inner {
    /// Takes the plugins of a changed config. What is refused stays as it was.
    pub(super) fn reload(&self, plugins: BTreeMap<String, PluginConfig>) -> Result<(), Vec<(String, UpgradeError)>> {
        let _turn = self.turn();
        self.settle_verdicts();
        let (mut taken, mut errors) = (BTreeMap::clone(&self.plugins.load()), Vec::new());
        taken.retain(|name, _| {
            let stays = plugins.contains_key(name);
            if !stays {
                self.registry.trials().end(name);
                self.registry.remove(name);
                info!(plugin = name, "The config has the plugin no more; it is forgotten.");
            }
            stays
        });
        for (name, config) in plugins {
            if taken.get(&name) == Some(&config) {
                continue;
            }
            match self.reload_one(&name, &config) {
                Ok(()) => drop(taken.insert(name, config)),
                Err(error) => errors.push((name, error)),
            }
        }
        self.plugins.store(Arc::new(taken));
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// The config says which file it is, so an older version is taken too.
    fn reload_one(&self, name: &str, config: &PluginConfig) -> Result<(), UpgradeError> {
        let path = self.base.join(&config.path);
        let mut bytes = Vec::new();
        let installed = read_capped(&path, config.limits.component).map_err(UpgradeError::from).and_then(|read| {
            bytes = read;
            let options = InstallOptions { force: true, shadow: None };
            self.install_with(config, name, &bytes, signature::read(&path).ok(), Who::Config, options)
        });
        installed.map(|_| ()).inspect_err(|error| self.refused(name, &bytes, Who::Config, error))
    }
}
