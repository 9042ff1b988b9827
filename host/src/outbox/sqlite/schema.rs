//! The tables, and how an older file becomes a newer one.

use rusqlite::Connection;

use super::fault::Fault;
use crate::outbox::OutboxError;

/// Says that a SQLite file is an outbox of ours: `INCS`.
pub(super) const APPLICATION_ID: i32 = 0x494E_4353;

/// Each step brings a file from the version before it to the next; `user_version` counts the steps made. Released steps are never edited.
pub(super) const MIGRATIONS: &[&str] = &[V1, V2, V3, V4];

// What is read on the hot path has an index that holds only what waits or is open, so its cost does not depend on what was delivered.
// Foreign keys only where the child's key begins with the parent's: elsewhere each delete would search. `events.refs` counts the queue
// and message rows that need an event; the last one to go takes the event with it.
const V1: &str = "
CREATE TABLE events (
    seq         INTEGER PRIMARY KEY,
    accepted_at INTEGER NOT NULL,
    refs        INTEGER NOT NULL,
    payload     TEXT NOT NULL
) STRICT;

-- In order of acceptance, not by connector: so a group of events for a hundred connectors touches one page, not a hundred. Which wait for
-- one connector is kept in memory.
CREATE TABLE queue (
    seq       INTEGER NOT NULL,
    connector TEXT NOT NULL,
    PRIMARY KEY (seq, connector)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    connector  TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('open', 'delivered', 'dead')),
    key        TEXT NOT NULL,
    turn       INTEGER NOT NULL,
    replays    INTEGER NOT NULL DEFAULT 0,
    events     INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    in_flight  INTEGER NOT NULL,
    unknown    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    next_at    INTEGER NOT NULL,
    settled_at INTEGER,
    receipt    TEXT,
    reason     TEXT NOT NULL
) STRICT;
CREATE INDEX messages_of ON messages (connector);
CREATE INDEX messages_open ON messages (connector, turn) WHERE state = 'open';
CREATE INDEX messages_dead ON messages (connector) WHERE state = 'dead';
CREATE INDEX messages_delivered ON messages (settled_at) WHERE state = 'delivered';

CREATE TABLE drafts (
    message  INTEGER PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    author   TEXT NOT NULL,
    prepared BLOB NOT NULL
) STRICT;

CREATE TABLE message_events (
    message INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    seq     INTEGER NOT NULL,
    PRIMARY KEY (message, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
    message INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    n       INTEGER NOT NULL,
    record  TEXT NOT NULL,
    PRIMARY KEY (message, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE lanes (
    connector TEXT PRIMARY KEY,
    pace      TEXT NOT NULL,
    memo      TEXT
) STRICT, WITHOUT ROWID;

-- One row for each group of events accepted together: their 16-byte keys, one after the other.
CREATE TABLE seen (
    id      INTEGER PRIMARY KEY,
    seen_at INTEGER NOT NULL,
    keys    BLOB NOT NULL
) STRICT;

CREATE TABLE unreadable (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    source TEXT NOT NULL,
    error  TEXT NOT NULL,
    body   BLOB NOT NULL
) STRICT;

-- Written to see whether the disk takes anything.
CREATE TABLE probe (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    n  INTEGER NOT NULL
) STRICT;
";

// Resolved incidents are kept for the history, so that a late event finds that they are over.
const V2: &str = "
CREATE TABLE incidents (
    id          TEXT PRIMARY KEY,
    status      TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL,
    caught_up   INTEGER,
    about       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX incidents_open ON incidents (id) WHERE status <> 'RESOLVED';
CREATE INDEX incidents_seen ON incidents (seen_at);

CREATE TABLE responses (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    key        TEXT NOT NULL UNIQUE,
    incident   TEXT NOT NULL,
    verb       TEXT NOT NULL,
    connector  TEXT NOT NULL,
    who        TEXT NOT NULL,
    person     TEXT,
    text       TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('open', 'done', 'failed')),
    result     TEXT NOT NULL,
    stage      INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    next_at    INTEGER NOT NULL,
    settled_at INTEGER
) STRICT;
CREATE INDEX responses_of ON responses (incident);
CREATE INDEX responses_open ON responses (id) WHERE state = 'open';
CREATE INDEX responses_over ON responses (settled_at);
";

// An echo is told once; `notes` keeps the responder's marks of time.
const V3: &str = "
ALTER TABLE responses ADD COLUMN echoed INTEGER NOT NULL DEFAULT 0;
CREATE TABLE notes (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

// iLert numbers its incidents as they begin: with the number for the row's, a new one is written at the end of the table, not somewhere in it.
// No indexes, for every event would pay for them: those that are open are listed once in minutes, those that are over are looked for in pieces.
const V4: &str = "
CREATE TABLE incidents_by_number (
    id          INTEGER PRIMARY KEY,
    status      TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL,
    caught_up   INTEGER,
    about       TEXT NOT NULL
) STRICT;
INSERT INTO incidents_by_number SELECT CAST(id AS INTEGER), status, occurred_at, seen_at, caught_up, about FROM incidents
    WHERE CAST(CAST(id AS INTEGER) AS TEXT) = id;
DROP TABLE incidents;
ALTER TABLE incidents_by_number RENAME TO incidents;
";

/// Brings the file to the newest version, one step a transaction.
pub(super) fn migrate(db: &Connection, steps: &[&str]) -> Result<(), Fault> {
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && (tables > 0 || application != 0) {
        return Err(OutboxError::Broken(
            "the outbox's file is a SQLite database of another program; give `outbox.path` another name".into(),
        )
        .into());
    }
    let made = usize::try_from(found).unwrap_or(usize::MAX);
    if made > steps.len() {
        return Err(OutboxError::Broken(format!(
            "the outbox was written by a newer version of incident-sink (format {found}, this one knows {}); start that version",
            steps.len()
        ))
        .into());
    }
    for (index, step) in steps.iter().enumerate().skip(made) {
        let version = index + 1;
        db.execute_batch(&format!(
            "BEGIN IMMEDIATE; {step}; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version}; COMMIT;"
        ))?;
        tracing::info!(message = "Outbox migrated.", version);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(db: &Connection) -> Vec<String> {
        let mut statement = db.prepare("SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY 1").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_file_of_every_older_version_becomes_the_newest() {
        let newest = Connection::open_in_memory().unwrap();
        migrate(&newest, MIGRATIONS).unwrap();
        for version in 0..=MIGRATIONS.len() {
            let db = Connection::open_in_memory().unwrap();
            migrate(&db, &MIGRATIONS[..version]).unwrap();
            migrate(&db, MIGRATIONS).unwrap();
            assert_eq!(objects(&db), objects(&newest), "from version {version}");
            let found: usize = db.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap().try_into().unwrap();
            assert_eq!(found, MIGRATIONS.len());
        }
    }

    #[test]
    fn a_step_keeps_the_rows_and_a_failing_step_changes_nothing() {
        let db = Connection::open_in_memory().unwrap();
        migrate(&db, MIGRATIONS).unwrap();
        db.execute("INSERT INTO probe VALUES (1, 7)", []).unwrap();
        let good: Vec<&str> = MIGRATIONS.iter().copied().chain(["ALTER TABLE probe ADD COLUMN m INTEGER"]).collect();
        let bad: Vec<&str> = MIGRATIONS.iter().copied().chain(["ALTER TABLE probe ADD COLUMN m INTEGER; NONSENSE"]).collect();
        assert!(migrate(&db, &bad).is_err());
        db.execute_batch("ROLLBACK").unwrap();
        migrate(&db, &good).unwrap();
        assert_eq!(db.query_row("SELECT n FROM probe WHERE m IS NULL", [], |row| row.get::<_, i64>(0)).unwrap(), 7);
    }

    #[test]
    fn a_newer_file_and_a_strange_one_are_left_alone() {
        let db = Connection::open_in_memory().unwrap();
        migrate(&db, MIGRATIONS).unwrap();
        db.execute_batch("PRAGMA user_version = 99").unwrap();
        let Err(Fault::Outbox(OutboxError::Broken(text))) = migrate(&db, MIGRATIONS) else { panic!("taken") };
        assert!(text.contains("newer version"), "{text}");
        let strange = Connection::open_in_memory().unwrap();
        strange.execute_batch("CREATE TABLE t (x)").unwrap();
        assert!(migrate(&strange, MIGRATIONS).is_err());
    }
}
