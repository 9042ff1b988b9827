//! Where things are, programs that are run, and reasons to leave a test out.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_incident-sink");

/// A file of `host/packaging`.
pub(crate) fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

/// The component that `cargo xtask build-plugins` makes.
pub(crate) fn component() -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins/dingtalk.wasm");
    assert!(file.is_file(), "there is no {}: run `cargo xtask build-plugins` first", file.display());
    file.canonicalize().unwrap()
}

/// Whether a test has to do without a program; says so.
pub(crate) fn left_out(program: &str) -> bool {
    let left_out = std::env::var("INCIDENT_SINK_LEFT_OUT").unwrap_or_default().split(',').any(|name| name == program);
    if left_out {
        eprintln!("left out: there is no {program} here");
    }
    left_out
}

/// Whether this is root, who alone may change roots; says so where it is not.
pub(crate) fn is_root() -> bool {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if !root {
        eprintln!("left out: only root may do this");
    }
    root
}

/// Standard output of what is to have worked.
pub(crate) fn worked(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{:?}\n{out}\n{err}", output.status);
    out.into_owned()
}
