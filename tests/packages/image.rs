//! The container image: small, without root, and whole: the program runs with its files alone.

use std::path::Path;
use std::process::Command;

use crate::support::{PROGRAM, component, is_root, left_out, packaging, worked};

/// What an image may have, in bytes, and what its base has.
const MOST: u64 = 60_000_000;
const BASE: u64 = 3_000_000;
/// What may lie around the program: the base, libraries, the component.
const AROUND: u64 = 10_000_000;

/// Lays the image's files out for a program.
fn lay_out(program: &Path, root: &Path) {
    worked(&Command::new("sh").arg(packaging("image-root")).arg(program).arg(component()).arg(root).output().unwrap());
}

fn bytes(folder: &Path) -> u64 {
    let of = |path: &Path| if path.is_dir() { bytes(path) } else { path.symlink_metadata().unwrap().len() };
    std::fs::read_dir(folder).unwrap().map(|entry| of(&entry.unwrap().path())).sum()
}

#[test]
fn the_program_runs_with_the_images_files_alone() {
    if left_out("strip") || !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("image");
    lay_out(Path::new(PROGRAM), &root);
    // The base image has the accounts and the root certificates; a plugin is compiled, so more than the loader is proved.
    let certificates = Path::new("/etc/ssl/certs/ca-certificates.crt");
    if !certificates.is_file() {
        eprintln!("left out: there are no root certificates here");
        return;
    }
    std::fs::create_dir_all(root.join("etc/ssl/certs")).unwrap();
    std::fs::copy(certificates, root.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    let run = |args: &[&str]| {
        Command::new("chroot").args(["--userspec=65532:65532"]).arg(&root).arg("/usr/bin/incident-sink").args(args).output().unwrap()
    };
    assert!(worked(&run(&["version"])).contains("incident-sink:plugin@"));
    std::fs::write(
        root.join("etc/incident-sink/incident-sink.toml"),
        "[plugins.dingtalk]\npath = \"/var/lib/incident-sink/plugins/dingtalk.wasm\"\n",
    )
    .unwrap();
    let config = ["--config", "/etc/incident-sink/incident-sink.toml"];
    let shipped = "/usr/lib/incident-sink/plugins/dingtalk.wasm";
    std::fs::create_dir(root.join("var/lib/incident-sink/plugins")).unwrap();
    worked(&Command::new("chown").args(["65532:65532"]).arg(root.join("var/lib/incident-sink/plugins")).output().unwrap());
    assert!(worked(&run(&["plugin", "install", "--force", shipped, config[0], config[1]])).contains("is in use"));
    assert!(worked(&run(&["validate", config[0], config[1]])).contains("valid"));
}

#[test]
fn the_image_is_small() {
    if left_out("strip") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // What is released, where it was built here. This build is not optimised, and larger: of it only what lies around it is judged.
    let release = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/incident-sink");
    let is_released = release.is_file();
    let program = if is_released { release } else { Path::new(PROGRAM).to_owned() };
    let root = folder.path().join("image");
    lay_out(&program, &root);
    let size = bytes(&root) + BASE;
    let around = size - root.join("usr/bin/incident-sink").metadata().unwrap().len();
    println!("the image has {:.1} MB, of them {:.1} MB around the program", size as f64 / 1e6, around as f64 / 1e6);
    assert!(around < AROUND, "{around} bytes around the program");
    assert!(size < MOST || !is_released, "{size} bytes");
}

#[test]
fn the_image_has_no_root_and_no_shell_and_no_mutable_base() {
    let text = std::fs::read_to_string(packaging("Dockerfile")).unwrap();
    let stage = text.rsplit("\nFROM ").next().unwrap();
    assert!(stage.starts_with("gcr.io/distroless/static-debian12:nonroot"), "{stage}");
    assert!(
        stage.contains("\nUSER 65532:65532\n") && stage.contains("\nENTRYPOINT [\"/usr/bin/incident-sink\"]\nCMD [\"run\"]\n"),
        "{stage}"
    );
    assert!(stage.contains("\nCOPY --from=build /image/ /\n") && !stage.contains("RUN "), "{stage}");
    // What the build copies is what the workspace has, and what it calls exists.
    for path in ["host/packaging/image-root", "xtask/Cargo.toml", "Cargo.lock"] {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path).is_file(), "{path}");
    }
    let workspace = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml")).unwrap();
    let oldest = workspace.lines().find_map(|line| line.strip_prefix("rust-version = \"")).unwrap().trim_end_matches('"');
    assert!(text.contains(&format!("FROM rust:{oldest}-bookworm AS build")), "the image is built with Rust {oldest}");
}
