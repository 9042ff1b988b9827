//! Finds a compiler with a standard library for wasm32, in the order that CONTRIBUTING.md documents.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{output, say};
use crate::{debian, rustup};

/// What guests are compiled for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// How to compile a guest.
pub(crate) enum Toolchain {
    /// The current compiler has the target.
    Current,
    /// The distribution's compiler builds the standard library from its sources.
    Sources {
        /// The distribution's compiler.
        rustc: PathBuf,
        /// A linker for WebAssembly.
        linker: PathBuf,
    },
}

impl Toolchain {
    /// Says in a few words which one it is.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Current => format!("the current toolchain's {TARGET}"),
            Self::Sources { rustc, .. } => format!("{} with the standard library's sources", rustc.display()),
        }
    }

    /// Tells a cargo to use it.
    pub(crate) fn apply(&self, cargo: &mut Command) {
        let Self::Sources { rustc, linker } = self else { return };
        // `-Zbuild-std` is cargo's and needs a nightly, or this variable, which its compiler then reads too.
        cargo.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        cargo.env_remove("RUSTC_WRAPPER").arg("-Zbuild-std=core,alloc");
    }
}

/// Finds a toolchain, installing what is missing where that is possible.
pub(crate) fn find() -> Result<Toolchain> {
    if has_target() {
        return Ok(Toolchain::Current);
    }
    say(format_args!("the current toolchain has no {TARGET}"));
    if rustup::add_target()? && has_target() {
        return Ok(Toolchain::Current);
    }
    if let Some(toolchain) = debian::find_or_install()? {
        return Ok(toolchain);
    }
    let command = if rustup::is_current() {
        format!("rustup target add {TARGET}")
    } else if debian::has_apt() {
        format!("sudo apt-get install -y {}", debian::PACKAGES.join(" "))
    } else {
        format!("rustup target add {TARGET}  (with Rust from https://rustup.rs)")
    };
    bail!("plugins need Rust's standard library for WebAssembly, and none was found. Run: {command}")
}

/// The compiler that cargo would use.
pub(crate) fn current_rustc() -> Command {
    Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

/// Where a compiler keeps its libraries.
pub(crate) fn sysroot(mut rustc: Command) -> Option<PathBuf> {
    output(rustc.args(["--print", "sysroot"])).map(PathBuf::from)
}

fn has_target() -> bool {
    sysroot(current_rustc()).is_some_and(|root| has_core(&root.join("lib/rustlib").join(TARGET).join("lib")))
}

/// A folder alone proves nothing: rustup leaves one behind where a download failed.
fn has_core(libraries: &Path) -> bool {
    let Ok(entries) = libraries.read_dir() else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libcore-") && name.ends_with(".rlib")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_core_library_is_no_standard_library() {
        assert!(!has_core(Path::new(env!("CARGO_MANIFEST_DIR"))));
        assert!(!has_core(Path::new("does/not/exist")));
    }
}
