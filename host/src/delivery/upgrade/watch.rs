//! Notices changed files, and writes automatic rollbacks to disk.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Inner, InstallOptions, UpgradeError, Upgrader};
use crate::plugin::config::read_capped;
use crate::plugin::store::{Record, Who};
use crate::plugin::{PluginConfig, load, signature};

/// A file that changes is looked at when it has been left alone for so long.
const QUIET: Duration = Duration::from_millis(300);
/// A file that never stops changing is looked at after so many quiet times.
const PATIENCE: u32 = 20;
/// How often files are looked at without having been announced: some file systems announce nothing.
const POLL: Duration = Duration::from_secs(10);

impl Upgrader {
    /// Runs until `stop`: installs what is put in place of a plugin's file, and writes rollbacks of the host itself to disk. One a process.
    pub async fn watch(&self, stop: CancellationToken) {
        let (announce, mut changes) = mpsc::channel(1);
        let mut watched = self.0.folders();
        let mut _watcher = watcher(&watched, announce.clone());
        self.blocking(Inner::adopt_all).await;
        loop {
            // A reload may have brought plugins in other folders.
            let folders = self.0.folders();
            if folders != watched {
                _watcher = watcher(&folders, announce.clone());
                watched = folders;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.registry.trials().verdict() => {}
                Some(()) = changes.recv() => quiet(&mut changes).await,
                () = tokio::time::sleep(POLL) => {}
            }
            self.blocking(Inner::look).await;
        }
    }

    async fn blocking(&self, work: fn(&Inner)) {
        let looked = super::run(&self.0, move |inner| {
            work(inner);
            Ok(())
        });
        if let Err(error) = looked.await {
            warn!(%error, "Looking at the plugins' files ended unexpectedly.");
        }
    }
}

/// Waits until nothing has changed for a while.
async fn quiet(changes: &mut mpsc::Receiver<()>) {
    for _ in 0..PATIENCE {
        if tokio::time::timeout(QUIET, changes.recv()).await.is_err() {
            return;
        }
        tokio::time::sleep(QUIET / 3).await;
    }
}

/// Watches the folders: a file that is replaced by a rename is another file.
fn watcher(folders: &BTreeSet<PathBuf>, announce: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    // A full channel has announced it already; a closed one interests nobody.
    let tell = move |_: notify::Result<notify::Event>| {
        let _ = announce.try_send(());
    };
    let watched = notify::recommended_watcher(tell)
        .and_then(|mut watcher| folders.iter().try_for_each(|folder| watcher.watch(folder, RecursiveMode::NonRecursive)).map(|()| watcher));
    watched
        .map_err(
            |error| warn!(%error, seconds = POLL.as_secs(), "Changes of plugins are not announced by the system; looking at intervals."),
        )
        .ok()
}

impl Inner {
    /// Where the plugins' files are.
    fn folders(&self) -> BTreeSet<PathBuf> {
        let folder = |config: &PluginConfig| self.base.join(&config.path).parent().map(PathBuf::from);
        self.plugins.load().values().filter_map(folder).collect()
    }

    /// Writes the versions in use down, so that there is something to go back to.
    fn adopt_all(&self) {
        for name in self.registry.names() {
            if let Err(error) = self.adopt(&name) {
                warn!(plugin = name, %error, "The plugin's version cannot be kept; there will be none to go back to.");
            }
        }
    }

    /// Keeps the version in use, if that is what the plugin's file is.
    pub(super) fn adopt(&self, name: &str) -> Result<(), UpgradeError> {
        let (Ok(config), Some(current)) = (self.config(name), self.registry.current(name)) else { return Ok(()) };
        let path = self.base.join(&config.path);
        let bytes = read_capped(&path, config.limits.component)?;
        if load::digest(&bytes) != current.digest() {
            return Ok(()); // a kept version runs in place of a broken file
        }
        let record = Record {
            digest: current.digest().to_owned(),
            version: current.descriptor().version.to_string(),
            at: self.clock.now(),
            who: Who::Config,
            signature: signature::read(&path).ok(),
            failed: None,
        };
        Ok(self.store(&config).adopt(&bytes, record)?)
    }

    fn look(&self) {
        self.settle_verdicts();
        for name in self.registry.names() {
            self.look_at(&name);
        }
    }

    /// Installs a plugin's file if it is another than the version in use, once.
    fn look_at(&self, name: &str) {
        let Ok(config) = self.config(name) else { return };
        let path = self.base.join(&config.path);
        let Ok(stamp) = std::fs::metadata(&path).and_then(|data| Ok((data.len(), data.modified()?))) else { return };
        let signed = std::fs::metadata(signature::path_of(&path)).and_then(|data| data.modified()).ok();
        // The later of both times: a signature may follow its file.
        let stamp = (stamp.0, signed.map_or(stamp.1, |signed| signed.max(stamp.1)));
        let account = self.accounts().get(name).cloned().unwrap_or_default();
        if account.stamp == Some(stamp) {
            return;
        }
        self.account(name, |account| account.stamp = Some(stamp));
        let Ok(bytes) = read_capped(&path, config.limits.component) else { return };
        let digest = load::digest(&bytes);
        if self.registry.current(name).is_some_and(|current| current.digest() == digest) {
            return;
        }
        let index = self.index(name).unwrap_or_default();
        // Another process, the command line, has verified it and made it the current one: then it may be an older version.
        let chosen = index.find(&digest).filter(|_| index.current.as_deref() == Some(&digest));
        if chosen.is_none() && index.find(&digest).is_some_and(|record| record.failed.is_some()) {
            return; // it was taken out of use and is about to be replaced
        }
        let (who, force) = chosen.map_or((Who::File, false), |record| (record.who, true));
        let signature = signature::read(&path).ok();
        let key = format!("{digest}{}", signature.as_deref().unwrap_or_default());
        if account.refused_file.as_ref() == Some(&key) {
            return;
        }
        // A refusal is logged and kept there; here it is only not to be tried again.
        if self.install(name, &bytes, signature, who, InstallOptions { force, shadow: None }).is_err() {
            self.account(name, |account| account.refused_file = Some(key));
        }
    }
}
