//! The key that signs the links: made at the first start, kept in a file that only the host can read.

use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use zeroize::Zeroize;

use crate::outbox::{Outbox, OutboxError};
use crate::secret::Secret;

/// The file of the key, beside the outbox.
pub const FILE: &str = "respond.key";
/// The file of the key before it: its links work until they expire. To change the key, rename `respond.key` to this and restart.
pub const OLD_FILE: &str = "respond.key.old";
/// Bytes of a key.
const LENGTH: usize = 32;

/// A key of links. Not printable; wiped from memory.
pub struct Key([u8; LENGTH]);

impl Key {
    /// Of these bytes.
    pub fn new(bytes: [u8; LENGTH]) -> Key {
        Key(bytes)
    }

    /// The bytes, for the one place that signs.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key([redacted])")
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("the key of the links, {}, cannot be used: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// There is none, and none can be written.
    #[error("a key for the links, {}, cannot be written: {error}", path.display())]
    Unwritten {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Others could sign links with it.
    #[error("the key of the links, {}, can be read by others: run `chmod 600` on it, or delete it to get a new one", path.display())]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// Not what this program writes.
    #[error("the key of the links, {}, is not 64 hexadecimal digits: delete it to get a new one (links sent so far stop working)", path.display())]
    Content {
        /// The file.
        path: PathBuf,
    },
    /// The outbox, which keeps it for all hosts, does not give it.
    #[error("the key of the links cannot be had from the outbox: {0}")]
    Outbox(#[from] OutboxError),
    /// Not what this program writes there.
    #[error("the outbox's note `{0}` is not 64 hexadecimal digits: delete the note to get a new key (links sent so far stop working)")]
    Note(&'static str),
    /// The system has no random numbers.
    #[error("the system gives no random numbers for a key: {0}")]
    Random(String),
}

impl KeyError {
    /// Whether it may be otherwise as soon as the disk takes data.
    pub fn is_temporary(&self) -> bool {
        matches!(self, KeyError::Unwritten { .. } | KeyError::Outbox(OutboxError::Unavailable(_)))
    }
}

/// The keys in use: the first signs, all verify.
#[derive(Debug)]
pub struct Keys {
    /// The one that signs.
    pub current: Key,
    /// The one before it, while links that it signed may still be valid.
    pub old: Option<Key>,
}

impl Keys {
    /// Reads the keys in a folder; makes one where there is none. The old one counts until `link_ttl` after the new one was made. Blocks.
    pub fn open(folder: &Path, link_ttl: Duration) -> Result<Keys, KeyError> {
        let path = folder.join(FILE);
        let current = match read(&path)? {
            Some(key) => key,
            None => make(folder, &path)?,
        };
        let made = std::fs::metadata(&path).and_then(|file| file.modified()).map_err(|error| KeyError::File { path, error })?;
        let in_use = SystemTime::now().duration_since(made).is_ok_and(|age| age < link_ttl);
        let old = if in_use { read(&folder.join(OLD_FILE))? } else { None };
        Ok(Keys { current, old })
    }
}

impl Keys {
    /// The keys of hosts that share an outbox: the notes `respond.key` and `respond.key.old` in it, which are named as the files are and kept
    /// by hand likewise. The old one counts as long as it is there.
    pub async fn shared(outbox: &dyn Outbox) -> Result<Option<Keys>, KeyError> {
        let fresh = Secret::new(digits(&random()?));
        let Some(current) = outbox.shared_secret(FILE, &fresh).await? else { return Ok(None) };
        let current = parse(current.expose().trim()).ok_or(KeyError::Note(FILE))?;
        let old = match outbox.book() {
            Some(book) => book.note(OLD_FILE).await?.map(Secret::new),
            None => None,
        };
        let old = old.map(|old| parse(old.expose().trim()).ok_or(KeyError::Note(OLD_FILE))).transpose()?;
        Ok(Some(Keys { current, old }))
    }
}

fn random() -> Result<Key, KeyError> {
    let mut key = Key([0; LENGTH]);
    getrandom::fill(&mut key.0).map_err(|error| KeyError::Random(error.to_string()))?;
    Ok(key)
}

fn digits(key: &Key) -> String {
    key.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn make(folder: &Path, path: &Path) -> Result<Key, KeyError> {
    let unwritten = |error| KeyError::Unwritten { path: path.to_owned(), error };
    let key = random()?;
    std::fs::create_dir_all(folder).map_err(unwritten)?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut text = digits(&key);
    text.push('\n');
    let written = options.open(path).map(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    text.zeroize();
    written.map_err(unwritten)?.map_err(|error| {
        // A part of a key would be taken for a damaged one. What cannot be removed either is told at the next try.
        let _ = std::fs::remove_file(path);
        unwritten(error)
    })?;
    tracing::info!(path = %path.display(), "A key for the links on messages was made.");
    Ok(key)
}

fn read(path: &Path) -> Result<Option<Key>, KeyError> {
    let file_error = |error| KeyError::File { path: path.to_owned(), error };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file_error(error)),
    };
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().map_err(file_error)?.permissions());
        if mode & 0o077 != 0 {
            return Err(KeyError::Open { path: path.to_owned() });
        }
    }
    let mut text = String::new();
    file.take(1024).read_to_string(&mut text).map_err(file_error)?;
    let key = parse(text.trim());
    text.zeroize();
    key.map(Some).ok_or_else(|| KeyError::Content { path: path.to_owned() })
}

fn parse(text: &str) -> Option<Key> {
    let digits = text.as_bytes();
    let mut key = Key([0; LENGTH]);
    if digits.len() != 2 * LENGTH {
        return None;
    }
    for (byte, pair) in key.0.iter_mut().zip(digits.as_chunks::<2>().0) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_key_is_made_once_and_only_the_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = Keys::open(&folder.path().join("data"), DAY).unwrap();
        let path = folder.path().join("data").join(FILE);
        assert_eq!(first.current.0, Keys::open(&folder.path().join("data"), DAY).unwrap().current.0);
        assert_ne!(first.current.0, [0; LENGTH]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
            assert!(matches!(Keys::open(&folder.path().join("data"), DAY), Err(KeyError::Open { .. })));
        }
    }

    #[test]
    fn the_old_key_counts_until_its_links_have_expired() {
        let folder = tempfile::tempdir().unwrap();
        let first = Keys::open(folder.path(), DAY).unwrap();
        std::fs::rename(folder.path().join(FILE), folder.path().join(OLD_FILE)).unwrap();
        let second = Keys::open(folder.path(), DAY).unwrap();
        assert_ne!(second.current.0, first.current.0);
        assert_eq!(second.old.unwrap().0, first.current.0);
        assert!(Keys::open(folder.path(), Duration::ZERO).unwrap().old.is_none());
    }

    #[test]
    fn a_key_that_cannot_be_written_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("data");
        std::fs::write(&place, "a file where the folder is to be").unwrap();
        let error = Keys::open(&place, DAY).unwrap_err();
        assert!(matches!(error, KeyError::File { .. }) && !error.is_temporary(), "{error}");
        let error = make(&place, &place.join(FILE)).unwrap_err();
        assert!(error.is_temporary() && error.to_string().contains("respond.key"), "{error}");
    }

    #[test]
    fn a_damaged_key_is_not_replaced_in_silence() {
        let folder = tempfile::tempdir().unwrap();
        Keys::open(folder.path(), DAY).unwrap();
        std::fs::write(folder.path().join(FILE), "zz").unwrap();
        assert!(matches!(Keys::open(folder.path(), DAY), Err(KeyError::Content { .. })));
    }
}
