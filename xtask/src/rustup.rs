//! Adds the guest's target with rustup, where the current toolchain is rustup's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::process::{in_path, output, run_while_alive, say};
use crate::toolchain::{TARGET, current_rustc, sysroot};
use crate::workspace;

/// How long a download may stand still. A machine without a network must not wait for rustup's own retries.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a failure is remembered, so that not every build waits for the next one.
const MEMORY: Duration = Duration::from_secs(3600);

/// Whether the compiler that cargo uses belongs to rustup.
pub(crate) fn is_current() -> bool {
    toolchain_name().is_some()
}

/// Downloads the target into the current toolchain; says whether that worked.
pub(crate) fn add_target() -> Result<bool> {
    let Some(toolchain) = toolchain_name() else { return Ok(false) };
    let note = workspace::guest_target().join("rustup-failed");
    if failed_lately(&note) {
        say(format_args!("rustup failed within the last hour, not tried again (delete {} to do so)", note.display()));
        return Ok(false);
    }
    say(format_args!("rustup target add {TARGET}, for {toolchain}"));
    let mut command = Command::new("rustup");
    command.args(["target", "add", TARGET, "--toolchain", &toolchain]);
    let home = home();
    let added = run_while_alive(&mut command, PATIENCE, || home.as_deref().map_or(0, downloaded))?;
    if !added {
        write_note(&note)?;
    }
    Ok(added)
}

fn failed_lately(note: &Path) -> bool {
    let age = note.metadata().and_then(|meta| meta.modified()).ok().and_then(|at| at.elapsed().ok());
    age.is_some_and(|age| age < MEMORY)
}

fn write_note(note: &Path) -> Result<()> {
    std::fs::create_dir_all(workspace::guest_target()).context("cannot create target/guest")?;
    std::fs::write(note, "").with_context(|| format!("cannot write {}", note.display()))
}

/// The current toolchain by rustup's name, from where its compiler lies.
fn toolchain_name() -> Option<String> {
    in_path("rustup")?;
    let root = sysroot(current_rustc())?.canonicalize().ok()?;
    let toolchains = home()?.join("toolchains").canonicalize().ok()?;
    root.strip_prefix(toolchains).ok()?.to_str().map(str::to_owned)
}

fn home() -> Option<PathBuf> {
    output(Command::new("rustup").args(["show", "home"])).map(PathBuf::from)
}

/// Bytes in the folders that rustup downloads and unpacks into.
fn downloaded(home: &Path) -> u64 {
    [home.join("downloads"), home.join("tmp")].iter().map(|folder| bytes(folder)).sum()
}

fn bytes(folder: &Path) -> u64 {
    let Ok(entries) = folder.read_dir() else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => bytes(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}
