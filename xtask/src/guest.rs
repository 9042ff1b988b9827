//! Builds the plugins: core modules by cargo, then components.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process::{cargo, run, say};
use crate::toolchain::{self, TARGET, Toolchain};
use crate::{component, stamp, workspace};

/// One plugin of this repository.
struct Guest {
    /// Its package, which is also the name of its file.
    package: &'static str,
    /// Its folder.
    folder: &'static str,
    /// Where the component goes, below `target/plugins`.
    output: &'static str,
    /// How its stack is chosen.
    stack: &'static str,
}

const GUESTS: [Guest; 2] = [
    Guest { package: "chameleon", folder: "tests/plugins/chameleon", output: "fixtures/chameleon.wasm", stack: STACK },
    Guest { package: "incident-sink-dingtalk", folder: "plugin/dingtalk", output: "dingtalk.wasm", stack: SMALL_STACK },
];

/// For all of a guest's crates. SHA-256 has a SIMD form.
const FLAGS: [&str; 2] = ["-Ctarget-feature=+simd128", "-Cstrip=debuginfo"];

/// A small stack keeps a fresh instance small.
const STACK: &str = "-Clink-arg=-zstack-size=65536";

/// With this one, stack, data and arena fit into one page of memory: plugin/dingtalk/README.md, "How it is built".
const SMALL_STACK: &str = "-Clink-arg=-zstack-size=16384";

/// Brings every component up to date. One that fails does not keep the others from being built.
pub(crate) fn build_all() -> Result<()> {
    let mut toolchain = None;
    let mut failed = Vec::new();
    for guest in &GUESTS {
        if let Err(error) = guest.bring_up_to_date(&mut toolchain) {
            say(format_args!("{}: {error:#}", guest.package));
            failed.push(guest.package);
        }
    }
    if !failed.is_empty() {
        bail!("not built: {}", failed.join(", "));
    }
    Ok(())
}

impl Guest {
    fn bring_up_to_date(&self, toolchain: &mut Option<Toolchain>) -> Result<()> {
        let output = workspace::plugins().join(self.output);
        let inputs = stamp::of_inputs(&workspace::root().join(self.folder), &[&FLAGS[..], &[self.stack]].concat())?;
        let shown = format!("target/plugins/{}", self.output);
        if stamp::is_fresh(&output, inputs) {
            say(format_args!("{shown} is up to date"));
            return Ok(());
        }
        let module = self.compile(found(toolchain)?)?;
        let bytes = std::fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
        let component = component::encode(&bytes)?;
        write_whole(&output, &component)?;
        stamp::write(&output, inputs)?;
        say(format_args!("{shown}: {} bytes, imports only types", component.len()));
        Ok(())
    }

    fn compile(&self, toolchain: &Toolchain) -> Result<PathBuf> {
        let mut cargo = cargo();
        cargo.args(["rustc", "--package", self.package, "--lib", "--profile", "guest", "--target", TARGET]);
        cargo.arg("--target-dir").arg(workspace::guest_target());
        toolchain.apply(&mut cargo);
        apply_flags(&mut cargo, self.stack);
        run(&mut cargo)?;
        let file = format!("{}.wasm", self.package.replace('-', "_"));
        Ok(workspace::guest_target().join(TARGET).join("guest").join(file))
    }
}

/// As [`apply_flags`], for a plugin of somebody else's.
pub(crate) fn apply_usual_flags(cargo: &mut Command) {
    apply_flags(cargo, STACK);
}

/// The last arguments of `cargo rustc`, since what follows is the compiler's. Flags and wrappers that a developer chose for the host do not fit a guest.
fn apply_flags(cargo: &mut Command, stack: &str) {
    // For the last crate alone, so that guests share what is built of the others.
    cargo.args(["--", stack]);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
    for variable in ["RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR", "RUSTC_WORKSPACE_WRAPPER"] {
        cargo.env_remove(variable);
    }
}

/// The toolchain, looked for once and only where there is something to compile.
fn found(toolchain: &mut Option<Toolchain>) -> Result<&Toolchain> {
    if toolchain.is_none() {
        let found = toolchain::find()?;
        say(format_args!("compiling plugins with {}", found.describe()));
        *toolchain = Some(found);
    }
    toolchain.as_ref().context("no toolchain")
}

/// A reader sees the old file or the new one, never a part.
pub(crate) fn write_whole(file: &std::path::Path, bytes: &[u8]) -> Result<()> {
    let folder = file.parent().context("no folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let part = file.with_extension(format!("{}.part", std::process::id()));
    std::fs::write(&part, bytes).with_context(|| format!("cannot write {}", part.display()))?;
    std::fs::rename(&part, file).with_context(|| format!("cannot replace {}", file.display()))
}
