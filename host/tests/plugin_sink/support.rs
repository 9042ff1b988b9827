//! A receiver on loopback, components from the build, connectors and events.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use incident_sink::delivery::connector::ConnectorConfig;
use incident_sink::delivery::http::{HttpClient, Proxy};
use incident_sink::delivery::links::OpenLinks;
use incident_sink::delivery::plugin_sink::PluginSink;
use incident_sink::delivery::plugin_sinks::PluginSinks;
use incident_sink::delivery::{Attempt, Item, MessageContext, Outcome};
use incident_sink::event::{Event, Kind, Priority, Status};
use incident_sink::plugin::{Engine, EngineOptions, Limits, Plugin, PluginConfig, Registry};
use serde_json::{Value, json};

/// What the receiver got.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let url = url::Url::parse(&format!("http://x{}", self.uri)).unwrap();
        url.query_pairs().find(|(other, _)| other == name).map(|(_, value)| value.into_owned())
    }
}

/// A status, a `Retry-After` and a body.
type Reply = (u16, &'static str, &'static str);

/// A receiver that answers as it is told, then with `200 {}`.
#[derive(Clone, Default)]
pub(crate) struct Receiver {
    got: Arc<Mutex<Vec<Got>>>,
    answers: Arc<Mutex<VecDeque<Reply>>>,
}

impl Receiver {
    /// Starts it; answers its URL as well.
    pub(crate) async fn start() -> (Receiver, String) {
        let receiver = Receiver::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/send?token=hush-token", listener.local_addr().unwrap());
        let (got, answers) = (Arc::clone(&receiver.got), Arc::clone(&receiver.answers));
        let app = axum::Router::new().fallback(async move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            got.lock().unwrap().push(Got { method, uri, headers, body });
            let (status, retry_after, text) = answers.lock().unwrap().pop_front().unwrap_or((200, "", "{}"));
            (StatusCode::from_u16(status).unwrap(), [("retry-after", retry_after)], text)
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        (receiver, url)
    }

    pub(crate) fn answer(&self, status: u16, retry_after: &'static str, body: &'static str) {
        self.answers.lock().unwrap().push_back((status, retry_after, body));
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

fn plugins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins")
}

/// A component from the build.
pub(crate) fn component(path: &str) -> Vec<u8> {
    let path = plugins().join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask build-plugins` first", path.display()))
}

/// The chameleon, told to behave so.
pub(crate) fn chameleon(behaviour: &str) -> Vec<u8> {
    const MARKER: &[u8] = b"BEHAVIOUR=good";
    let mut bytes = component("fixtures/chameleon.wasm");
    let at = bytes.windows(MARKER.len()).position(|window| window == MARKER).expect("the chameleon has a marker");
    let name = &mut bytes[at + b"BEHAVIOUR=".len()..][..54];
    name.fill(b'#');
    name[..behaviour.len()].copy_from_slice(behaviour.as_bytes());
    bytes
}

pub(crate) fn load(engine: &Engine, bytes: &[u8]) -> Plugin {
    Plugin::load(engine, bytes, &Limits::default()).unwrap()
}

/// With all the time that may be given.
pub(crate) fn patient(engine: &Engine, bytes: &[u8]) -> Plugin {
    limited(engine, bytes, json!({ "deadline": "10s" }))
}

/// With these limits.
pub(crate) fn limited(engine: &Engine, bytes: &[u8], limits: Value) -> Plugin {
    let limits: Limits = serde_json::from_value(limits).unwrap();
    Plugin::load(engine, bytes, &limits).unwrap()
}

/// An engine, a registry and a maker of sinks.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) registry: Registry,
    pub(crate) sinks: PluginSinks,
}

impl Bench {
    pub(crate) fn new(name: &str, bytes: &[u8]) -> Bench {
        let engine = Engine::new(EngineOptions { slots: 4, ..EngineOptions::default() }).unwrap();
        let registry = Registry::default();
        registry.swap(name, load(&engine, bytes));
        let configs = BTreeMap::from([(name.to_owned(), PluginConfig::at("unused"))]);
        let http = HttpClient::new(&Proxy::Direct).unwrap();
        let sinks = PluginSinks::new(registry.clone(), &configs, http, Arc::new(OpenLinks));
        Bench { engine, registry, sinks }
    }

    pub(crate) fn chameleon(behaviour: &str) -> Bench {
        Bench::new("chameleon", &chameleon(behaviour))
    }

    /// A connector of this table, `type` and `url` added.
    pub(crate) fn sink(&self, kind: &str, url: &str, mut table: Value) -> PluginSink {
        let fields = table.as_object_mut().unwrap();
        fields.insert("type".into(), kind.into());
        fields.insert("url".into(), url.into());
        let config = ConnectorConfig::parse(&table).unwrap();
        self.sinks.build("ops".into(), Arc::new(config)).unwrap()
    }
}

/// A connector of a fresh chameleon.
pub(crate) fn sink(behaviour: &str, url: &str) -> PluginSink {
    Bench::chameleon(behaviour).sink("chameleon", url, json!({ "secret": "hush-secret" }))
}

pub(crate) fn item(id: &str, kind: Kind) -> Item {
    let event = Event {
        id: id.into(),
        kind,
        incident_id: id.into(),
        status: Status::Pending,
        priority: Some(Priority::High),
        severity: None,
        summary: format!("summary of {id}"),
        details: "details".into(),
        alert_key: None,
        alert_source: None,
        escalation_policy: None,
        assigned_to: None,
        responders: vec![],
        actor: None,
        comment: None,
        links: vec![],
        images: vec![],
        reported_at: jiff::Timestamp::UNIX_EPOCH,
        occurred_at: jiff::Timestamp::UNIX_EPOCH,
        incident_url: None,
        extra: vec![],
    };
    Item { event: Arc::new(event), folded: 0 }
}

pub(crate) fn items(count: usize) -> Vec<Item> {
    (0..count).map(|index| item(&format!("i{index}"), Kind::Created)).collect()
}

/// The attempt of a message, at a time.
pub(crate) fn at(now: i64, attempt: u32) -> MessageContext {
    MessageContext { now, attempt, key: "message-1".into(), memo: None, waiting: 0 }
}

pub(crate) fn done(attempt: Attempt) -> Outcome {
    match attempt {
        Attempt::Done(outcome) => outcome,
        Attempt::Next { .. } => panic!("expected an outcome, found a further request"),
    }
}
