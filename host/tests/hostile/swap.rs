//! Swapping: what is in flight, what is kept, what a file does, and a hundred swaps under load.

use std::time::{Duration, Instant};

use incident_sink::delivery::upgrade::{InstallOptions, UpgradeError, Upgrader, Who};
use incident_sink::plugin::PluginConfig;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::stage::{Receiver, Stage, chameleon, engine, until};

fn watch(upgrader: &Upgrader) -> (CancellationToken, JoinHandle<()>) {
    let (stop, upgrader) = (CancellationToken::new(), upgrader.clone());
    let stopped = stop.clone();
    (stop, tokio::spawn(async move { upgrader.watch(stopped).await }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_are_installed_listed_and_rolled_back() {
    let stage = Stage::new().await;
    let (stop, task) = watch(&stage.upgrader);
    until("the first version to be kept", async || stage.upgrader.list("chameleon").unwrap().len() == 1).await;
    assert!(stage.install("good-2").await.unwrap().changed);
    assert!(!stage.install("good-2").await.unwrap().changed, "the same file again changes nothing");
    assert!(matches!(stage.install("good").await, Err(UpgradeError::Downgrade { .. })));
    let back = stage.upgrader.rollback("chameleon", Who::Cli).await.unwrap();
    assert_eq!((back.version.as_str(), back.before.as_deref()), ("1.0.0", Some("2.0.0")));
    assert_eq!(std::fs::read(stage.file()).unwrap(), chameleon("good"));
    assert!(matches!(stage.upgrader.rollback("chameleon", Who::Cli).await, Err(UpgradeError::NoEarlier(_))));
    let list = stage.upgrader.list("chameleon").unwrap();
    let shown: Vec<_> = list.iter().map(|version| (version.version.as_str(), version.who, version.current)).collect();
    assert_eq!(shown, [("2.0.0", Who::Api, false), ("1.0.0", Who::Config, true)]);
    assert!(stage.install_bytes(chameleon("good-2"), InstallOptions::default()).await.unwrap().changed);
    let force = InstallOptions { force: true, shadow: None };
    assert!(stage.install_bytes(chameleon("good"), force).await.unwrap().changed);
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_file_is_installed_and_a_half_written_one_is_not() {
    let stage = Stage::new().await;
    let (stop, task) = watch(&stage.upgrader);
    until("the first version to be kept", async || stage.upgrader.list("chameleon").unwrap().len() == 1).await;
    let version = || stage.upgrader.state("chameleon").unwrap().version;
    let new = chameleon("good-2");
    std::fs::write(stage.file(), &new[..new.len() / 2]).unwrap();
    until("the half file to be refused", async || stage.upgrader.state("chameleon").unwrap().last_failure.is_some()).await;
    assert_eq!(version(), "1.0.0");
    std::fs::write(stage.file(), &new).unwrap();
    until("the whole file to be used", async || version() == "2.0.0").await;
    assert_eq!(stage.upgrader.list("chameleon").unwrap()[0].who, Who::File);
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_command_line_installs_reaches_the_host_that_runs() {
    let stage = Stage::new().await;
    let (stop, task) = watch(&stage.upgrader);
    until("the first version to be kept", async || stage.upgrader.list("chameleon").unwrap().len() == 1).await;
    // Another process has an upgrader of its own, and the folder in common.
    let plugins = [("chameleon".to_owned(), PluginConfig::at("chameleon.wasm"))].into();
    let other = Upgrader::open(engine(), plugins, stage.folder.path(), stage.clock.clone()).unwrap();
    other.install("chameleon", chameleon("good-2"), None, Who::Cli, InstallOptions::default()).await.unwrap();
    let version = || stage.upgrader.state("chameleon").unwrap().version;
    until("the new version", async || version() == "2.0.0").await;
    assert_eq!(stage.upgrader.list("chameleon").unwrap()[0].who, Who::Cli);
    // Back again: an older version, but chosen there.
    other.rollback("chameleon", Who::Cli).await.unwrap();
    until("the old version", async || version() == "1.0.0").await;
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_whose_file_was_broken_meanwhile_starts_with_the_last_good_version() {
    let stage = Stage::new().await;
    stage.install("good-2").await.unwrap();
    std::fs::write(stage.file(), "not a component").unwrap();
    let Stage { folder, outbox, .. } = stage;
    outbox.close().await;
    let stage = Stage::again(folder, |_| {}).await;
    let state = stage.upgrader.state("chameleon").unwrap();
    assert_eq!(state.version, "2.0.0");
    let failure = state.last_failure.unwrap();
    assert!(failure.step == "start" && failure.error.contains("not WebAssembly"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_in_flight_ends_on_its_version_even_after_a_restart() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://{address}/send");
    let mut stage = Stage::new().await;
    let (stop, task) = watch(&stage.upgrader);
    until("the first version to be kept", async || stage.upgrader.list("chameleon").unwrap().len() == 1).await;
    stop.cancel();
    task.await.unwrap();
    stage.connect("ops", "chameleon", &url, "hush");
    stage.emit("e", 1, &["ops"]).await;
    until("the message to be tried", async || stage.messages("ops").await.iter().any(|message| message.attempts > 0)).await;
    stage.dispatcher.stop(Duration::from_secs(5)).await;
    stage.install("good-2").await.unwrap();
    let Stage { folder, outbox, .. } = stage;
    outbox.close().await;

    let mut stage = Stage::again(folder, |_| {}).await;
    assert_eq!(stage.upgrader.state("chameleon").unwrap().version, "2.0.0");
    stage.connect("ops", "chameleon", &url, "hush");
    let receiver = Receiver::at(address).await;
    stage.dispatcher.start().await.unwrap();
    stage.emit("later", 1, &["ops"]).await;
    stage.drained().await;
    let versions: Vec<_> = receiver.got().iter().map(|got| got.json()["version"].clone()).collect();
    assert_eq!(versions, ["1.0.0", "2.0.0"]);
}

/// So many connectors, each with a lane of its own.
const LANES: usize = 25;
/// A round of events, one for each connector, so often: 500 a second.
const ROUND: Duration = Duration::from_millis(50);
/// The most messages that may be on their way.
const BEHIND: usize = LANES * 8;
/// Rounds before the first swap, to compare with.
const CALM: usize = 20;

/// The 99th of a hundred latencies.
fn p99(mut latencies: Vec<Duration>) -> Duration {
    latencies.sort();
    latencies[latencies.len() * 99 / 100]
}

/// A hundred installations, back and forth, with all that belongs to them.
async fn hundred_swaps(upgrader: Upgrader) {
    let force = InstallOptions { force: true, shadow: None };
    for swap in 0..100 {
        let bytes = chameleon(if swap % 2 == 0 { "good-2" } else { "good" });
        assert!(upgrader.install("chameleon", bytes, None, Who::Api, force).await.unwrap().changed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_swaps_under_load_lose_nothing_and_send_nothing_twice() {
    let (receiver, url) = Receiver::start().await;
    let mut stage = Stage::new().await;
    let names: Vec<String> = (0..LANES).map(|number| format!("lane-{number}")).collect();
    names.iter().for_each(|name| stage.connect(name, "chameleon", &url, "hush"));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    stage.rehearse_with(1);
    let (mut rounds, mut swaps) = (Vec::new(), None);
    let mut tick = tokio::time::interval(ROUND);
    while swaps.as_ref().is_none_or(|swaps: &JoinHandle<()>| !swaps.is_finished()) {
        if rounds.len() == CALM {
            swaps = Some(tokio::spawn(hundred_swaps(stage.upgrader.clone())));
        }
        tick.tick().await;
        // A machine that is busy with other things gets fewer: what waits behind the lanes is not what is measured.
        until("the lanes to keep up", async || rounds.len() * LANES < receiver.count() + BEHIND).await;
        rounds.push(Instant::now());
        stage.emit(&format!("e{:04}", rounds.len()), 1, &names).await;
    }
    swaps.unwrap().await.unwrap();
    let took = rounds[CALM].elapsed();
    stage.drained().await;

    // Every lane gets every event once, whole, from one version.
    let got = receiver.got();
    assert_eq!(got.len(), LANES * rounds.len());
    let mut keys: Vec<String> = got.iter().map(|got| got.json()["message"].as_str().unwrap().to_owned()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), got.len(), "no message twice");
    let round = |id: &str| id[1..5].parse::<usize>().unwrap() - 1;
    let mut copies = vec![0; rounds.len()];
    let (mut calm, mut swapping) = (Vec::new(), Vec::new());
    for one in &got {
        let round = round(one.json()["events"][0].as_str().unwrap());
        copies[round] += 1;
        if round < CALM { &mut calm } else { &mut swapping }.push(one.at.saturating_duration_since(rounds[round]));
    }
    assert!(copies.iter().all(|copies| *copies == LANES), "{copies:?}");
    let of = |version: &str| got.iter().filter(|got| got.json()["version"] == version).count();
    assert_eq!(of("1.0.0") + of("2.0.0"), got.len());
    assert!(of("1.0.0") > 0 && of("2.0.0") > 0);
    let counts = stage.upgrader.state("chameleon").unwrap().counts;
    assert_eq!((counts.swaps, counts.automatic_rollbacks, counts.refused), (100, 0, 0));
    let rate = swapping.len() as f64 / took.as_secs_f64();
    println!("100 swaps in {took:.1?} at {rate:.0} messages a second; p99 {:?}, without swaps {:?}", p99(swapping), p99(calm));
}
