//! What the outbox that hosts share costs: `cargo xtask bench shared -- [--connectors 100000] [--seconds 4] [--rounds 3]`.
//!
//! A PostgreSQL of its own on loopback, with its defaults: every commit is synced. Events taken in are compared with the database's own limit for
//! one row a commit, in the same run; the rest are unit costs, from which a deployment can be reckoned (`docs/scale-out.md`).
#![allow(clippy::unwrap_used)]

#[path = "../../tests/support/postgres.rs"]
#[expect(dead_code, reason = "other programs use the rest of it")]
mod postgres;
#[path = "whole/table.rs"]
#[expect(dead_code, reason = "other programs use the rest of it")]
mod table;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use incident_sink::clock::Clock;
use incident_sink::event::{Event, Kind, Status};
use incident_sink::outbox::postgres::{PostgresConfig, PostgresOutbox};
use incident_sink::outbox::{AttemptRecord, Claim, Draft, Incoming, NewMessage, Outbox, PaceLog, Reason, Settle};

use postgres::Postgres;
use table::{Compared, Table, median};

#[derive(Parser)]
struct Args {
    /// Connectors with a lane.
    #[arg(long, default_value_t = 100_000)]
    connectors: usize,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Rounds of each kind.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Lanes that events go to.
const LANES: u64 = 1_000;
/// Callers at once.
const CALLERS: usize = 64;

/// Lets callers work for a while; calls a second.
async fn rate<F, W>(seconds: u64, work: F) -> f64
where
    F: Fn(u64) -> W + Clone + Send + Sync + 'static,
    W: Future<Output = ()> + Send,
{
    let (numbers, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let (work, numbers) = (work.clone(), Arc::clone(&numbers));
        callers.spawn(async move {
            let mut done = 0_u64;
            while began.elapsed() < Duration::from_secs(seconds) {
                work(numbers.fetch_add(1, Ordering::Relaxed)).await;
                done += 1;
            }
            done
        });
    }
    let done: u64 = callers.join_all().await.into_iter().sum();
    done as f64 / began.elapsed().as_secs_f64()
}

fn event(n: u64) -> Event {
    Event {
        id: format!("e{n}"),
        kind: Kind::Created,
        incident_id: (n + 1).to_string(),
        status: Status::Pending,
        priority: None,
        severity: None,
        summary: format!("The disk of machine {n} is nearly full"),
        details: "x".repeat(300),
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

struct Bench {
    url: String,
    schema: String,
    outbox: Arc<PostgresOutbox>,
    /// Of two more hosts.
    others: [Arc<PostgresOutbox>; 2],
    ids: Arc<AtomicU64>,
    clock: Clock,
}

impl Bench {
    async fn open(server: &Postgres) -> Bench {
        let (url, schema, clock) = (server.url(), Postgres::fresh_schema(), Clock::system());
        let config = PostgresConfig { schema: schema.clone(), ..PostgresConfig::new(url.clone()) };
        let open = async || Arc::new(PostgresOutbox::open(Path::new("."), &config, clock.clone()).await.unwrap());
        let (outbox, others) = (open().await, [open().await, open().await]);
        Bench { url, schema, outbox, others, ids: Arc::default(), clock }
    }

    /// Events a second at so many hosts, each a call of its own.
    async fn accept(&self, seconds: u64, hosts: usize) -> f64 {
        let all = [&self.outbox, &self.others[0], &self.others[1]].map(Arc::clone);
        let (ids, clock, connectors) = (Arc::clone(&self.ids), self.clock.clone(), LANES);
        rate(seconds, move |n| {
            let outbox = Arc::clone(&all[n as usize % hosts]);
            let (clock, id) = (clock.clone(), ids.fetch_add(1, Ordering::Relaxed));
            async move {
                let connectors = vec![Arc::from(format!("c{}", id % connectors))];
                let incoming = Incoming { source: "bench".into(), event: Arc::new(event(id)), connectors };
                outbox.accept(clock.steady(), vec![incoming], Vec::new()).await.unwrap();
            }
        })
        .await
    }

    /// Lanes taken a second, each for the first time.
    async fn claim(&self, connectors: usize) -> f64 {
        let (outbox, began) = (Arc::clone(&self.outbox), Instant::now());
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..CALLERS {
            let outbox = Arc::clone(&outbox);
            callers.spawn(async move {
                for n in (caller..connectors).step_by(CALLERS) {
                    assert_ne!(outbox.claim(&format!("c{n}")).await.unwrap(), Claim::Elsewhere);
                }
            });
        }
        callers.join_all().await;
        connectors as f64 / began.elapsed().as_secs_f64()
    }

    /// Messages a second, from a look at the lane to the settled message, each in a lane of its own.
    async fn deliver(&self, seconds: u64, lanes: u64) -> f64 {
        let (outbox, clock) = (Arc::clone(&self.outbox), self.clock.clone());
        let next = Arc::new(AtomicU64::new(0));
        rate(seconds, move |_| {
            let (outbox, clock, next) = (Arc::clone(&outbox), clock.clone(), Arc::clone(&next));
            async move {
                // A caller keeps to its own lanes, so that nobody is in anybody's way.
                let n = next.fetch_add(1, Ordering::Relaxed) % lanes;
                deliver(&outbox, &format!("c{n}"), &clock).await;
            }
        })
        .await
    }
}

async fn deliver(outbox: &PostgresOutbox, connector: &str, clock: &Clock) {
    outbox.claim(connector).await.unwrap();
    let state = outbox.lane(connector).await.unwrap();
    let waiting = outbox.waiting(connector, 1).await.unwrap();
    let (Some(first), None) = (waiting.first(), state.open) else { return };
    let at = clock.steady();
    let draft = Draft { prepared: vec![b'x'; 800], author: "bench".to_owned() };
    let pace = PaceLog { sends: vec![at; 20], ..PaceLog::default() };
    let message = NewMessage {
        connector: connector.into(),
        key: format!("{:032x}", fastrand::u128(..)),
        covers: vec![first.seq],
        draft,
        pace: pace.clone(),
        at,
    };
    let Ok(id) = outbox.open(message).await else { return };
    let settle = Settle::Delivered { receipt: None, memo: None };
    let attempt = AttemptRecord { at, took_ms: 1, outcome: "delivered".to_owned(), reason: Reason::default() };
    outbox.settle(id, settle, attempt, pace).await.unwrap();
}

/// Single rows a second, each in a commit of its own: what the database gives at best, whatever is written.
async fn rows(url: &str, seconds: u64) -> f64 {
    let mut clients = Vec::new();
    for _ in 0..8 {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        clients.push(client);
    }
    clients[0].batch_execute("CREATE TABLE IF NOT EXISTS rows (id bigserial PRIMARY KEY, payload text NOT NULL)").await.unwrap();
    let insert = "INSERT INTO rows (payload) VALUES ($1)";
    let mut prepared = Vec::new();
    for client in clients {
        let statement = client.prepare(insert).await.unwrap();
        prepared.push((client, statement));
    }
    let (prepared, payload) = (Arc::new(prepared), Arc::new("x".repeat(700)));
    rate(seconds, move |n| {
        let (prepared, payload) = (Arc::clone(&prepared), Arc::clone(&payload));
        async move {
            let (client, statement) = &prepared[n as usize % prepared.len()];
            client.execute(statement, &[&*payload]).await.unwrap();
        }
    })
    .await
}

async fn measure(args: &Args) {
    let Some(server) = Postgres::new() else { return };
    let (bench, mut table) = (Bench::open(&server).await, Table::default());
    let (mut accepted, mut by_three, mut plain, mut delivered) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        accepted.push(bench.accept(args.seconds, 1).await);
        by_three.push(bench.accept(args.seconds, 3).await);
        plain.push(rows(&bench.url, args.seconds).await);
        delivered.push(bench.deliver(args.seconds, LANES).await);
    }
    table.compare(&Compared {
        name: "shared",
        less: false,
        what: "PostgreSQL: durable hand-over, 64 producers, events of 700 bytes",
        unit: "events/s",
        ours: &accepted,
        against: "a row a commit over 8 connections",
        other: &plain,
        goals: &[],
    });
    table.compare(&Compared {
        name: "shared-three",
        less: false,
        what: "PostgreSQL: the same by three hosts, on the same processors as the database",
        unit: "events/s",
        ours: &by_three,
        against: "one host",
        other: &accepted,
        goals: &[],
    });
    let figures = format!("{:.0} messages/s, two commits each", median(&delivered));
    table.figures("PostgreSQL: from the look at a lane to the settled message, 64 at once", &figures, "", None);
    let claims = bench.claim(args.connectors).await;
    let figures = format!("{claims:.0} lanes/s");
    table.figures(&format!("PostgreSQL: lanes taken for the first time, {} connectors", args.connectors), &figures, "", None);
    let size = server.execute(&format!("SELECT pg_total_relation_size('{}.lanes')", bench.schema)).parse::<f64>().unwrap();
    let figures = format!("{:.0} bytes a lane in the database", size / args.connectors as f64);
    table.figures("PostgreSQL: a lane that waits for nothing", &figures, "", None);
    let began = Instant::now();
    let busy = bench.outbox.busy_connectors().await.unwrap().len();
    let figures = format!("{:.1} ms for {busy} connectors with a backlog", began.elapsed().as_secs_f64() * 1e3);
    table.figures("PostgreSQL: the look for work, five times a lease and host", &figures, "", None);
    for outbox in bench.others.iter().chain([&bench.outbox]) {
        outbox.close().await;
    }
}

fn main() {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure(&args));
}
