//! The systemd unit lets the service do little.

use std::process::Command;

use crate::support::{left_out, packaging, worked};

#[test]
fn the_unit_exposes_less_than_two() {
    if left_out("systemd-analyze") {
        return;
    }
    let unit = packaging("incident-sink.service");
    let mut analyze = Command::new("systemd-analyze");
    // The threshold is ten times the exposure; above it the command fails.
    let output = analyze.args(["security", "--offline=true", "--threshold=20", "--no-pager"]).arg(&unit).output().unwrap();
    let text = worked(&output);
    println!("{}", text.lines().last().unwrap_or_default());
    assert!(text.contains("Overall exposure level for incident-sink.service"), "{text}");
}

#[test]
fn systemd_understands_every_line_of_the_unit() {
    if left_out("systemd-analyze") {
        return;
    }
    // The program's path is looked at as well, so it is one that is there.
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("incident-sink.service");
    let text = std::fs::read_to_string(packaging("incident-sink.service")).unwrap();
    std::fs::write(&unit, text.replace("/usr/bin/incident-sink", "/bin/true").replace("man:incident-sink(1) ", "")).unwrap();
    let output = Command::new("systemd-analyze").args(["verify", "--man=no", "--recursive-errors=no"]).arg(&unit).output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    let of_ours: Vec<&str> = complaints.lines().filter(|line| line.contains("incident-sink.service")).collect();
    assert!(of_ours.is_empty(), "{complaints}");
}
