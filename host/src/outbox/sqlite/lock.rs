//! The lock file that keeps a second host away from a database.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::outbox::OutboxError;

/// Held as long as it lives. The operating system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock beside `database`, or says who has it.
    pub(super) fn take(database: &Path) -> Result<Lock, OutboxError> {
        let path = beside(database);
        let failed = |error: std::io::Error| {
            OutboxError::Unavailable(format!("the lock file {} cannot be used ({error}); check its folder", path.display()))
        };
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The name of the holder is a courtesy: unreadable, the refusal stands all the same.
                let holder = match file.read_to_string(&mut holder) {
                    Ok(_) if !holder.trim().is_empty() => holder.trim().to_owned(),
                    _ => "an unknown process".to_owned(),
                };
                return Err(OutboxError::Locked(format!(
                    "the outbox {} is in use by {holder}; stop that host first, or give this one another `path`",
                    database.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        writeln!(file, "pid {} on {}", std::process::id(), hostname()).map_err(failed)?;
        Ok(Lock { _file: file })
    }
}

fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "an unnamed computer".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_the_first_is_and_gets_it_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("x.db");
        let first = Lock::take(&database).unwrap();
        let error = Lock::take(&database).unwrap_err();
        let OutboxError::Locked(text) = error else { panic!("{error}") };
        assert!(text.contains(&format!("pid {} on {}", std::process::id(), hostname())), "{text}");
        drop(first);
        Lock::take(&database).unwrap();
    }
}
