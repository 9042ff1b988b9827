//! `plugin`: what a plugin is.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Failure, output};
use crate::plugin::inspect::Inspection;
use crate::plugin::limits::Limits;
use crate::plugin::{Engine, EngineOptions, signature};

/// Subcommands of `plugin`.
#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Prints name, version, world, imports, size and config schema of a component.
    #[command(after_help = "Example: incident-sink plugin inspect plugins/dingtalk.wasm")]
    Inspect {
        /// The component.
        file: PathBuf,
        /// A public key (ed25519, PEM or base64) that its signature is checked with; may be given several times.
        #[arg(long = "key", value_name = "KEY")]
        keys: Vec<String>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Does one.
pub(super) fn plugin(command: &PluginCommand) -> Result<(), Failure> {
    match command {
        PluginCommand::Inspect { file, keys, json } => {
            let keys = signature::parse_keys(keys).map_err(|error| Failure::Config(error.to_string()))?;
            let engine = Engine::new(EngineOptions::default()).map_err(|error| Failure::Failed(error.to_string()))?;
            let seen = Inspection::read(&engine, file, &Limits::default(), &keys)
                .map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))?;
            if *json { output::say_json(&seen) } else { output::say(&seen.to_string()) }
        }
    }
}
