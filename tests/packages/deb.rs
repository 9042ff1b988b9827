//! The Debian package: made of this build, installed by dpkg, run as its own user, upgraded, removed, purged.
//!
//! All of it happens in a root of its own, laid over this system's by an overlay that is thrown away.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{PROGRAM, is_root, left_out, worked};

/// Makes the package.
fn package(folder: &Path) -> PathBuf {
    let xtask = Path::new(PROGRAM).with_file_name("xtask");
    assert!(xtask.is_file(), "there is no {}: run `cargo build --workspace` first", xtask.display());
    worked(&Command::new(xtask).args(["deb", "--fast", "--binary", PROGRAM, "--out"]).arg(folder).output().unwrap());
    let mut made = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    made.find(|path| path.extension().is_some_and(|ending| ending == "deb")).unwrap()
}

/// This system, where what is changed goes to `folder`: runs a script in it as root.
fn in_a_copy_of_the_system(folder: &Path, script: &str) -> Output {
    for made in ["upper", "work", "root"] {
        std::fs::create_dir_all(folder.join(made)).unwrap();
    }
    let mount = "mount -t tmpfs tmpfs \"$1\" && mkdir \"$1\"/upper \"$1\"/work \"$1\"/root && cp \"$2\" \"$1\"/upper/incident-sink.deb \
                 && mount -t overlay overlay -o lowerdir=/,upperdir=\"$1\"/upper,workdir=\"$1\"/work \"$1\"/root \
                 && mount -t proc proc \"$1\"/root/proc && mount --bind /dev \"$1\"/root/dev && mount -t tmpfs tmpfs \"$1\"/root/tmp \
                 && mount -t tmpfs tmpfs \"$1\"/root/run && exec chroot \"$1\"/root bash -euxc \"$3\"";
    let deb = folder
        .join("package")
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "deb"));
    let space = folder.join("space");
    std::fs::create_dir_all(&space).unwrap();
    Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--kill-child", "bash", "-c", mount, "deb"])
        .arg(space)
        .arg(deb.unwrap())
        .arg(script)
        .output()
        .unwrap()
}

const INSTALL_RUN_REMOVE: &str = r#"
export DEBIAN_FRONTEND=noninteractive
config=/etc/incident-sink/incident-sink.toml
as_user() { runuser -u incident-sink -- "$@"; }

# Installed: the user, the folders, the component in use, nothing readable by others.
dpkg --no-triggers --force-depends -i /incident-sink.deb
test "$(stat -c %U:%a /var/lib/incident-sink)" = incident-sink:700
test "$(stat -c %G:%a $config)" = incident-sink:640
as_user incident-sink validate --config $config
as_user incident-sink plugin list --config $config | grep -q 'dingtalk.*in use'
bash -c '. /usr/share/bash-completion/completions/incident-sink; complete -p incident-sink' | grep -q incident-sink

# Run: as its own user, until it is stopped.
sed -i 's/127.0.0.1:8740/127.0.0.1:18740/; s/127.0.0.1:8741/127.0.0.1:18741/' $config
setpriv --reuid incident-sink --regid incident-sink --init-groups incident-sink run --config $config & host=$!
for _ in $(seq 300); do as_user incident-sink top --once --config $config && break; sleep 0.1; done
as_user incident-sink top --once --config $config | grep -q '0 connectors'

# Installed once more beneath a running host: the changed config stays, the host goes on.
dpkg --no-triggers --force-depends --force-confold -i /incident-sink.deb
grep -q 18741 $config
as_user incident-sink outbox status --config $config
kill -TERM $host
wait $host

# Removed: the config and the events stay. Purged: nothing does.
dpkg --no-triggers -r incident-sink
test ! -e /usr/bin/incident-sink && test -e $config && test -e /var/lib/incident-sink/incident-sink.db
dpkg --no-triggers -P incident-sink
test ! -e /etc/incident-sink && test ! -e /var/lib/incident-sink
echo everything-done
"#;

#[test]
fn the_package_is_installed_run_upgraded_removed_and_purged() {
    if left_out("dpkg-deb") || left_out("systemd-analyze") || !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    package(&folder.path().join("package"));
    let output = in_a_copy_of_the_system(folder.path(), INSTALL_RUN_REMOVE);
    assert!(worked(&output).contains("everything-done"), "{output:?}");
    assert!(!Path::new("/etc/incident-sink").exists() && !Path::new("/var/lib/incident-sink").exists(), "the system itself was left alone");
}

#[test]
fn the_package_says_what_it_is() {
    if left_out("dpkg-deb") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let deb = package(folder.path());
    let field = |name: &str| worked(&Command::new("dpkg-deb").arg("-f").arg(&deb).arg(name).output().unwrap()).trim().to_owned();
    assert_eq!((field("Package"), field("Version")), ("incident-sink".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    assert!(field("Depends").starts_with("libc6 (>= 2.") && !field("Description").is_empty());
    let list = worked(&Command::new("dpkg-deb").arg("-c").arg(&deb).output().unwrap());
    for file in [
        "usr/bin/incident-sink",
        "usr/lib/incident-sink/plugins/dingtalk.wasm",
        "lib/systemd/system/incident-sink.service",
        "usr/share/man/man1/incident-sink-validate.1.gz",
        "usr/share/doc/incident-sink/copyright",
        "usr/share/zsh/vendor-completions/_incident-sink",
    ] {
        assert!(list.contains(&format!("./{file}\n")), "{file} is not in the package:\n{list}");
    }
    worked(&Command::new("dpkg-deb").arg("-x").arg(&deb).arg(folder.path().join("files")).output().unwrap());
    let page = folder.path().join("files/usr/share/man/man1/incident-sink-validate.1.gz");
    assert!(worked(&Command::new("gzip").arg("-dc").arg(page).output().unwrap()).contains("validate"));
    assert!(list.lines().all(|line| line.contains(" root/root ")), "everything is root's:\n{list}");
}
