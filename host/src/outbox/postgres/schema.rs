//! The tables, and how an older schema becomes a newer one.

use deadpool_postgres::Client;

use super::fault::Fault;
use crate::outbox::OutboxError;

/// Each step brings a schema from the version before it to the next. Released steps are never edited.
const MIGRATIONS: &[&str] = &[V1];

// What is read on the hot path has an index that holds only what waits or is open, so its cost does not depend on what was delivered.
// `events.refs` counts the queue and message rows that need an event; the last one to go takes the event with it. A lane's row is the lock
// of everything that its owner changes; `owner` names a row of `hosts` that is there as long as that host is.
const V1: &str = "
CREATE TABLE hosts (
    id          bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name        text NOT NULL,
    alive_until timestamptz NOT NULL
);

CREATE TABLE lanes (
    connector text PRIMARY KEY,
    owner     bigint,
    pace      text,
    memo      text
);
CREATE INDEX lanes_of ON lanes (owner) WHERE owner IS NOT NULL;

CREATE SEQUENCE event_seq;
CREATE TABLE events (
    seq          bigint PRIMARY KEY,
    accepted_at  bigint NOT NULL,
    refs         bigint NOT NULL,
    payload      text NOT NULL,
    summary      text NOT NULL,
    incident     text NOT NULL,
    alert_source text NOT NULL
);

CREATE TABLE queue (
    connector text NOT NULL,
    seq       bigint NOT NULL,
    PRIMARY KEY (connector, seq)
);

CREATE TABLE messages (
    id         bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    connector  text NOT NULL,
    state      text NOT NULL CHECK (state IN ('open', 'delivered', 'dead')),
    key        text NOT NULL,
    turn       bigint NOT NULL,
    replays    bigint NOT NULL DEFAULT 0,
    events     bigint NOT NULL,
    attempts   bigint NOT NULL,
    in_flight  boolean NOT NULL,
    unknown    boolean NOT NULL,
    created_at bigint NOT NULL,
    next_at    bigint NOT NULL,
    settled_at bigint,
    receipt    text,
    reason     text NOT NULL
);
CREATE INDEX messages_of ON messages (connector, id);
CREATE INDEX messages_open ON messages (connector, turn) WHERE state = 'open';
CREATE INDEX messages_dead ON messages (connector, id) WHERE state = 'dead';
CREATE INDEX messages_delivered ON messages (settled_at) WHERE state = 'delivered';

CREATE TABLE drafts (
    message  bigint PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    author   text NOT NULL,
    prepared bytea NOT NULL
);

CREATE TABLE message_events (
    message bigint NOT NULL,
    seq     bigint NOT NULL,
    PRIMARY KEY (message, seq)
);

CREATE TABLE attempts (
    message bigint NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    n       bigint NOT NULL,
    record  text NOT NULL,
    PRIMARY KEY (message, n)
);

CREATE TABLE seen (
    key     bytea PRIMARY KEY,
    seen_at bigint NOT NULL
);
CREATE INDEX seen_since ON seen (seen_at);

CREATE TABLE unreadable (
    id     bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at     bigint NOT NULL,
    source text NOT NULL,
    error  text NOT NULL,
    body   bytea NOT NULL
);

-- Resolved incidents are kept for the history, so that a late event finds that they are over.
CREATE TABLE incidents (
    id          bigint PRIMARY KEY,
    status      text NOT NULL,
    occurred_at bigint NOT NULL,
    seen_at     bigint NOT NULL,
    caught_up   bigint,
    about       text NOT NULL
);
CREATE INDEX incidents_open ON incidents (id) WHERE status <> 'RESOLVED';
CREATE INDEX incidents_seen ON incidents (seen_at);

CREATE TABLE responses (
    id         bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    key        text NOT NULL UNIQUE,
    incident   text NOT NULL,
    verb       text NOT NULL,
    connector  text NOT NULL,
    who        text NOT NULL,
    person     text,
    text       text NOT NULL,
    state      text NOT NULL CHECK (state IN ('open', 'done', 'failed')),
    result     text NOT NULL,
    stage      bigint NOT NULL,
    attempts   bigint NOT NULL,
    created_at bigint NOT NULL,
    next_at    bigint NOT NULL,
    settled_at bigint,
    echoed     boolean NOT NULL DEFAULT false
);
CREATE INDEX responses_of ON responses (incident);
CREATE INDEX responses_open ON responses (id) WHERE state = 'open';
CREATE INDEX responses_over ON responses (settled_at);

-- The responder's marks of time, and what all hosts have to know alike.
CREATE TABLE notes (
    name  text PRIMARY KEY,
    value text NOT NULL
);
";

/// Makes the schema, or brings it to the newest version; one host does it while others wait.
pub(super) async fn migrate(client: &mut Client, schema: &str) -> Result<(), Fault> {
    let tx = client.transaction().await?;
    tx.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", &[&format!("incident-sink schema {schema}")]).await?;
    let there = tx.query_opt("SELECT 1 FROM pg_namespace WHERE nspname = $1", &[&schema]).await?.is_some();
    if !there {
        // The name was checked to be letters, digits and underscores.
        tx.batch_execute(&format!("CREATE SCHEMA \"{schema}\"")).await?;
    }
    let made = version(&tx, schema, there).await?;
    if made > MIGRATIONS.len() {
        return Err(OutboxError::Broken(format!(
            "the outbox was written by a newer version of incident-sink (format {made}, this one knows {}); start that version",
            MIGRATIONS.len()
        ))
        .into());
    }
    for (index, step) in MIGRATIONS.iter().enumerate().skip(made) {
        tx.batch_execute(step).await?;
        tracing::info!(message = "Outbox migrated.", schema, version = index + 1);
    }
    if made < MIGRATIONS.len() {
        let newest = MIGRATIONS.len() as i64;
        tx.execute("INSERT INTO format (id, version) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET version = $1", &[&newest]).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// The steps that were made.
async fn version(tx: &deadpool_postgres::Transaction<'_>, schema: &str, there: bool) -> Result<usize, Fault> {
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = $1";
    let tables: Vec<String> = tx.query(tables, &[&schema]).await?.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    if there && !tables.is_empty() && !tables.iter().any(|name| name == "format") {
        let text = format!("the schema {schema} holds tables of another program; give `outbox.schema` another name");
        return Err(OutboxError::Broken(text).into());
    }
    tx.batch_execute("CREATE TABLE IF NOT EXISTS format (id bigint PRIMARY KEY CHECK (id = 1), version bigint NOT NULL)").await?;
    let found = tx.query_opt("SELECT version FROM format", &[]).await?;
    let version: i64 = found.map_or(Ok(0), |row| row.try_get(0))?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}
