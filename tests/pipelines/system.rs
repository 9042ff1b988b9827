//! Programs of the system that a test starts, each on ports and in a folder of its own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything here may take: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A program by its name, or `None` where this machine is to do without it; then the test says so and passes.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let left_out = std::env::var("INCIDENT_SINK_LEFT_OUT").unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = folders.map(|folder| folder.join(name)).find(|file| file.is_file());
    if left_out.split(',').any(|other| other == name) || found.is_none() {
        eprintln!("Left out: there is no {name} here.");
        return None;
    }
    found
}

/// An address that was free a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A running program; killed when dropped.
pub(crate) struct Daemon(Child);

impl Daemon {
    /// Starts it and waits until it listens.
    pub(crate) fn start(command: &mut Command, log: &Path, addr: SocketAddr) -> Daemon {
        let file = std::fs::File::options().create(true).append(true).open(log).unwrap();
        let child = command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        let mut daemon = Daemon(child);
        let begun = Instant::now();
        while TcpStream::connect(addr).is_err() {
            let ended = daemon.0.try_wait().unwrap();
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "it does not start:\n{}", std::fs::read_to_string(log).unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
