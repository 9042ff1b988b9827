//! A PostgreSQL of the test's own, on loopback: for every test crate that includes this file.
//!
//! PostgreSQL refuses to be run by root; then it is run by `nobody`. A shell stands between the test and the server and ends it, and removes
//! its folder, when the test's process is gone, however that ended.

use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

#[path = "port.rs"]
pub(crate) mod port;

/// The password of the server's only user, which no log may show.
pub(crate) const PASSWORD: &str = "hidden-in-postgres";

/// How long anything here may take: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(90);

/// Where root goes when it may not be root: `nobody` and `nogroup`.
const NOBODY: u32 = 65_534;

/// Runs the server until the other end of its input is closed. A first word there means that the folder is to stay.
const KEEPER: &str = r#"
trap '' INT
folder=$1; shift
"$@" >>"$folder/log" 2>&1 </dev/null &
server=$!
read -r word
kill -QUIT "$server" 2>>/dev/null
wait "$server"
[ "$word" = keep ] || { cd / && rm -rf "$folder"; }
"#;

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// What is under way is given up.
    Fast,
    /// As a crash: the next start recovers from the log.
    Immediate,
}

/// A server with a cluster in a folder of its own.
#[derive(Debug)]
pub(crate) struct Postgres {
    folder: PathBuf,
    programs: PathBuf,
    port: u16,
    keeper: Mutex<Option<Child>>,
}

impl Postgres {
    /// The server that the tests of this process share, each in a schema of its own. `None` where this machine is to do
    /// without; then it says so.
    pub(crate) fn shared() -> Option<&'static Postgres> {
        static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
        SHARED.get_or_init(Postgres::new).as_ref()
    }

    /// A server that is nobody else's.
    pub(crate) fn new() -> Option<Postgres> {
        let left_out = std::env::var("INCIDENT_SINK_LEFT_OUT").unwrap_or_default();
        let programs = if left_out.split(',').any(|name| name == "postgres") { None } else { programs() };
        let Some(programs) = programs else {
            eprintln!("Left out: there is no postgres here.");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("incident-sink-postgres").tempdir().unwrap().keep();
        let server = Postgres { folder, programs, port: port::free_port(), keeper: Mutex::default() };
        server.make();
        server.start();
        Some(server)
    }

    /// The URL of the database that is always there, its password included.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// A name that no other schema has.
    pub(crate) fn fresh_schema() -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed))
    }

    /// Has `psql` execute SQL in the database that is always there; what it prints, a row a line, columns separated by `|`.
    pub(crate) fn execute(&self, sql: &str) -> String {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--command", sql]);
        let output = command.arg(self.url()).stdin(Stdio::null()).env("PGCONNECT_TIMEOUT", "30").output().unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Starts it again, with what was committed.
    pub(crate) fn start(&self) {
        let mut keeper = self.keeper.lock().unwrap();
        assert!(keeper.is_none(), "it runs already");
        let mut command = self.as_user(Path::new("sh"));
        command.args(["-c", KEEPER, "keeper"]).arg(&self.folder).arg(self.programs.join("postgres")).arg("-D").arg(self.data());
        command.args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
        command.args(["-c", "max_connections=500", "-c", "log_min_messages=warning"]);
        *keeper = Some(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        drop(keeper);
        // The file's eighth line is how the server is.
        let is_ready = || std::fs::read_to_string(self.data().join("postmaster.pid")).is_ok_and(|text| text.contains("\nready"));
        self.until("takes connections", is_ready);
    }

    /// Stops it; its data stay.
    pub(crate) fn stop(&self, how: Stop) {
        let mode = match how {
            Stop::Fast => "fast",
            Stop::Immediate => "immediate",
        };
        let wait = PATIENCE.as_secs().to_string();
        let mut command = self.as_user(&self.programs.join("pg_ctl"));
        run(command.args(["stop", "--silent", "-m", mode, "-t", &wait, "-D"]).arg(self.data()));
        self.end_keeper("keep\n");
    }

    /// Stops and starts it.
    pub(crate) fn restart(&self, how: Stop) {
        self.stop(how);
        self.start();
    }

    /// Where its cluster and its log are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Makes the cluster. Only this is not synced to disk; what the server writes is.
    fn make(&self) {
        if is_root() {
            chown(&self.folder, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let password = self.folder.join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        let mut command = self.as_user(&self.programs.join("initdb"));
        command.args(["--username=postgres", "--auth=password", "--encoding=UTF8", "--no-locale", "--no-sync", "--pwfile"]);
        run(command.arg(&password).arg("-D").arg(self.data()));
    }

    fn as_user(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder).stdin(Stdio::null()).env("LC_ALL", "C");
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} until PostgreSQL {what}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Tells the keeper this, and that it was the last word; then the server is gone, too.
    fn end_keeper(&self, word: &str) {
        let Some(mut keeper) = self.keeper.lock().unwrap().take() else { return };
        // It may have been killed.
        keeper.stdin.take().unwrap().write_all(word.as_bytes()).ok();
        keeper.wait().unwrap();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end_keeper("\n");
        // Where it had been stopped before.
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&text));
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// The folder of the server's programs. Debian keeps them out of the search path; the newest version is taken.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|version| version.path().join("bin"));
    let mut versions: Vec<PathBuf> = versions.collect();
    let major = |folder: &PathBuf| folder.parent().and_then(Path::file_name).and_then(|name| name.to_str()?.parse::<u32>().ok());
    versions.sort_by_key(|folder| std::cmp::Reverse(major(folder)));
    let found = std::env::split_paths(&path).chain(versions).find(|folder| folder.join("initdb").is_file())?;
    // A link into the search path leads to where the others are.
    found.join("initdb").canonicalize().ok()?.parent().map(Path::to_owned)
}
