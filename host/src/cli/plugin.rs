//! `plugin`: what a plugin is, which version is in use, who made it.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::{ConfigArg, Failure, output, plugin_keys, plugin_versions};
use crate::delivery::upgrade::conformance;
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
    /// Verifies a component with every connector of the config and puts it to use. A running host takes it over within seconds.
    #[command(after_help = "Example: incident-sink plugin install target/plugins/dingtalk.wasm")]
    Install {
        /// The component; its signature lies beside it in `FILE.sig`.
        file: PathBuf,
        /// Also a version that is older than the one in use.
        #[arg(long)]
        force: bool,
        /// Does not put it to use: the running host has it write its next so many messages along, and notes in its log and in
        /// `GET /api/plugins` what differs.
        #[arg(long, value_name = "MESSAGES", conflicts_with = "force", value_parser = clap::value_parser!(u32).range(1..=10_000))]
        shadow: Option<u32>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Lists the kept versions of every plugin.
    #[command(after_help = "Example: incident-sink plugin list")]
    List {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Goes back to the version that was installed before the one in use.
    #[command(after_help = "Example: incident-sink plugin rollback dingtalk")]
    Rollback {
        /// The plugin.
        name: String,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Runs the conformance suite on a component: contract, determinism, limits, every kind of event, hostile text, every answer.
    #[command(after_help = "Example: incident-sink plugin test target/plugins/dingtalk.wasm --connector-config connector.toml")]
    Test {
        /// The component.
        file: PathBuf,
        /// A connector's keys, TOML or JSON; without it the examples and defaults of the plugin's schema are used.
        #[arg(long, value_name = "FILE")]
        connector_config: Option<PathBuf>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Makes a key pair: FILE is the private key, FILE.pub the public one.
    #[command(after_help = "Example: incident-sink plugin keygen plugins.key")]
    Keygen {
        /// Where the private key goes; must not exist.
        file: PathBuf,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Signs a component: writes FILE.sig.
    #[command(after_help = "Example: incident-sink plugin sign --key plugins.key dingtalk.wasm")]
    Sign {
        /// The private key.
        #[arg(long, value_name = "KEYFILE")]
        key: PathBuf,
        /// The component.
        file: PathBuf,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Checks the signature of a component.
    #[command(after_help = "Example: incident-sink plugin verify --key plugins.key.pub dingtalk.wasm")]
    Verify {
        /// The public key: a file, or the base64 of its bytes; may be given several times.
        #[arg(long = "key", value_name = "KEY", required = true)]
        keys: Vec<String>,
        /// The component.
        file: PathBuf,
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
        PluginCommand::Install { file, force, shadow, json, config } => {
            plugin_versions::install(file, plugin_versions::How { force: *force, shadow: *shadow, json: *json }, &config.config)
        }
        PluginCommand::List { json, config } => plugin_versions::list(*json, &config.config),
        PluginCommand::Rollback { name, json, config } => plugin_versions::rollback(name, *json, &config.config),
        PluginCommand::Test { file, connector_config, json } => test(file, connector_config.as_deref(), *json),
        PluginCommand::Keygen { file, json } => plugin_keys::keygen(file, *json),
        PluginCommand::Sign { key, file, json } => plugin_keys::sign(key, file, *json),
        PluginCommand::Verify { keys, file, json } => plugin_keys::verify(keys, file, *json),
    }
}

/// Reads a file, or says which one could not be read.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::Failed(format!("cannot read {}: {error}", file.display())))
}

/// The conformance suite; exit code 1 where a check failed.
fn test(file: &Path, connector: Option<&Path>, json: bool) -> Result<(), Failure> {
    let connector = connector.map(read_table).transpose()?;
    let engine = Engine::new(EngineOptions::default()).map_err(|error| Failure::Failed(error.to_string()))?;
    let found = conformance::run(&engine, &read(file)?, &Limits::default(), connector.as_ref());
    if json {
        output::say_json(&found)?
    } else {
        output::say(found.to_string().trim_end())?
    }
    if found.passed() { Ok(()) } else { Err(Failure::Failed(format!("{} does not conform", file.display()))) }
}

/// A table in TOML, or in JSON by the file's ending.
fn read_table(file: &Path) -> Result<serde_json::Value, Failure> {
    let wrong = |error: String| Failure::Config(format!("{}: {error}", file.display()));
    let text = String::from_utf8(read(file)?).map_err(|error| wrong(error.to_string()))?;
    match file.extension().is_some_and(|end| end == "json") {
        true => serde_json::from_str(&text).map_err(|error| wrong(error.to_string())),
        false => toml::from_str(&text).map_err(|error| wrong(error.to_string())),
    }
}
