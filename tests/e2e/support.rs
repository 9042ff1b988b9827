//! A program to run and to kill, its config, and a sender.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use incident_sink::simulator::dingtalk::{DingTalk, Options, Robot};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[path = "../support/port.rs"]
mod port;

use port::free_port;

/// A group, and a host's folder with a config of as many connectors.
pub(crate) struct Scene {
    pub(crate) folder: TempDir,
    pub(crate) group: DingTalk,
    port: u16,
    admin: u16,
}

/// What came back to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Head and body.
    pub(crate) text: String,
}

/// Whether a program of the system is not to be had here; says so.
pub(crate) fn left_out(binary: &str) -> bool {
    let left_out = std::env::var("INCIDENT_SINK_LEFT_OUT").is_ok_and(|list| list.split(',').any(|name| name == binary));
    if left_out {
        println!("left out: {binary} is missing");
    }
    left_out
}

impl Scene {
    /// Connector `opsN` gets the events of alert source `sN`, without a limit.
    pub(crate) async fn of(connectors: usize) -> Scene {
        Scene::with_idle(connectors, 0).await
    }

    /// As [`Scene::of`], and with connectors that nothing goes to.
    pub(crate) async fn with_idle(connectors: usize, idle: usize) -> Scene {
        let robots = (0..connectors).map(|n| Robot::new(format!("ops{n}"), format!("token-{n}")).signed("SECof-all")).collect();
        let group = DingTalk::start(Options { robots, rate_limit: false, keep: 10_000_000, ..Options::default() }).await.unwrap();
        let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins/dingtalk.wasm");
        assert!(plugin.exists(), "{} is missing; run `cargo xtask build-plugins`", plugin.display());
        let (folder, port, admin) = (tempfile::tempdir().unwrap(), free_port(), free_port());
        let mut config = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\n[admin]\nlisten = \"127.0.0.1:{admin}\"\n\
             [outbox]\ntype = \"sqlite\"\npath = \"disk/outbox.db\"\n[plugins.dingtalk]\npath = {:?}\n\
             [sources.ilert]\ntype = \"ilert_webhook\"\npath = \"/webhooks/ilert\"\n",
            plugin.canonicalize().unwrap()
        );
        for n in 0..connectors {
            config += &format!(
                "[connectors.ops{n}]\ntype = \"dingtalk\"\nurl = {:?}\nsecret = \"SECof-all\"\n\
                 delivery = {{ pace = \"none\", timeout = \"30s\" }}\n\
                 [[actions]]\nname = \"{n}\"\nconnector = \"ops{n}\"\nalert_sources = [\"s{n}\"]\n",
                group.url_of(&format!("ops{n}")).unwrap()
            );
        }
        for n in 0..idle {
            config += &format!(
                "[connectors.idle{n}]\ntype = \"dingtalk\"\nurl = \"https://oapi.dingtalk.com/robot/send?access_token=idle{n}\"\n\
                 secret = \"SECof-idle{n}\"\n"
            );
        }
        std::fs::write(folder.path().join("incident-sink.toml"), config).unwrap();
        std::fs::create_dir(folder.path().join("disk")).unwrap();
        Scene { folder, group, port, admin }
    }

    /// Where the outbox is.
    pub(crate) fn disk(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// Starts the program; its log goes to a file.
    pub(crate) fn spawn(&self) -> Program {
        self.spawn_under(&[])
    }

    /// Starts the program as the last words of another command.
    pub(crate) fn spawn_under(&self, command: &[&str]) -> Program {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let config = self.folder.path().join("incident-sink.toml");
        let words = command.iter().map(OsStr::new).chain([env!("CARGO_BIN_EXE_incident-sink"), "run", "--config"].map(OsStr::new));
        let words: Vec<&OsStr> = words.chain([config.as_os_str()]).collect();
        let child = Command::new(words[0]).args(&words[1..]).stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null()).spawn();
        Program(child.unwrap())
    }

    /// Starts the program and waits until it takes events.
    pub(crate) async fn start(&self) -> Program {
        self.start_under(&[]).await
    }

    /// As [`Scene::start`], as the last words of another command.
    pub(crate) async fn start_under(&self, command: &[&str]) -> Program {
        let mut program = self.spawn_under(command);
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            let ended = program.0.try_wait().unwrap();
            assert!(ended.is_none() && begun.elapsed() < Duration::from_secs(60), "it does not start:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        program
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Posts one event; the answer's status, or `None` if none came.
    pub(crate) async fn post(&self, connector: usize, incident: &str, n: usize) -> Option<u16> {
        Some(self.answer(connector, incident, n, "").await?.status)
    }

    /// Posts one event with these details; the whole answer.
    pub(crate) async fn answer(&self, connector: usize, incident: &str, n: usize, details: &str) -> Option<Answer> {
        let body = format!(
            r#"{{"id":"{incident}","eventId":"{incident}/{n}","eventType":"alert-created","status":"PENDING","summary":"<{incident}/{n}>","details":"{details}","alertSource":{{"id":{connector},"name":"s{connector}"}}}}"#
        );
        let head = format!("POST /webhooks/ilert HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {}", body.len());
        exchange(self.port, &head, &body).await
    }

    /// Gets a path of the admin address.
    pub(crate) async fn admin(&self, path: &str) -> Option<Answer> {
        exchange(self.admin, &format!("GET {path} HTTP/1.1"), "").await
    }

    /// The events that a connector's group has read: `incident/n`, in order.
    pub(crate) fn read(&self, connector: usize) -> Vec<String> {
        let event = |text: &str| Some(text.split_once("<")?.1.split_once(">")?.0.to_owned());
        let texts = self.group.messages(&format!("ops{connector}")).into_iter().map(|shown| shown.raw.to_string());
        texts.map(|text| event(&text.replace("&lt;", "<").replace("&gt;", ">")).unwrap_or(text)).collect()
    }
}

/// One request on a connection of its own; `None` if no whole answer came.
async fn exchange(port: u16, head: &str, body: &str) -> Option<Answer> {
    let exchange = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let request = format!("{head}\r\nhost: localhost\r\nconnection: close\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.ok()?;
        Some(Answer { status: text.split(' ').nth(1)?.parse().ok()?, text })
    };
    tokio::time::timeout(Duration::from_secs(20), exchange).await.ok()?
}

impl Drop for Scene {
    /// No secret of the config may be in the log.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let log = self.log();
        let shown =
            log.lines().find(|line| ["SECof-", "access_token=token", "access_token=idle"].iter().any(|secret| line.contains(secret)));
        assert_eq!(shown, None, "the log shows a secret of the config");
    }
}

/// The running program; killed when dropped.
pub(crate) struct Program(Child);

impl Program {
    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        assert!(Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap().success());
    }

    /// How it ended, within a time.
    pub(crate) async fn ended(&mut self, within: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        while begun.elapsed() < within {
            if let Some(status) = self.0.try_wait().unwrap() {
                return Some(status);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        None
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, within: Duration, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < within, "waited {within:?} until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
