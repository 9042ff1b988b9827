//! A program to run and to kill, its config, and a sender.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use incident_sink::simulator::dingtalk::{DingTalk, Options, Robot};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A group, and a host's folder with a config of as many connectors.
pub(crate) struct Scene {
    pub(crate) folder: TempDir,
    pub(crate) group: DingTalk,
    port: u16,
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
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
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut config = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\n[admin]\nlisten = \"127.0.0.1:{}\"\n\
             [outbox]\ntype = \"sqlite\"\npath = \"outbox.db\"\n[plugins.dingtalk]\npath = {:?}\n\
             [sources.ilert]\ntype = \"ilert_webhook\"\npath = \"/webhooks/ilert\"\n",
            free_port(),
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
        Scene { folder, group, port }
    }

    /// Starts the program; its log goes to a file.
    pub(crate) fn spawn(&self) -> Program {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_incident-sink"))
            .args(["run", "--config"])
            .arg(self.folder.path().join("incident-sink.toml"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Program(child)
    }

    /// Starts the program and waits until it takes events.
    pub(crate) async fn start(&self) -> Program {
        let mut program = self.spawn();
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
        let body = format!(
            r#"{{"id":"{incident}","eventId":"{incident}/{n}","eventType":"alert-created","status":"PENDING","summary":"<{incident}/{n}>","alertSource":{{"id":{connector},"name":"s{connector}"}}}}"#
        );
        let request = format!(
            "POST /webhooks/ilert HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let exchange = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
            stream.write_all(request.as_bytes()).await.ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            answer.split(' ').nth(1)?.parse().ok()
        };
        tokio::time::timeout(Duration::from_secs(20), exchange).await.ok()?
    }

    /// The events that a connector's group has read: `incident/n`, in order.
    pub(crate) fn read(&self, connector: usize) -> Vec<String> {
        let event = |text: &str| Some(text.split_once("<")?.1.split_once(">")?.0.to_owned());
        let texts = self.group.messages(&format!("ops{connector}")).into_iter().map(|shown| shown.raw.to_string());
        texts.map(|text| event(&text.replace("&lt;", "<").replace("&gt;", ">")).unwrap_or(text)).collect()
    }
}

/// The running program; killed when dropped.
pub(crate) struct Program(Child);

impl Program {
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
