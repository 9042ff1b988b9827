//! Many connectors: idle ones cost nothing, dead ones slow nobody.

use std::sync::Arc;
use std::time::{Duration, Instant};

use incident_sink::clock::Clock;
use incident_sink::delivery::Connector;

use crate::support::{Act, Fake, Host, open, policy};

fn named(sink: &Arc<Fake>, name: &str) -> Connector {
    Connector { name: name.into(), sink: sink.clone(), policy: policy(name) }
}

#[tokio::test]
async fn a_dead_connector_does_not_slow_another() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
    let (dead, well) = (Arc::new(Fake::new(&clock)), Arc::new(Fake::new(&clock)));
    dead.will(std::iter::repeat_n(Act::Hang, 50));
    let mut connectors: Vec<Connector> = (0..50).map(|n| named(&dead, &format!("dead{n}"))).collect();
    connectors.push(named(&well, "well"));
    let host = Host::start(&folder, &clock, connectors).await;
    for n in 0..50 {
        host.accept(&format!("dead{n}"), [open("a", n)]).await;
    }
    let begun = Instant::now();
    host.accept("well", (100..110).map(|n| open("a", n))).await;
    crate::support::until(|| well.sent().len() == 10).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(!host.dispatcher.stop(Duration::ZERO).await);
}

/// Busy lanes of a host, and how long they took.
async fn busy_among(count: usize) -> Duration {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
    let mut sink = Fake::new(&clock);
    sink.pace = None;
    let sink = Arc::new(sink);
    let connectors = (0..count).map(|n| named(&sink, &format!("c{n}"))).collect();
    let begun = Instant::now();
    let host = Host::start(&folder, &clock, connectors).await;
    println!("{count} connectors: started in {:?}", begun.elapsed());
    assert_eq!(host.dispatcher.busy(), 0);
    let begun = Instant::now();
    for n in 0..100 {
        host.accept(&format!("c{}", n * count / 100), (0..5).map(|m| open("a", n * 5 + m))).await;
    }
    host.drained().await;
    assert_eq!(sink.sent().len(), 500);
    begun.elapsed()
}

#[tokio::test]
async fn busy_lanes_are_not_slower_among_ten_thousand_idle_ones() {
    let (few, many) = (busy_among(100).await, busy_among(10_000).await);
    println!("100 busy lanes: {few:?} among 100 connectors, {many:?} among 10,000");
    assert!(many < few * 3 + Duration::from_millis(500), "{few:?} {many:?}");
}
