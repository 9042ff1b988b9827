//! Debian's nats-server: what was published is delivered, whatever ends in between.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::{self, stream};
use incident_sink::simulator::dingtalk::DingTalk;
use tempfile::TempDir;

use crate::documents::shown;
use crate::harness::{Place, group, worked};
use crate::system::{Daemon, PATIENCE, free_address, program};

struct Broker {
    program: PathBuf,
    folder: TempDir,
    address: SocketAddr,
}

impl Broker {
    fn new() -> Option<Broker> {
        Some(Broker { program: program("nats-server")?, folder: tempfile::tempdir().unwrap(), address: free_address() })
    }

    fn start(&self) -> Daemon {
        let mut command = Command::new(&self.program);
        command.args(["-js", "-a", "127.0.0.1", "-p", &self.address.port().to_string(), "--user", "u", "--pass", "hidden"]);
        command.arg("-sd").arg(self.folder.path());
        Daemon::start(&mut command, &self.folder.path().join("log"), self.address)
    }

    async fn connect(&self) -> jetstream::Context {
        let options = async_nats::ConnectOptions::with_user_and_password("u".to_owned(), "hidden".to_owned());
        jetstream::new(options.connect(self.address.to_string()).await.unwrap())
    }

    fn place(&self, group: &DingTalk) -> Place {
        let url = format!("\"nats://u:hidden@{}\"", self.address);
        // Quicker to hand out again what a kill left without an answer.
        shown("nats.toml", group, &[("{ env = \"NATS_URL\" }", &url), ("[connectors.ops]", "ack_wait = \"5s\"\n[connectors.ops]")])
    }
}

async fn make_stream(context: &jetstream::Context) {
    let config = stream::Config {
        name: "ILERT".to_owned(),
        subjects: vec!["ilert.>".to_owned()],
        duplicate_window: Duration::from_millis(100),
        ..stream::Config::default()
    };
    context.create_stream(config).await.unwrap();
}

fn event(n: usize) -> String {
    format!(r#"{{"id":{n},"eventId":"e{n}","eventType":"alert-created","status":"PENDING","summary":"<{n}>"}}"#)
}

async fn publish(context: &jetstream::Context, payload: String, id: Option<&str>) {
    let mut headers = HeaderMap::new();
    if let Some(id) = id {
        headers.insert("Nats-Msg-Id", id);
    }
    context.publish_with_headers("ilert.alerts", headers, payload.into()).await.unwrap().await.unwrap();
}

/// The names of the events that the group has read, in order.
fn read(group: &DingTalk) -> Vec<String> {
    let number = |text: String| Some(text.split_once('<')?.1.split_once('>')?.0.to_owned());
    let texts = group.messages("ops").into_iter().map(|shown| shown.raw.to_string().replace("&lt;", "<").replace("&gt;", ">"));
    texts.map(|text| number(text.clone()).unwrap_or(text)).collect()
}

fn numbers(group: &DingTalk) -> Vec<usize> {
    read(group).iter().map(|number| number.parse().unwrap()).collect()
}

/// Waits until the broker has an answer to every message.
async fn all_answered(context: &jetstream::Context) {
    let stream = context.get_stream("ILERT").await.unwrap();
    let mut consumer: PullConsumer = stream.get_consumer("incident-sink").await.unwrap();
    let begun = Instant::now();
    loop {
        let info = consumer.info().await.unwrap();
        if (info.num_pending, info.num_ack_pending) == (0, 0) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{} pending, {} not answered", info.num_pending, info.num_ack_pending);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn log_of(place: &Path) -> String {
    std::fs::read_to_string(place).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_is_delivered_once_whoever_ends_in_between() {
    let Some(broker) = Broker::new() else { return };
    let group = group().await;
    let mut server = broker.start();
    let place = broker.place(&group);
    // The host comes first: it waits for the stream.
    let host = place.start();
    let context = broker.connect().await;
    make_stream(&context).await;
    for n in 0..40 {
        publish(&context, event(n), None).await;
    }
    group.wait_for("ops", 10, PATIENCE).await.unwrap_or_else(|error| panic!("{error}\n{}", log_of(&broker.folder.path().join("log"))));
    drop(host); // by SIGKILL
    for n in 40..50 {
        publish(&context, event(n), None).await;
    }
    let host = place.start();
    group.wait_for("ops", 45, PATIENCE).await.unwrap();
    drop(server); // by SIGKILL, too
    server = broker.start();
    let context = broker.connect().await;
    for n in 50..60 {
        publish(&context, event(n), None).await;
    }
    group.wait_for("ops", 60, PATIENCE).await.unwrap();
    // What was not taken in when the host was killed comes again behind newer messages.
    let mut found = numbers(&group);
    found.sort_unstable();
    assert_eq!(found, (0..60).collect::<Vec<_>>());
    // Answers that a kill kept from the broker are given when it hands the messages out again.
    all_answered(&context).await;
    let (code, log) = host.stop();
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("Pulling messages of NATS.") && !log.contains("hidden"), "{log}");
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_message_id_is_one_event_and_what_cannot_be_read_is_a_dead_letter() {
    let Some(broker) = Broker::new() else { return };
    let group = group().await;
    let _server = broker.start();
    let context = broker.connect().await;
    make_stream(&context).await;
    publish(&context, r#"{"id":1,"summary":"<first>"}"#.to_owned(), Some("m-1")).await;
    publish(&context, "no event".to_owned(), None).await;
    // Longer than the broker itself remembers.
    tokio::time::sleep(Duration::from_millis(500)).await;
    publish(&context, r#"{"id":1,"summary":"<first>","note":"published again"}"#.to_owned(), Some("m-1")).await;
    publish(&context, r#"[{"id":2,"summary":"<second>"},{"id":3,"summary":"<third>"}]"#.to_owned(), None).await;
    let place = broker.place(&group);
    let host = place.start();
    group.wait_for("ops", 3, PATIENCE).await.unwrap();
    let (code, log) = host.stop();
    assert_eq!(code, 0, "{log}");
    assert_eq!(read(&group), ["first", "second", "third"]);
    let text = worked(&place.run(&["dead-letters", "list"]));
    assert!(text.contains("subject ilert.alerts: line 1, column"), "{text}");
    all_answered(&context).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_a_backlog_leaves_no_message_behind_newer_ones() {
    let Some(broker) = Broker::new() else { return };
    let group = group().await;
    let _server = broker.start();
    let context = broker.connect().await;
    make_stream(&context).await;
    let place = broker.place(&group);
    let mut published = 0;
    for _ in 0..2 {
        for _ in 0..400 {
            publish(&context, event(published), None).await;
            published += 1;
        }
        let before = group.messages("ops").len() as u64;
        let host = place.start();
        group.wait_for("ops", before + 1, PATIENCE).await.unwrap();
        let (code, log) = host.stop();
        assert_eq!(code, 0, "{log}");
    }
    let host = place.start();
    group.wait_for("ops", published as u64, PATIENCE).await.unwrap();
    assert_eq!(numbers(&group), (0..published).collect::<Vec<_>>());
    host.stop();
}
