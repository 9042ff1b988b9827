//! Moving the outbox to another one, or from there.

use std::path::Path;
use std::pin::Pin;

use async_trait::async_trait;
use futures_util::{StreamExt, pin_mut};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row as SqlRow};

use super::config::PostgresConfig;
use super::fault::Fault;
use super::rows::{clean, json};
use super::{connect, schema};
use crate::event::Event;
use crate::outbox::OutboxError;
use crate::outbox::moving::{COUNT_REFS, Kind, MARK, Mover, Row, TABLES, Table, Value, columns, table};

/// The tables whose rows get their numbers from the database.
const NUMBERED: [&str; 3] = ["messages", "responses", "unreadable"];

/// The table that rows are written to at the moment, by its place, and its writer.
type Copying = (usize, Pin<Box<BinaryCopyInWriter>>);

/// The schema, to be moved: one transaction, in which nobody else can come in.
pub(super) struct SchemaMover {
    client: Client,
    schema: String,
    driver: AbortHandle,
}

impl Drop for SchemaMover {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl SchemaMover {
    /// Takes the schema; hosts that use it are to be stopped first. One that is not there is made only where it is the target.
    pub(super) async fn open(base: &Path, config: &PostgresConfig, target: bool) -> Result<SchemaMover, OutboxError> {
        let settings = connect::settings(config).map_err(|text| OutboxError::Broken(format!("outbox: {text}")))?;
        let tls = connect::tls(config, base)?;
        if target {
            let pool = connect::pool(settings.clone(), tls.clone(), 1)?;
            let mut client = pool.get().await.map_err(Fault::from)?;
            schema::migrate(&mut client, &config.schema).await?;
        }
        let (client, connection) = settings.connect(tls).await.map_err(Fault::from)?;
        // What ends the connection is told to whoever uses the client.
        let driver = tokio::spawn(async move { _ = connection.await }).abort_handle();
        let mover = SchemaMover { client, schema: config.schema.clone(), driver };
        mover.check().await?;
        Ok(mover)
    }

    async fn check(&self) -> Result<(), Fault> {
        // A move may take long, and waits for the other side.
        self.client.batch_execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0").await?;
        let there = self.client.query_opt("SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'lanes'", &[&self.schema]).await?;
        if there.is_none() {
            return Err(OutboxError::Broken(format!("there is no outbox in the schema {}", self.schema)).into());
        }
        if let Some(row) = self.client.query_opt("SELECT name FROM hosts WHERE alive_until > clock_timestamp() LIMIT 1", &[]).await? {
            let name: &str = row.try_get(0)?;
            return Err(OutboxError::Locked(format!("the outbox is in use by the host {name}; stop all hosts first")).into());
        }
        Ok(())
    }

    /// Begins the transaction, and keeps hosts from joining and from taking events in.
    async fn begin(&self) -> Result<(), Fault> {
        self.client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; LOCK TABLE hosts, events, seen IN EXCLUSIVE MODE").await?;
        Ok(())
    }

    async fn hand_over(&self, rows: &mpsc::Sender<Row>) -> Result<(), Fault> {
        self.begin().await?;
        for (place, table) in TABLES.iter().enumerate() {
            let sql = format!("SELECT {} FROM {} {}", columns(table, "key"), table.name, table.only);
            let found = self.client.query_raw(&sql, std::iter::empty::<&i64>()).await?;
            pin_mut!(found);
            while let Some(row) = found.next().await {
                let values = values(&row?, table)?;
                rows.send(Row::Of(place, values)).await.map_err(|_| stopped())?;
            }
        }
        rows.send(Row::End).await.map_err(|_| stopped())
    }

    async fn take(&self, mark: &str, rows: &mut mpsc::Receiver<Row>) -> Result<Option<u64>, Fault> {
        self.begin().await?;
        let found = self.client.query_opt("SELECT value FROM notes WHERE name = $1", &[&MARK]).await?;
        if found.is_some_and(|row| row.try_get::<_, &str>(0).is_ok_and(|found| found == mark)) {
            return Ok(None);
        }
        for table in TABLES {
            let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", table.name);
            if self.client.query_one(&sql, &[]).await?.try_get(0)? {
                return Err(OutboxError::Conflict(format!("the target is not empty: its table `{}` has rows", table.name)).into());
            }
        }
        let count = self.copy(rows).await?;
        self.client.batch_execute(COUNT_REFS).await?;
        for name in NUMBERED {
            let sql =
                format!("SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM {name}), false)");
            self.client.batch_execute(&sql).await?;
        }
        self.client.batch_execute("SELECT setval('event_seq', (SELECT coalesce(max(seq), 0) + 1 FROM events), false)").await?;
        self.client.execute("INSERT INTO notes (name, value) VALUES ($1, $2)", &[&MARK, &mark]).await?;
        self.client.batch_execute("COMMIT").await?;
        Ok(Some(count))
    }

    /// Copies rows, table by table.
    async fn copy(&self, rows: &mut mpsc::Receiver<Row>) -> Result<u64, Fault> {
        let (mut count, mut current): (u64, Option<Copying>) = (0, None);
        loop {
            let (place, values) = match rows.recv().await {
                Some(Row::Of(place, values)) => (place, values),
                Some(Row::End) => break,
                None => return Err(stopped()),
            };
            if current.as_ref().is_none_or(|(at, _)| *at != place) {
                finish(current.take()).await?;
                current = Some((place, Box::pin(self.writer(&TABLES[place]).await?)));
            }
            if let Some((_, writer)) = &mut current {
                for values in split(place, values)? {
                    let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
                    writer.as_mut().write(&values).await?;
                }
            }
            count += 1;
        }
        finish(current).await?;
        Ok(count)
    }

    async fn writer(&self, to: &Table) -> Result<BinaryCopyInWriter, Fault> {
        let mut names = columns(to, "key");
        let mut types: Vec<Type> = to.columns.iter().map(|(_, kind)| sql_type(*kind)).collect();
        if to.name == "events" {
            names.push_str(", refs, summary, incident, alert_source");
            types.extend([Type::INT8, Type::TEXT, Type::TEXT, Type::TEXT]);
        }
        let sink = self.client.copy_in(&format!("COPY {} ({names}) FROM STDIN BINARY", to.name)).await?;
        Ok(BinaryCopyInWriter::new(sink, &types))
    }
}

async fn finish(current: Option<Copying>) -> Result<(), Fault> {
    if let Some((_, mut writer)) = current {
        writer.as_mut().finish().await?;
    }
    Ok(())
}

fn stopped() -> Fault {
    OutboxError::Unavailable("the other side of the move ended before all was handed over".into()).into()
}

fn sql_type(kind: Kind) -> Type {
    match kind {
        Kind::Int => Type::INT8,
        Kind::Bool => Type::BOOL,
        Kind::Text => Type::TEXT,
        Kind::Bytes => Type::BYTEA,
    }
}

fn values(row: &SqlRow, of: &Table) -> Result<Vec<Value>, Fault> {
    let value = |(n, (_, kind)): (usize, &(&str, Kind))| {
        Ok(match kind {
            Kind::Int => row.try_get::<_, Option<i64>>(n)?.map(Value::Int),
            Kind::Bool => row.try_get::<_, Option<bool>>(n)?.map(Value::Bool),
            Kind::Text => row.try_get::<_, Option<String>>(n)?.map(Value::Text),
            Kind::Bytes => row.try_get::<_, Option<Vec<u8>>>(n)?.map(Value::Bytes),
        }
        .unwrap_or(Value::Null))
    };
    of.columns.iter().enumerate().map(value).collect()
}

type Cell = Box<dyn ToSql + Sync + Send>;

/// A row as this outbox has it: here each key of `seen` has a row, and events have columns to be searched.
fn split(place: usize, values: Vec<Value>) -> Result<Vec<Vec<Cell>>, Fault> {
    if place == table("seen")
        && let [Value::Int(at), Value::Bytes(keys)] = values.as_slice()
    {
        let rows = keys.as_chunks::<16>().0.iter().map(|key| vec![Box::new(*at) as Cell, Box::new(key.to_vec()) as Cell]);
        return Ok(rows.collect());
    }
    let searched = match (place == table("events"), values.get(2)) {
        (true, Some(Value::Text(payload))) => searched(payload)?,
        _ => Vec::new(),
    };
    let kinds = TABLES[place].columns.iter().map(|(_, kind)| *kind);
    Ok(vec![values.into_iter().zip(kinds).map(|(value, kind)| cell(value, kind)).chain(searched).collect()])
}

fn cell(value: Value, kind: Kind) -> Cell {
    match (value, kind) {
        (Value::Null, Kind::Int) => Box::new(None::<i64>),
        (Value::Null, Kind::Bool) => Box::new(None::<bool>),
        (Value::Null, Kind::Text) => Box::new(None::<String>),
        (Value::Null, Kind::Bytes) => Box::new(None::<Vec<u8>>),
        (Value::Int(number), _) => Box::new(number),
        (Value::Bool(truth), _) => Box::new(truth),
        (Value::Text(text), _) => Box::new(clean(&text).into_owned()),
        (Value::Bytes(bytes), _) => Box::new(bytes),
    }
}

/// What is searched of an event; how often it is needed is counted when all are there.
fn searched(payload: &str) -> Result<Vec<Cell>, Fault> {
    let event: Event = json(payload)?;
    let source = event.alert_source.map(|source| source.name).unwrap_or_default();
    let text = |text: &str| Box::new(clean(text).into_owned()) as Cell;
    Ok(vec![Box::new(0_i64), text(&event.summary), text(&event.incident_id), text(&source)])
}

#[async_trait]
impl Mover for SchemaMover {
    async fn mark(&self, fresh: &str) -> Result<String, OutboxError> {
        let work = async {
            let insert = "INSERT INTO notes (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
            self.client.execute(insert, &[&MARK, &fresh]).await?;
            let row = self.client.query_one("SELECT value FROM notes WHERE name = $1", &[&MARK]).await?;
            Ok::<_, Fault>(row.try_get(0)?)
        };
        Ok(work.await?)
    }

    async fn export(&self, rows: mpsc::Sender<Row>) -> Result<(), OutboxError> {
        Ok(self.hand_over(&rows).await?)
    }

    async fn import(&self, mark: &str, mut rows: mpsc::Receiver<Row>) -> Result<Option<u64>, OutboxError> {
        Ok(self.take(mark, &mut rows).await?)
    }

    async fn retire(&self) -> Result<String, OutboxError> {
        let now = jiff::Timestamp::now().as_second();
        let name = format!("{}_moved_{now}", self.schema);
        // The transaction of the export is still open, unless that was cut off.
        let sql = format!("ROLLBACK; ALTER SCHEMA \"{}\" RENAME TO \"{name}\"", self.schema);
        self.client.batch_execute(&sql).await.map_err(Fault::from)?;
        Ok(format!("schema {name}"))
    }
}
