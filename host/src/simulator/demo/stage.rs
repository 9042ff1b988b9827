//! The demo's set-up: a group with three robots, a config, a host.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::story::{ANSWERED_SOURCE, BROKEN_SOURCE, STORM_SOURCE};
use super::{Options, Total};
use crate::clock::Clock;
use crate::config::{Document, Format};
use crate::host::{self, Control, Host, HostError, Plan};
use crate::outbox::{Filter, Taken};
use crate::route::Routes;
use crate::secret::Secret;
use crate::simulator::SimulatorError;
use crate::simulator::dingtalk::{self, DingTalk, Robot};
use crate::simulator::ilert::{self, Ilert, Named, User};

const SECRET: &str = "SECdemo0123456789abcdef";
const PASSWORD: &str = "demo";
const API_KEY: &str = "demo-api-key";
const INTEGRATION_KEY: &str = "demo-integration-key";
pub(super) const APP_SECRET: &str = "demo-app-secret";

/// Everything that runs in a demo.
pub(super) struct Stage {
    pub(super) group: DingTalk,
    pub(super) ilert: Ilert,
    control: Control,
    webhook: String,
    pub(super) client: reqwest::Client,
    stop: CancellationToken,
    running: JoinHandle<Result<(), HostError>>,
    folder: Folder,
    /// Events that the host answered for.
    events: AtomicUsize,
    /// Deliveries that they ask for: one for each connector that an event goes to.
    routed: Arc<AtomicUsize>,
    told_dead: AtomicUsize,
}

impl Stage {
    /// Starts the group and the host.
    pub(super) async fn set(options: &Options) -> Result<Stage, String> {
        let clock = Clock::scaled(options.speed);
        let robot = |name: &str, token: &str| Robot::new(name, token).signed(SECRET);
        let robots = vec![robot("iLert", "demo-en"), robot("iLert 值班", "demo-zh"), robot("backup", "demo-broken")];
        let group = DingTalk::start(dingtalk::Options { clock: clock.clone(), robots, ..dingtalk::Options::default() })
            .await
            .map_err(|error| error.to_string())?;
        let folder = Folder::new()?;
        let plugin = std::path::absolute(&options.plugin).map_err(|error| format!("{}: {error}", options.plugin.display()))?;
        if !plugin.is_file() {
            return Err(format!(
                "there is no plugin at {}: name it with --plugin, or run `cargo xtask build-plugins`",
                options.plugin.display()
            ));
        }
        // The host keeps versions beside a plugin's file: beside a copy, the demo leaves nothing behind.
        let copy = folder.path().join("dingtalk.wasm");
        std::fs::copy(&plugin, &copy).map_err(|error| format!("{}: {error}", plugin.display()))?;
        let ilert = start_ilert(&clock).await.map_err(|error| error.to_string())?;
        let port = free_port().map_err(|error| format!("no port is free: {error}"))?;
        let config = config(&group, &ilert, port, &copy)?;
        let document =
            Document::parse(&config, Format::Toml, "demo.toml", folder.path(), &|_| None).map_err(|errors| errors.to_string())?;
        let plan = Plan::read(document).map_err(|errors| errors.to_string())?;
        let host = Host::build(plan, host::Options { clock, ..host::Options::default() }).await.map_err(|error| error.to_string())?;
        let addr = host.addr().ok_or("the demo's host has no address")?;
        let (control, stop) = (host.control(), CancellationToken::new());
        let routed = Arc::new(AtomicUsize::new(0));
        let (routes, counter) = (Routes::new(control.plan().actions.clone()), Arc::clone(&routed));
        control.intake().observe(Arc::new(move |event, taken| {
            if taken == Taken::New {
                counter.fetch_add(routes.connectors_for(event).len(), Ordering::Relaxed);
            }
        }));
        let running = tokio::spawn(host.run(stop.clone(), CancellationToken::new()));
        ilert.set_webhook(Some(Secret::new(format!("http://ilert:{PASSWORD}@{addr}/webhooks/ilert"))));
        crate::delivery::http::install_crypto();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().map_err(|error| error.to_string())?;
        Ok(Stage {
            group,
            ilert,
            control,
            webhook: format!("http://{addr}/webhooks/ilert"),
            client,
            stop,
            running,
            folder,
            events: AtomicUsize::new(0),
            routed,
            told_dead: AtomicUsize::new(0),
        })
    }

    pub(super) fn group(&self) -> &DingTalk {
        &self.group
    }

    /// The time in the demo.
    pub(super) fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.control.clock().now()).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    pub(super) fn webhook(&self) -> &str {
        &self.webhook
    }

    /// Posts as iLert does; the host's answer and its status.
    pub(super) async fn post(&self, body: &[u8]) -> Result<(String, u16), String> {
        let request = self.client.post(&self.webhook).basic_auth("ilert", Some(PASSWORD)).header("content-type", "application/json");
        let answer = request.body(body.to_vec()).send().await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let text = answer.bytes().await.map_err(|error| error.to_string())?;
        let report: Value = serde_json::from_slice(&text).unwrap_or_default();
        if !status.is_success() {
            return Err(format!("the host answered {status}: {}", String::from_utf8_lossy(&text)));
        }
        let accepted = report.get("accepted").and_then(Value::as_u64).unwrap_or(0);
        self.events.fetch_add(usize::try_from(accepted).unwrap_or(usize::MAX), Ordering::Relaxed);
        Ok((String::from_utf8_lossy(&text).trim().to_owned(), status.as_u16()))
    }

    /// Waits until nothing is left to deliver.
    pub(super) async fn quiet(&self) {
        self.control.dispatcher().drained().await;
    }

    /// The newest dead letter's reason, once.
    pub(super) async fn newest_dead_letter(&self) -> Result<Option<String>, String> {
        let filter = Filter { state: Some("dead".to_owned()), limit: 1_000, ..Filter::default() };
        let dead = self.control.outbox().messages(filter).await.map_err(|error| error.to_string())?;
        let before = self.told_dead.swap(dead.len(), Ordering::Relaxed);
        let newest = dead.first().filter(|_| dead.len() > before);
        Ok(newest.map(|one| {
            format!(
                "connector `{}`, {} event(s): {} {}. What to do: {}",
                one.connector, one.events, one.reason.code, one.reason.text, one.reason.advice
            )
        }))
    }

    /// Stops everything and counts.
    pub(super) async fn end(self) -> Result<Total, String> {
        let total = self.count().await?;
        self.stop.cancel();
        self.running.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        self.ilert.shutdown().await;
        self.group.shutdown().await;
        drop(self.folder);
        Ok(total)
    }

    /// From the outbox: every event once for each connector that it was routed to, delivered or dead.
    async fn count(&self) -> Result<Total, String> {
        let of = async |state: &str| {
            let filter = Filter { state: Some(state.to_owned()), limit: 100_000, ..Filter::default() };
            let list = self.control.outbox().messages(filter).await.map_err(|error| error.to_string())?;
            Ok::<u64, String>(list.iter().map(|one| one.events).sum())
        };
        let (delivered, dead) = (of("delivered").await?, of("dead").await?);
        let waiting: u64 =
            self.control.outbox().status().await.map_err(|error| error.to_string())?.iter().map(|line| line.waiting + line.in_flight).sum();
        let answered = self.ilert.posts().iter().filter(|posted| posted.status == Some(202)).count();
        let (events, routed) = (self.events.load(Ordering::Relaxed) + answered, self.routed.load(Ordering::Relaxed));
        let lost = routed
            .saturating_sub(usize::try_from(delivered + dead).unwrap_or(usize::MAX))
            .saturating_add(usize::try_from(waiting).unwrap_or(0));
        Ok(Total { events, messages: self.group.conversation().len(), dead: usize::try_from(dead).unwrap_or(usize::MAX), lost })
    }
}

/// iLert with a key for the host.
async fn start_ilert(clock: &Clock) -> Result<Ilert, SimulatorError> {
    let options = ilert::Options {
        clock: clock.clone(),
        api_keys: vec![(Secret::new(API_KEY), User::new(1, "Incident", "Sink"))],
        integration_keys: vec![(Secret::new(INTEGRATION_KEY), Named { id: ANSWERED_SOURCE, name: "Grafana".into() })],
        ..ilert::Options::default()
    };
    Ilert::start(options).await
}

/// Given back at once: the links name the port before the host has it.
fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A config as a user would write it.
fn config(group: &DingTalk, ilert: &Ilert, port: u16, plugin: &Path) -> Result<String, String> {
    let api_url = ilert.api_url();
    let url = |robot: &str| group.url_of(robot).map_err(|error| error.to_string());
    let (english, chinese, broken) = (url("iLert")?, url("iLert 值班")?, url("backup")?);
    let plugin = serde_json::to_string(&plugin.to_string_lossy()).map_err(|error| error.to_string())?;
    Ok(format!(
        r#"
[server]
listen = "127.0.0.1:{port}"
public_url = "http://127.0.0.1:{port}"

[outbox]
type = "sqlite"
path = "demo.db"

[ilert]
api_url = "{api_url}"
api_key = "{API_KEY}"
integration_key = "{INTEGRATION_KEY}"
reconcile_interval = "1d"

[plugins.dingtalk]
path = {plugin}

[sources.ilert]
type = "ilert_webhook"
username = "ilert"
password = "{PASSWORD}"

[connectors.ops]
type = "dingtalk"
url = "{english}"
secret = "{SECRET}"
app_secret = "{APP_SECRET}"
timezone = "Asia/Shanghai"

[connectors.ops-zh]
type = "dingtalk"
url = "{chinese}"
secret = "{SECRET}"
language = "zh-CN"
timezone = "Asia/Shanghai"

[connectors.broken]
type = "dingtalk"
url = "{broken}"
secret = "SECthis-is-not-the-robots-secret"

[[actions]]
name = "Everything to the ops group"
connector = "ops"
alert_sources = [2269078, 2193327, "{STORM_SOURCE}"]

[[actions]]
name = "The database to the Chinese group"
connector = "ops-zh"
alert_sources = [2269078]

[[actions]]
name = "Backups to a robot whose secret is wrong"
connector = "broken"
alert_sources = ["{BROKEN_SOURCE}"]
"#
    ))
}

/// A folder that goes with the demo.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Result<Folder, String> {
        let path = std::env::temp_dir().join(format!("incident-sink-demo-{}-{:08x}", std::process::id(), fastrand::u32(..)));
        std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Folder(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that is left in the system's temporary place does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
