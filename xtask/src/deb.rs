//! Makes the Debian package: files in their places, then `dpkg-deb`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process::{output, run, say};
use crate::workspace;

/// How to make it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// A program that is there already, in place of a release build.
    pub(crate) binary: Option<PathBuf>,
    /// Where the package goes.
    pub(crate) out: PathBuf,
    /// Hardly compressed.
    pub(crate) fast: bool,
}

impl Options {
    /// From the command line.
    pub(crate) fn read(args: &[String]) -> Result<Options> {
        let mut options = Options { binary: None, out: workspace::target().join("deb"), fast: false };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().map(PathBuf::from).with_context(|| format!("`{arg}` needs a value"));
            match arg.as_str() {
                "--binary" => options.binary = Some(value()?),
                "--out" => options.out = value()?,
                "--fast" => options.fast = true,
                _ => bail!("`deb` takes --binary FILE, --out FOLDER and --fast, but got `{arg}`"),
            }
        }
        Ok(options)
    }
}

/// Lays out the package and packs it. The binary and the component are there.
pub(crate) fn pack(binary: &Path, options: &Options) -> Result<PathBuf> {
    let stage = options.out.join("stage");
    if stage.exists() {
        fs::remove_dir_all(&stage).with_context(|| format!("cannot clear {}", stage.display()))?;
    }
    let tree = Tree { root: stage.clone() };
    tree.program(binary)?;
    tree.texts(binary)?;
    let architecture = output(Command::new("dpkg").arg("--print-architecture")).context("`dpkg` is needed to make a Debian package")?;
    tree.control(binary, &architecture)?;
    let package = options.out.join(format!("incident-sink_{}_{architecture}.deb", env!("CARGO_PKG_VERSION")));
    let compression = if options.fast { ["-Zgzip", "-z1"] } else { ["-Zxz", "-z9"] };
    run(Command::new("dpkg-deb").args(["--root-owner-group"]).args(compression).arg("--build").arg(&stage).arg(&package))?;
    say(format_args!("{}: {} KiB", package.display(), package.metadata().map_or(0, |meta| meta.len() / 1024)));
    Ok(package)
}

/// The package's files before they are packed.
struct Tree {
    root: PathBuf,
}

impl Tree {
    fn program(&self, binary: &Path) -> Result<()> {
        let packaging = packaging();
        self.copy(binary, "usr/bin/incident-sink", 0o755)?;
        self.copy(&workspace::plugins().join("dingtalk.wasm"), "usr/lib/incident-sink/plugins/dingtalk.wasm", 0o644)?;
        self.copy(&packaging.join("incident-sink.service"), "lib/systemd/system/incident-sink.service", 0o644)?;
        self.copy(&packaging.join("debian/sysusers.conf"), "usr/lib/sysusers.d/incident-sink.conf", 0o644)?;
        self.copy(&packaging.join("debian/tmpfiles.conf"), "usr/lib/tmpfiles.d/incident-sink.conf", 0o644)?;
        // No password is in it as it comes; the installation takes it from the other users all the same.
        self.copy(&packaging.join("debian/incident-sink.toml"), "etc/incident-sink/incident-sink.toml", 0o644)
    }

    /// Manual pages and completions, as the program itself writes them, and the documents.
    fn texts(&self, binary: &Path) -> Result<()> {
        let pages = self.folder("usr/share/man/man1")?;
        run(Command::new(binary).arg("man").arg(&pages).stdout(std::process::Stdio::null()))?;
        for page in pages.read_dir().context("cannot list the manual pages")? {
            run(Command::new("gzip").args(["-9n"]).arg(page.context("cannot list the manual pages")?.path()))?;
        }
        for (shell, file) in [
            ("bash", "usr/share/bash-completion/completions/incident-sink"),
            ("zsh", "usr/share/zsh/vendor-completions/_incident-sink"),
            ("fish", "usr/share/fish/vendor_completions.d/incident-sink.fish"),
        ] {
            let script = output(Command::new(binary).args(["completions", shell])).context("no completions were written")?;
            self.write(file, &format!("{script}\n"), 0o644)?;
        }
        let root = workspace::root();
        let doc = "usr/share/doc/incident-sink";
        self.copy(&root.join("LICENSE"), &format!("{doc}/copyright"), 0o644)?;
        self.copy(&root.join("CHANGELOG.md"), &format!("{doc}/changelog"), 0o644)?;
        run(Command::new("gzip").args(["-9n"]).arg(self.root.join(doc).join("changelog")))?;
        for page in ["config", "commands", "errors"] {
            self.copy(&root.join(format!("docs/reference/{page}.md")), &format!("{doc}/{page}.md"), 0o644)?;
        }
        Ok(())
    }

    fn control(&self, binary: &Path, architecture: &str) -> Result<()> {
        let templates = packaging().join("debian");
        let libc = libc_of(binary)?.context("the program names no version of glibc: is it a program of this system?")?;
        let size = output(Command::new("du").arg("-sk").arg(&self.root)).unwrap_or_default();
        let control = fs::read_to_string(templates.join("control")).context("cannot read packaging/debian/control")?;
        let control = control
            .replace("{version}", env!("CARGO_PKG_VERSION"))
            .replace("{architecture}", architecture)
            .replace("{libc}", &format!("2.{libc}"))
            .replace("{size}", size.split_whitespace().next().unwrap_or("0"));
        self.write("DEBIAN/control", &control, 0o644)?;
        self.copy(&templates.join("conffiles"), "DEBIAN/conffiles", 0o644)?;
        for script in ["postinst", "prerm", "postrm"] {
            self.copy(&templates.join(script), &format!("DEBIAN/{script}"), 0o755)?;
        }
        Ok(())
    }

    fn folder(&self, below: &str) -> Result<PathBuf> {
        let folder = self.root.join(below);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder)
    }

    fn place(&self, file: &str) -> Result<PathBuf> {
        let (folder, name) = file.rsplit_once('/').context("a file lies in a folder")?;
        Ok(self.folder(folder)?.join(name))
    }

    fn copy(&self, from: &Path, to: &str, mode: u32) -> Result<()> {
        let place = self.place(to)?;
        fs::copy(from, &place).with_context(|| format!("cannot copy {} to {}", from.display(), place.display()))?;
        set_mode(&place, mode)
    }

    fn write(&self, to: &str, text: &str, mode: u32) -> Result<()> {
        let place = self.place(to)?;
        fs::write(&place, text).with_context(|| format!("cannot write {}", place.display()))?;
        set_mode(&place, mode)
    }
}

fn packaging() -> PathBuf {
    workspace::root().join("host/packaging")
}

fn set_mode(file: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).with_context(|| format!("cannot change {}", file.display()))
}

/// The newest `GLIBC_2.N` that a program asks for.
fn libc_of(binary: &Path) -> Result<Option<u32>> {
    let bytes = fs::read(binary).with_context(|| format!("cannot read {}", binary.display()))?;
    Ok(newest_libc(&bytes))
}

fn newest_libc(bytes: &[u8]) -> Option<u32> {
    const MARK: &[u8] = b"\0GLIBC_2.";
    let minor = |at: usize| {
        let digits: Vec<u8> = bytes[at + MARK.len()..].iter().copied().take_while(u8::is_ascii_digit).collect();
        String::from_utf8(digits).ok()?.parse().ok()
    };
    bytes.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK).filter_map(|(at, _)| minor(at)).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_library_decides() {
        assert_eq!(newest_libc(b"\0GLIBC_2.4\0x\0GLIBC_2.34\0\0GLIBC_2.9\0"), Some(34));
        assert_eq!(newest_libc(b"nothing"), None);
    }

    #[test]
    fn options_are_read_and_others_refused() {
        let read = |words: &[&str]| Options::read(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(
            read(&["--binary", "b", "--out", "o", "--fast"]).unwrap(),
            Options { binary: Some("b".into()), out: "o".into(), fast: true }
        );
        assert!(read(&["--binary"]).is_err());
        assert!(read(&["--slow"]).is_err());
    }
}
