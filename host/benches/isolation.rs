//! What one plugin's trouble costs others: `cargo xtask bench isolation`.
//!
//! 1. A plugin that spins, on a runtime with one worker thread: how much later do the messages of another connector arrive? At most one deadline
//!    later, since that is how long one call holds the worker.
//! 2. A hundred swaps while 500 messages a second flow: how much later do they arrive than without swaps? Calm times and swaps alternate, so that
//!    both meet the same machine.
#![allow(clippy::unwrap_used, dead_code)]

#[path = "../tests/hostile/stage.rs"]
mod stage;
#[path = "whole/table.rs"]
mod table;

use std::time::{Duration, Instant};

use incident_sink::delivery::upgrade::{InstallOptions, Upgrader, Who};
use tokio::runtime::{Builder, Runtime};

use self::stage::{Got, Receiver, Stage, chameleon, limits};
use self::table::{Compared, Table};

fn main() {
    // Receivers have threads of their own: what is measured is the host.
    let outside = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut table = Table::default();
    spinning(&outside, &mut table);
    swapping(&outside, &mut table);
}

fn quantile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times.get((times.len().max(1) - 1) * percent / 100).copied().unwrap_or_default()
}

/// When a message of the round `prefix` arrived after it was emitted.
fn delays<'a>(got: &'a [Got], emitted: &'a [(String, Instant)]) -> impl Iterator<Item = Duration> + 'a {
    got.iter().flat_map(|got| {
        let events = got.json()["events"].as_array().cloned().unwrap_or_default();
        events.into_iter().filter_map(|id| {
            let id = id.as_str()?.rsplit_once('-')?.0.to_owned();
            let (_, at) = emitted.iter().find(|(prefix, _)| *prefix == id)?;
            Some(got.at.saturating_duration_since(*at))
        })
    })
}

/// A connector that delivers, for a while alone and for a while beside one whose plugin spins in each of its calls.
fn spinning(outside: &Runtime, table: &mut Table) {
    let deadline = limits().deadline.0;
    let goal = format!("≤ {deadline:?} + 10 ms");
    for behaviour in ["good", "spin-begin", "spin-sign", "spin-resume"] {
        let (good, good_url) = outside.block_on(Receiver::start());
        let (_bad, bad_url) = outside.block_on(Receiver::start());
        let host = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let emitted = host.block_on(host.spawn(async move {
            let mut stage = Stage::at(1, folder(), |_| {}).await;
            stage.connect("good", "chameleon", &good_url, "good-secret");
            stage.smuggle("hostile", &chameleon(behaviour));
            stage.connect("bad", "hostile", &bad_url, "bad-secret");
            let mut emitted = Vec::new();
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            for round in 0..300 {
                tick.tick().await;
                if round % 10 == 0 {
                    stage.emit(&format!("bad{round}"), 1, &["bad"]).await;
                }
                emitted.push((format!("{round:04}"), Instant::now()));
                stage.emit(&format!("{round:04}"), 1, &["good"]).await;
            }
            stage.dispatcher.stop(Duration::from_secs(10)).await;
            emitted
        }));
        let emitted = emitted.unwrap();
        let mut times: Vec<Duration> = delays(&good.got(), &emitted).collect();
        let worst = times.iter().max().copied().unwrap_or_default();
        let ([median, p99], count) = ([50, 99].map(|percent| quantile(&mut times, percent)), times.len());
        let what = format!("delay of {count} messages, one worker thread, beside a plugin that does `{behaviour}`");
        let figures = format!("median {median:.1?}, p99 {p99:.1?}, worst {worst:.1?}");
        table.figures(&what, &figures, if behaviour == "good" { "" } else { &goal });
    }
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("chameleon.wasm"), chameleon("good")).unwrap();
    folder
}

/// So many connectors, each with a lane of its own.
const LANES: usize = 25;
/// A round of events, one for each connector, so often: 500 a second.
const ROUND: Duration = Duration::from_millis(50);
/// Times of calm, with ten swaps after each.
const BLOCKS: usize = 10;
/// Rounds in a time of calm.
const CALM: usize = 20;

fn swapping(outside: &Runtime, table: &mut Table) {
    let (receiver, url) = outside.block_on(Receiver::start());
    let host = Builder::new_multi_thread().enable_all().build().unwrap();
    let (emitted, took) = host
        .block_on(host.spawn(async move {
            let mut stage = Stage::at(1, folder(), |config| config.canary.messages = 20).await;
            let names: Vec<String> = (0..LANES).map(|number| format!("lane-{number}")).collect();
            names.iter().for_each(|name| stage.connect(name, "chameleon", &url, "hush"));
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let (mut emitted, mut took) = (Vec::new(), Duration::ZERO);
            let mut tick = tokio::time::interval(ROUND);
            for block in 0..BLOCKS {
                for _ in 0..CALM {
                    tick.tick().await;
                    round(&stage, &names, "calm", &mut emitted).await;
                }
                let began = Instant::now();
                let swaps = tokio::spawn(ten_swaps(stage.upgrader.clone(), block));
                while !swaps.is_finished() {
                    tick.tick().await;
                    round(&stage, &names, "swap", &mut emitted).await;
                }
                took += began.elapsed();
                swaps.await.unwrap();
            }
            stage.drained().await;
            (emitted, took)
        }))
        .unwrap();
    let got = receiver.got();
    let mut p99 = [Duration::ZERO; 2];
    for (p99, kind) in p99.iter_mut().zip(["calm", "swap"]) {
        let emitted: Vec<_> = emitted.iter().filter(|(prefix, _)| prefix.starts_with(kind)).cloned().collect();
        let mut times: Vec<Duration> = delays(&got, &emitted).collect();
        let median = quantile(&mut times, 50);
        *p99 = quantile(&mut times, 99);
        println!("{kind}: {} messages, median {median:.1?}, p99 {:.1?}", times.len(), *p99);
    }
    println!("{} swaps in {took:.1?}, {} of {} messages", BLOCKS * 10, got.len(), emitted.len() * LANES);
    table.compare(&Compared {
        name: "swap",
        less: true,
        what: &format!("p99 of the delay during {} swaps, 500 messages/s", BLOCKS * 10),
        unit: "ms",
        ours: &[p99[1].as_secs_f64() * 1e3],
        against: "calm between them",
        other: &[p99[0].as_secs_f64() * 1e3],
        goal: "≤ 2",
    });
}

async fn round(stage: &Stage, names: &[&str], kind: &str, emitted: &mut Vec<(String, Instant)>) {
    let prefix = format!("{kind}{:05}", emitted.len());
    emitted.push((prefix.clone(), Instant::now()));
    stage.emit(&prefix, 1, names).await;
}

async fn ten_swaps(upgrader: Upgrader, block: usize) {
    let force = InstallOptions { force: true, shadow: None };
    for swap in 0..10 {
        // Never seen before, so that each is compiled.
        let name = format!("{}-{block}-{swap}", if swap % 2 == 0 { "good-2" } else { "good" });
        assert!(upgrader.install("chameleon", chameleon(&name), None, Who::Api, force).await.unwrap().changed);
    }
}
