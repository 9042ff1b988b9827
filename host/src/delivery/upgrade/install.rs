//! The steps from bytes to the version in use, and back. All of it blocks; none of it is on the path of a message.

use std::sync::{Arc, MutexGuard, PoisonError};

use tracing::{info, warn};

use super::golden::{self, Rehearsal};
use super::state::Failure;
use super::{Inner, InstallOptions, Installed, UpgradeError};
use crate::delivery::plugin_sink::PluginSink;
use crate::plugin::store::{Record, Who};
use crate::plugin::{Plugin, PluginConfig, load};

/// Connectors that a new version writes golden events for; the configs of all of them are checked.
const REHEARSED: usize = 16;

impl Inner {
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Verifies a component, keeps it, and puts it to use. Whatever is refused leaves the version in use as it is.
    pub(super) fn install(
        &self,
        name: &str,
        bytes: &[u8],
        signature: Option<String>,
        who: Who,
        options: InstallOptions,
    ) -> Result<Installed, UpgradeError> {
        let _turn = self.turn();
        self.settle_verdicts();
        self.config(name).and_then(|config| self.install_with(&config, name, bytes, signature, who, options)).inspect_err(|error| {
            self.refused(name, bytes, who, error);
        })
    }

    pub(super) fn install_with(
        &self,
        config: &PluginConfig,
        name: &str,
        bytes: &[u8],
        signature: Option<String>,
        who: Who,
        options: InstallOptions,
    ) -> Result<Installed, UpgradeError> {
        let current = self.registry.current(name);
        let before = current.as_ref().map(|plugin| plugin.descriptor().version.to_string());
        let plugin = self.load(config, name, bytes, signature.as_deref())?;
        let installed = |changed| Installed {
            name: name.to_owned(),
            version: plugin.descriptor().version.to_string(),
            digest: plugin.digest().to_owned(),
            before,
            changed,
        };
        if current.as_ref().is_some_and(|current| current.digest() == plugin.digest() && current.limits() == plugin.limits()) {
            return Ok(installed(false));
        }
        if let Some(current) = &current {
            not_older(current, &plugin, options.force)?;
        }
        self.try_out(name, &plugin, current.as_ref())?;
        if let Some(messages) = options.shadow {
            self.registry.trials().shadow(name, &plugin, messages);
            info!(plugin = name, version = %plugin.descriptor().version, %who, messages, "A version of the plugin writes along as a shadow.");
            return Ok(installed(false));
        }
        if let Err(error) = self.adopt(name) {
            warn!(plugin = name, %error, "The version in use cannot be kept; there will be no going back to it.");
        }
        let record = Record {
            digest: plugin.digest().to_owned(),
            version: plugin.descriptor().version.to_string(),
            at: self.clock.now(),
            who,
            signature,
            failed: None,
        };
        self.store(config).install(bytes, record)?;
        self.put_to_use(name, &plugin, current.as_ref(), config.canary.messages, who);
        Ok(installed(true))
    }

    /// Loads it, or takes it from those at hand: a component is compiled once.
    fn load(&self, config: &PluginConfig, name: &str, bytes: &[u8], signature: Option<&str>) -> Result<Plugin, UpgradeError> {
        match self.registry.at_hand(name, &load::digest(bytes)).filter(|plugin| *plugin.limits() == config.limits) {
            Some(plugin) => config.check_upload(bytes, signature).map(|()| plugin),
            None => config.load_bytes(&self.engine, name, bytes, signature),
        }
        .map_err(UpgradeError::Load)
    }

    /// One atomic store. The canary begins first, so that not even the first message goes unwatched.
    fn put_to_use(&self, name: &str, plugin: &Plugin, before: Option<&Plugin>, messages: u32, who: Who) {
        match before {
            Some(before) => self.registry.trials().watch(name, plugin, before, messages),
            None => self.registry.trials().end(name),
        }
        self.registry.swap(name, plugin.clone());
        self.account(name, |account| {
            account.counts.swaps += 1;
            account.refused_file = None;
        });
        info!(
            plugin = name,
            version = %plugin.descriptor().version,
            digest = plugin.digest(),
            before = before.map(|plugin| plugin.descriptor().version.to_string()),
            %who,
            "The plugin's new version is in use."
        );
    }

    fn of(&self, name: &str) -> Vec<Arc<PluginSink>> {
        self.sinks.load().iter().filter(|sink| sink.config().kind() == name).cloned().collect()
    }

    /// Every connector's config, then golden events.
    fn try_out(&self, name: &str, plugin: &Plugin, current: Option<&Plugin>) -> Result<(), UpgradeError> {
        let sinks = self.of(name);
        check_configs(&sinks, plugin)?;
        let cx = golden::context(self.clock.now());
        for sink in sinks.iter().take(REHEARSED) {
            for (event, batch) in golden::batches(plugin) {
                let failed = |text| UpgradeError::Golden { connector: sink.name().to_string(), event: event.clone(), text };
                if let Rehearsal::Rejects(reason) = sink.rehearse(plugin, &batch, &cx).map_err(|reason| failed(reason.text))? {
                    // What the version in use refuses too is no reason to keep it.
                    let refuses =
                        |current: &Plugin| !matches!(sink.rehearse(current, &batch, &cx), Ok(Rehearsal::Sends | Rehearsal::Decides));
                    if !current.is_none_or(refuses) {
                        return Err(failed(format!("it rejects the event: {}", reason.text)));
                    }
                }
            }
        }
        Ok(())
    }

    /// Goes back to the version that was installed before the one in use.
    pub(super) fn rollback(&self, name: &str, who: Who) -> Result<Installed, UpgradeError> {
        let _turn = self.turn();
        self.settle_verdicts();
        let config = self.config(name)?;
        let current = self.registry.current(name).ok_or_else(|| UpgradeError::Unknown(name.to_owned()))?;
        let store = self.store(&config);
        let index = store.index()?;
        let record = index.before(current.digest()).ok_or_else(|| UpgradeError::NoEarlier(name.to_owned()))?;
        let bytes = store.read(&record.digest)?;
        let plugin = self.load(&config, name, &bytes, record.signature.as_deref())?;
        check_configs(&self.of(name), &plugin)?;
        store.go_back(&record.digest, None)?;
        self.registry.trials().end(name);
        self.registry.swap(name, plugin.clone());
        self.account(name, |account| account.counts.rollbacks += 1);
        let (version, before) = (plugin.descriptor().version.to_string(), current.descriptor().version.to_string());
        info!(plugin = name, version, before, digest = plugin.digest(), %who, "The plugin's version before is in use again.");
        Ok(Installed { name: name.to_owned(), version, digest: record.digest.clone(), before: Some(before), changed: true })
    }

    /// Writes down which versions the host took out of use by itself.
    pub(super) fn settle_verdicts(&self) {
        for verdict in self.registry.trials().take_verdicts() {
            let (name, failed) = (&verdict.name, verdict.failed.digest());
            let kept = self
                .config(name)
                .and_then(|config| Ok(self.store(&config).go_back(verdict.back.digest(), Some((failed, &verdict.why)))?));
            if let Err(error) = kept {
                warn!(plugin = name, %error, "Failed to write a rollback down; the version that failed is still in the plugin's file.");
            }
            let failure =
                Failure { at: self.clock.now(), who: Who::Canary, digest: failed.to_owned(), step: "canary", error: verdict.why.clone() };
            self.account(name, |account| {
                account.counts.automatic_rollbacks += 1;
                account.failure = Some(failure);
            });
        }
    }

    pub(super) fn refused(&self, name: &str, bytes: &[u8], who: Who, error: &UpgradeError) {
        warn!(plugin = name, %who, step = error.step(), %error, "The plugin's new version is refused; the one in use goes on.");
        // What the config does not know has no account, or anybody could make any number of them.
        if self.plugins.load().contains_key(name) {
            let digest = load::digest(bytes);
            let failure = Failure { at: self.clock.now(), who, digest, step: error.step(), error: error.to_string() };
            self.account(name, |account| {
                account.counts.refused += 1;
                account.failure = Some(failure);
            });
        }
    }
}

fn not_older(current: &Plugin, offered: &Plugin, force: bool) -> Result<(), UpgradeError> {
    let (current, found) = (&current.descriptor().version, &offered.descriptor().version);
    if force || found.cmp_precedence(current).is_ge() {
        return Ok(());
    }
    Err(UpgradeError::Downgrade { current: current.clone(), found: found.clone() })
}

fn check_configs(sinks: &[Arc<PluginSink>], plugin: &Plugin) -> Result<(), UpgradeError> {
    sinks.iter().try_for_each(|sink| {
        sink.check_with(plugin).map_err(|problems| UpgradeError::Config { connector: sink.name().to_string(), problems })
    })
}
