//! What Vector, Fluent Bit, the OpenTelemetry collector and ilagent post, byte by byte, to a running host.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::documents::shown;
use crate::harness::{PASSWORD, Running, group};
use crate::system::PATIENCE;

/// Headers, a body, how many events are in it.
type Post<'a> = (&'a [(&'a str, &'a str)], Vec<u8>, usize);

fn gzip(body: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

async fn post(host: &Running, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(&host.url).basic_auth("ilert", Some(PASSWORD)).body(body);
    let answer = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await.unwrap();
    (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
}

fn event(n: usize) -> Value {
    json!({"id": n, "eventId": format!("e{n}"), "eventType": "alert-created", "summary": format!("number {n}")})
}

fn otlp(records: &[Value]) -> String {
    json!({"resourceLogs": [{"resource": {"attributes": []}, "scopeLogs": [{"scope": {}, "logRecords": records}]}]}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_clients_form_is_taken_in_and_told_apart_from_a_repeat() {
    incident_sink::delivery::http::install_crypto();
    let group = group().await;
    let place = shown("webhook.toml", &group, &[("{ env = \"ILERT_WEBHOOK_PASSWORD\" }", &format!("{PASSWORD:?}"))]);
    let host = place.start();
    let vector = [("content-type", "application/x-ndjson"), ("content-encoding", "gzip"), ("user-agent", "vector/0.58.0")];
    let lines = gzip(&format!("{}\n{}", event(1), event(2)));
    let fluent = [("content-type", "application/json"), ("content-encoding", "gzip"), ("user-agent", "Fluent-Bit")];
    let mut dated = event(3);
    dated["date"] = json!(1_764_000_000.25);
    let otel =
        [("content-type", "application/json"), ("content-encoding", "gzip"), ("user-agent", "OpenTelemetry Collector Contrib/0.140.0")];
    let record = json!({"timeUnixNano": "1764000000000000000", "body": {"stringValue": event(4).to_string()},
        "attributes": [{"key": "log.file.name", "value": {"stringValue": "alerts.ndjson"}}]});
    let zstd = [("content-type", "application/json"), ("content-encoding", "zstd"), ("user-agent", "vector/0.58.0")];
    let array = zstd::encode_all(json!([event(7), event(8)]).to_string().as_bytes(), 1).unwrap();
    let edge = [("x-ilert-event-type", "alert-created"), ("x-ilert-alert-id", "5"), ("x-ilert-edge-item-id", "99")];
    let posts: [Post; 6] = [
        (&vector, lines, 2),
        (&fluent, gzip(&json!([dated]).to_string()), 1),
        (&otel, gzip(&otlp(&[record])), 1),
        (&edge, json!({"summary": "number 5"}).to_string().into_bytes(), 1),
        (&[("content-type", "application/json")], json!([event(6), "no event"]).to_string().into_bytes(), 1),
        (&zstd, array, 2),
    ];
    for (headers, body, events) in posts {
        let (status, report) = post(&host, headers, body.clone()).await;
        assert_eq!((status, &report["accepted"]), (202, &json!(events)), "{report}");
        let (status, report) = post(&host, headers, body).await;
        assert_eq!((status, &report["accepted"], &report["duplicates"]), (202, &json!(0), &json!(events)), "{report}");
    }
    let shown = group.wait_for("ops", 8, PATIENCE).await.unwrap();
    for (n, shown) in shown.iter().enumerate() {
        assert!(shown.title.contains(&format!("number {}", n + 1)), "{shown:?}");
    }
    // Vector's health check wants exactly 200.
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(client.head(&host.url).send().await.unwrap().status(), 200);
    // What no retry can help with is refused, and kept.
    assert_eq!(post(&host, &[("content-type", "application/x-protobuf")], vec![0x0a, 0x02, 0xff]).await.0, 400);
}
