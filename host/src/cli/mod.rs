//! The commands of `incident-sink`. Each is a thin caller of the library.
//!
//! Exit codes: 0 done, 1 failed, 2 usage or config.

mod client;
mod completions;
mod connection;
mod dead_letters;
#[cfg(feature = "simulator")]
mod demo;
mod man;
mod outbox;
mod output;
mod paint;
mod plugin;
mod plugin_keys;
mod plugin_table;
mod plugin_versions;
mod preview;
mod progress;
mod run;
mod schema;
mod send;
mod setup;
mod top;
mod validate;
mod version;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Receives iLert incident events and hands them to sandboxed incident sinks.
#[derive(Debug, Parser)]
#[command(name = "incident-sink", version, about, max_term_width = 110, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Where the config is.
#[derive(Clone, Debug, Args)]
struct ConfigArg {
    /// The config: TOML, YAML or JSON by its ending.
    #[arg(long, short, value_name = "FILE", default_value = "incident-sink.toml", env = "INCIDENT_SINK_CONFIG")]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the host until it is told to stop.
    #[command(
        after_help = "Example: incident-sink run --config /etc/incident-sink/incident-sink.toml\n\nSIGTERM and Ctrl-C stop it gracefully; a second one stops it at once."
    )]
    Run(run::RunArgs),
    /// Checks a config whole, every connector by its plugin too. Nothing is opened or sent.
    #[command(after_help = "Example: incident-sink validate --config incident-sink.toml")]
    Validate(validate::ValidateArgs),
    /// Posts a test message through a connector and reports the receiver's answer.
    #[command(after_help = "Example: incident-sink test-connection ops")]
    TestConnection(connection::ConnectionArgs),
    /// Shows the exact message and the signed URL (secrets left out) of an event. Nothing is sent.
    #[command(after_help = "Example: incident-sink preview --connector ops event.json")]
    Preview(preview::PreviewArgs),
    /// Sends events from standard input through routing and the outbox, waits until all are delivered, and ends.
    #[command(after_help = "Example: incident-sink send --connector ops < events.ndjson")]
    Send(send::SendArgs),
    /// Plugins: what they are, which versions are in use, who made them.
    #[command(subcommand, after_help = "Example: incident-sink plugin inspect plugins/dingtalk.wasm")]
    Plugin(plugin::PluginCommand),
    /// The outbox: what waits, where, and why.
    #[command(subcommand, after_help = "Example: incident-sink outbox status")]
    Outbox(outbox::OutboxCommand),
    /// Shows the lanes of the running host, live.
    #[command(
        after_help = "Example: incident-sink top --interval 1s\n\nKeys: q quits, arrows and page keys scroll, s sorts by name or by need."
    )]
    Top(top::TopArgs),
    /// Messages that will not be tried again by themselves.
    #[command(subcommand, name = "dead-letters", after_help = "Example: incident-sink dead-letters list")]
    DeadLetters(dead_letters::DeadLettersCommand),
    /// Prints the JSON Schema of the config, the installed plugins' parts included.
    #[command(after_help = "Example: incident-sink schema > incident-sink.schema.json")]
    Schema(schema::SchemaArgs),
    /// Shows everything on loopback: simulators, the host, a story of real events.
    #[cfg(feature = "simulator")]
    #[command(after_help = "Example: incident-sink demo --plugin target/plugins/dingtalk.wasm")]
    Demo(demo::DemoArgs),
    /// Prints a completion script for a shell.
    #[command(after_help = "Example: incident-sink completions bash > /etc/bash_completion.d/incident-sink")]
    Completions(completions::CompletionsArgs),
    /// Writes manual pages, one a command.
    #[command(after_help = "Example: incident-sink man target/man")]
    Man(man::ManArgs),
    /// Prints the version, the contract's version and what was compiled in.
    #[command(after_help = "Example: incident-sink version --json")]
    Version(version::VersionArgs),
}

/// Why a command ended without doing its work.
#[derive(Debug)]
enum Failure {
    /// Usage or config: exit code 2.
    Config(String),
    /// Anything else: exit code 1.
    Failed(String),
}

impl Failure {
    /// The same, with what to call next on a line of its own.
    fn next(self, hint: &str) -> Failure {
        match self {
            Failure::Config(text) => Failure::Config(format!("{text}\n{hint}")),
            Failure::Failed(text) => Failure::Failed(format!("{text}\n{hint}")),
        }
    }
}

impl From<crate::host::HostError> for Failure {
    fn from(error: crate::host::HostError) -> Self {
        if error.is_config() { Failure::Config(error.to_string()) } else { Failure::Failed(error.to_string()) }
    }
}

impl From<crate::config::ConfigErrors> for Failure {
    fn from(errors: crate::config::ConfigErrors) -> Self {
        Failure::Config(errors.to_string())
    }
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Validate(args) => validate::validate(&args),
        Command::TestConnection(args) => connection::test(&args),
        Command::Preview(args) => preview::preview(&args),
        Command::Send(args) => send::send(&args),
        Command::Plugin(command) => plugin::plugin(&command),
        Command::Outbox(command) => outbox::outbox(&command),
        Command::Top(args) => top::top(&args),
        Command::DeadLetters(command) => dead_letters::dead_letters(&command),
        Command::Schema(args) => schema::schema(&args),
        #[cfg(feature = "simulator")]
        Command::Demo(args) => demo::demo(&args),
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => man::man(&args),
        Command::Version(args) => version::version(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Config(text)) => {
            output::complain(&text);
            ExitCode::from(2)
        }
        Err(Failure::Failed(text)) => {
            output::complain(&text);
            ExitCode::FAILURE
        }
    }
}

/// The whole command line, for completions, manual pages and the reference.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_command_shows_an_example_in_its_help() {
        let command = super::command();
        command.clone().debug_assert();
        shows_an_example(&command, "incident-sink");
    }

    /// The example is a command line that would be taken, and of this very command.
    fn shows_an_example(command: &clap::Command, path: &str) {
        for sub in command.get_subcommands() {
            let path = format!("{path} {}", sub.get_name());
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            let line = help.lines().next().and_then(|line| line.strip_prefix("Example: ")).unwrap_or_default();
            assert!(line.starts_with(&path), "`{path}` shows no example of itself: {line}");
            let words = line.split_whitespace().take_while(|word| !matches!(*word, "<" | ">" | "|"));
            if let Err(error) = super::command().try_get_matches_from(words) {
                panic!("the example of `{path}` is not taken: {error}");
            }
            shows_an_example(sub, &path);
        }
    }
}
