//! The real program with a config, a simulated group behind it, and a sender in front of it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use incident_sink::simulator::dingtalk::{DingTalk, Options, Robot};

use crate::port::free_port;

const SECRET: &str = "SECbrowser0123456789abcdef";

/// A file that `cargo xtask build-plugins` makes.
fn built(name: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins").join(name);
    assert!(file.is_file(), "there is no {}: run `cargo xtask build-plugins` first", file.display());
    file.canonicalize().unwrap()
}

/// The tests' own plugin, told to behave so.
pub(crate) fn chameleon(behaviour: &str) -> Vec<u8> {
    const MARKER: &[u8] = b"BEHAVIOUR=good";
    let mut bytes = std::fs::read(built("fixtures/chameleon.wasm")).unwrap();
    let at = bytes.windows(MARKER.len()).position(|window| window == MARKER).expect("the chameleon has a marker");
    let name = &mut bytes[at + b"BEHAVIOUR=".len()..][..54];
    name.fill(b'#');
    name[..behaviour.len()].copy_from_slice(behaviour.as_bytes());
    bytes
}

/// A host that runs, and its group.
pub(crate) struct Scene {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) group: DingTalk,
    program: Child,
    port: u16,
    admin: u16,
}

impl Scene {
    /// Without a token.
    pub(crate) async fn start() -> Scene {
        Scene::with("").await
    }

    /// With more keys in `[admin]`.
    pub(crate) async fn with(admin_keys: &str) -> Scene {
        let robots = ["ops", "ops-zh", "storage"].map(|name| Robot::new(name, format!("token-{name}")).signed(SECRET));
        let group = DingTalk::start(Options { robots: robots.into(), ..Options::default() }).await.unwrap();
        let (folder, port, admin) = (tempfile::tempdir().unwrap(), free_port(), free_port());
        // Beside the config, since the host keeps versions beside a component.
        std::fs::copy(built("dingtalk.wasm"), folder.path().join("dingtalk.wasm")).unwrap();
        std::fs::write(folder.path().join("chameleon.wasm"), chameleon("good")).unwrap();
        std::fs::write(folder.path().join("incident-sink.toml"), config(&group, port, admin, admin_keys)).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let program = Command::new(env!("CARGO_BIN_EXE_incident-sink"))
            .args(["run", "--config"])
            .arg(folder.path().join("incident-sink.toml"))
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut scene = Scene { folder, group, program, port, admin };
        scene.ready().await;
        scene
    }

    async fn ready(&mut self) {
        let begun = Instant::now();
        for port in [self.port, self.admin] {
            while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                let ended = self.program.try_wait().unwrap();
                assert!(ended.is_none() && begun.elapsed() < Duration::from_secs(60), "it does not start:\n{}", self.log());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The address of a page.
    pub(crate) fn page(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.admin)
    }

    /// A file to upload.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> String {
        let file = self.folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        file.to_str().unwrap().to_owned()
    }

    /// An event of an alert source, as iLert posts it.
    pub(crate) async fn post(&self, source: &str, incident: u64, status: &str, summary: &str) {
        let kind = if status == "PENDING" { "alert-created" } else { "alert-resolved" };
        let body = serde_json::json!({
            "id": incident, "eventId": format!("{incident}/{status}"), "eventType": kind, "status": status, "summary": summary,
            "details": "Threshold 60 s, measured for five minutes.", "priority": "HIGH", "alertSource": { "id": 1, "name": source },
            "escalationPolicy": { "id": 2, "name": "Default escalation" },
            "assignedTo": { "id": 3, "username": "han", "firstName": "Mei", "lastName": "Han", "email": "han.mei@example.com" },
            "alertUrl": format!("https://acme.ilert.com/alert/view.jsf?id={incident}"),
            "links": [{ "href": "https://grafana.example.com/d/db", "text": "Grafana" }],
        });
        self.post_raw(body.to_string()).await;
    }

    /// Anything.
    pub(crate) async fn post_raw(&self, body: String) {
        incident_sink::delivery::http::install_crypto();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://127.0.0.1:{}/webhooks/ilert", self.port);
        let answer = client.post(url).basic_auth("ilert", Some("pass")).body(body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 202);
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.program.kill();
        let _ = self.program.wait();
        if std::thread::panicking() {
            eprintln!("the program's log:\n{}", self.log());
            return;
        }
        let log = self.log();
        let secrets = [SECRET, "SECwrong", "access_token=token", "an-api-key", "open-sesame"];
        let shown = log.lines().find(|line| secrets.iter().any(|secret| line.contains(secret)));
        assert_eq!(shown, None, "the log shows a secret of the config");
    }
}

fn config(group: &DingTalk, port: u16, admin: u16, admin_keys: &str) -> String {
    let url = |robot: &str| group.url_of(robot).unwrap();
    format!(
        r#"
[server]
listen = "127.0.0.1:{port}"
public_url = "https://incidents.example.com"
[admin]
listen = "127.0.0.1:{admin}"
{admin_keys}
[outbox]
type = "sqlite"
[ilert]
api_url = "http://127.0.0.1:9/api"
api_key = "an-api-key"
reconcile_interval = "1d"
[plugins.dingtalk]
path = "dingtalk.wasm"
limits.deadline = "5s"
[plugins.chameleon]
path = "chameleon.wasm"
limits.deadline = "5s"
[sources.ilert]
type = "ilert_webhook"
path = "/webhooks/ilert"
username = "ilert"
password = "pass"
[connectors.ops]
type = "dingtalk"
url = "{ops}"
secret = "{SECRET}"
timezone = "Asia/Shanghai"
people = {{ "han.mei@example.com" = {{ mobile = "13800000000" }} }}
delivery = {{ monthly_budget = 3000 }}
[connectors.ops-zh]
type = "dingtalk"
url = "{zh}"
secret = "{SECRET}"
language = "zh-CN"
timezone = "Asia/Shanghai"
delivery = {{ monthly_budget = 3000 }}
[connectors.storage]
type = "dingtalk"
url = "{storage}"
secret = "SECwrong"
[connectors.hook]
type = "chameleon"
url = "http://127.0.0.1:9/hook"
secret = "hush"
delivery = {{ pace = "none" }}
[[actions]]
connector = "ops"
alert_sources = ["Zabbix"]
[[actions]]
connector = "ops-zh"
alert_sources = ["Zabbix 生产"]
[[actions]]
connector = "storage"
alert_sources = ["Backup"]
[[actions]]
connector = "hook"
alert_sources = ["Hook"]
"#,
        ops = url("ops"),
        zh = url("ops-zh"),
        storage = url("storage"),
    )
}
