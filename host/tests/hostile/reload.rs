//! The plugins of a changed config: new ones, changed ones, missing ones, and ones that are refused.

use std::collections::BTreeMap;

use incident_sink::delivery::upgrade::Who;
use incident_sink::plugin::units::Wait;
use incident_sink::plugin::{Limits, PluginConfig, load};

use super::stage::{Receiver, Stage, chameleon};

fn config(file: &str) -> PluginConfig {
    PluginConfig { limits: Limits { deadline: Wait::millis(10_000), ..Limits::default() }, ..PluginConfig::at(file) }
}

fn only(file: &str) -> BTreeMap<String, PluginConfig> {
    BTreeMap::from([("chameleon".to_owned(), config(file))])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_leads_to_another_file_is_swapped_even_for_an_older_version() {
    let (receiver, url) = Receiver::start().await;
    let mut stage = Stage::new().await;
    stage.connect("ops", "chameleon", &url, "hush");
    std::fs::write(stage.folder.path().join("second.wasm"), chameleon("good-2")).unwrap();
    for (file, version) in [("second.wasm", "2.0.0"), ("chameleon.wasm", "1.0.0")] {
        stage.upgrader.reload(only(file)).await.unwrap();
        let state = stage.upgrader.state("chameleon").unwrap();
        assert_eq!((state.version.as_str(), state.versions[0].who), (version, Who::Config));
        stage.emit(file, 1, &["ops"]).await;
        stage.drained().await;
        assert_eq!(receiver.got().last().unwrap().json()["version"], version);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_did_not_change_is_left_alone_and_other_limits_are_taken() {
    let stage = Stage::new().await;
    stage.upgrader.reload(only("chameleon.wasm")).await.unwrap();
    let counts = stage.upgrader.state("chameleon").unwrap().counts;
    stage.upgrader.reload(only("chameleon.wasm")).await.unwrap();
    assert_eq!(stage.upgrader.state("chameleon").unwrap().counts, counts);
    let mut tighter = only("chameleon.wasm");
    tighter.get_mut("chameleon").unwrap().limits.deadline = Wait::millis(9_000);
    stage.upgrader.reload(tighter).await.unwrap();
    assert_eq!(stage.upgrader.registry().current("chameleon").unwrap().limits().deadline, Wait::millis(9_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_plugin_is_forgotten_and_a_new_one_loaded() {
    let stage = Stage::new().await;
    std::fs::write(stage.folder.path().join("impostor.wasm"), chameleon("wrong-name")).unwrap();
    let plugins = BTreeMap::from([("impostor".to_owned(), config("impostor.wasm"))]);
    stage.upgrader.reload(plugins).await.unwrap();
    assert_eq!(stage.upgrader.registry().names(), ["impostor"]);
    assert!(stage.upgrader.state("chameleon").is_none() && stage.upgrader.state("impostor").is_some());
    stage.upgrader.reload(only("chameleon.wasm")).await.unwrap();
    assert_eq!(stage.upgrader.registry().names(), ["chameleon"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_stays_as_it_was_and_the_others_are_taken() {
    let (receiver, url) = Receiver::start().await;
    let mut stage = Stage::new().await;
    stage.connect("ops", "chameleon", &url, "hush");
    std::fs::write(stage.folder.path().join("broken.wasm"), chameleon("trap-begin")).unwrap();
    std::fs::write(stage.folder.path().join("impostor.wasm"), chameleon("wrong-name")).unwrap();
    let mut plugins = only("broken.wasm");
    plugins.insert("absent".to_owned(), config("absent.wasm"));
    plugins.insert("impostor".to_owned(), config("impostor.wasm"));
    let errors = stage.upgrader.reload(plugins).await.unwrap_err();
    let steps: Vec<_> = errors.iter().map(|(name, error)| (name.as_str(), error.step())).collect();
    assert_eq!(steps, [("absent", "load"), ("chameleon", "golden")]);
    assert_eq!(stage.upgrader.registry().names(), ["chameleon", "impostor"]);
    let state = stage.upgrader.state("chameleon").unwrap();
    let failure = state.last_failure.unwrap();
    assert_eq!((state.version.as_str(), state.counts.refused, failure.step, failure.who), ("1.0.0", 1, "golden", Who::Config));
    assert_eq!(failure.digest, load::digest(&chameleon("trap-begin")));
    stage.emit("after", 1, &["ops"]).await;
    stage.drained().await;
    assert_eq!(receiver.got()[0].json()["version"], "1.0.0");
    // The config in use is still the one that worked: installing goes to its file.
    assert!(stage.install("good-2").await.unwrap().changed);
    assert_eq!(std::fs::read(stage.file()).unwrap(), chameleon("good-2"));
}
