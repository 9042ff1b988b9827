//! Says whether a component is up to date, by what went into it.
//!
//! The compiler is not part of it: a machine that has a component needs no toolchain to go on using it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::workspace;

/// A hash of all that a guest is made of: its own folder, the contract, the profile, the locked dependencies, and how it is built.
pub(crate) fn of_inputs(folder: &Path, flags: &[&str]) -> Result<u64> {
    let root = workspace::root();
    let mut files = Vec::new();
    for input in [folder, &root.join("wit"), &root.join("xtask/src"), &root.join("Cargo.toml"), &root.join("Cargo.lock")] {
        collect(input, &mut files)?;
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    flags.hash(&mut hasher);
    for file in files {
        file.strip_prefix(root).unwrap_or(&file).hash(&mut hasher);
        read(&file)?.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

/// Whether `output` is what these inputs made, unchanged since.
pub(crate) fn is_fresh(output: &Path, inputs: u64) -> bool {
    let (Ok(bytes), Ok(stamp)) = (std::fs::read(output), std::fs::read_to_string(beside(output))) else { return false };
    stamp == text(inputs, &bytes)
}

/// Notes what `output` was made of.
pub(crate) fn write(output: &Path, inputs: u64) -> Result<()> {
    let stamp = beside(output);
    std::fs::write(&stamp, text(inputs, &read(output)?)).with_context(|| format!("cannot write {}", stamp.display()))
}

fn text(inputs: u64, output: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    output.hash(&mut hasher);
    format!("{inputs:016x} {:016x}\n", hasher.finish())
}

fn beside(output: &Path) -> PathBuf {
    output.with_extension("wasm.inputs")
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in path.read_dir().with_context(|| format!("cannot list {}", path.display()))? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}
