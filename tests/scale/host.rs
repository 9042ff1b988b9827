//! One of several hosts that share an outbox: the real program, with a folder and a config of its own.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use incident_sink::clock::UnixMs;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::front::Front;
use crate::postgres::PASSWORD;
use crate::postgres::port::free_port;

/// How long a host may go without a sign of life.
pub(crate) const LEASE: Duration = Duration::from_secs(3);

/// The secret of every robot.
pub(crate) const SECRET: &str = "SECof-all-the-robots";

/// How long a start may take: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// A host; killed when dropped.
pub(crate) struct Host {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

/// What one connector's robot is called.
pub(crate) fn robot(connector: usize) -> String {
    format!("ops{connector}")
}

impl Host {
    /// With an outbox in this database.
    pub(crate) fn sharing(database: &str, connectors: usize, front: &Front) -> Host {
        Host::new(&format!("type = \"postgres\"\nurl = {database:?}\nlease = \"{}s\"\n", LEASE.as_secs()), connectors, front)
    }

    /// With this outbox. Connector `opsN` gets the events of alert source `sN`, and delivers through this front.
    pub(crate) fn new(outbox: &str, connectors: usize, front: &Front) -> Host {
        let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins/dingtalk.wasm");
        assert!(plugin.exists(), "{} is missing; run `cargo xtask build-plugins`", plugin.display());
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut config = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\n[admin]\nlisten = \"127.0.0.1:{}\"\n\
             [outbox]\n{outbox}\
             [plugins.dingtalk]\npath = {:?}\nlimits.deadline = \"10s\"\n[sources.ilert]\ntype = \"ilert_webhook\"\n",
            free_port(),
            plugin.canonicalize().unwrap()
        );
        for n in 0..connectors {
            config += &format!(
                "[connectors.ops{n}]\ntype = \"dingtalk\"\nurl = {:?}\nsecret = \"{SECRET}\"\ndelivery = {{ timeout = \"60s\" }}\n\
                 [[actions]]\nname = \"{n}\"\nconnector = \"ops{n}\"\nalert_sources = [\"s{n}\"]\n",
                front.url_of(n)
            );
        }
        let host = Host { folder, port, child: None };
        std::fs::write(host.config(), config).unwrap();
        host
    }

    /// Its config file.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("incident-sink.toml")
    }

    /// Where events are posted to.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Starts it and waits until it takes events.
    pub(crate) async fn start(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_incident-sink"));
        command.args(["run", "--config"]).arg(self.config()).env_remove("RUST_LOG");
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let child = self.child.insert(child);
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            let ended = child.try_wait().unwrap();
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "it does not start:\n{}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGSTOP: it does nothing and does not know.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT.
    pub(crate) fn wake(&self) {
        self.signal("-CONT");
    }

    /// SIGTERM, and that it ends well.
    pub(crate) async fn stop(&mut self) {
        self.signal("-TERM");
        let mut child = self.child.take().unwrap();
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not stop:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(status.success(), "{status}:\n{}", self.log());
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.id().to_string()]).status().unwrap().success());
    }

    /// When it found that others had taken it for dead, or could have.
    pub(crate) fn doubts(&self) -> Vec<UnixMs> {
        const WORDS: [&str; 2] = ["This host gave no sign of life for longer than", "another host may have taken the lane of"];
        let log = self.log();
        let lines = log.lines().filter(|line| WORDS.iter().any(|words| line.contains(words)));
        lines.map(|line| line.split(' ').next().unwrap().parse::<Timestamp>().unwrap().as_millisecond()).collect()
    }

    /// What it has written so far; no secret may be in it.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let shown = log.lines().find(|line| [PASSWORD, SECRET, "access_token=token"].iter().any(|secret| line.contains(secret)));
        assert_eq!(shown, None, "the log shows a secret of the config");
        log
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already.
            child.kill().ok();
            child.wait().ok();
        }
    }
}
