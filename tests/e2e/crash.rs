//! The program is killed at random moments under load: what was answered with 202 is shown once, in order.
//!
//! `INCIDENT_SINK_CRASHES=200` makes it a long run; the default is 20.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::support::{Scene, until};

const CONNECTORS: usize = 4;

/// Sends one event after the other, each until it is answered with 202; how many were.
async fn produce(scene: Arc<Scene>, connector: usize, ended: Arc<AtomicBool>, accepted: Arc<AtomicU64>) -> Vec<String> {
    let mut sent = Vec::new();
    for n in 0.. {
        let incident = format!("c{connector}-{}", n % 7);
        while scene.post(connector, &incident, n).await != Some(202) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sent.push(format!("{incident}/{n}"));
        accepted.fetch_add(1, Ordering::Relaxed);
        if ended.load(Ordering::Relaxed) {
            break;
        }
    }
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_answered_with_202_is_shown_once_and_in_order() {
    let crashes: u32 = std::env::var("INCIDENT_SINK_CRASHES").ok().and_then(|value| value.parse().ok()).unwrap_or(20);
    let scene = Arc::new(Scene::of(CONNECTORS).await);
    let (ended, accepted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut program = scene.start().await;
    let spawn = |n| tokio::spawn(produce(Arc::clone(&scene), n, Arc::clone(&ended), Arc::clone(&accepted)));
    let producers: Vec<_> = (0..CONNECTORS).map(spawn).collect();
    for _ in 0..crashes {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(20..400))).await;
        program.kill();
        program = scene.start().await;
    }
    println!("{} events accepted over {crashes} crashes", accepted.load(Ordering::Relaxed));
    ended.store(true, Ordering::Relaxed);
    let mut repeated = 0;
    for (connector, producer) in producers.into_iter().enumerate() {
        let sent = producer.await.unwrap();
        let shown = || scene.group.counters(&format!("ops{connector}")).unwrap().shown as usize;
        until(&format!("all {} of ops{connector} are shown", sent.len()), Duration::from_secs(120), || shown() >= sent.len()).await;
        assert_eq!(scene.read(connector).len(), sent.len(), "something was shown twice");
        // One lane, one order: that of acceptance, for each incident and over all.
        let places: HashMap<String, usize> = scene.read(connector).into_iter().enumerate().map(|(place, event)| (event, place)).collect();
        let order: Vec<usize> = sent.iter().map(|event| *places.get(event).unwrap_or_else(|| panic!("{event} is lost"))).collect();
        assert!(order.is_sorted(), "order was turned round");
        let counters = scene.group.counters(&format!("ops{connector}")).unwrap();
        assert_eq!(counters.altered, 0);
        repeated += counters.repeated;
    }
    println!("{crashes} crashes, {} events, {repeated} sent again and shown once", accepted.load(Ordering::Relaxed));
    assert!(!scene.log().contains("dead letter"), "{}", scene.log());
    program.kill();
}
