//! Moving the outbox to another one, or from there.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use rusqlite::types::{ToSqlOutput, Value as SqlValue, ValueRef};
use rusqlite::{Connection, OptionalExtension, ToSql, params_from_iter};
use tokio::sync::mpsc;

use super::connect;
use super::fault::{Fault, Judge};
use super::lock::Lock;
use super::mover::{Mode, checkpoint};
use crate::outbox::OutboxError;
use crate::outbox::moving::{COUNT_REFS, Kind, MARK, Mover, Row, TABLES, Table, Value, columns, table};

/// What is added to the names of a file that was moved away.
const ASIDE: &str = "moved";

/// The file, to be moved.
pub(super) struct FileMover {
    path: PathBuf,
    file: Arc<Mutex<Option<File>>>,
}

impl FileMover {
    /// Takes the file; one that is not there is made only where it is the target.
    pub(super) async fn open(path: PathBuf, make: bool) -> Result<FileMover, OutboxError> {
        let place = path.clone();
        let opened = tokio::task::spawn_blocking(move || File::open(&place, make)).await.map_err(|error| defect(&error))?;
        Ok(FileMover { path, file: Arc::new(Mutex::new(Some(opened?))) })
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Option<File>) -> Result<T, OutboxError> + Send + 'static,
    ) -> Result<T, OutboxError> {
        let file = Arc::clone(&self.file);
        let done = tokio::task::spawn_blocking(move || work(&mut file.lock().unwrap_or_else(PoisonError::into_inner)));
        done.await.map_err(|error| defect(&error))?
    }
}

fn defect(error: &tokio::task::JoinError) -> OutboxError {
    OutboxError::Broken(format!("the move failed, please report this: {error}"))
}

#[async_trait]
impl Mover for FileMover {
    async fn mark(&self, fresh: &str) -> Result<String, OutboxError> {
        let fresh = fresh.to_owned();
        self.with(move |file| file.as_ref().ok_or(OutboxError::Closed)?.mark(&fresh)).await
    }

    async fn export(&self, rows: mpsc::Sender<Row>) -> Result<(), OutboxError> {
        let folder = self.path.parent().map(Path::to_owned).unwrap_or_default();
        self.with(move |file| {
            for (name, value) in keyfiles::read(&folder)? {
                let note = Row::Of(table("notes"), vec![Value::Text(name.to_owned()), Value::Text(value)]);
                rows.blocking_send(note).map_err(|_| OutboxError::Closed)?;
            }
            file.as_ref().ok_or(OutboxError::Closed)?.export(&rows)
        })
        .await
    }

    async fn import(&self, mark: &str, mut rows: mpsc::Receiver<Row>) -> Result<Option<u64>, OutboxError> {
        let (mark, folder) = (mark.to_owned(), self.path.parent().map(Path::to_owned).unwrap_or_default());
        self.with(move |file| file.as_ref().ok_or(OutboxError::Closed)?.import(&mark, &folder, &mut rows)).await
    }

    async fn retire(&self) -> Result<String, OutboxError> {
        let path = self.path.clone();
        self.with(move |file| file.take().ok_or(OutboxError::Closed)?.retire(&path)).await
    }
}

/// The file, which no host may have meanwhile.
struct File {
    db: Connection,
    judge: Judge,
    _lock: Lock,
}

impl File {
    /// Takes it. `make` where it may be made.
    fn open(path: &Path, make: bool) -> Result<File, OutboxError> {
        if !make && !path.exists() {
            return Err(OutboxError::Broken(format!("there is no outbox {}", path.display())));
        }
        let judge = Judge::new(path);
        let lock = Lock::take(path)?;
        Ok(File { db: connect::writer(path, &judge)?, judge, _lock: lock })
    }

    /// The mark of a move, made where there is none.
    fn mark(&self, fresh: &str) -> Result<String, OutboxError> {
        let work = || {
            self.db.execute("INSERT OR IGNORE INTO notes (name, value) VALUES (?1, ?2)", [MARK, fresh])?;
            Ok(self.db.query_row("SELECT value FROM notes WHERE name = ?1", [MARK], |row| row.get(0))?)
        };
        work().map_err(|fault| self.judge.fault(fault))
    }

    /// Hands over all rows.
    fn export(&self, rows: &mpsc::Sender<Row>) -> Result<(), OutboxError> {
        let work = || {
            for (place, table) in TABLES.iter().enumerate() {
                let mut statement = self.db.prepare(&format!("SELECT {} FROM {} {}", columns(table, "keys"), table.name, table.only))?;
                let mut found = statement.query([])?;
                while let Some(row) = found.next()? {
                    let values = table.columns.iter().enumerate().map(|(n, (_, kind))| value(row.get_ref(n)?, *kind));
                    if rows.blocking_send(Row::Of(place, values.collect::<Result<_, Fault>>()?)).is_err() {
                        return Err(stopped());
                    }
                }
            }
            rows.blocking_send(Row::End).map_err(|_| stopped())
        };
        work().map_err(|fault| self.judge.fault(fault))
    }

    /// Takes all rows in; how many. `None` where the move with this mark was made before.
    fn import(&self, mark: &str, folder: &Path, rows: &mut mpsc::Receiver<Row>) -> Result<Option<u64>, OutboxError> {
        self.db.execute_batch("BEGIN IMMEDIATE").map_err(|error| self.judge.sql(&error))?;
        let taken = self.take(mark, folder, rows).and_then(|taken| {
            self.db.execute_batch("COMMIT")?;
            Ok(taken)
        });
        if taken.is_err() && !self.db.is_autocommit() {
            // What it was about to say is in the error already.
            _ = self.db.execute_batch("ROLLBACK");
        }
        taken.map_err(|fault| self.judge.fault(fault))
    }

    fn take(&self, mark: &str, folder: &Path, rows: &mut mpsc::Receiver<Row>) -> Result<Option<u64>, Fault> {
        let found: Option<String> = self.db.query_row("SELECT value FROM notes WHERE name = ?1", [MARK], |row| row.get(0)).optional()?;
        if found.as_deref() == Some(mark) {
            return Ok(None);
        }
        for table in TABLES {
            let any: bool = self.db.query_row(&format!("SELECT EXISTS (SELECT 1 FROM {})", table.name), [], |row| row.get(0))?;
            if any {
                return Err(OutboxError::Conflict(format!("the target is not empty: its table `{}` has rows", table.name)).into());
            }
        }
        let mut count = 0;
        loop {
            match rows.blocking_recv() {
                Some(Row::Of(place, values)) if !keyfiles::write(folder, place, &values)? => insert(&self.db, &TABLES[place], &values)?,
                Some(Row::Of(..)) => {}
                Some(Row::End) => break,
                None => return Err(stopped()),
            }
            count += 1;
        }
        self.db.execute(COUNT_REFS, [])?;
        self.db.execute("INSERT INTO notes (name, value) VALUES (?1, ?2)", [MARK, mark])?;
        Ok(Some(count))
    }

    /// Puts the file aside, under a name that no config has. Where that is.
    fn retire(self, path: &Path) -> Result<String, OutboxError> {
        let File { db, judge, _lock } = self;
        checkpoint(&db, Mode::Truncate).map_err(|error| judge.sql(&error))?;
        db.close().map_err(|(_, error)| judge.sql(&error))?;
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{ASIDE}"));
        std::fs::rename(path, &name).map_err(|error| {
            OutboxError::Unavailable(format!("{} was moved, but cannot be renamed ({error}); put it aside by hand", path.display()))
        })?;
        for ending in ["-wal", "-shm"] {
            let mut beside = path.as_os_str().to_owned();
            beside.push(ending);
            // Empty by now; one that is left is no harm.
            _ = std::fs::remove_file(beside);
        }
        Ok(Path::new(&name).display().to_string())
    }
}

/// The key of the links, which is in files here and in notes elsewhere.
mod keyfiles {
    use std::io::{ErrorKind, Write};
    use std::path::Path;

    use crate::outbox::OutboxError;
    use crate::outbox::moving::{Value, table};
    use crate::respond::key::{FILE, OLD_FILE};

    /// Those that are there, by name.
    pub(super) fn read(folder: &Path) -> Result<Vec<(&'static str, String)>, OutboxError> {
        let mut found = Vec::new();
        for name in [FILE, OLD_FILE] {
            match std::fs::read_to_string(folder.join(name)) {
                Ok(text) => found.push((name, text.trim().to_owned())),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(OutboxError::Unavailable(format!("{} cannot be read ({error})", folder.join(name).display()))),
            }
        }
        Ok(found)
    }

    /// Writes the file, if the row is one of them. One that is there already has to be the same.
    pub(super) fn write(folder: &Path, place: usize, values: &[Value]) -> Result<bool, OutboxError> {
        let [Value::Text(name), Value::Text(text)] = values else { return Ok(false) };
        if place != table("notes") || ![FILE, OLD_FILE].contains(&name.as_str()) {
            return Ok(false);
        }
        let path = folder.join(name);
        let failed = |error: std::io::Error| OutboxError::Unavailable(format!("{} cannot be written ({error})", path.display()));
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&path) {
            Ok(mut file) => file.write_all(format!("{text}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if std::fs::read_to_string(&path).map_err(failed)?.trim() != text {
                    return Err(OutboxError::Conflict(format!(
                        "{} is another key than the one that is moved; put it aside first",
                        path.display()
                    )));
                }
            }
            Err(error) => return Err(failed(error)),
        }
        Ok(true)
    }
}

fn stopped() -> Fault {
    OutboxError::Unavailable("the other side of the move ended before all was handed over".into()).into()
}

fn value(value: ValueRef<'_>, kind: Kind) -> Result<Value, Fault> {
    Ok(match (value, kind) {
        (ValueRef::Null, _) => Value::Null,
        (ValueRef::Integer(number), Kind::Bool) => Value::Bool(number != 0),
        (ValueRef::Integer(number), _) => Value::Int(number),
        (ValueRef::Blob(bytes), _) => Value::Bytes(bytes.to_vec()),
        (other, _) => Value::Text(other.as_str().map_err(rusqlite::Error::from)?.to_owned()),
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Value::Null => ToSqlOutput::Owned(SqlValue::Null),
            Value::Int(number) => ToSqlOutput::from(*number),
            Value::Bool(truth) => ToSqlOutput::from(*truth),
            Value::Text(text) => ToSqlOutput::from(text.as_str()),
            Value::Bytes(bytes) => ToSqlOutput::from(bytes.as_slice()),
        })
    }
}

fn insert(db: &Connection, table: &Table, values: &[Value]) -> Result<(), Fault> {
    let (mut columns, mut marks) = (columns(table, "keys"), vec!["?"; values.len()].join(", "));
    if table.name == "events" {
        // Counted when all are there.
        columns.push_str(", refs");
        marks.push_str(", 0");
    }
    let sql = format!("INSERT INTO {} ({columns}) VALUES ({marks})", table.name);
    db.prepare_cached(&sql)?.execute(params_from_iter(values))?;
    Ok(())
}
