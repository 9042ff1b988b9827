//! A program with ten thousand connectors, a hundred of them busy, against one with only the hundred: start, memory of an idle one, delivery.
//!
//! `cargo xtask bench connectors -- [--connectors 10000] [--busy 100] [--events 20] [--rounds 3]`
//!
//! The real program, the real plugin and the simulated group, on loopback. Rounds alternate; the medians are compared.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/e2e/support.rs"]
#[expect(dead_code, reason = "other programs use the rest of it")]
mod support;
#[path = "whole/table.rs"]
#[expect(dead_code, reason = "other programs use the rest of it")]
mod table;

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;

use support::{Scene, until};
use table::{Compared, Goal, Table, median};

#[derive(Parser)]
struct Args {
    /// Connectors that are configured.
    #[arg(long, default_value_t = 10_000)]
    connectors: usize,
    /// Connectors that events go to.
    #[arg(long, default_value_t = 100)]
    busy: usize,
    /// Events for each busy connector in a round.
    #[arg(long, default_value_t = 20)]
    events: usize,
    /// Rounds of each kind.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What one program takes.
struct Cost {
    /// Milliseconds until it takes events.
    start: f64,
    /// Bytes, before the first event.
    memory: f64,
    /// Messages a second.
    rate: f64,
}

/// Starts a program, and lets it deliver.
async fn cost(args: &Args, idle: usize) -> Cost {
    let scene = Arc::new(Scene::with_idle(args.busy, idle).await);
    let begun = Instant::now();
    let mut program = scene.start().await;
    let start = begun.elapsed().as_secs_f64() * 1e3;
    let memory = program.memory() as f64;
    let begun = Instant::now();
    let mut senders = tokio::task::JoinSet::new();
    for connector in 0..args.busy {
        let (scene, events) = (Arc::clone(&scene), args.events);
        senders.spawn(async move {
            for n in 0..events {
                assert_eq!(scene.post(connector, &format!("a{connector}"), n).await, Some(202));
            }
        });
    }
    senders.join_all().await;
    let shown = || (0..args.busy).map(|n| scene.group.counters(&format!("ops{n}")).unwrap().shown as usize).sum::<usize>();
    let all = args.busy * args.events;
    until("everything is shown", Duration::from_secs(300), || shown() >= all).await;
    let rate = all as f64 / begun.elapsed().as_secs_f64();
    program.kill();
    Cost { start, memory, rate }
}

fn all(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> Vec<f64> {
    costs.iter().map(of).collect()
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for round in 1..=args.rounds.max(1) {
        few.push(cost(&args, 0).await);
        many.push(cost(&args, args.connectors.saturating_sub(args.busy)).await);
        let (few, many) = (few.last().unwrap(), many.last().unwrap());
        println!("round {round}: start {:.0} and {:.0} ms, {:.0} and {:.0} messages/s", few.start, many.start, few.rate, many.rate);
    }
    let idle = args.connectors.saturating_sub(args.busy).max(1) as f64;
    let memory = |costs: &[Cost]| median(&all(costs, |cost| cost.memory));
    let each = (memory(&many) - memory(&few)) / idle / 1024.0;
    let mut table = Table::default();
    let start = all(&many, |cost| cost.start);
    let start = median(&start) / 1e3;
    table.figures(&format!("start with {} connectors", args.connectors), &format!("{start:.2} s"), "≤ 2 s", Some(start <= 2.0));
    table.figures("memory of an idle connector", &format!("{each:.1} KiB"), "≤ 4 KiB", Some(each <= 4.0));
    table.compare(&Compared {
        name: "busy",
        less: false,
        what: &format!("{} busy connectors among {}", args.busy, args.connectors),
        unit: "messages/s",
        ours: &all(&many, |cost| cost.rate),
        against: "the same alone",
        other: &all(&few, |cost| cost.rate),
        goals: &[Goal::AtLeast(0.9)],
    });
}
