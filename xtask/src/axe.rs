//! axe-core, which checks pages for barriers: fetched from npm into `target/`, never committed.

use std::process::Command;

use crate::process::{in_path, run, say};
use crate::workspace;

/// How tests call it.
pub(crate) const NAME: &str = "axe-core";

/// The version that is used, so that a new rule fails no test by surprise.
const VERSION: &str = "4.11.0";

/// Fetches it where it is missing; whether it is there.
pub(crate) fn prepare() -> bool {
    // Fixed, whatever the target folder is: the tests name it.
    let folder = workspace::root().join("target").join(NAME);
    let stamp = folder.join(format!("{VERSION}.version"));
    if stamp.is_file() && folder.join("package/axe.min.js").is_file() {
        return true;
    }
    if in_path("npm").is_none() {
        say("the console is not checked for barriers: that needs npm");
        return false;
    }
    match fetch(&folder, &stamp) {
        Ok(()) => true,
        Err(error) => {
            say(format_args!("the console is not checked for barriers: {error:#}"));
            false
        }
    }
}

fn fetch(folder: &std::path::Path, stamp: &std::path::Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    say(format_args!("npm pack {NAME}@{VERSION}"));
    // In an empty folder, so that no configuration of a project has a say.
    run(Command::new("npm")
        .args(["pack", "--silent", "--fetch-retries=1", "--fetch-timeout=60000"])
        .arg(format!("{NAME}@{VERSION}"))
        .current_dir(folder))?;
    run(Command::new("tar").arg("-xzf").arg(format!("{NAME}-{VERSION}.tgz")).current_dir(folder))?;
    std::fs::write(stamp, VERSION)?;
    Ok(())
}
