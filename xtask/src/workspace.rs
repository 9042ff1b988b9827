//! Where things are in this repository.

use std::path::{Path, PathBuf};

/// The folder that holds `Cargo.toml` and `wit/`.
pub(crate) fn root() -> &'static Path {
    // The manifest's folder is `xtask/`, one below.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Cargo's target folder for the host, which a developer may have moved.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(moved) => std::path::absolute(&moved).unwrap_or_else(|_| moved.into()),
        None => root().join("target"),
    }
}

/// Where components go. Fixed, whatever the target folder is: tests and documents name it.
pub(crate) fn plugins() -> PathBuf {
    root().join("target/plugins")
}

/// Cargo's target folder for guests: their flags and their compiler may differ from the host's.
pub(crate) fn guest_target() -> PathBuf {
    root().join("target/guest")
}

/// The host's program, as built in this profile's folder.
pub(crate) fn binary(profile: &str) -> PathBuf {
    target().join(profile).join(format!("incident-sink{}", std::env::consts::EXE_SUFFIX))
}
