//! Durable enqueue by many producers against a raw append log with the same sync for each group, in one run.
//!
//! `cargo bench --workspace --bench outbox -- [--seconds 1] [--rounds 5] [--producers 64] [--delivered 0] [--connectors 100]`
//!
//! Rounds alternate; the medians are compared. `--delivered N` first fills the database with N delivered messages.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use clap::Parser;
use incident_sink::clock::Clock;
use incident_sink::event::{Event, Kind, Status};
use incident_sink::outbox::sqlite::{SqliteConfig, SqliteOutbox};
use incident_sink::outbox::{Incoming, Outbox};
use tokio::sync::oneshot;

/// As in the program.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
struct Args {
    /// Length of a round.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Rounds of each kind.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Producers, each with one event on its way.
    #[arg(long, default_value_t = 64)]
    producers: usize,
    /// Delivered messages in the database before.
    #[arg(long, default_value_t = 0)]
    delivered: u64,
    /// Connectors that events go to.
    #[arg(long, default_value_t = 100)]
    connectors: u64,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn event(n: u64) -> Event {
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

/// A record for the log, and whom to tell when it is synced.
type Record = (Vec<u8>, oneshot::Sender<()>);

/// What the outbox is measured against: append what waits, sync, answer.
fn raw_log(mut file: File, inbox: &mpsc::Receiver<Record>) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    while let Ok(first) = inbox.recv() {
        let mut group = vec![first];
        while group.len() < 256
            && let Ok(next) = inbox.try_recv()
        {
            group.push(next);
        }
        buffer.clear();
        for (record, _) in &group {
            buffer.extend_from_slice(&(record.len() as u64).to_le_bytes());
            buffer.extend_from_slice(record);
        }
        file.write_all(&buffer)?;
        file.sync_data()?;
        for (_, caller) in group {
            // A producer that has ended needs no answer.
            _ = caller.send(());
        }
    }
    Ok(())
}

/// Lets producers work for a while; durable events a second.
async fn rate<F, W>(args: &Args, numbers: &Arc<AtomicU64>, produce: F) -> Result<f64, Failure>
where
    F: Fn(u64) -> W + Clone + Send + Sync + 'static,
    W: Future<Output = Result<(), Failure>> + Send,
{
    let (begun, length) = (Instant::now(), Duration::from_secs_f64(args.seconds));
    let mut producers = tokio::task::JoinSet::new();
    for _ in 0..args.producers {
        let (numbers, produce) = (Arc::clone(numbers), produce.clone());
        producers.spawn(async move {
            let mut done = 0u64;
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

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let config = SqliteConfig::default();
    let mut outbox = SqliteOutbox::open(folder.path(), &config, Clock::system()).await?;
    if args.delivered > 0 {
        outbox.close().await;
        fill(&folder.path().join(&config.path), args.delivered)?;
        outbox = SqliteOutbox::open(folder.path(), &config, Clock::system()).await?;
    }
    let outbox = Arc::new(outbox);
    let (log, inbox) = mpsc::channel::<Record>();
    let file = File::create(folder.path().join("raw.log"))?;
    let logger = std::thread::spawn(move || raw_log(file, &inbox));
    let names: Arc<Vec<Arc<str>>> = Arc::new((0..args.connectors.max(1)).map(|n| Arc::from(format!("c{n}"))).collect());
    let numbers = Arc::new(AtomicU64::new(1));
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for round in 0..args.rounds.max(1) {
        let log = log.clone();
        let raw_rate = rate(&args, &numbers, move |n| {
            let log = log.clone();
            async move {
                let (caller, synced) = oneshot::channel();
                log.send((serde_json::to_vec(&event(n))?, caller))?;
                Ok(synced.await?)
            }
        });
        raw.push(raw_rate.await?);
        let (outbox, names) = (Arc::clone(&outbox), Arc::clone(&names));
        let our_rate = rate(&args, &numbers, move |n| {
            let (outbox, names) = (Arc::clone(&outbox), Arc::clone(&names));
            async move {
                let connector = Arc::clone(&names[n as usize % names.len()]);
                let incoming = Incoming { source: "bench".into(), event: Arc::new(event(n)), connectors: vec![connector] };
                outbox.accept(Clock::system().now(), vec![incoming], Vec::new()).await?;
                Ok(())
            }
        });
        ours.push(our_rate.await?);
        println!("round {}: raw log {:.0}/s, outbox {:.0}/s", round + 1, raw[round], ours[round]);
    }
    let mut looks = Vec::new();
    for n in 0..200 {
        let begun = Instant::now();
        outbox.lane(&names[n % names.len()]).await?;
        looks.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    drop(log);
    logger.join().map_err(|_| "the log's thread panicked")??;
    outbox.close().await;
    let (ours, raw) = (median(ours), median(raw));
    println!("enqueue: outbox {ours:.0}/s, raw log {raw:.0}/s, ratio {:.2} (limit 0.80)", ours / raw);
    println!("lane(): median {:.0} µs with {} delivered messages", median(looks), args.delivered);
    Ok(())
}
