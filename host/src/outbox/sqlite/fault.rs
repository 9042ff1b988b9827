//! What an error of SQLite means for the outbox.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ffi;

use crate::outbox::OutboxError;

/// Why a job failed: SQLite's words, or ours.
#[derive(Debug)]
pub(super) enum Fault {
    Sql(rusqlite::Error),
    Outbox(OutboxError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Fault::Sql(error)
    }
}

impl From<OutboxError> for Fault {
    fn from(error: OutboxError) -> Self {
        Fault::Outbox(error)
    }
}

/// The kinds of trouble, by what has to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// What was written may be gone although nothing says so; asking again would answer "fine". The process must end.
    LostSync,
    /// No space, or the database's own limit.
    Full,
    /// Nothing may be written.
    ReadOnly,
    /// The disk did not take what was written, for want of anything but space.
    Unwritable,
    /// The disk does not answer as it should.
    Disk,
    /// Another program holds the file.
    Busy,
    /// The contents cannot be trusted.
    Corrupt,
    /// An error of this program.
    Defect,
}

/// Sorts SQLite's extended result codes.
pub(super) fn classify(extended: i32) -> Trouble {
    match extended {
        ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC => return Trouble::LostSync,
        ffi::SQLITE_IOERR_CORRUPTFS => return Trouble::Corrupt,
        ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_TRUNCATE => return Trouble::Unwritable,
        _ => {}
    }
    match extended & 0xff {
        ffi::SQLITE_FULL => Trouble::Full,
        ffi::SQLITE_READONLY | ffi::SQLITE_PERM | ffi::SQLITE_AUTH => Trouble::ReadOnly,
        ffi::SQLITE_IOERR | ffi::SQLITE_CANTOPEN | ffi::SQLITE_NOMEM | ffi::SQLITE_PROTOCOL => Trouble::Disk,
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => Trouble::Busy,
        ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB | ffi::SQLITE_FORMAT => Trouble::Corrupt,
        _ => Trouble::Defect,
    }
}

/// What is done when a sync was lost. The default ends the process.
pub(super) type OnLostSync = Arc<dyn Fn(&str) + Send + Sync>;

/// Turns SQLite's errors into the outbox's, for one database file.
#[derive(Clone)]
pub(super) struct Judge {
    path: PathBuf,
    on_lost_sync: OnLostSync,
}

impl Judge {
    /// A judge that ends the process at a lost sync: whoever starts it again finds what really is on disk.
    pub(super) fn new(path: &Path) -> Self {
        Judge::with_hook(path, Arc::new(|_| std::process::abort()))
    }

    /// A judge that calls `on_lost_sync` instead.
    pub(super) fn with_hook(path: &Path, on_lost_sync: OnLostSync) -> Self {
        Judge { path: path.to_owned(), on_lost_sync }
    }

    /// The outbox's error for whatever went wrong.
    pub(super) fn fault(&self, fault: Fault) -> OutboxError {
        match fault {
            Fault::Outbox(error) => error,
            Fault::Sql(error) => self.sql(&error),
        }
    }

    /// The outbox's error for SQLite's.
    pub(super) fn sql(&self, error: &rusqlite::Error) -> OutboxError {
        let path = self.path.display();
        let Some(inner) = error.sqlite_error() else {
            return OutboxError::Broken(format!("a row of {path} cannot be read: {error}"));
        };
        match classify(inner.extended_code) {
            Trouble::LostSync => {
                tracing::error!(
                    message = "The disk failed to sync the outbox. The process ends, because a second try would hide the loss.",
                    path = %path, error = %error,
                );
                (self.on_lost_sync)(&error.to_string());
                OutboxError::Broken(format!("the disk failed to sync {path}: {error}"))
            }
            Trouble::Full => OutboxError::Unavailable(format!("no space is left for {path} ({error}); free some and it goes on by itself")),
            Trouble::ReadOnly => {
                OutboxError::Unavailable(format!("{path} cannot be written ({error}); make it writable and it goes on by itself"))
            }
            Trouble::Unwritable => OutboxError::Unavailable(format!(
                "{path} cannot be written ({error}): its disk fails or has become read-only; see the system's log, it goes on by itself"
            )),
            Trouble::Disk => OutboxError::Unavailable(format!("the disk under {path} fails ({error}); see the system's log")),
            Trouble::Busy => OutboxError::Unavailable(format!("another program holds {path} ({error}); end it and it goes on by itself")),
            Trouble::Corrupt => OutboxError::Broken(format!(
                "{path} is damaged ({error}); stop the host, then repair it with `sqlite3 {path} .recover` or put it aside to begin a new one"
            )),
            Trouble::Defect => OutboxError::Broken(format!("{path} was used wrongly, please report this: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn failure(extended: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(extended), None)
    }

    #[test]
    fn only_a_failed_sync_ends_the_process() {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let judge = Judge::with_hook(Path::new("x.db"), Arc::new(move |_| _ = counted.fetch_add(1, Ordering::Relaxed)));
        for code in
            [ffi::SQLITE_FULL, ffi::SQLITE_READONLY, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_READ, ffi::SQLITE_BUSY, ffi::SQLITE_CORRUPT]
        {
            judge.sql(&failure(code));
        }
        assert_eq!(calls.load(Ordering::Relaxed), 0);
        judge.sql(&failure(ffi::SQLITE_IOERR_FSYNC));
        judge.sql(&failure(ffi::SQLITE_IOERR_DIR_FSYNC));
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn every_code_has_its_trouble() {
        assert_eq!(classify(ffi::SQLITE_FULL), Trouble::Full);
        assert_eq!(classify(ffi::SQLITE_READONLY_DBMOVED), Trouble::ReadOnly);
        assert_eq!(classify(ffi::SQLITE_IOERR_WRITE), Trouble::Unwritable);
        assert_eq!(classify(ffi::SQLITE_IOERR_READ), Trouble::Disk);
        assert_eq!(classify(ffi::SQLITE_IOERR_CORRUPTFS), Trouble::Corrupt);
        assert_eq!(classify(ffi::SQLITE_NOTADB), Trouble::Corrupt);
        assert_eq!(classify(ffi::SQLITE_BUSY_SNAPSHOT), Trouble::Busy);
        assert_eq!(classify(ffi::SQLITE_CONSTRAINT), Trouble::Defect);
    }

    #[test]
    fn a_full_disk_is_told_with_the_path_and_the_way_out() {
        let error = Judge::new(Path::new("/var/x.db")).sql(&failure(ffi::SQLITE_FULL));
        assert!(matches!(&error, OutboxError::Unavailable(text) if text.contains("/var/x.db") && text.contains("free some")), "{error}");
    }
}
