//! What each command does, step by step.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process::{cargo, run, say};
use crate::{guest, system, workspace};

/// Tells the tests of generated pages to write them instead of comparing.
const UPDATE_DOCS: &str = "INCIDENT_SINK_UPDATE_DOCS";

/// `cargo xtask demo`: everything that is needed, then the demo in the place of this process.
pub(crate) fn demo(args: &[String]) -> Result<()> {
    set_up()?;
    let mut host = Command::new(workspace::binary("debug"));
    host.arg("demo").args(args).current_dir(workspace::root());
    become_program(&mut host)
}

/// `cargo xtask test`: the demo's set-up, then every test.
pub(crate) fn test(args: &[String]) -> Result<()> {
    set_up()?;
    let left_out = system::prepare();
    say("cargo test --workspace");
    let mut cargo = cargo();
    cargo.args(["test", "--workspace"]).args(args);
    if !left_out.is_empty() {
        cargo.env(system::LEFT_OUT, left_out.join(","));
    }
    run(&mut cargo)
}

/// `cargo xtask build`: what is released.
pub(crate) fn build(args: &[String]) -> Result<()> {
    no_arguments("build", args)?;
    guest::build_all()?;
    announce("release");
    run(cargo().args(["build", "--release", "--package", "incident-sink"]))?;
    say(workspace::binary("release").display());
    Ok(())
}

/// `cargo xtask build-plugins`.
pub(crate) fn build_plugins(args: &[String]) -> Result<()> {
    no_arguments("build-plugins", args)?;
    guest::build_all()
}

/// `cargo xtask docs`: writes the pages of `docs/reference` anew, by the tests that compare them with the code.
pub(crate) fn docs(args: &[String]) -> Result<()> {
    no_arguments("docs", args)?;
    guest::build_all()?;
    for test in [["--test", "cli", "reference::"].as_slice(), &["--lib", "answer::reference"]] {
        run(cargo().args(["test", "--workspace"]).args(test).env(UPDATE_DOCS, "1"))?;
    }
    Ok(())
}

/// `cargo xtask deb`: the Debian package, of a release build or of a given program.
#[cfg(unix)]
pub(crate) fn deb(args: &[String]) -> Result<()> {
    let options = crate::deb::Options::read(args)?;
    let binary = match &options.binary {
        Some(given) => given.clone(),
        None => {
            build(&[])?;
            workspace::binary("release")
        }
    };
    crate::deb::pack(&binary, &options).map(|_| ())
}

#[cfg(not(unix))]
pub(crate) fn deb(_: &[String]) -> Result<()> {
    bail!("a Debian package is made on Linux")
}

/// `cargo xtask ci`: what has to pass before a change lands.
pub(crate) fn ci(args: &[String]) -> Result<()> {
    no_arguments("ci", args)?;
    run(Command::new("bash").arg(".ci/run").current_dir(workspace::root()))
}

/// What the demo and the tests share: the plugins and the host's binary.
fn set_up() -> Result<()> {
    guest::build_all()?;
    announce("debug");
    // The whole workspace, as the tests do: with `-p incident-sink` dependencies would have other features, and `test` after `demo` would
    // compile wasmtime again.
    run(cargo().args(["build", "--workspace", "--bins", "--lib"]))
}

fn announce(profile: &str) {
    if workspace::binary(profile).is_file() {
        say(format_args!("bringing the host up to date ({profile})"));
    } else {
        say(format_args!("compiling the host ({profile}): the first build takes minutes, wasmtime's compiler is large"));
    }
}

fn no_arguments(command: &str, args: &[String]) -> Result<()> {
    match args.first() {
        Some(first) => bail!("`{command}` takes no arguments, but got `{first}`"),
        None => Ok(()),
    }
}

/// Runs a program instead of this one, so that signals reach it and nothing else.
#[cfg(unix)]
fn become_program(command: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt as _;
    let error = command.exec();
    Err(error).with_context(|| format!("cannot run {}", OsStr::display(command.get_program())))
}

#[cfg(not(unix))]
fn become_program(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {}", OsStr::display(command.get_program())))?;
    std::process::exit(status.code().unwrap_or(1))
}
