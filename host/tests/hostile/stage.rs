//! A host on a small stage: an outbox, lanes, an upgrader, receivers on loopback, components told how to behave.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use incident_sink::clock::Clock;
use incident_sink::delivery::connector::ConnectorConfig;
use incident_sink::delivery::http::{HttpClient, Proxy};
use incident_sink::delivery::links::OpenLinks;
use incident_sink::delivery::plugin_sink::PluginSink;
use incident_sink::delivery::plugin_sinks::PluginSinks;
use incident_sink::delivery::upgrade::{InstallOptions, Installed, UpgradeError, Upgrader, Who};
use incident_sink::delivery::{Connector, Connectors, Dispatcher};
use incident_sink::event::{Event, Kind, Priority, Status};
use incident_sink::outbox::sqlite::{SqliteConfig, SqliteOutbox};
use incident_sink::outbox::{Filter, Incoming, MessageSummary, Outbox};
use incident_sink::plugin::units::Wait;
use incident_sink::plugin::{Engine, EngineOptions, Limits, Plugin, PluginConfig};
use serde_json::{Value, json};

#[path = "../../../tests/support/chameleon.rs"]
mod fixture;

pub(crate) use self::fixture::chameleon;

/// Simulated milliseconds in a real one: waits between attempts pass at once.
pub(crate) const RATE: u32 = 1000;

/// What a receiver got.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) at: Instant,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// All of it, as text.
    pub(crate) fn whole(&self) -> String {
        format!("{} {:?} {}", self.uri, self.headers, String::from_utf8_lossy(&self.body))
    }
}

/// A receiver that takes everything, unless it fails, or the body is of a version that it refuses.
#[derive(Clone, Default)]
pub(crate) struct Receiver {
    got: Arc<Mutex<Vec<Got>>>,
    refused: Arc<Mutex<Option<&'static str>>>,
    failing: Arc<AtomicUsize>,
    echoes: Arc<AtomicBool>,
}

impl Receiver {
    pub(crate) async fn start() -> (Receiver, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/send?access_token=hush-token", listener.local_addr().unwrap());
        (Receiver::serve(listener), url)
    }

    /// At an address that was free a moment ago.
    pub(crate) async fn at(address: std::net::SocketAddr) -> Receiver {
        Receiver::serve(tokio::net::TcpListener::bind(address).await.unwrap())
    }

    fn serve(listener: tokio::net::TcpListener) -> Receiver {
        let receiver = Receiver::default();
        let (got, refused) = (Arc::clone(&receiver.got), Arc::clone(&receiver.refused));
        let (failing, echoes) = (Arc::clone(&receiver.failing), Arc::clone(&receiver.echoes));
        let app = axum::Router::new().fallback(async move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let one = Got { uri, headers, body, at: Instant::now() };
            let refused = refused.lock().unwrap().is_some_and(|version| one.json()["version"] == version);
            let echo = if echoes.load(Relaxed) { one.whole() } else { "{}".to_owned() };
            got.lock().unwrap().push(one);
            let fails = failing.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
            let status = match (fails, refused) {
                (true, _) => StatusCode::SERVICE_UNAVAILABLE,
                (_, true) => StatusCode::BAD_REQUEST,
                _ => StatusCode::OK,
            };
            (status, [("x-echo", echo.replace(|c: char| c.is_control(), " "))], echo)
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        receiver
    }

    /// From now on bodies of this version are answered with 400.
    pub(crate) fn refuse(&self, version: &'static str) {
        *self.refused.lock().unwrap() = Some(version);
    }

    /// The next so many requests are answered with 503.
    pub(crate) fn fail(&self, requests: usize) {
        self.failing.store(requests, Relaxed);
    }

    /// From now on every answer repeats the request.
    pub(crate) fn echo(&self) {
        self.echoes.store(true, Relaxed);
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.got.lock().unwrap().len()
    }

    /// The ids of all events in all messages, sorted.
    pub(crate) fn events(&self) -> Vec<String> {
        let ids = |got: &Got| got.json()["events"].as_array().cloned().unwrap_or_default();
        let mut ids: Vec<String> = self.got().iter().flat_map(ids).map(|id| id.as_str().unwrap_or_default().to_owned()).collect();
        ids.sort();
        ids
    }
}

/// One engine for all tests of this process, as a host has one for all plugins.
pub(crate) fn engine() -> Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(EngineOptions { wait: Duration::from_secs(30), ..EngineOptions::default() }).unwrap()).clone()
}

/// Short enough for an endless loop to be cut soon, long enough for a busy machine.
pub(crate) fn limits() -> Limits {
    Limits { deadline: Wait::millis(60), ..Limits::default() }
}

/// Generous: other tests share the machine.
fn patient() -> Limits {
    Limits { deadline: Wait::millis(10_000), ..Limits::default() }
}

/// The host. The plugin `chameleon` behaves as `good`, from a file of its own.
pub(crate) struct Stage {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) upgrader: Upgrader,
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) clock: Clock,
    sinks: PluginSinks,
    connectors: Connectors,
    built: Vec<Arc<PluginSink>>,
}

impl Stage {
    pub(crate) async fn new() -> Stage {
        Stage::with(|_| {}).await
    }

    /// With a config changed first.
    pub(crate) async fn with(change: impl FnOnce(&mut PluginConfig)) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("chameleon.wasm"), chameleon("good")).unwrap();
        Stage::again(folder, change).await
    }

    /// In a folder that an earlier stage left.
    pub(crate) async fn again(folder: tempfile::TempDir, change: impl FnOnce(&mut PluginConfig)) -> Stage {
        Stage::at(RATE, folder, change).await
    }

    /// With a clock that runs so many times as fast as the real one.
    pub(crate) async fn at(rate: u32, folder: tempfile::TempDir, change: impl FnOnce(&mut PluginConfig)) -> Stage {
        let mut config = PluginConfig { limits: patient(), ..PluginConfig::at("chameleon.wasm") };
        change(&mut config);
        let plugins = BTreeMap::from([("chameleon".to_owned(), config)]);
        let clock = Clock::scaled(rate);
        let upgrader = Upgrader::open(engine(), plugins.clone(), folder.path(), clock.clone()).unwrap();
        let http = HttpClient::new(&Proxy::Direct).unwrap();
        let sinks = PluginSinks::new(upgrader.registry().clone(), &plugins, http, Arc::new(OpenLinks));
        let outbox: Arc<dyn Outbox> = Arc::new(SqliteOutbox::open(folder.path(), &SqliteConfig::default(), clock.clone()).await.unwrap());
        let dispatcher = Dispatcher::new(clock.clone(), Arc::clone(&outbox), Connectors::new());
        Stage { folder, upgrader, outbox, dispatcher, clock, sinks, connectors: Connectors::new(), built: Vec::new() }
    }

    /// Puts a component to use under a name, past every check of an installation.
    pub(crate) fn smuggle(&self, name: &str, bytes: &[u8]) -> Plugin {
        let plugin = Plugin::load(self.upgrader.engine(), bytes, &limits()).unwrap();
        self.upgrader.registry().swap(name, plugin.clone());
        plugin
    }

    /// Adds a connector.
    pub(crate) fn connect(&mut self, name: &str, kind: &str, url: &str, secret: &str) {
        let config = Arc::new(ConnectorConfig::parse(&json!({ "type": kind, "url": url, "secret": secret })).unwrap());
        let name: Arc<str> = name.into();
        let sink = Arc::new(self.sinks.build(Arc::clone(&name), Arc::clone(&config)).unwrap());
        self.built.push(Arc::clone(&sink));
        self.connectors.insert(Arc::clone(&name), Arc::new(Connector { name: Arc::clone(&name), sink, policy: config.policy(&name) }));
        self.dispatcher.set_connectors(self.connectors.clone());
        self.upgrader.set_sinks(self.built.clone());
    }

    /// Has new versions tried with this many connectors only.
    pub(crate) fn rehearse_with(&self, connectors: usize) {
        self.upgrader.set_sinks(self.built[..connectors].to_vec());
    }

    /// Takes events in for connectors.
    pub(crate) async fn emit(&self, prefix: &str, count: usize, connectors: &[&str]) {
        let names: Vec<Arc<str>> = connectors.iter().map(|name| (*name).into()).collect();
        let incoming = (0..count).map(|number| Incoming {
            source: "test".into(),
            event: Arc::new(event(&format!("{prefix}-{number:05}"))),
            connectors: names.clone(),
        });
        self.outbox.accept(self.clock.now(), incoming.collect(), Vec::new()).await.unwrap();
        self.dispatcher.wake(&names);
    }

    /// The messages of a connector.
    pub(crate) async fn messages(&self, connector: &str) -> Vec<MessageSummary> {
        let filter = Filter { connector: Some(connector.to_owned()), ..Filter::default() };
        self.outbox.messages(filter).await.unwrap()
    }

    pub(crate) async fn install(&self, behaviour: &str) -> Result<Installed, UpgradeError> {
        self.install_bytes(chameleon(behaviour), InstallOptions::default()).await
    }

    pub(crate) async fn install_bytes(&self, bytes: Vec<u8>, options: InstallOptions) -> Result<Installed, UpgradeError> {
        self.upgrader.install("chameleon", bytes, None, Who::Api, options).await
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("chameleon.wasm")
    }

    pub(crate) async fn drained(&self) {
        within("every lane to be idle", self.dispatcher.drained()).await;
    }
}

/// Waits, but not for ever.
pub(crate) async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), wait).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    within(what, async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

pub(crate) fn event(id: &str) -> Event {
    Event {
        id: id.to_owned(),
        kind: Kind::Created,
        incident_id: id.to_owned(),
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
    }
}
