//! An outbox on SQLite under load of its own: producers that hand over one event after the other.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use incident_sink::clock::Clock;
use incident_sink::event::{Event, Kind, Status};
use incident_sink::outbox::sqlite::{SqliteConfig, SqliteOutbox};
use incident_sink::outbox::{Incoming, Outbox};
use tempfile::TempDir;

use crate::{Failure, stage};

/// Producers, each with one event on its way.
const PRODUCERS: usize = 64;

/// An outbox, how many connectors its events go to, and a counter that makes their ids.
pub(crate) struct Store {
    outbox: Arc<SqliteOutbox>,
    names: Arc<Vec<Arc<str>>>,
    numbers: Arc<AtomicU64>,
    _folder: TempDir,
}

impl Store {
    /// A new one, whose events go to so many connectors, and that holds so many delivered messages.
    pub(crate) async fn open(connectors: usize, delivered: u64) -> Result<Store, Failure> {
        let (folder, config) = (stage::folder()?, SqliteConfig::default());
        let mut outbox = SqliteOutbox::open(folder.path(), &config, Clock::system()).await?;
        if delivered > 0 {
            outbox.close().await;
            fill(&folder.path().join(&config.path), delivered)?;
            outbox = SqliteOutbox::open(folder.path(), &config, Clock::system()).await?;
        }
        let names = (0..connectors).map(|n| Arc::from(format!("c{n}"))).collect();
        Ok(Store { outbox: Arc::new(outbox), names: Arc::new(names), numbers: Arc::default(), _folder: folder })
    }

    /// Durable events a second.
    pub(crate) async fn rate(&self, seconds: u64) -> Result<f64, Failure> {
        let (outbox, names) = (Arc::clone(&self.outbox), Arc::clone(&self.names));
        rate(seconds, &self.numbers, move |n| {
            let (outbox, names) = (Arc::clone(&outbox), Arc::clone(&names));
            async move {
                let connector = Arc::clone(&names[n as usize % names.len()]);
                let incoming = Incoming { source: "bench".into(), event: Arc::new(event(n)), connectors: vec![connector] };
                outbox.accept(Clock::system().now(), vec![incoming], Vec::new()).await?;
                Ok(())
            }
        })
        .await
    }
}

/// Lets producers work for a while; events a second.
pub(crate) async fn rate<F, W>(seconds: u64, numbers: &Arc<AtomicU64>, produce: F) -> Result<f64, Failure>
where
    F: Fn(u64) -> W + Clone + Send + Sync + 'static,
    W: Future<Output = Result<(), Failure>> + Send,
{
    let (begun, length) = (Instant::now(), Duration::from_secs(seconds));
    let mut producers = tokio::task::JoinSet::new();
    for _ in 0..PRODUCERS {
        let (numbers, produce) = (Arc::clone(numbers), produce.clone());
        producers.spawn(async move {
            let mut done = 0_u64;
            while begun.elapsed() < length {
                produce(numbers.fetch_add(1, Ordering::Relaxed)).await?;
                done += 1;
            }
            Ok::<u64, Failure>(done)
        });
    }
    let mut done = 0;
    while let Some(result) = producers.join_next().await {
        done += result??;
    }
    Ok(done as f64 / begun.elapsed().as_secs_f64())
}

/// An event that takes about 500 bytes as JSON.
pub(crate) fn event(n: u64) -> Event {
    Event {
        id: format!("event-{n}"),
        kind: Kind::Created,
        incident_id: n.to_string(),
        status: Status::Pending,
        priority: None,
        severity: None,
        summary: "Connection pool of the orders database is exhausted".to_owned(),
        details: "x".repeat(200),
        alert_key: None,
        alert_source: None,
        escalation_policy: None,
        assigned_to: None,
        responders: Vec::new(),
        actor: None,
        comment: None,
        links: Vec::new(),
        images: Vec::new(),
        reported_at: jiff::Timestamp::UNIX_EPOCH,
        occurred_at: jiff::Timestamp::UNIX_EPOCH,
        incident_url: None,
        extra: Vec::new(),
    }
}

/// Fills the database with delivered messages, as the outbox would have left them.
fn fill(path: &Path, delivered: u64) -> Result<(), Failure> {
    let db = rusqlite::Connection::open(path)?;
    let payload = serde_json::to_string(&event(0))?;
    let now = Clock::system().now();
    db.execute_batch("PRAGMA synchronous = OFF; BEGIN")?;
    for n in 1..=delivered as i64 {
        db.prepare_cached("INSERT INTO events (seq, accepted_at, refs, payload) VALUES (?1, ?2, 1, ?3)")?.execute((n, now, &payload))?;
        db.prepare_cached(
            "INSERT INTO messages (connector, state, key, turn, events, attempts, in_flight, unknown, created_at, next_at, settled_at, reason)
             VALUES ('c' || (?1 % 100), 'delivered', 'k' || ?1, 1, 1, 1, 0, 0, ?2, ?2, ?2, '{\"code\":\"\",\"text\":\"\",\"advice\":\"\"}')",
        )?
        .execute((n, now))?;
        db.prepare_cached("INSERT INTO message_events (message, seq) VALUES (?1, ?1)")?.execute([n])?;
    }
    db.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}
