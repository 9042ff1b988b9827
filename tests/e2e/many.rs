//! A program with ten thousand connectors: how long it takes to start, and what an idle one costs.

use std::time::{Duration, Instant};

use crate::support::{Scene, until};

const BUSY: usize = 20;

/// What a program with so many connectors takes.
struct Cost {
    start: Duration,
    memory: u64,
    delivery: Duration,
}

async fn cost(idle: usize) -> Cost {
    let scene = Scene::with_idle(BUSY, idle).await;
    let begun = Instant::now();
    let mut program = scene.start().await;
    let start = begun.elapsed();
    let memory = program.memory();
    let begun = Instant::now();
    for n in 0..5 {
        for connector in 0..BUSY {
            assert_eq!(scene.post(connector, &format!("a{connector}"), n).await, Some(202));
        }
    }
    until("everything is shown", Duration::from_secs(30), || (0..BUSY).all(|connector| scene.read(connector).len() == 5)).await;
    let delivery = begun.elapsed();
    program.kill();
    Cost { start, memory, delivery }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connectors_cost_little_and_slow_nobody() {
    let (few, many) = (cost(100 - BUSY).await, cost(10_000 - BUSY).await);
    let each = many.memory.saturating_sub(few.memory) / 9_900;
    println!("start: {:?} with 100 connectors, {:?} with 10,000", few.start, many.start);
    println!("memory: {} KiB with 100 connectors, {} KiB with 10,000: {each} bytes for each", few.memory >> 10, many.memory >> 10);
    println!("100 events for {BUSY} busy ones: {:?} and {:?}", few.delivery, many.delivery);
    assert!(each < 16 << 10, "{each} bytes for an idle connector");
    assert!(many.delivery < few.delivery * 3 + Duration::from_millis(500), "{:?} {:?}", few.delivery, many.delivery);
}
