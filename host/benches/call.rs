//! What a call of a plugin costs: `cargo bench -p incident-sink --bench call [-- COMPONENT CONFIG]`.
//!
//! Each call is in a fresh instance, as in the host: from the pool, and with memory taken from the system for each call. Without arguments it
//! measures the DingTalk plugin.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use incident_sink::plugin::{CallError, Engine, EngineOptions, Limits, Plugin, Registry, wit};

/// Long enough for a stable median, short enough to be run often.
const TIME: Duration = Duration::from_secs(2);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // cargo passes `--bench`.
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/plugins/dingtalk.wasm");
    let path = PathBuf::from(args.next().unwrap_or_else(|| default.to_owned()));
    let config = args.next().unwrap_or_else(|| "{}".to_owned());

    let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}; run `cargo xtask build-plugins` first", path.display()))?;
    let engine = Engine::new(EngineOptions::default())?;
    let start = Instant::now();
    let plugin = Plugin::load(&engine, &bytes, &Limits::default())?;
    println!(
        "{} {}, {} bytes, loaded in {:.1} ms",
        plugin.descriptor().name,
        plugin.descriptor().version,
        bytes.len(),
        ms(start.elapsed())
    );

    println!("fresh instance, pooled: {}", engine.is_pooled());
    calls(&plugin, &config)?;
    let slow = Engine::new(EngineOptions { on_demand: true, ..EngineOptions::default() })?;
    println!("fresh instance, on demand");
    calls(&Plugin::load(&slow, &bytes, &Limits::default())?, &config)?;
    for threads in [1, 2, 4] {
        println!("begin on {threads} threads: {:>9.0} calls/s", throughput(&plugin, &config, threads)?);
    }
    let registry = Registry::default();
    registry.swap("bench", plugin);
    println!("registry look-up: {:.0} ns", median(|| Ok(registry.current("bench")))? * 1000.0);
    Ok(())
}

/// One line a function.
fn calls(plugin: &Plugin, config: &str) -> Result<(), CallError> {
    let (one, many, cx) = (vec![event()], vec![event(); plugin.descriptor().max_batch as usize], context());
    let answer = wit::Response { status: 200, headers: vec![], body: br#"{"errcode":0,"errmsg":"ok"}"#.to_vec() };
    let continuation = match plugin.begin(config, &one, &cx)? {
        wit::Step::Send(sending) => sending.continuation,
        wit::Step::Done(_) => Vec::new(),
    };
    let outline = wit::Outline { method: wit::Method::Post, query: vec![], body_sha256: vec![7; 32] };
    let secrets: Vec<(String, String)> =
        plugin.descriptor().secrets.iter().map(|pointer| (pointer.clone(), "SEC0123456789abcdef".to_owned())).collect();
    println!("check   {:>8.1} us", median(|| plugin.check(config))?);
    println!("begin   {:>8.1} us", median(|| plugin.begin(config, &one, &cx))?);
    println!("begin   {:>8.1} us for {} events", median(|| plugin.begin(config, &many, &cx))?, many.len());
    println!("sign    {:>8.1} us", median(|| plugin.sign(&secrets, &outline, 1_780_000_000_000))?);
    println!("resume  {:>8.1} us", median(|| plugin.resume(config, &continuation, &answer, &cx))?);
    Ok(())
}

/// The median of the means of rounds, in microseconds.
fn median<T>(mut call: impl FnMut() -> Result<T, CallError>) -> Result<f64, CallError> {
    const ROUND: u32 = 100;
    let end = Instant::now() + TIME;
    let mut rounds = Vec::new();
    while Instant::now() < end {
        let start = Instant::now();
        for _ in 0..ROUND {
            std::hint::black_box(call()?);
        }
        rounds.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUND));
    }
    rounds.sort_by(f64::total_cmp);
    Ok(rounds[rounds.len() / 2])
}

/// Calls in a second, all threads together.
fn throughput(plugin: &Plugin, config: &str, threads: usize) -> Result<f64, CallError> {
    let (batch, cx) = (vec![event()], context());
    let end = Instant::now() + TIME;
    let count = || {
        let mut calls = 0_u32;
        while Instant::now() < end {
            plugin.begin(config, &batch, &cx)?;
            calls += 1;
        }
        Ok(calls)
    };
    let counts: Vec<Result<u32, CallError>> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(count)).collect();
        running.into_iter().map(|thread| thread.join().expect("a counting thread does not panic")).collect()
    });
    counts.into_iter().map(|calls| calls.map(|calls| f64::from(calls) / TIME.as_secs_f64())).sum()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn event() -> wit::Event {
    let at = wit::Timestamp { unix_ms: 1_780_000_000_000, offset_minutes: 480 };
    wit::Event {
        id: "4a52ffb0".into(),
        kind: wit::Kind::Created,
        incident_id: "2983781".into(),
        status: wit::Status::Pending,
        priority: Some(wit::Priority::High),
        severity: Some(2),
        summary: "Replication lag on db-3 is 312 s".into(),
        details: "threshold 60 s, measured for five minutes, started after the backup. ".repeat(5),
        alert_key: Some("db-3/replication".into()),
        alert_source: Some(wit::AlertSource { id: "2101194".into(), name: "Zabbix".into() }),
        escalation_policy: Some("Database on-call".into()),
        assigned_to: None,
        responders: vec![],
        actor: None,
        comment: None,
        links: vec![wit::Link { text: "Graph".into(), href: "https://graphs.example.com/db-3".into() }],
        images: vec![],
        reported_at: at,
        occurred_at: at,
        incident_url: Some("https://acme.ilert.com/incident/view.jsf?id=2983781".into()),
        folded: 0,
        extra: vec![],
    }
}

fn context() -> wit::Context {
    wit::Context {
        connector: "ops".into(),
        now: wit::Timestamp { unix_ms: 1_780_000_000_500, offset_minutes: 480 },
        attempt: 1,
        message_id: "01J9ZQ7M3N".into(),
        memo: None,
        waiting: 0,
        links: vec![],
        title: None,
        text: None,
        extra: vec![],
    }
}
