//! Adds the guest's target with rustup, where the current toolchain is rustup's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::process::{in_path, output, run_while_alive, say};
use crate::toolchain::{TARGET, current_rustc, sysroot};

/// How long a download may stand still. A machine without a network must not wait for rustup's own retries.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether the compiler that cargo uses belongs to rustup.
pub(crate) fn is_current() -> bool {
    toolchain_name().is_some()
}

/// Downloads the target into the current toolchain; says whether that worked.
pub(crate) fn add_target() -> Result<bool> {
    let Some(toolchain) = toolchain_name() else { return Ok(false) };
    say(format_args!("rustup target add {TARGET}, for {toolchain}"));
    let mut command = Command::new("rustup");
    command.args(["target", "add", TARGET, "--toolchain", &toolchain]);
    let home = home();
    run_while_alive(&mut command, PATIENCE, || home.as_deref().map_or(0, downloaded))
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
