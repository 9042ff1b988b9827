//! The real program, started for a measurement, and what the kernel knows of it.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Failure;
use crate::http;

/// How long anything may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(300);

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A folder for a measurement, on the disk of the build and not in memory.
pub(crate) fn folder() -> Result<TempDir, Failure> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

/// A program that is killed when it is no longer wanted.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// CPU time used so far, of it and of its children, in seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, Failure> {
        let own = cpu_of(self.0.id())?;
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.0.id())).unwrap_or_default();
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).try_fold(own, |sum, pid: u32| Ok(sum + cpu_of(pid)?))
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> Result<f64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // TERM, that nginx's workers go too; it may have ended already.
        Command::new("kill").arg(self.0.id().to_string()).status().ok();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) && matches!(self.0.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// User and system time of a process in seconds (`proc(5)`, `stat`, in ticks of 10 ms).
fn cpu_of(pid: u32) -> Result<f64, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(") ").ok_or("no stat")?.1.split(' ').collect();
    let ticks: f64 = fields.get(11..13).ok_or("no times")?.iter().filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    Ok(ticks / 100.0)
}

/// A host: its folder, its addresses, its process.
pub(crate) struct Host {
    /// Holds config, outbox and log.
    pub(crate) folder: TempDir,
    /// Where events go.
    pub(crate) port: u16,
    admin: u16,
    running: Option<Running>,
}

/// What a connector is given.
pub(crate) enum Pace {
    /// No limit.
    None,
    /// Nothing goes out during a measurement.
    Stopped,
}

impl Host {
    /// A config of so many connectors: `cN` gets the events of alert source `sN`.
    pub(crate) fn of(connectors: usize, receiver: u16, pace: &Pace) -> Result<Host, Failure> {
        let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins/dingtalk.wasm");
        let plugin = plugin.canonicalize().map_err(|error| format!("{}: {error}; run `cargo xtask build-plugins`", plugin.display()))?;
        let (folder, port, admin) = (folder()?, free_port()?, free_port()?);
        let mut config = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\n[admin]\nlisten = \"127.0.0.1:{admin}\"\n\
             [outbox]\ntype = \"sqlite\"\npath = \"outbox.db\"\n[plugins.dingtalk]\npath = {plugin:?}\n\
             [sources.ilert]\ntype = \"ilert_webhook\"\npath = \"/webhooks/ilert\"\n",
        );
        let pace = match pace {
            Pace::None => "\"none\"",
            Pace::Stopped => "{ messages = 1, window = \"1h\" }",
        };
        for n in 0..connectors {
            config += &format!(
                "[connectors.c{n}]\ntype = \"dingtalk\"\nurl = \"http://127.0.0.1:{receiver}/robot/send?access_token=t{n}\"\n\
                 secret = \"SECof-all\"\ndelivery = {{ pace = {pace}, timeout = \"30s\" }}\n\
                 [[actions]]\nname = \"{n}\"\nconnector = \"c{n}\"\nalert_sources = [\"s{n}\"]\n",
            );
        }
        std::fs::write(folder.path().join("incident-sink.toml"), config)?;
        Ok(Host { folder, port, admin, running: None })
    }

    /// Starts the program, waits until it is ready, and says how long that took.
    pub(crate) async fn start(&mut self) -> Result<Duration, Failure> {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log"))?;
        let begun = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_incident-sink"))
            .args(["run", "--config"])
            .arg(self.folder.path().join("incident-sink.toml"))
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut running = Running(child);
        while http::get(self.admin, "/readyz").await.ok().is_none_or(|(status, _)| status != 200) {
            if running.0.try_wait()?.is_some() || begun.elapsed() > PATIENCE {
                return Err(format!("the host does not start: {}", self.log()).into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.running = Some(running);
        Ok(begun.elapsed())
    }

    /// Ends the program.
    pub(crate) fn stop(&mut self) {
        self.running = None;
    }

    /// The process.
    pub(crate) fn running(&self) -> Result<&Running, Failure> {
        self.running.as_ref().ok_or_else(|| "the host does not run".into())
    }

    /// Waits until nothing waits and nothing is in flight.
    pub(crate) async fn drained(&self) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            let (_, body) = http::get(self.admin, "/api/outbox").await?;
            let lines: Vec<serde_json::Value> = serde_json::from_str(&body)?;
            let left = |line: &serde_json::Value| line["waiting"].as_u64().unwrap_or(0) + line["in_flight"].as_u64().unwrap_or(0);
            if lines.iter().map(left).sum::<u64>() == 0 {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("the outbox is not drained after {PATIENCE:?}: {}", self.log()).into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}
