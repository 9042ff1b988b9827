//! What one plugin's trouble costs others: `cargo xtask bench isolation`.
//!
//! 1. A plugin that spins, on a runtime with one worker thread: how much later do the messages of another connector arrive? At most one deadline
//!    later, since that is how long one call holds the worker.
//! 2. A hundred swaps while up to 500 messages a second flow: how much later do they arrive while a version is replaced than at other times? Swaps
//!    and pauses alternate, so that both meet the same machine. The load is a share of what this machine delivers at most, which is measured
//!    first: on a machine that is busy anyway every delay would be the queue's.
#![allow(clippy::unwrap_used, dead_code)]

#[path = "../tests/hostile/stage.rs"]
mod stage;
#[path = "whole/table.rs"]
mod table;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use incident_sink::delivery::upgrade::{InstallOptions, Upgrader, Who};
use tokio::runtime::{Builder, Runtime};

use self::stage::{Got, Receiver, Stage, chameleon, limits};
use self::table::{Compared, Goal, Table, median, quantile};

/// How much later than the deadline a call may be ended: by a tick that has partly passed, and one that is to come.
const TICKS: Duration = Duration::from_millis(20);

fn main() {
    // Receivers have threads of their own: what is measured is the host.
    let outside = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut table = Table::default();
    spinning(&outside, &mut table);
    swapping(&outside, &mut table);
}

/// When each event was due, by its message's prefix. An event that comes in late, since the host is busy, has waited too.
type Emitted = HashMap<String, Instant>;

/// From when to when something was on its way.
#[derive(Clone, Copy)]
struct Way {
    from: Instant,
    to: Instant,
}

impl Way {
    /// In milliseconds.
    fn took(self) -> f64 {
        self.to.saturating_duration_since(self.from).as_secs_f64() * 1e3
    }
}

fn ways(got: &[Got], emitted: &Emitted) -> Vec<Way> {
    let of = |got: &Got| {
        let events = got.json()["events"].as_array().cloned().unwrap_or_default();
        events.into_iter().filter_map(|id| emitted.get(id.as_str()?.rsplit_once('-')?.0).copied()).collect::<Vec<_>>()
    };
    got.iter().flat_map(|got| of(got).into_iter().map(|from| Way { from, to: got.at })).collect()
}

/// A connector that delivers, for a while alone and for a while beside one whose plugin spins in each of its calls.
fn spinning(outside: &Runtime, table: &mut Table) {
    let most = limits().deadline.0 + TICKS;
    for behaviour in ["good", "spin-begin", "spin-sign", "spin-resume"] {
        let times: Vec<f64> = beside(outside, behaviour).into_iter().map(Way::took).collect();
        let (middle, worst) = (median(&times), quantile(&times, 1.0));
        let what = format!("delay of {} messages, one worker thread, beside a plugin that does `{behaviour}`", times.len());
        let figures = format!("median {middle:.1} ms, p99 {:.1} ms, worst {worst:.1} ms", quantile(&times, 0.99));
        let (goal, reached) = match behaviour {
            "good" => (String::new(), None),
            _ => (format!("worst ≤ {most:?} more than the median"), Some(worst - middle <= most.as_secs_f64() * 1e3)),
        };
        table.figures(&what, &figures, &goal, reached);
    }
}

/// Fifty messages a second of one connector, five of another.
fn beside(outside: &Runtime, behaviour: &str) -> Vec<Way> {
    let (good, good_url) = outside.block_on(Receiver::start());
    let (_bad, bad_url) = outside.block_on(Receiver::start());
    let host = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let hostile = chameleon(behaviour);
    let emitted = host.block_on(host.spawn(async move {
        let mut stage = Stage::at(1, folder(), |_| {}).await;
        stage.connect("good", "chameleon", &good_url, "good-secret");
        stage.smuggle("hostile", &hostile);
        stage.connect("bad", "hostile", &bad_url, "bad-secret");
        let mut emitted = Emitted::new();
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        for round in 0..300 {
            let due = tick.tick().await.into_std();
            if round % 10 == 0 {
                stage.emit(&format!("bad{round}"), 1, &["bad"]).await;
            }
            let prefix = format!("{round:04}");
            emitted.insert(prefix.clone(), due);
            stage.emit(&prefix, 1, &["good"]).await;
        }
        stage.dispatcher.stop(Duration::from_secs(10)).await;
        emitted
    }));
    ways(&good.got(), &emitted.unwrap())
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("chameleon.wasm"), chameleon("good")).unwrap();
    folder
}

/// So many connectors, each with a lane of its own, take turns.
const LANES: usize = 25;
/// Messages of the measurement of what is delivered at most.
const BURST: usize = 2_000;
/// The share of that that flows during the swaps, and the most of it in a second.
const SHARE: f64 = 0.2;
const MOST: f64 = 500.0;
const SWAPS: usize = 100;
/// Between two swaps: as long as a swap takes, and at least so long.
const PAUSE: Duration = Duration::from_millis(100);

/// What the host did, as it saw it.
struct Seen {
    emitted: Emitted,
    rate: f64,
    most: f64,
    swaps: Vec<Way>,
}

fn swapping(outside: &Runtime, table: &mut Table) {
    let (receiver, url) = outside.block_on(Receiver::start());
    let host = Builder::new_multi_thread().enable_all().build().unwrap();
    let seen = host.block_on(host.spawn(swap_under_load(url))).unwrap();
    let (during, calm): (Vec<Way>, Vec<Way>) = ways(&receiver.got(), &seen.emitted)
        .into_iter()
        .partition(|way| seen.swaps.iter().any(|swap| way.from <= swap.to && way.to >= swap.from));
    let arrived = during.len() + calm.len();
    assert_eq!(arrived, seen.emitted.len(), "every message arrives once");
    let times = |ways: &[Way]| ways.iter().copied().map(Way::took).collect::<Vec<_>>();
    let (during, calm, swaps) = (times(&during), times(&calm), times(&seen.swaps));
    for (name, times) in [("during swaps", &during), ("between them", &calm), ("a swap", &swaps)] {
        println!("{name}: {}, median {:.1} ms, p99 {:.1} ms", times.len(), median(times), quantile(times, 0.99));
    }
    table.compare(&Compared {
        name: "swap",
        less: true,
        what: &format!("p99 of the delay while one of {SWAPS} swaps is made, {:.0} messages/s of at most {:.0}", seen.rate, seen.most),
        unit: "ms",
        ours: &[quantile(&during, 0.99)],
        against: "between the swaps",
        other: &[quantile(&calm, 0.99)],
        goals: &[Goal::AtMost(2.0)],
    });
}

async fn swap_under_load(url: String) -> Seen {
    let mut stage = Stage::at(1, folder(), |config| config.canary.messages = 20).await;
    let names: Vec<String> = (0..LANES).map(|number| format!("lane-{number}")).collect();
    names.iter().for_each(|name| stage.connect(name, "chameleon", &url, "hush"));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let most = at_most(&stage, &names).await;
    let rate = (most * SHARE).min(MOST);
    let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
    let mut emitted = Emitted::new();
    let swapping = tokio::spawn(swaps(stage.upgrader.clone()));
    while !swapping.is_finished() {
        let due = tick.tick().await.into_std();
        let prefix = format!("event{:06}", emitted.len());
        let lane = names[emitted.len() % LANES];
        emitted.insert(prefix.clone(), due);
        stage.emit(&prefix, 1, &[lane]).await;
    }
    stage.drained().await;
    Seen { emitted, rate, most, swaps: swapping.await.unwrap() }
}

/// Messages a second of a burst, which is all that this machine delivers beside the receiver.
async fn at_most(stage: &Stage, names: &[&str]) -> f64 {
    let begun = Instant::now();
    for round in 0..BURST / LANES {
        stage.emit(&format!("burst{round}"), 1, names).await;
    }
    stage.drained().await;
    BURST as f64 / begun.elapsed().as_secs_f64()
}

async fn swaps(upgrader: Upgrader) -> Vec<Way> {
    let force = InstallOptions { force: true, shadow: None };
    let mut swaps = Vec::new();
    for swap in 0..SWAPS {
        // Never seen before, so that each is compiled.
        let name = format!("{}-{swap}", if swap % 2 == 0 { "good-2" } else { "good" });
        let bytes = chameleon(&name);
        let from = Instant::now();
        assert!(upgrader.install("chameleon", bytes, None, Who::Api, force).await.unwrap().changed);
        swaps.push(Way { from, to: Instant::now() });
        tokio::time::sleep(from.elapsed().max(PAUSE)).await;
    }
    swaps
}
