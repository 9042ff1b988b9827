//! A folder with a config, the binary, a simulated group.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use incident_sink::clock::Clock;
use incident_sink::simulator::dingtalk::{DingTalk, Options, Robot};

/// The secret of every robot here.
pub(crate) const SECRET: &str = "SECtests0123456789abcdef";

/// The password of the webhook here.
pub(crate) const PASSWORD: &str = "pass-of-the-webhook";

/// The component that `cargo xtask build-plugins` makes.
pub(crate) fn component() -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins/dingtalk.wasm");
    assert!(file.is_file(), "there is no {}: run `cargo xtask build-plugins` first", file.display());
    file.canonicalize().unwrap()
}

/// A file below `tests/fixtures/`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(name).canonicalize().unwrap()
}

/// A group with one signed robot, `ops`.
pub(crate) async fn group() -> DingTalk {
    let robots = vec![Robot::new("ops", "token-of-ops").signed(SECRET)];
    DingTalk::start(Options { clock: Clock::system(), robots, rate_limit: false, ..Options::default() }).await.unwrap()
}

/// A folder with a config.
pub(crate) struct Place(pub(crate) tempfile::TempDir);

impl Place {
    /// Writes the config; `{plugin}` in it becomes the component's path.
    pub(crate) fn new(config: &str) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        std::fs::write(place.config(), config.replace("{plugin}", &component().to_string_lossy())).unwrap();
        place
    }

    /// A config with one connector that leads to `url`.
    pub(crate) fn with_connector(url: &str, secret: &str) -> Place {
        Place::new(&format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[plugins.dingtalk]\npath = \"{{plugin}}\"\n\
             [sources.ilert]\ntype = \"ilert_webhook\"\nusername = \"ilert\"\npassword = \"{PASSWORD}\"\n\
             [connectors.ops]\ntype = \"dingtalk\"\nurl = \"{url}\"\nsecret = \"{secret}\"\n[connectors.ops.delivery]\npace = \"none\"\n\
             [[actions]]\nconnector = \"ops\"\n"
        ))
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.0.path().join("incident-sink.toml")
    }

    /// A command in this folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_incident-sink"));
        command.args(args).current_dir(self.0.path()).env_remove("RUST_LOG").env_remove("INCIDENT_SINK_CONFIG").stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let output = self.command(args).output().unwrap();
        look_through(self.0.path(), &output);
        output
    }

    /// Starts the host and waits until it listens.
    pub(crate) fn start(&self) -> Running {
        self.start_with(&[])
    }

    /// As [`Place::start`], with further arguments.
    pub(crate) fn start_with(&self, args: &[&str]) -> Running {
        let args: Vec<&str> = ["run"].iter().chain(args).copied().collect();
        let mut child = self.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (mut public, mut admin) = (None, None);
        let mut log = String::new();
        while public.is_none() || admin.is_none() {
            let line = lines.next().unwrap_or_else(|| panic!("the host ended early:\n{log}")).unwrap();
            if line.contains("A server listens.") {
                let server = if line.contains("admin") { &mut admin } else { &mut public };
                *server = Some(address(&line));
            }
            log.push_str(&line);
            log.push('\n');
        }
        let log = Arc::new(Mutex::new(log));
        let written = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                written.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let url = format!("http://{}/webhooks/ilert", public.unwrap());
        Running { child, url, admin: format!("http://{}", admin.unwrap()), folder: self.0.path().to_owned(), log, reader: Some(reader) }
    }

    /// As [`Place::start`], and keeps the folder.
    pub(crate) fn start_and_keep(self) -> (Place, Running) {
        let running = self.start();
        (self, running)
    }
}

/// A host that runs.
pub(crate) struct Running {
    child: Child,
    pub(crate) url: String,
    /// Where the admin server is.
    pub(crate) admin: String,
    folder: PathBuf,
    log: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    /// What it has written so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Sends a signal: `TERM`, `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// SIGTERM, and what it wrote.
    pub(crate) fn stop(mut self) -> (i32, String) {
        self.signal("TERM");
        let until = Instant::now() + Duration::from_secs(40);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "the host does not stop");
            std::thread::sleep(Duration::from_millis(20));
        };
        self.reader.take().unwrap().join().unwrap();
        (status.code().unwrap_or(-1), self.log())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        if !std::thread::panicking() {
            crate::leak::check(&self.folder, "the log", &self.log());
        }
    }
}

/// The address that a line of the log names, in text or JSON.
fn address(line: &str) -> String {
    let at = line.find("127.0.0.1:").unwrap();
    line[at..].split(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').next().unwrap().to_owned()
}

/// Asks the admin server.
pub(crate) async fn ask(running: &Running, path: &str, accept: &str) -> (u16, String) {
    incident_sink::delivery::http::install_crypto();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("{}{path}", running.admin)).header("accept", accept).send().await.unwrap();
    let (status, body) = (answer.status().as_u16(), answer.text().await.unwrap());
    crate::leak::check(&running.folder, path, &body);
    (status, body)
}

/// What a command wrote shows no secret.
fn look_through(folder: &Path, output: &Output) {
    crate::leak::check(folder, "standard output", &String::from_utf8_lossy(&output.stdout));
    crate::leak::check(folder, "standard error", &String::from_utf8_lossy(&output.stderr));
}

/// Posts with the webhook's password.
pub(crate) async fn post(url: &str, body: Vec<u8>) -> (u16, String) {
    incident_sink::delivery::http::install_crypto();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.post(url).basic_auth("ilert", Some(PASSWORD)).body(body).send().await.unwrap();
    (answer.status().as_u16(), String::from_utf8_lossy(&answer.bytes().await.unwrap()).into_owned())
}

/// Standard error of a command, which is to have failed with this code.
pub(crate) fn failed(output: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}\n{}", String::from_utf8_lossy(&output.stdout));
    text
}

/// Standard output of a command, which is to have worked.
pub(crate) fn worked(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A command with something on its standard input.
pub(crate) fn feed(mut command: Command, input: &[u8]) -> Output {
    use std::io::Write;
    let folder = command.get_current_dir().map(Path::to_owned);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let mut stdout = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
    let mut output = child.wait_with_output().unwrap();
    output.stdout = stdout;
    look_through(&folder.unwrap_or_default(), &output);
    output
}
