//! Tests of the webhook, over real sockets.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::event::body::MAX_EVENT;
use crate::server::Server;
use crate::source::testing::Door;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/ilert");

fn config(value: Value) -> Result<Box<dyn SourceConfig>, serde_json::Error> {
    let mut value = value;
    value["type"] = json!("ilert_webhook");
    serde_json::from_value(value)
}

/// A server with one webhook; it ends with the test.
struct Host {
    door: Door,
    addr: SocketAddr,
    client: Client,
    _stop: tokio_util::sync::DropGuard,
}

impl Host {
    async fn start(settings: Value) -> Host {
        let door = Door::new();
        let source = config(settings).unwrap().build(door.context()).await.unwrap();
        let server = Server::bind(([127, 0, 0, 1], 0).into(), None).await.unwrap();
        let (addr, stop) = (server.local_addr(), CancellationToken::new());
        tokio::spawn(server.run(source.routes, stop.clone(), Duration::from_secs(1)));
        // `Err`: another test has installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        Host { door, addr, client, _stop: stop.drop_guard() }
    }

    fn post(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.client.post(format!("http://{}/webhooks/ilert", self.addr)).body(body)
    }
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    if status >= 400 && status != 405 {
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[tokio::test]
async fn every_fixture_is_answered_202_and_again_as_a_duplicate() {
    let host = Host::start(json!({})).await;
    for file in std::fs::read_dir(FIXTURES).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "json") {
            let bytes = std::fs::read(&file).unwrap();
            let (status, first) = answer(host.post(bytes.clone())).await;
            assert_eq!(status, 202, "{}", file.display());
            // The envelope's fixture has the same event in it as another one.
            assert_eq!(first["accepted"].as_u64().unwrap() + first["duplicates"].as_u64().unwrap(), 1);
            assert_eq!(answer(host.post(bytes)).await, (202, json!({"accepted": 0, "duplicates": 1, "rejected": []})));
        }
    }
    assert!(host.door.woken.lock().unwrap().contains(&Arc::from("ops")));
}

#[tokio::test]
async fn vectors_and_fluent_bits_bodies_are_taken() {
    let host = Host::start(json!({})).await;
    let lines = "{\"id\":1,\"summary\":\"a\"}\noops\n{\"id\":2,\"summary\":\"b\"}";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(lines.as_bytes()).unwrap();
    let (status, report) = answer(host.post(gzip.finish().unwrap()).header("content-encoding", "gzip")).await;
    assert_eq!((status, &report["accepted"]), (202, &json!(2)));
    assert_eq!(report["rejected"], json!([{"index": 1, "error": "line 2, column 1: expected value"}]));
    assert_eq!(host.door.outbox.unreadable()[0].body, b"oops");

    let array = zstd::encode_all(&br#"[{"id":3,"summary":"c"},{"id":1,"summary":"a"}]"#[..], 1).unwrap();
    let (status, report) = answer(host.post(array).header("content-encoding", "zstd")).await;
    assert_eq!((status, report), (202, json!({"accepted": 1, "duplicates": 1, "rejected": []})));
}

#[tokio::test]
async fn an_item_that_is_no_event_is_rejected_within_a_202() {
    let host = Host::start(json!({})).await;
    let (status, report) = answer(host.post(r#"{"alerts":[]}"#)).await;
    assert_eq!((status, report["rejected"][0]["index"].as_u64()), (202, Some(0)));
    assert!(report["rejected"][0]["error"].as_str().unwrap().starts_with("/id: missing"));
}

#[tokio::test]
async fn a_body_that_is_no_json_is_a_400_with_the_place_and_is_kept() {
    let host = Host::start(json!({})).await;
    let sample = std::fs::read(format!("{FIXTURES}/2019-doc-sample-as-printed.txt")).unwrap();
    let (status, problem) = answer(host.post(sample.clone())).await;
    assert_eq!((status, &problem["status"], &problem["line"], &problem["column"]), (400, &json!(400), &json!(10), &json!(6)));
    assert_eq!(problem["detail"], "line 10, column 6: expected `,` or `}`");
    assert_eq!(host.door.outbox.unreadable()[0].body, sample);
    assert_eq!(answer(host.post("")).await.0, 400);
    assert_eq!(answer(host.post("x").header("content-encoding", "gzip")).await.0, 400);
}

#[tokio::test]
async fn sizes_and_codings_that_no_retry_can_help_are_413_and_415() {
    let host = Host::start(json!({})).await;
    let large = json!({"id": 1, "details": "x".repeat(MAX_EVENT)}).to_string();
    assert_eq!(answer(host.post(large)).await.0, 413);
    let bomb = zstd::encode_all(&vec![b' '; MAX_BODY + 1][..], 1).unwrap();
    assert_eq!(answer(host.post(bomb).header("content-encoding", "zstd")).await.0, 413);
    let (status, problem) = answer(host.post("{}").header("content-encoding", "br")).await;
    assert_eq!(status, 415);
    assert!(problem["detail"].as_str().unwrap().contains("`br`"));
}

#[tokio::test]
async fn an_unavailable_outbox_and_a_stopping_host_are_503_with_retry_after() {
    let host = Host::start(json!({})).await;
    host.door.outbox.broken.store(true, Ordering::Relaxed);
    for body in [r#"{"id":1}"#, "oops"] {
        let response = host.post(body).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (503, "10"));
        assert!(!response.text().await.unwrap().contains("/secret/path"));
    }
    host.door.outbox.broken.store(false, Ordering::Relaxed);
    host.door.intake.close();
    let response = host.post(r#"{"id":1}"#).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["connection"].to_str().unwrap()), (503, "close"));
    assert!(response.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn credentials_are_asked_for_before_the_body_is_read() {
    let host = Host::start(json!({"username": "ilert", "password": "pä:ss", "token": "t0ken"})).await;
    let body = || host.post(r#"{"id":1}"#);
    for request in [body(), body().basic_auth("ilert", Some("wrong")), body().basic_auth("x", Some("pä:ss")), body().bearer_auth("t")] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 401);
        assert!(response.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    }
    assert!(host.door.outbox.batches().is_empty());
    let encoded = base64::engine::general_purpose::STANDARD.encode("ilert:pä:ss");
    for request in [
        body().basic_auth("ilert", Some("pä:ss")),
        body().header("authorization", format!("basic {encoded}")),
        body().bearer_auth("t0ken"),
        body().header("X-Incident-Sink-Token", "t0ken"),
    ] {
        assert_eq!(answer(request).await.0, 202);
    }
}

#[tokio::test]
async fn health_checks_get_200_and_other_methods_405() {
    let host = Host::start(json!({"username": "u", "password": "p"})).await;
    let url = format!("http://{}/webhooks/ilert", host.addr);
    assert_eq!(host.client.head(&url).send().await.unwrap().status().as_u16(), 200);
    assert_eq!(answer(host.client.get(&url)).await.0, 200);
    assert_eq!(answer(host.client.delete(&url)).await.0, 405);
    assert_eq!(answer(host.client.put(&url).basic_auth("u", Some("p")).body(r#"{"id":1}"#)).await.0, 202);
}

#[tokio::test]
async fn the_edge_connectors_headers_count_for_a_single_event_only() {
    let host = Host::start(json!({})).await;
    let edge = |body: &'static str| host.post(body).header("X-ilert-Edge-Item-Id", "41").header("X-ilert-Event-Type", "alert-resolved");
    assert_eq!(answer(edge(r#"{"id":1}"#)).await.0, 202);
    let (_, report) = answer(edge(r#"[{"id":2},{"id":3}]"#)).await;
    assert_eq!(report["accepted"], 2);
    let batches = host.door.outbox.batches();
    assert_eq!((batches[0].0[0].event.id.as_str(), batches[0].0[0].event.kind.as_str()), ("edge:41", "resolved"));
}

#[test]
fn configs_that_cannot_work_say_what_to_change() {
    let cases = [
        (json!({}), "set `username` and `password`, or `token`"),
        (json!({"username": "u"}), "`username` is set and `password` is not"),
        (json!({"password": "p"}), "`password` is set and `username` is not"),
        (json!({"username": "u", "password": ""}), "must not be empty"),
        (json!({"token": " t"}), "`token` must not be empty"),
        (json!({"token": "t", "token_header": "a b"}), "`token_header` is no name of a header: `a b`"),
        (json!({"token": "t", "path": "hooks"}), "`path` must begin with `/`"),
        (json!({"token": "t", "path": "/a/{id}"}), "`path` must begin with `/`"),
    ];
    for (settings, expected) in cases {
        let error = config(settings).unwrap().validate(SourceScope { loopback: false }).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let plain = config(json!({})).unwrap();
    assert_eq!((plain.validate(SourceScope { loopback: true }), plain.paths()), (Ok(()), vec!["/webhooks/ilert"]));
    assert!(config(json!({"pasword": "p"})).unwrap_err().to_string().contains("unknown field `pasword`"));
    assert!(!format!("{:?}", config(json!({"token": "t0ken"})).unwrap()).contains("t0ken"));
}
