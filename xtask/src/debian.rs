//! The way without rustup's servers: Debian's compiler for its browsers is recent, and its sources are packaged.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{in_path, output, run, say};
use crate::toolchain::{Toolchain, current_rustc, sysroot};

/// A compiler and the sources of its standard library. They live beside a toolchain of rustup's.
pub(crate) const PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// Where the packages put the compiler.
const RUSTC: &str = "/usr/bin/rustc";

/// The oldest compiler that this workspace allows, as in `Cargo.toml`.
const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");

/// The distribution's compiler; installed first where that is allowed. `None` where there is no such distribution or no permission.
pub(crate) fn find_or_install() -> Result<Option<Toolchain>> {
    if installed().is_none() && !(has_apt() && install(&PACKAGES)) {
        return Ok(None);
    }
    let Some(rustc) = installed() else {
        bail!("{} are installed, but {RUSTC} is older than {OLDEST} or its sources are missing", PACKAGES.join(" and "));
    };
    let Some(linker) = linker() else {
        bail!("found {RUSTC} but no linker for WebAssembly: install the package `lld`");
    };
    Ok(Some(Toolchain::Sources { rustc, linker }))
}

/// Whether this is Debian or one of its relatives.
pub(crate) fn has_apt() -> bool {
    in_path("apt-get").is_some()
}

/// Installs packages as root, or with a `sudo` that does not ask; says whether that worked.
pub(crate) fn install(packages: &[&str]) -> bool {
    let Some(prefix) = as_root() else {
        say(format_args!("installing {} needs root", packages.join(", ")));
        return false;
    };
    say(format_args!("apt-get install {}", packages.join(" ")));
    // An index that cannot be refreshed may still be good enough.
    if let Err(error) = run(apt_get(prefix).arg("update")) {
        say(error);
    }
    match run(apt_get(prefix).args(["install", "-y", "--no-install-recommends"]).args(packages)) {
        Ok(()) => true,
        Err(error) => {
            say(error);
            false
        }
    }
}

/// What to put before a command so that root runs it: nothing as root; `None` where it is not possible without a password.
fn as_root() -> Option<&'static [&'static str]> {
    if output(Command::new("id").arg("-u")).as_deref() == Some("0") {
        return Some(&[]);
    }
    output(Command::new("sudo").args(["-n", "true"])).map(|_| ["sudo", "-n"].as_slice())
}

fn apt_get(prefix: &[&str]) -> Command {
    let words: Vec<&str> = prefix.iter().copied().chain(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(std::process::Stdio::null());
    command
}

/// The compiler, where it is recent enough and its sources are there.
fn installed() -> Option<PathBuf> {
    let version = output(Command::new(RUSTC).arg("--version"))?;
    let sources = sysroot(Command::new(RUSTC))?.join("lib/rustlib/src/rust/library/Cargo.lock");
    (minor(version.split(' ').nth(1)?)? >= minor(OLDEST)? && sources.is_file()).then(|| RUSTC.into())
}

/// The middle number of a version.
fn minor(version: &str) -> Option<u32> {
    version.split('.').nth(1)?.parse().ok()
}

/// rustup's toolchains carry a linker for WebAssembly; the distribution's package `lld` is another.
fn linker() -> Option<PathBuf> {
    let in_sysroot = |rustc: Command| {
        let folder = sysroot(rustc)?.join("lib/rustlib").read_dir().ok()?;
        folder.flatten().map(|host| host.path().join("bin/rust-lld")).find(|file| file.is_file())
    };
    in_sysroot(current_rustc()).or_else(|| in_sysroot(Command::new(RUSTC))).or_else(|| in_path("rust-lld")).or_else(|| in_path("wasm-ld"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_their_middle_number() {
        assert_eq!(minor("1.96.0"), Some(96));
        assert_eq!(minor("1.95"), Some(95));
        assert_eq!(minor("nonsense"), None);
    }
}
