//! The examples do what they say, against a simulated group.
#![allow(clippy::unwrap_used)]
#![expect(dead_code, reason = "each example has a `main` of its own, which nobody calls here")]

#[path = "../../examples/host.rs"]
mod host;
#[path = "../../examples/messenger.rs"]
mod messenger;
#[path = "../../examples/own_types.rs"]
mod own_types;
#[path = "../../examples/pipe.rs"]
mod pipe;

use std::time::Duration;

use incident_sink::embed::Outcome;
use incident_sink::simulator::dingtalk::{DingTalk, Options, Robot};

const SECRET: &str = "SECembedded0123456789";
const PLUGIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/plugins/dingtalk.wasm");

async fn group() -> (DingTalk, String) {
    incident_sink::delivery::http::install_crypto();
    let robots = vec![Robot::new("ops", "token-of-ops").signed(SECRET)];
    let group = DingTalk::start(Options { robots, rate_limit: false, ..Options::default() }).await.unwrap();
    let url = group.url_of("ops").unwrap();
    (group, url)
}

fn component() -> Vec<u8> {
    std::fs::read(PLUGIN).unwrap_or_else(|error| panic!("{PLUGIN}: {error}; run `cargo xtask build-plugins` first"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_inside_a_program_delivers_what_is_submitted_once() {
    let ((group, url), folder) = (group().await, tempfile::tempdir().unwrap());
    let env = |name: &str| match name {
        "DINGTALK_PLUGIN" => Some(PLUGIN.to_owned()),
        "DINGTALK_URL" => Some(url.clone()),
        "DINGTALK_SECRET" => Some(SECRET.to_owned()),
        _ => None,
    };
    host::run(folder.path(), &env).await.unwrap();
    let titles: Vec<String> = group.messages("ops").into_iter().map(|shown| shown.title).collect();
    assert_eq!(titles.len(), 2, "{titles:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_acknowledges_every_event() {
    let (group, url) = group().await;
    assert_eq!(pipe::run(component(), url, SECRET.to_owned()).await.unwrap(), 6);
    let all: String = group.messages("ops").into_iter().map(|shown| shown.raw.to_string()).collect();
    for n in 1..=6 {
        assert!(all.contains(&format!("disk-{n}")) || all.contains(&format!("disk\\\\-{n}")), "{n} in {all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_does_its_own_http_gets_the_outcome() {
    let (group, url) = group().await;
    let outcome = messenger::run(component(), url.clone(), SECRET.to_owned()).await.unwrap();
    assert!(matches!(outcome, Outcome::Delivered { .. }), "{outcome:?}");
    group.wait_for("ops", 1, Duration::from_secs(30)).await.unwrap();
    let refused = messenger::run(component(), url, "SECwrong".to_owned()).await.unwrap();
    assert!(matches!(&refused, Outcome::Rejected { reason } if reason.code == "310000"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn own_types_are_named_in_a_config_and_run_by_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("incidents.txt");
    own_types::run(folder.path(), &file).await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "created db-1 is full\ncreated db-2 is full\n");
}
