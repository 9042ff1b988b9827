//! `man`: manual pages, one a command.

use std::path::PathBuf;

use super::{Failure, output};

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// Where the pages go; made where it is not there.
    dir: PathBuf,
}

/// Writes the pages.
pub(super) fn man(args: &ManArgs) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Failed(format!("cannot write manual pages to {}: {error}", args.dir.display()));
    std::fs::create_dir_all(&args.dir).map_err(failed)?;
    clap_mangen::generate_to(super::command(), &args.dir).map_err(failed)?;
    output::say(&format!("wrote the manual pages to {0}; read one with `man {0}/incident-sink.1`", args.dir.display()))
}
