//! The outbox that several hosts share: a PostgreSQL database.
//!
//! | file | does |
//! |---|---|
//! | `config` | `[outbox] type = "postgres"` |
//! | `connect`, `schema` | connections, and what the server has to promise; the tables and their versions |
//! | `writer`, `accept`, `incidents` | events come in, many calls in one transaction; where incidents stand by them |
//! | `lease`, `member`, `claim` | which lanes are this host's; its signs of life and calls to others; taking a lane |
//! | `messages` | the life of a message, each change under its lane's lock |
//! | `read`, `lists`, `responses` | what lanes, people and the responder read and note |
//! | `prune`, `chores` | forgetting what is over |
//! | `moving` | handing everything to another outbox, or taking it over |
//! | `rows`, `fault`, `health` | values of columns; what an error means; how it is |
//!
//! Any host takes events in; the unique key of an event's id keeps duplicates away over all of them. A lane runs on the host that owns
//! its row, and every change to its messages looks at the owner under that row's lock, in the same transaction: a host that lost a lane
//! without knowing can change nothing of it. It can send nothing either, for before a request leaves, and whenever one in flight is
//! looked at, its own count of the lease has to be running (`lease`). Times are the database's: the host's clock follows it.

mod accept;
mod chores;
mod claim;
mod config;
mod connect;
mod fault;
mod health;
mod incidents;
mod lease;
mod lists;
mod member;
mod messages;
mod moving;
mod prune;
mod read;
mod responses;
mod rows;
mod schema;
mod writer;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use deadpool_postgres::{Client, Pool};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use self::config::Limits;
pub use self::config::PostgresConfig;
use self::fault::Fault;
use self::health::Health;
use self::member::Member;
use self::prune::Borders;
use self::writer::{Call, LONGEST, TRIES};
use super::book::{Ask, Book, Booked, Incident, Response, Step};
use super::{
    AttemptRecord, Claim, ConnectorName, ConnectorStatus, Draft, Filter, Incoming, LaneState, MessageDetail, MessageId, MessageSummary,
    NewMessage, Outbox, OutboxError, PaceLog, Reason, Settle, Taken, Unreadable, Waiting, Wake,
};
use crate::clock::{Clock, UnixMs};
use crate::secret::Secret;
use crate::telemetry::metrics::OutboxMetrics;

/// A commit this recent proves that the database takes data.
const FRESH: Duration = Duration::from_secs(1);

/// An outbox in a PostgreSQL database. See the module.
pub struct PostgresOutbox {
    pool: Pool,
    member: Arc<Member>,
    calls: mpsc::Sender<Call>,
    limits: Limits,
    health: Arc<Health>,
    /// What counts towards the quota: as counted last, and what came in since.
    items: Arc<AtomicU64>,
    /// The writer, then the chores.
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// Does work in a transaction, again where two stood in each other's way. `$tx` is the transaction.
macro_rules! transact {
    ($outbox:expr, $tx:ident => $work:expr) => {{
        let began = Instant::now();
        let mut tries = 0;
        let result = loop {
            let once = async {
                let mut client = $outbox.client().await?;
                let $tx = client.transaction().await?;
                let value = $work?;
                $tx.commit().await?;
                Ok::<_, Fault>(value)
            };
            tries += 1;
            match tokio::time::timeout(LONGEST, once).await {
                Ok(Err(fault)) if fault.is_collision() && tries < TRIES => {}
                Ok(result) => break result.map_err(OutboxError::from),
                Err(_) => break Err(OutboxError::Unavailable("the database did not answer in time".into())),
            }
        };
        let committed = !matches!(result, Err(OutboxError::Unavailable(_) | OutboxError::Broken(_)));
        $outbox.health.ended(1, began.elapsed(), committed);
        result
    }};
}

/// Reads, in one or several statements. `$db` is the connection.
macro_rules! look {
    ($outbox:expr, $db:ident => $work:expr) => {{
        let once = async {
            let $db = $outbox.client().await?;
            $work
        };
        match tokio::time::timeout(LONGEST, once).await {
            Ok(result) => result.map_err(OutboxError::from),
            Err(_) => Err(OutboxError::Unavailable("the database did not answer in time".into())),
        }
    }};
}

impl PostgresOutbox {
    /// Connects to the database that `config` names, and brings its tables up to date. A relative path of the config starts at `base`.
    pub async fn open(base: &Path, config: &PostgresConfig, clock: Clock) -> Result<PostgresOutbox, OutboxError> {
        let settings = connect::settings(config).map_err(|text| OutboxError::Broken(format!("outbox: {text}")))?;
        let (tls, limits) = (connect::tls(config, base)?, config.limits());
        let pool = connect::pool(settings.clone(), tls.clone(), config.connections)?;
        let items = Arc::new(AtomicU64::new(prepare(&pool, &config.schema, &clock).await?));
        let member = Member::new(settings, tls, &config.schema, limits.lease, clock.clone());
        let (health, (calls, waiting)) = (Arc::new(Health::default()), mpsc::channel(writer::QUEUE));
        let writer = writer::run(pool.clone(), limits.dedup_ms, Arc::clone(&health), Arc::clone(&items), waiting);
        let chores = chores::run(pool.clone(), limits.clone(), clock, Arc::clone(&items));
        let tasks = Mutex::new(vec![tokio::spawn(writer), tokio::spawn(chores)]);
        tracing::info!(message = "Outbox opened.", schema = config.schema);
        Ok(PostgresOutbox { pool, member, calls, limits, health, items, tasks })
    }

    async fn client(&self) -> Result<Client, Fault> {
        self.check_open()?;
        Ok(self.pool.get().await?)
    }

    fn check_open(&self) -> Result<(), OutboxError> {
        if self.health.closed.load(Ordering::Acquire) { Err(OutboxError::Closed) } else { Ok(()) }
    }

    /// Why so many more items cannot be taken in, if so.
    fn refusal(&self, wanted: usize) -> Option<OutboxError> {
        let (held, most) = (self.items.load(Ordering::Relaxed), self.limits.max_items);
        let text = || format!("it holds {held} of {most} items (`outbox.max_items`); deliver, replay or discard, or raise the limit");
        (wanted > 0 && held.saturating_add(wanted as u64) > most).then(|| OutboxError::Unavailable(text()))
    }

    /// A change to a lane was made or refused: a refusal may mean that the lane is another host's.
    fn heed<T>(&self, connector: Option<&str>, result: Result<T, OutboxError>) -> Result<T, OutboxError> {
        if let (Some(connector), Err(OutboxError::Conflict(_))) = (connector, &result) {
            self.member.lanes.doubt(connector);
        }
        result
    }

    /// As [`PostgresOutbox::heed`], where the message names the lane.
    async fn heed_of<T>(&self, message: MessageId, result: Result<T, OutboxError>) -> Result<T, OutboxError> {
        if matches!(result, Err(OutboxError::Conflict(_))) {
            let connector = transact!(self, tx => messages::connector_of(&tx, message).await);
            return self.heed(connector.ok().as_deref(), result);
        }
        result
    }

    /// Ends everything that runs for this outbox, but the writer where it is still to finish.
    async fn end(&self) {
        let mut tasks = self.tasks.lock().await;
        tasks.iter().for_each(JoinHandle::abort);
        tasks.clear();
    }
}

/// Looks at the server, makes the tables, sets the clock; how much there is.
async fn prepare(pool: &Pool, schema: &str, clock: &Clock) -> Result<u64, OutboxError> {
    let work = async {
        let mut client = pool.get().await?;
        connect::inspect(&client).await?;
        schema::migrate(&mut client, schema).await?;
        let asked = Instant::now();
        let row = client.query_one("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint", &[]).await?;
        let half = i64::try_from(asked.elapsed().as_millis() / 2).unwrap_or_default();
        clock.follow(row.try_get::<_, i64>(0)?.saturating_add(half));
        drop(client);
        chores::count(pool).await
    };
    match tokio::time::timeout(LONGEST, work).await {
        Ok(counted) => counted.map_err(OutboxError::from),
        Err(_) => Err(OutboxError::Unavailable("the database did not answer in time".into())),
    }
}

#[async_trait]
impl Outbox for PostgresOutbox {
    async fn accept(&self, now: UnixMs, events: Vec<Incoming>, unreadable: Vec<Unreadable>) -> Result<Vec<Taken>, OutboxError> {
        self.check_open()?;
        let delivery = accept::Delivery::new(now, events, unreadable)?;
        if let Some(refusal) = self.refusal(delivery.items()) {
            return Err(refusal);
        }
        let (answer, answered) = oneshot::channel();
        let late = || OutboxError::Unavailable("the database is behind; nothing more is taken in until it has caught up".into());
        let sent = tokio::time::timeout(LONGEST, self.calls.send(Call { delivery, answer })).await.map_err(|_| late())?;
        sent.map_err(|_| OutboxError::Closed)?;
        // The writer bounds its own time.
        answered.await.map_err(|_| OutboxError::Closed)?
    }

    async fn busy_connectors(&self) -> Result<Vec<ConnectorName>, OutboxError> {
        look!(self, db => read::busy(&db).await)
    }

    async fn claim(&self, connector: &str) -> Result<Claim, OutboxError> {
        self.check_open()?;
        claim::claim(self, connector).await
    }

    fn holds(&self, connector: &str) -> bool {
        self.member.lanes.holds(connector, Instant::now())
    }

    fn release(&self, connector: &str) {
        self.member.lanes.rest(connector, Instant::now());
    }

    fn on_wake(&self, wake: Wake) {
        self.member.on_wake(wake);
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn shared_secret(&self, name: &str, fresh: &Secret) -> Result<Option<Secret>, OutboxError> {
        look!(self, db => responses::first_note(&db, name, fresh.expose()).await).map(|value| Some(Secret::new(value)))
    }

    async fn lane(&self, connector: &str) -> Result<LaneState, OutboxError> {
        look!(self, db => read::lane(&db, connector).await)
    }

    async fn waiting(&self, connector: &str, limit: usize) -> Result<Vec<Waiting>, OutboxError> {
        look!(self, db => read::waiting(&db, connector, limit).await)
    }

    async fn open(&self, message: NewMessage) -> Result<MessageId, OutboxError> {
        let host = self.member.lanes.host();
        let result = transact!(self, tx => messages::open(&tx, host, &message).await);
        self.heed(Some(&message.connector), result)
    }

    async fn attempt(&self, message: MessageId, draft: Draft, pace: PaceLog, at: UnixMs) -> Result<(), OutboxError> {
        let host = self.member.lanes.host();
        let result = transact!(self, tx => messages::attempt(&tx, host, message, (&draft, &pace, at)).await);
        self.heed_of(message, result).await
    }

    async fn settle(&self, message: MessageId, settle: Settle, attempt: AttemptRecord, pace: PaceLog) -> Result<(), OutboxError> {
        let host = self.member.lanes.host();
        let result = transact!(self, tx => messages::settle(&tx, host, message, (&settle, &attempt, &pace)).await);
        self.heed_of(message, result).await
    }

    async fn store_pace(&self, connector: &str, pace: PaceLog) -> Result<(), OutboxError> {
        let host = self.member.lanes.host();
        let result = transact!(self, tx => messages::store_held_pace(&tx, host, connector, &pace).await);
        self.heed(Some(connector), result)
    }

    async fn bury(&self, connector: &str, covers: Vec<i64>, reason: Reason, now: UnixMs) -> Result<MessageId, OutboxError> {
        let host = self.member.lanes.host();
        let result = transact!(self, tx => messages::bury(&tx, host, connector, (&covers, &reason, now)).await);
        self.heed(Some(connector), result)
    }

    async fn replay(&self, message: MessageId, now: UnixMs) -> Result<ConnectorName, OutboxError> {
        transact!(self, tx => messages::replay(&tx, message, now).await)
    }

    async fn split(&self, message: MessageId, keep: Vec<i64>) -> Result<MessageId, OutboxError> {
        let host = self.member.lanes.host();
        let result = transact!(self, tx => messages::split(&tx, host, message, &keep).await);
        self.heed_of(message, result).await
    }

    async fn discard(&self, message: MessageId) -> Result<(), OutboxError> {
        transact!(self, tx => messages::discard(&tx, message).await)
    }

    async fn messages(&self, filter: Filter) -> Result<Vec<MessageSummary>, OutboxError> {
        look!(self, db => lists::messages(&db, &filter).await)
    }

    async fn message(&self, message: MessageId) -> Result<MessageDetail, OutboxError> {
        look!(self, db => lists::message(&db, message).await)
    }

    async fn unreadable(&self, limit: usize) -> Result<Vec<(i64, UnixMs, Unreadable)>, OutboxError> {
        look!(self, db => lists::unreadable(&db, limit).await)
    }

    async fn status(&self) -> Result<Vec<ConnectorStatus>, OutboxError> {
        look!(self, db => lists::status(&db).await)
    }

    async fn prune(&self, delivered_before: UnixMs, seen_before: UnixMs) -> Result<bool, OutboxError> {
        let borders = Borders { delivered_before, seen_before, history_ms: self.limits.history_ms };
        transact!(self, tx => prune::prune(&tx, &borders).await)
    }

    fn book(&self) -> Option<&dyn Book> {
        Some(self)
    }

    fn metrics(&self) -> Option<OutboxMetrics> {
        Some(self.health.metrics.clone())
    }

    async fn ready(&self) -> Result<(), OutboxError> {
        self.check_open()?;
        if let Some(refusal) = self.refusal(1) {
            return Err(refusal);
        }
        if self.health.committed_within(FRESH) {
            return Ok(());
        }
        transact!(self, tx => responses::keep_note(&tx, "probe", "").await)
    }

    async fn close(&self) {
        if self.health.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        let (host, look) = (self.member.end(), self.member.look_all());
        if let Some(host) = host
            && let Err(error) = claim::leave(&self.pool, host, &look).await
        {
            tracing::warn!(message = "The lanes could not be handed to other hosts; they take them over after `outbox.lease`.", %error);
        }
        self.end().await;
        self.pool.close();
        tracing::info!(message = "Outbox closed.");
    }
}

#[async_trait]
impl Book for PostgresOutbox {
    async fn incident(&self, id: &str) -> Result<Option<Incident>, OutboxError> {
        look!(self, db => incidents::one(&db, id).await)
    }

    async fn open_incidents(&self, limit: usize) -> Result<Vec<Incident>, OutboxError> {
        look!(self, db => incidents::open(&db, limit).await)
    }

    async fn forget_incident(&self, id: &str) -> Result<(), OutboxError> {
        look!(self, db => incidents::forget(&db, id).await)
    }

    async fn last_told(&self, connector: &str) -> Result<Option<String>, OutboxError> {
        look!(self, db => incidents::last_told(&db, connector).await)
    }

    async fn ask(&self, ask: Ask, now: UnixMs) -> Result<Booked, OutboxError> {
        transact!(self, tx => responses::ask(&tx, &ask, now).await)
    }

    async fn response(&self, key: &str) -> Result<Option<Response>, OutboxError> {
        look!(self, db => responses::by_key(&db, key).await)
    }

    async fn open_responses(&self, limit: usize) -> Result<Vec<Response>, OutboxError> {
        look!(self, db => responses::open(&db, limit).await)
    }

    async fn note(&self, name: &str) -> Result<Option<String>, OutboxError> {
        look!(self, db => responses::note(&db, name).await)
    }

    async fn keep_note(&self, name: &str, value: &str) -> Result<(), OutboxError> {
        look!(self, db => responses::keep_note(&db, name, value).await)
    }

    async fn step(&self, response: i64, step: Step, now: UnixMs) -> Result<(), OutboxError> {
        look!(self, db => responses::step(&db, response, &step, now).await)
    }
}

impl Drop for PostgresOutbox {
    /// As a crash would leave it.
    fn drop(&mut self) {
        self.member.end();
        self.tasks.get_mut().iter().for_each(JoinHandle::abort);
    }
}
