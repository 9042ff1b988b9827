//! Other programs: started with a clean environment, their output passed on.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::workspace;

/// Says what is going on, apart from what other programs print.
pub(crate) fn say(text: impl std::fmt::Display) {
    eprintln!("xtask: {text}");
}

/// A cargo of the same toolchain as the one that runs this program.
///
/// `cargo run` hands its child variables about the package that it runs. They would make build scripts that watch them (ring's does) run
/// again, so that a build from here and one from the shell would undo each other.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace::root());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let about_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| text.starts_with(prefix));
        if about_package || matches!(&*text, "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE" | "OUT_DIR") {
            command.env_remove(name);
        }
    }
    match own_library_path() {
        Some(paths) => command.env("LD_LIBRARY_PATH", paths),
        None => command.env_remove("LD_LIBRARY_PATH"),
    };
    command
}

/// The library path without what cargo and rustup put in front: another compiler must not load this one's libraries.
fn own_library_path() -> Option<OsString> {
    let value = std::env::var_os("LD_LIBRARY_PATH")?;
    let target = workspace::target();
    let own = std::env::split_paths(&value).filter(|path| {
        let of_a_toolchain = path.components().any(|part| matches!(part.as_os_str().to_str(), Some("rustlib" | "toolchains")));
        !of_a_toolchain && !path.starts_with(&target)
    });
    std::env::join_paths(own).ok().filter(|paths| !paths.is_empty())
}

/// Runs a program to its end; an exit code other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command.status().with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// What a program prints, or nothing where it cannot be run or fails.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a program for as long as `signs_of_life` changes at least every `patience`; says whether it succeeded.
pub(crate) fn run_while_alive(command: &mut Command, patience: Duration, mut signs_of_life: impl FnMut() -> u64) -> Result<bool> {
    let shown = show(command);
    let mut child = command.stdin(Stdio::null()).spawn().with_context(|| format!("cannot start `{shown}`"))?;
    let (mut last, mut since) = (signs_of_life(), Instant::now());
    loop {
        if let Some(status) = child.try_wait().with_context(|| format!("cannot wait for `{shown}`"))? {
            return Ok(status.success());
        }
        let now = signs_of_life();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        if since.elapsed() > patience {
            say(format_args!("`{shown}` has not moved for {} s, giving it up", patience.as_secs()));
            child.kill().with_context(|| format!("cannot end `{shown}`"))?;
            child.wait().with_context(|| format!("cannot wait for `{shown}`"))?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Whether a program of this name is in the search path.
pub(crate) fn in_path(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    }
    #[cfg(not(unix))]
    {
        file.is_file() || file.with_extension("exe").is_file()
    }
}

fn show(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program()).to_string_lossy();
    let args = command.get_args().map(|arg| format!(" {}", arg.to_string_lossy()));
    std::iter::once(program.into_owned()).chain(args).collect()
}
