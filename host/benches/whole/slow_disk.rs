//! The hand-over where a sync takes a millisecond longer, as it may on a network disk: `enqueue` in a process of its own, whose `fdatasync` strace
//! makes slow for both sides.

use std::process::Command;

use crate::{Args, Failure};

/// What strace adds to every sync.
const DELAY: &str = "inject=fdatasync:delay_exit=1ms";

/// The other process prints the line of the table.
pub(crate) fn measure(args: &Args) -> Result<(), Failure> {
    let mut strace = Command::new("strace");
    // With the filter only syncs are stopped at; everything else runs at its own speed.
    strace.args(["-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", DELAY]);
    strace
        .arg(std::env::current_exe()?)
        .args(["enqueue", "--slow-disk", "--rounds", &args.rounds().to_string()])
        .args(args.short.then_some("--short"));
    let status = strace.status().map_err(|error| format!("strace: {error}; `apt-get install strace`, or `cargo xtask bench`"))?;
    if status.success() { Ok(()) } else { Err(format!("the hand-over on a slow disk: {status}").into()) }
}
