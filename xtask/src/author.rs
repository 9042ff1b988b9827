//! For authors of plugins that live elsewhere: a copy of the template, and a component of a crate.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::process::{cargo, run, say};
use crate::toolchain::TARGET;
use crate::{component, guest, toolchain, workspace};

/// The template's own name, which a copy replaces by its own.
const NAME: &str = "my-chat";

/// What a copy is made of, below `plugin/template`.
const FILES: [&str; 7] = ["Cargo.toml", "Cargo.lock", "README.md", ".gitignore", "src/lib.rs", "src/wasm.rs", "src/config.schema.json"];

/// The contract, below the repository and below a copy.
const CONTRACT: &str = "wit/incident-sink.wit";

/// `cargo xtask new-plugin FOLDER`: a plugin of one's own, named as the folder.
pub(crate) fn new_plugin(args: &[String]) -> Result<()> {
    let folder = the_folder("new-plugin", args)?;
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !is_name(name) {
        bail!("a plugin is named by its folder: small letters, digits and hyphens, a letter first, and not `{name}`");
    }
    if folder.exists() {
        bail!("{} exists already", folder.display());
    }
    let template = workspace::root().join("plugin/template");
    for file in FILES {
        let text = std::fs::read_to_string(template.join(file)).with_context(|| format!("cannot read plugin/template/{file}"))?;
        write(&folder.join(file), &text.replace(NAME, name))?;
    }
    let contract = std::fs::read_to_string(workspace::root().join(CONTRACT)).with_context(|| format!("cannot read {CONTRACT}"))?;
    write(&folder.join(CONTRACT), &contract)?;
    say(format_args!("{} is ready; `cargo xtask build-plugin {}` builds it", folder.display(), folder.display()));
    Ok(())
}

/// `cargo xtask build-plugin FOLDER`: the component of a crate anywhere, beside its `Cargo.toml`.
pub(crate) fn build_plugin(args: &[String]) -> Result<()> {
    let folder = the_folder("build-plugin", args)?;
    let manifest = folder.join("Cargo.toml");
    let package = package_name(&manifest)?;
    let toolchain = toolchain::find()?;
    say(format_args!("compiling {package} with {}", toolchain.describe()));
    let target = workspace::guest_target();
    let mut cargo = cargo();
    cargo.args(["rustc", "--lib", "--release", "--target", TARGET, "--manifest-path"]).arg(&manifest);
    cargo.arg("--target-dir").arg(&target);
    toolchain.apply(&mut cargo);
    guest::apply_usual_flags(&mut cargo);
    run(&mut cargo)?;
    let module = target.join(TARGET).join("release").join(format!("{}.wasm", package.replace('-', "_")));
    let bytes = std::fs::read(&module).with_context(|| format!("cannot read {}; is `cdylib` among its crate types?", module.display()))?;
    let output = folder.join(format!("{package}.wasm"));
    let component = component::encode(&bytes)?;
    guest::write_whole(&output, &component)?;
    say(format_args!("{}: {} bytes, imports only types", output.display(), component.len()));
    Ok(())
}

fn the_folder(command: &str, args: &[String]) -> Result<PathBuf> {
    let [folder] = args else { bail!("`cargo xtask {command}` takes one folder, such as ../{NAME}") };
    std::path::absolute(folder).with_context(|| format!("{folder} cannot be used"))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn write(file: &Path, text: &str) -> Result<()> {
    let folder = file.parent().context("no folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// `name` of `[package]`, without a TOML reader: cargo itself finds whatever else is wrong.
fn package_name(manifest: &Path) -> Result<String> {
    let text = std::fs::read_to_string(manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    let package = text.split("[package]").nth(1).unwrap_or_default();
    let lines = package.lines().take_while(|line| !line.trim_start().starts_with('['));
    let names = lines.filter_map(|line| line.split_once('=')).filter(|(key, _)| key.trim() == "name");
    let name = names.map(|(_, value)| value.trim().trim_matches('"').to_owned()).next();
    name.filter(|name| !name.is_empty()).with_context(|| format!("{} has no name of a package", manifest.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_has_every_file_and_its_own_name() {
        let template = workspace::root().join("plugin/template");
        for file in FILES {
            assert!(template.join(file).is_file(), "{file}");
        }
        assert_eq!(package_name(&template.join("Cargo.toml")).unwrap(), NAME);
    }

    #[test]
    fn a_plugin_is_named_in_small_letters() {
        assert!(is_name("my-chat2"));
        for wrong in ["", "My-chat", "2chat", "my_chat", "a b"] {
            assert!(!is_name(wrong), "{wrong}");
        }
    }
}
