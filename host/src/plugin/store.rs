//! The versions of one plugin that are kept on disk: `FILE.versions/` beside the plugin's file.
//!
//! `index.json` says which ones there are and which one is in use; each lies in a file named after its digest, which is compared whenever the
//! file is read. Only components are kept, never compiled code. Several processes may use a store: changes happen under a lock.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::load;
use super::signature;

/// Versions that are kept, the one in use among them.
pub const KEPT: usize = 5;

/// The form of the index.
const FORM: u32 = 1;

/// Who put a version to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// The command line.
    Cli,
    /// The admin API.
    Api,
    /// A changed file.
    File,
    /// The config at the start, or a reload.
    Config,
    /// The host itself: it went back from a version that failed.
    Canary,
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Who::Cli => "cli",
            Who::Api => "api",
            Who::File => "file",
            Who::Config => "config",
            Who::Canary => "canary",
        })
    }
}

/// One kept version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// SHA-256 of the component, hexadecimal.
    pub digest: String,
    /// The plugin's version.
    pub version: String,
    /// When it was put to use, in Unix milliseconds.
    pub at: i64,
    /// By whom.
    pub who: Who,
    /// The content of its `FILE.sig`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Why it was taken out of use, where the host did that by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// What a store knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    form: u32,
    /// The digest in use.
    pub current: Option<String>,
    /// Versions, the one installed last first.
    pub versions: Vec<Record>,
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk.
    #[error("{} cannot be used: {source}", path.display())]
    Disk {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The index is damaged.
    #[error("{} is damaged ({source}); delete the folder to begin a new one", path.display())]
    Damaged {
        /// The index.
        path: PathBuf,
        /// Where.
        source: serde_json::Error,
    },
    /// The index was written by a later host.
    #[error("{} was written by a newer version of incident-sink (form {form})", path.display())]
    Newer {
        /// The index.
        path: PathBuf,
        /// Its form.
        form: u32,
    },
    /// A kept file is not what it was.
    #[error("the kept version {digest} was changed on disk (its SHA-256 is {found}); it is not used")]
    Changed {
        /// What it was.
        digest: String,
        /// What it is.
        found: String,
    },
}

/// The kept versions of one plugin.
#[derive(Clone, Debug)]
pub struct Store {
    file: PathBuf,
    folder: PathBuf,
}

impl Index {
    /// One version.
    pub fn find(&self, digest: &str) -> Option<&Record> {
        self.versions.iter().find(|record| record.digest == digest)
    }

    /// The version that a rollback leads to: the first one installed before this one that did not fail.
    pub fn before(&self, digest: &str) -> Option<&Record> {
        let at = self.versions.iter().position(|record| record.digest == digest)?;
        self.versions[at + 1..].iter().find(|record| record.failed.is_none())
    }

    /// A version that is installed goes in front; the oldest ones that are not in use are forgotten.
    fn install(&mut self, record: Record) {
        self.versions.retain(|other| other.digest != record.digest);
        self.current = Some(record.digest.clone());
        self.versions.insert(0, record);
        self.versions.truncate(KEPT);
    }
}

impl Store {
    /// Beside a plugin's file. Touches nothing.
    pub fn beside(file: &Path) -> Store {
        let mut folder = file.as_os_str().to_owned();
        folder.push(".versions");
        Store { file: file.to_owned(), folder: folder.into() }
    }

    /// What is kept; empty where there is no store yet.
    pub fn index(&self) -> Result<Index, StoreError> {
        let path = self.folder.join("index.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Index { form: FORM, ..Index::default() }),
            Err(source) => return Err(StoreError::Disk { path, source }),
        };
        let index: Index = serde_json::from_slice(&text).map_err(|source| StoreError::Damaged { path: path.clone(), source })?;
        if index.form > FORM { Err(StoreError::Newer { path, form: index.form }) } else { Ok(index) }
    }

    /// The bytes of a kept version, verified.
    pub fn read(&self, digest: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.component(digest);
        let bytes = fs::read(&path).map_err(|source| StoreError::Disk { path, source })?;
        let found = load::digest(&bytes);
        if found == digest { Ok(bytes) } else { Err(StoreError::Changed { digest: digest.to_owned(), found }) }
    }

    /// Keeps a version as the current one, and makes the plugin's file that version. Each step is atomic and synced; the file comes last but
    /// one, so that a crash in between leaves a file that is whole.
    pub fn install(&self, bytes: &[u8], record: Record) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        let mut index = self.index()?;
        write(&self.component(&record.digest), bytes, 0o600)?;
        self.put_in_place(bytes, &record)?;
        index.install(record);
        self.save(&index)
    }

    /// Makes a kept version the current one, and the plugin's file that version. `failed` says why the one before it goes.
    pub fn go_back(&self, digest: &str, failed: Option<(&str, &str)>) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        let mut index = self.index()?;
        if let Some((bad, why)) = failed {
            index.versions.iter_mut().filter(|record| record.digest == bad).for_each(|record| record.failed = Some(why.to_owned()));
        }
        if let Some(record) = index.find(digest).cloned() {
            self.put_in_place(&self.read(digest)?, &record)?;
        }
        index.current = Some(digest.to_owned());
        self.save(&index)
    }

    /// Writes a version down that is in use already, from the plugin's file.
    pub fn adopt(&self, bytes: &[u8], record: Record) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        let mut index = self.index()?;
        if index.current.as_deref() == Some(&record.digest) {
            return Ok(());
        }
        write(&self.component(&record.digest), bytes, 0o600)?;
        index.install(record);
        self.save(&index)
    }

    fn component(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}.wasm"))
    }

    /// The signature comes first: with the old file it is merely wrong, and a new file is never without.
    fn put_in_place(&self, bytes: &[u8], record: &Record) -> Result<(), StoreError> {
        if fs::read(&self.file).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        if let Some(signature) = &record.signature {
            write(&signature::path_of(&self.file), signature.as_bytes(), 0o644)?;
        }
        write(&self.file, bytes, 0o644)
    }

    fn save(&self, index: &Index) -> Result<(), StoreError> {
        let path = self.folder.join("index.json");
        let text = serde_json::to_vec_pretty(index).map_err(|source| StoreError::Damaged { path: path.clone(), source })?;
        write(&path, &text, 0o600)?;
        self.sweep(index);
        Ok(())
    }

    /// Removes components that the index does not know. One that cannot be removed only takes room.
    fn sweep(&self, index: &Index) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let forgotten = path.extension().is_some_and(|end| end == "wasm")
                && path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|digest| index.find(digest).is_none());
            if forgotten && let Err(error) = fs::remove_file(&path) {
                tracing::debug!(path = %path.display(), %error, "Failed to remove an old version of a plugin.");
            }
        }
    }

    /// Makes the folder, for its owner only, and waits until no other process changes it.
    fn lock(&self) -> Result<File, StoreError> {
        let wrong = |source| StoreError::Disk { path: self.folder.clone(), source };
        let mut folder = DirBuilder::new();
        folder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
        folder.create(&self.folder).map_err(wrong)?;
        let lock = options(0o600).create(true).truncate(false).open(self.folder.join("lock")).map_err(wrong)?;
        lock.lock().map_err(wrong)?;
        Ok(lock)
    }
}

fn options(mode: u32) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options
}

/// Writes a file so that a reader sees the old one or the new one, and a crash leaves one of them.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{:08x}.new", fastrand::u32(..)));
    let temporary = PathBuf::from(temporary);
    let written = (|| {
        let mut file = options(mode).create_new(true).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    })();
    written.map_err(|source| {
        // It may not exist; what matters is the first error.
        let _ = fs::remove_file(&temporary);
        StoreError::Disk { path: path.to_owned(), source }
    })
}

#[cfg(test)]
#[path = "tests/store.rs"]
mod tests;
