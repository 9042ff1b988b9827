//! The embedded outbox: one SQLite file.
//!
//! | file | does |
//! |---|---|
//! | `config` | `[outbox] type = "sqlite"` |
//! | `lock`, `connect`, `schema` | one host a file; opening, checking, migrating it |
//! | `writer`, `job`, `desk`, `health` | the one thread that writes, in groups; its work, its tools, how it is |
//! | `mover` | the thread beside it that moves the write-ahead log into the file |
//! | `accept`, `messages`, `split`, `prune` | the changes |
//! | `incidents`, `responses` | where incidents stand, and what people asked to be done about them |
//! | `ledger`, `tallies` | what is in memory: seen events, how much waits where, what lanes will ask for next |
//! | `read`, `lists` | readers, on connections of their own, that wait for no sync |
//! | `moving` | handing everything to another outbox, or taking it over |
//! | `rows` | rows inserted many at a time |
//! | `fault` | what an error of SQLite means |
//!
//! Every change is answered after its transaction is synced (`synchronous = FULL`, write-ahead log). A lost sync ends the process, for a
//! second try would answer "fine" without the data. A full or read-only disk answers [`OutboxError::Unavailable`] until it takes
//! data again. What was delivered is kept for `history`, ids for `dedup_window`; the writer itself forgets them later, piece by piece.

mod accept;
mod config;
mod connect;
mod desk;
mod fault;
mod health;
mod incidents;
mod job;
mod ledger;
mod lists;
mod lock;
mod messages;
mod mover;
mod moving;
mod prune;
mod read;
mod responses;
mod rows;
mod schema;
mod split;
mod tallies;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, oneshot};

pub use self::config::SqliteConfig;
use self::desk::Desk;
use self::fault::{Fault, Judge};
use self::health::Health;
use self::job::{Envelope, Job};
use self::ledger::Ledger;
use self::lock::Lock;
use self::mover::Mover;
use self::read::Readers;
use self::tallies::Tallies;
use self::writer::Writer;
use super::book::{Ask, Book, Booked, Incident, Response, Step};
use super::{
    AttemptRecord, ConnectorName, ConnectorStatus, Draft, Filter, Incoming, LaneState, MessageDetail, MessageId, MessageSummary,
    NewMessage, Outbox, OutboxError, PaceLog, Reason, Settle, Taken, Unreadable, Waiting,
};
use crate::clock::{Clock, UnixMs};
use crate::telemetry::metrics::OutboxMetrics;

/// The most jobs that wait for the writer; further callers wait in turn.
const QUEUE: usize = 1_024;
/// As many events are read on the caller's thread.
const FEW: usize = 32;
/// Connections that read.
const READERS: usize = 4;
/// A transaction that takes longer means a disk that does not answer: new calls are refused at once rather than queued behind it.
const STUCK: Duration = Duration::from_secs(30);
/// A commit this recent proves that the disk takes data.
const FRESH: Duration = Duration::from_secs(1);

/// An outbox in one SQLite file. See the module.
pub struct SqliteOutbox {
    jobs: mpsc::Sender<Envelope>,
    slots: Arc<Semaphore>,
    readers: Arc<Readers>,
    tallies: Arc<Tallies>,
    health: Arc<Health>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteOutbox {
    /// Opens the outbox that `config` names, relative to `base`; makes the file where there is none.
    pub async fn open(base: &Path, config: &SqliteConfig, clock: Clock) -> Result<SqliteOutbox, OutboxError> {
        let path = base.join(&config.path);
        let judge = Judge::new(&path);
        SqliteOutbox::open_with(path, config.limits(), clock, judge).await
    }

    async fn open_with(path: PathBuf, limits: desk::Limits, clock: Clock, judge: Judge) -> Result<SqliteOutbox, OutboxError> {
        tokio::task::spawn_blocking(move || SqliteOutbox::start(&path, limits, clock, judge))
            .await
            .map_err(|error| OutboxError::Broken(format!("opening the outbox failed, please report this: {error}")))?
    }

    fn start(path: &Path, limits: desk::Limits, clock: Clock, judge: Judge) -> Result<SqliteOutbox, OutboxError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| {
                OutboxError::Unavailable(format!("the folder {} cannot be made ({error}); check the one above it", folder.display()))
            })?;
        }
        let lock = Lock::take(path)?;
        let db = connect::writer(path, &judge)?;
        let ledger = Ledger::load(&db, limits.dedup_ms).map_err(|fault| judge.fault(fault))?;
        let readers: Result<Vec<_>, Fault> = (0..READERS).map(|_| connect::reader(path)).collect();
        let readers = Arc::new(Readers::new(readers.map_err(|fault| judge.fault(fault))?, judge.clone()));
        let (tallies, health) = (ledger.tallies(), Arc::new(Health::default()));
        let runtime = tokio::runtime::Handle::current();
        let mover = Mover::start(path, judge.clone()).map_err(|fault| judge.fault(fault))?;
        let writer = Writer { db, ledger, limits, judge, health: Arc::clone(&health), mover, clock, lock, runtime };
        let (jobs, inbox) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("outbox".into())
            .spawn(move || writer.run(&inbox))
            .map_err(|error| OutboxError::Unavailable(format!("the outbox's thread cannot be started ({error})")))?;
        tracing::info!(message = "Outbox opened.", path = %path.display(), connectors = tallies.all().len());
        Ok(SqliteOutbox { jobs, slots: Arc::new(Semaphore::new(QUEUE)), readers, tallies, health, thread: Mutex::new(Some(thread)) })
    }

    /// Hands a job to the writer, when there is room.
    async fn send(&self, job: Job) -> Result<(), OutboxError> {
        self.check_open()?;
        let stuck = self.health.stuck_for();
        if stuck > STUCK {
            return Err(OutboxError::Unavailable(format!("the disk has not answered for {} s; see the system's log", stuck.as_secs())));
        }
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| OutboxError::Closed)?;
        self.jobs.send(Envelope { job, _slot: Some(slot) }).map_err(|_| self.gone())
    }

    /// Makes a change and waits for its commit.
    async fn change<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Desk<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, OutboxError> {
        let (job, answer) = Job::change(work);
        self.send(job).await?;
        answer.await.map_err(|_| self.gone())?
    }

    fn check_open(&self) -> Result<(), OutboxError> {
        if self.health.closed.load(Ordering::Acquire) { Err(OutboxError::Closed) } else { Ok(()) }
    }

    /// Why there is no writer.
    fn gone(&self) -> OutboxError {
        self.check_open()
            .err()
            .unwrap_or_else(|| OutboxError::Broken("the outbox's writer has ended unexpectedly; restart the host and report this".into()))
    }

    fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!(message = "The outbox's writer panicked.");
        }
    }
}

#[async_trait]
impl Outbox for SqliteOutbox {
    async fn accept(&self, now: UnixMs, events: Vec<Incoming>, unreadable: Vec<Unreadable>) -> Result<Vec<Taken>, OutboxError> {
        self.check_open()?;
        let delivery = accept::Delivery::new(now, events, unreadable)?;
        let (caller, answer) = oneshot::channel();
        self.send(Job::Accept(delivery, caller)).await?;
        answer.await.map_err(|_| self.gone())?
    }

    async fn busy_connectors(&self) -> Result<Vec<ConnectorName>, OutboxError> {
        self.check_open()?;
        Ok(self.tallies.all().into_iter().filter(|(_, tally)| tally.waiting > 0 || tally.open > 0).map(|(name, _)| name).collect())
    }

    async fn lane(&self, connector: &str) -> Result<LaneState, OutboxError> {
        self.check_open()?;
        if let Some(state) = self.tallies.lane(connector) {
            return Ok(state);
        }
        let (waiting, first) = (self.tallies.of(connector).waiting, self.tallies.first(connector, 1).pop());
        self.readers.glance(|db| read::lane(db, connector, waiting, first)).await
    }

    async fn waiting(&self, connector: &str, limit: usize) -> Result<Vec<Waiting>, OutboxError> {
        self.check_open()?;
        let limit = limit.min(read::MAX_WAITING);
        if let Some(waiting) = self.tallies.waiting(connector, limit) {
            return Ok(waiting);
        }
        let seqs = self.tallies.first(connector, limit);
        if seqs.len() <= FEW {
            return self.readers.glance(|db| read::waiting(db, connector, &seqs)).await;
        }
        let connector = connector.to_owned();
        self.readers.read(move |db| read::waiting(db, &connector, &seqs)).await
    }

    async fn open(&self, message: NewMessage) -> Result<MessageId, OutboxError> {
        self.change(move |desk| messages::open(desk, &message)).await
    }

    async fn attempt(&self, message: MessageId, draft: Draft, pace: PaceLog, at: UnixMs) -> Result<(), OutboxError> {
        self.change(move |desk| messages::attempt(desk, message, &draft, &pace, at)).await
    }

    async fn settle(&self, message: MessageId, settle: Settle, attempt: AttemptRecord, pace: PaceLog) -> Result<(), OutboxError> {
        self.change(move |desk| messages::settle(desk, message, &settle, &attempt, &pace)).await
    }

    async fn store_pace(&self, connector: &str, pace: PaceLog) -> Result<(), OutboxError> {
        let connector = connector.to_owned();
        self.change(move |desk| messages::store_pace(desk, &connector, &pace, None)).await
    }

    async fn bury(&self, connector: &str, covers: Vec<i64>, reason: Reason, now: UnixMs) -> Result<MessageId, OutboxError> {
        let connector = connector.to_owned();
        self.change(move |desk| messages::bury(desk, &connector, &covers, &reason, now)).await
    }

    async fn replay(&self, message: MessageId, now: UnixMs) -> Result<ConnectorName, OutboxError> {
        self.change(move |desk| messages::replay(desk, message, now)).await
    }

    async fn split(&self, message: MessageId, keep: Vec<i64>) -> Result<MessageId, OutboxError> {
        self.change(move |desk| split::split(desk, message, &keep)).await
    }

    async fn discard(&self, message: MessageId) -> Result<(), OutboxError> {
        self.change(move |desk| messages::discard(desk, message)).await
    }

    async fn messages(&self, filter: Filter) -> Result<Vec<MessageSummary>, OutboxError> {
        self.readers.read(move |db| lists::messages(db, &filter)).await
    }

    async fn message(&self, message: MessageId) -> Result<MessageDetail, OutboxError> {
        self.readers.read(move |db| lists::message(db, message)).await
    }

    async fn unreadable(&self, limit: usize) -> Result<Vec<(i64, UnixMs, Unreadable)>, OutboxError> {
        self.readers.read(move |db| lists::unreadable(db, limit)).await
    }

    async fn status(&self) -> Result<Vec<ConnectorStatus>, OutboxError> {
        let tallies = Arc::clone(&self.tallies);
        self.readers.read(move |db| lists::status(db, &tallies)).await
    }

    async fn prune(&self, delivered_before: UnixMs, seen_before: UnixMs) -> Result<bool, OutboxError> {
        self.change(move |desk| prune::prune(desk, delivered_before, seen_before)).await
    }

    fn book(&self) -> Option<&dyn Book> {
        Some(self)
    }

    fn metrics(&self) -> Option<OutboxMetrics> {
        Some(self.health.metrics.clone())
    }

    async fn ready(&self) -> Result<(), OutboxError> {
        let fresh = self.health.committed_within(FRESH);
        self.change(move |desk| {
            if let Some(refusal) = desk.size_refusal()?.or_else(|| desk.item_refusal(1)) {
                return Err(refusal.into());
            }
            if !fresh {
                desk.db.prepare_cached("INSERT INTO probe (id, n) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = n + 1")?.execute([])?;
            }
            Ok(())
        })
        .await
    }

    async fn close(&self) {
        if self.health.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.readers.close();
        let (caller, closed) = oneshot::channel();
        if self.jobs.send(Envelope { job: Job::Close(caller), _slot: None }).is_ok() && closed.await.is_ok() {
            tracing::info!(message = "Outbox closed.");
        }
        self.slots.close();
        self.join();
    }
}

#[async_trait]
impl Book for SqliteOutbox {
    async fn incident(&self, id: &str) -> Result<Option<Incident>, OutboxError> {
        let id = id.to_owned();
        self.readers.read(move |db| incidents::one(db, &id)).await
    }

    async fn open_incidents(&self, limit: usize) -> Result<Vec<Incident>, OutboxError> {
        self.readers.read(move |db| incidents::open(db, limit)).await
    }

    async fn forget_incident(&self, id: &str) -> Result<(), OutboxError> {
        let id = id.to_owned();
        self.change(move |desk| incidents::forget(desk, &id)).await
    }

    async fn last_told(&self, connector: &str) -> Result<Option<String>, OutboxError> {
        let connector = connector.to_owned();
        self.readers.read(move |db| incidents::last_told(db, &connector)).await
    }

    async fn ask(&self, ask: Ask, now: UnixMs) -> Result<Booked, OutboxError> {
        self.change(move |desk| responses::ask(desk, &ask, now)).await
    }

    async fn response(&self, key: &str) -> Result<Option<Response>, OutboxError> {
        let key = key.to_owned();
        self.readers.read(move |db| responses::by_key(db, &key)).await
    }

    async fn open_responses(&self, limit: usize) -> Result<Vec<Response>, OutboxError> {
        self.readers.read(move |db| responses::open(db, limit)).await
    }

    async fn note(&self, name: &str) -> Result<Option<String>, OutboxError> {
        let name = name.to_owned();
        self.readers.read(move |db| responses::note(db, &name)).await
    }

    async fn keep_note(&self, name: &str, value: &str) -> Result<(), OutboxError> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.change(move |desk| responses::keep_note(desk, &name, &value)).await
    }

    async fn step(&self, response: i64, step: Step, now: UnixMs) -> Result<(), OutboxError> {
        self.change(move |desk| responses::step(desk, response, &step, now)).await
    }
}

impl Drop for SqliteOutbox {
    /// As a crash would leave it, but for the lock, which is free when this returns.
    fn drop(&mut self) {
        self.readers.close();
        let (ended, never) = mpsc::channel();
        drop(never);
        // The thread ends when nobody can send it anything any more.
        self.jobs = ended;
        self.join();
    }
}
