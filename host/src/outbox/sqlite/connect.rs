//! Opening the file: settings, migration, integrity.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::fault::{Fault, Judge};
use super::{messages, schema};
use crate::outbox::OutboxError;

/// How long another program (a backup, a shell) may hold the file before a call is answered "unavailable".
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Up to this size the whole file is checked at the start, about a second's work; beyond it the tables that deliveries depend on.
const FULL_CHECK_BYTES: u64 = 1 << 30;

/// The writer's connection to a file that is made where there is none, migrated and checked.
pub(super) fn writer(path: &Path, judge: &Judge) -> Result<Connection, OutboxError> {
    create(path).map_err(|error| {
        OutboxError::Unavailable(format!("the outbox {} cannot be created ({error}); check its folder", path.display()))
    })?;
    prepare(path).map_err(|fault| judge.fault(fault))
}

/// Makes the file, for its owner alone: events are confidential, and SQLite gives the files beside it the same mode.
fn create(path: &Path) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(file) => {
            file.sync_all()?;
            // A synced file in a folder that is not synced can vanish as a whole.
            if cfg!(unix) { std::fs::File::open(folder)?.sync_all() } else { Ok(()) }
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn prepare(path: &Path) -> Result<Connection, Fault> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    // Only the writer checkpoints, and looks at what comes of it: SQLite's own checkpoints swallow a failed sync.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    steady_plans(&db)?;
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(
            OutboxError::Broken(format!("the file system of {} cannot hold a write-ahead log; use a local disk", path.display())).into()
        );
    }
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "cache_size", -16_000)?;
    db.set_prepared_statement_cache_capacity(64);
    schema::migrate(&db, schema::MIGRATIONS)?;
    check(&db, path)?;
    let landed = messages::land_all(&db)?;
    if landed > 0 {
        tracing::warn!(message = "Messages were in flight when the last run ended; they are sent again.", messages = landed);
    }
    Ok(db)
}

/// Keeps a statement's plan for all values. Otherwise SQLite looks at each value for a better one, which compiles the statement anew.
fn steady_plans(db: &Connection) -> Result<(), Fault> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// A connection that moves the log into the file, beside the writer.
pub(super) fn beside(path: &Path) -> Result<Connection, Fault> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    steady_plans(&db)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(db)
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, Fault> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    steady_plans(&db)?;
    db.set_prepared_statement_cache_capacity(32);
    Ok(db)
}

/// Refuses a damaged file.
fn check(db: &Connection, path: &Path) -> Result<(), Fault> {
    let begun = Instant::now();
    let pages: i64 = db.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let page_size: i64 = db.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let bytes = pages.unsigned_abs() * page_size.unsigned_abs();
    if bytes <= FULL_CHECK_BYTES {
        sound(db, path, "PRAGMA quick_check(1)")?;
    } else {
        for table in ["queue", "lanes", "seen"] {
            sound(db, path, &format!("PRAGMA quick_check('{table}')"))?;
        }
        tracing::info!(message = "Only the outbox's hot tables were checked, because it is large.", bytes);
    }
    let lost: i64 =
        db.query_row("SELECT count(*) FROM queue q WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.seq = q.seq)", [], |row| row.get(0))?;
    if lost > 0 {
        return Err(damaged(path, &format!("{lost} waiting events have no content")));
    }
    tracing::debug!(message = "Outbox checked.", took_ms = begun.elapsed().as_millis() as u64, bytes);
    Ok(())
}

fn sound(db: &Connection, path: &Path, sql: &str) -> Result<(), Fault> {
    let answer: String = db.query_row(sql, [], |row| row.get(0))?;
    if answer == "ok" { Ok(()) } else { Err(damaged(path, &answer)) }
}

fn damaged(path: &Path, what: &str) -> Fault {
    let path = path.display();
    OutboxError::Broken(format!(
        "{path} is damaged ({what}); repair it with `sqlite3 {path} .recover`, or put it and {path}-wal aside to begin a new one"
    ))
    .into()
}
