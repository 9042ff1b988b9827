//! Ten thousand callbacks that are not DingTalk's, or not new, through the real component: none acts.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use incident_sink::clock::Clock;
use incident_sink::config::Ilert as IlertConfig;
use incident_sink::intake::Intake;
use incident_sink::outbox::Outbox;
use incident_sink::outbox::sqlite::{SqliteConfig, SqliteOutbox};
use incident_sink::respond::{Needs, Responder};
use incident_sink::route::Routes;
use incident_sink::secret::Secret;
use incident_sink::telemetry::metrics::ApiMetrics;
use serde_json::json;
use tower::ServiceExt;

use super::support::{Bench, component};

const APP_SECRET: &str = "the app's client secret";
const HOUR_MS: i64 = 3_600_000;

/// The routes of a host whose iLert is not there, and its outbox: what would act is written down in it.
struct Inbox {
    clock: Clock,
    routes: Router,
    outbox: Arc<SqliteOutbox>,
    _folder: tempfile::TempDir,
}

impl Inbox {
    async fn open() -> Inbox {
        let (clock, folder) = (Clock::system(), tempfile::tempdir().unwrap());
        let outbox = Arc::new(SqliteOutbox::open(folder.path(), &SqliteConfig::default(), clock.clone()).await.unwrap());
        let bench = Bench::new("dingtalk", &component("dingtalk.wasm"));
        let sink = bench.sink("dingtalk", "http://127.0.0.1:9/robot/send?access_token=t", json!({ "app_secret": APP_SECRET }));
        let shared: Arc<dyn Outbox> = outbox.clone();
        let routes = Arc::new(ArcSwap::from_pointee(Routes::new(Vec::new())));
        let needs = Needs {
            clock: clock.clone(),
            outbox: shared.clone(),
            intake: Intake::new(clock.clone(), shared, routes, Arc::new(|_| {})),
            links: None,
            languages: BTreeMap::new(),
            listeners: BTreeMap::from([("ops".to_owned(), Arc::new(sink))]).into(),
            metrics: ApiMetrics::default(),
        };
        let api_url = "http://127.0.0.1:9/api".parse().unwrap();
        let config = IlertConfig { api_url, api_key: Some(Secret::new("key")), ..IlertConfig::default() };
        let responder = Responder::build(&config, needs).unwrap().unwrap();
        Inbox { clock, routes: responder.routes(), outbox, _folder: folder }
    }

    async fn post(&self, connector: &str, headers: &[(&str, &str)], body: &str) -> u16 {
        let request = Request::post(format!("/webhooks/inbox/{connector}"));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = self.routes.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        answer.status().as_u16()
    }

    async fn written(&self) -> usize {
        self.outbox.book().unwrap().open_responses(100_000).await.unwrap().len()
    }
}

fn sign(timestamp: &str, secret: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{timestamp}\n{secret}").as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn body(id: &str, text: &str) -> String {
    json!({ "msgId": id, "msgtype": "text", "text": { "content": text }, "senderStaffId": "4525", "senderNick": "Eve" }).to_string()
}

#[tokio::test]
async fn ten_thousand_forged_altered_and_expired_callbacks_do_nothing() {
    let inbox = Inbox::open().await;
    let mut random = fastrand::Rng::with_seed(6);
    for round in 0..10_000 {
        let now = inbox.clock.now();
        let fresh = now.to_string();
        let good = sign(&fresh, APP_SECRET);
        let (timestamp, signature, text) = match round % 8 {
            // Signed by somebody else.
            0 => (fresh.clone(), sign(&fresh, &format!("{APP_SECRET}{}", random.u8(..))), "accept 42"),
            // Another time than the signed one.
            1 => ((now + random.i64(1..1_000)).to_string(), good, "accept 42"),
            // A changed character, of the 42 that do not hold unused bits.
            2 => {
                let mut altered = good.into_bytes();
                let at = random.usize(..42);
                altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
                (fresh, String::from_utf8(altered).unwrap(), "resolve 42")
            }
            // Ours, and too old.
            3 => {
                let old = (now - HOUR_MS - random.i64(1_000..1_000_000_000)).to_string();
                (old.clone(), sign(&old, APP_SECRET), "accept 42")
            }
            // Ours, and from the future.
            4 => {
                let early = (now + HOUR_MS + random.i64(60_000..1_000_000_000)).to_string();
                (early.clone(), sign(&early, APP_SECRET), "accept 42")
            }
            // Cut off, or made longer.
            5 => (fresh, format!("{}{}", &good[..random.usize(..good.len())], if random.bool() { "==" } else { "" }), "accept 42"),
            6 => (fresh, String::new(), "comment 42 hello"),
            // Any text at all.
            _ => {
                let noise: String = (0..random.usize(1..60)).map(|_| random.char('!'..='~')).collect();
                (if random.bool() { fresh } else { noise.clone() }, noise, "accept 42")
            }
        };
        let status = inbox.post("ops", &[("timestamp", &timestamp), ("sign", &signature)], &body(&format!("m{round}"), text)).await;
        assert_eq!(status, 401, "round {round}: {timestamp} {signature}");
    }
    assert_eq!(inbox.post("ops", &[], &body("m", "accept 42")).await, 401);
    let fresh = inbox.clock.now().to_string();
    let signed = [("timestamp", fresh.as_str()), ("sign", &sign(&fresh, APP_SECRET))];
    for broken in ["", "{", "[]", "\"accept 42\"", "{\"text\":5}"] {
        assert_eq!(inbox.post("ops", &signed, broken).await, 400, "{broken}");
    }
    assert_eq!(inbox.post("other", &signed, &body("m", "accept 42")).await, 404);
    assert_eq!(inbox.written().await, 0);
}

#[tokio::test]
async fn a_replayed_callback_is_written_down_once_whatever_it_says_later() {
    let inbox = Inbox::open().await;
    let timestamp = (inbox.clock.now() - 60_000).to_string();
    let signed = [("timestamp", timestamp.as_str()), ("sign", &sign(&timestamp, APP_SECRET))];
    // iLert is away, so the answer comes before the command is carried out: callers do not wait for each other.
    let replays = (0..500).map(|n| {
        let (inbox, signed) = (&inbox, &signed);
        async move { inbox.post("ops", signed, &body("m1", if n % 2 == 0 { "accept 42" } else { "accept 43" })).await }
    });
    let statuses = futures_util::future::join_all(replays).await;
    assert!(statuses.iter().all(|status| matches!(status, 200 | 503)) && statuses.contains(&200), "{statuses:?}");
    assert_eq!(inbox.written().await, 1);
}
