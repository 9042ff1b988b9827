//! Traces: what a collector gets from the real program, and that nobody misses a collector that is gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use incident_sink::simulator::dingtalk::{DingTalk, Fault};
use serde_json::{Value, json};

use crate::harness::{PASSWORD, Place, Running, SECRET, ask, group};

const SOON: Duration = Duration::from_secs(60);
/// What the collector wants to see, and nobody else may.
const TOKEN: &str = "token-of-the-collector";
const SENDER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A collector that keeps what it gets.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<(HeaderMap, String)>>>);

impl Collector {
    async fn start() -> (Collector, String) {
        let collector = Collector::default();
        let keep = async |State(collector): State<Collector>, headers: HeaderMap, body: String| {
            collector.0.lock().unwrap().push((headers, body));
            "{}"
        };
        let routes = Router::new().route("/v1/traces", post(keep)).with_state(collector.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (collector, address)
    }

    fn requests(&self) -> Vec<(HeaderMap, String)> {
        self.0.lock().unwrap().clone()
    }

    /// Every span, by its id.
    fn spans(&self) -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        for (_, body) in self.requests() {
            let body: Value = serde_json::from_str(&body).unwrap();
            for span in body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap() {
                let twice = all.insert(span["spanId"].as_str().unwrap().to_owned(), span.clone());
                assert_eq!(twice, None, "a span's id is its own");
            }
        }
        all
    }
}

/// An attribute's value.
fn attribute<'s>(span: &'s Value, key: &str) -> Option<&'s Value> {
    let found = span["attributes"].as_array()?.iter().find(|one| one["key"] == key)?;
    found["value"].as_object()?.values().next()
}

async fn world(otlp: &str) -> (DingTalk, Place) {
    let group = group().await;
    let place = Place::with_connector(&group.url_of("ops").unwrap(), SECRET);
    place.rewrite(|config| format!("{config}{otlp}"));
    (group, place)
}

fn section(endpoint: &str) -> String {
    format!("[otlp]\nendpoint = \"{endpoint}\"\n[otlp.headers]\ntoken = \"{TOKEN}\"\n")
}

async fn send(running: &Running, id: &str, traceparent: Option<&str>) {
    let event = json!({ "id": 1000, "eventId": id, "eventType": "alert-created", "status": "PENDING", "summary": format!("Of {TOKEN}.") });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(&running.url).basic_auth("ilert", Some(PASSWORD)).body(event.to_string());
    let request = traceparent.iter().fold(request, |request, value| request.header("traceparent", *value));
    assert_eq!(request.send().await.unwrap().status().as_u16(), 202);
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < SOON, "waited until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_can_be_followed_from_its_source_to_the_answer_by_its_id() {
    incident_sink::delivery::http::install_crypto();
    let (collector, endpoint) = Collector::start().await;
    let (group, place) = world(&section(&endpoint)).await;
    group.fault("ops", Fault::Errcode { code: -1, text: Some(format!("system busy {TOKEN}")) }, 1).unwrap();
    let running = place.start();
    send(&running, "followed", Some(SENDER)).await;
    group.wait_for("ops", 1, SOON).await.unwrap();
    until("both attempts are known", async || running.log().contains("Delivered message.")).await;
    // The stop hands over what waits.
    assert_eq!(running.stop().0, 0);

    let spans = collector.spans();
    let named = |name: &str| spans.values().filter(|span| span["name"] == name).collect::<Vec<_>>();
    let [received] = named("receive event")[..] else { panic!("{spans:#?}") };
    assert_eq!(attribute(received, "incident_sink.event.id"), Some(&json!("event:followed")));
    assert_eq!((&received["traceId"], &received["parentSpanId"]), (&json!(&SENDER[3..35]), &json!(&SENDER[36..52])));
    assert!(spans.values().all(|span| span["traceId"] == received["traceId"]), "{spans:#?}");
    assert_eq!(named("commit to outbox")[0]["parentSpanId"], received["spanId"]);

    let mut attempts = named("deliver message");
    attempts.sort_by_key(|span| attribute(span, "incident_sink.attempt").unwrap().as_str().unwrap().to_owned());
    let [first, second] = attempts[..] else { panic!("{attempts:#?}") };
    for (attempt, outcome, then, code) in [(first, "retry", "again", Some(json!("200"))), (second, "delivered", "delivered", None)] {
        assert_eq!(attempt["parentSpanId"], received["spanId"]);
        let of = |key| attribute(attempt, key);
        assert_eq!((of("incident_sink.connector"), of("incident_sink.event.id")), (Some(&json!("ops")), Some(&json!("event:followed"))));
        assert_eq!((of("incident_sink.outcome"), of("incident_sink.then")), (Some(&json!(outcome)), Some(&json!(then))), "{attempt:#}");
        assert_eq!(of("incident_sink.code"), code.as_ref());
        let mut steps: Vec<&Value> = spans.values().filter(|span| span["parentSpanId"] == attempt["spanId"]).collect();
        steps.sort_by_key(|span| span["startTimeUnixNano"].as_str().unwrap().parse::<u64>().unwrap());
        let names: Vec<&str> = steps.iter().map(|span| span["name"].as_str().unwrap()).collect();
        // The second attempt sends what the first one wrote.
        assert!(names.ends_with(&["sign", "POST", "read answer"]) && names.contains(&"begin") == (outcome == "retry"), "{names:?}");
        let posted = steps.iter().find(|span| span["name"] == "POST").unwrap();
        assert_eq!(attribute(posted, "http.response.status_code"), Some(&json!("200")));
    }
    assert_eq!((&first["status"]["code"], &second["status"]), (&json!(2), &Value::Null));

    for (headers, body) in collector.requests() {
        assert_eq!(headers["token"], TOKEN);
        crate::leak::check(place.0.path(), "a trace", &body);
    }
    assert!(first["status"]["message"].as_str().unwrap().contains("system busy …"), "{first:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_gone_holds_nothing_up_and_another_one_is_taken_up_by_a_reload() {
    incident_sink::delivery::http::install_crypto();
    let (group, place) = world(&section("http://127.0.0.1:9")).await;
    let running = place.start();
    let warnings = || running.log().matches("The collector does not take traces").count();
    send(&running, "first", None).await;
    group.wait_for("ops", 1, SOON).await.unwrap();
    until("the log has it", async || warnings() == 1).await;
    send(&running, "second", None).await;
    group.wait_for("ops", 2, SOON).await.unwrap();

    let (collector, endpoint) = Collector::start().await;
    place.rewrite(|config| config.replace("http://127.0.0.1:9", &endpoint));
    running.signal("HUP");
    until("the spans that wait are given up", async || {
        ask(&running, "/metrics", "*/*").await.1.contains("incident_sink_trace_spans_total{result=\"failed\"}")
    })
    .await;
    send(&running, "third", None).await;
    let shows = |id: &str| collector.spans().values().any(|span| attribute(span, "incident_sink.event.id") == Some(&json!(id)));
    until("the new collector has it", async || shows("event:third")).await;
    until("it is counted", async || {
        ask(&running, "/metrics", "*/*").await.1.contains("incident_sink_trace_spans_total{result=\"exported\"}")
    })
    .await;
    assert_eq!(warnings(), 1, "one warning is enough");

    place.rewrite(|config| config.split("[otlp]").next().unwrap().to_owned());
    running.signal("HUP");
    until("traces are off", async || running.log().matches("settings=\"otlp\"").count() == 2).await;
    let got = collector.spans().len();
    send(&running, "fourth", None).await;
    group.wait_for("ops", 4, SOON).await.unwrap();
    let (code, log) = running.stop();
    assert_eq!((code, collector.spans().len()), (0, got), "{log}");
}
