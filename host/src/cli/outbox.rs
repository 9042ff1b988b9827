//! `outbox status`: per connector what waits, since when, and what stands in its way. `outbox migrate`: to another type of outbox.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::client::Store;
use super::output::{moment, say, say_json, table};
use super::{ConfigArg, Failure, setup};
use crate::clock::Clock;
use crate::host::HostError;
use crate::outbox::moving::{Moved, move_all};

/// Subcommands of `outbox`.
#[derive(Debug, Subcommand)]
pub(super) enum OutboxCommand {
    /// One line a connector: waiting, oldest, in flight, closed until, sent this minute and month, dead.
    #[command(after_help = "Example: incident-sink outbox status --json")]
    Status {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Moves what waits, dead letters, paces, seen ids, incidents and responses to another outbox; the history of delivered messages stays. Stop
    /// all hosts first. What was moved away is put aside. After a crash the same command goes on.
    #[command(after_help = "Example: incident-sink outbox migrate --from incident-sink.toml --to postgres.toml")]
    Migrate {
        /// The config whose `[outbox]` is moved.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// The config whose `[outbox]` takes it in; that has to be empty.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Does one.
pub(super) fn outbox(command: &OutboxCommand) -> Result<(), Failure> {
    match command {
        OutboxCommand::Status { json, config } => status(*json, config),
        OutboxCommand::Migrate { from, to, json } => migrate(from, to, *json),
    }
}

fn migrate(from: &Path, to: &Path, json: bool) -> Result<(), Failure> {
    setup::runtime()?.block_on(async {
        let (source, target) = (setup::plan(from)?, setup::plan(to)?);
        setup::quiet_logs(&source)?;
        let source = source.outbox.mover(source.document.base(), false).await.map_err(HostError::from)?;
        let target = target.outbox.mover(target.document.base(), true).await.map_err(HostError::from)?;
        let Moved { rows, aside } = move_all(&*source, &*target).await.map_err(HostError::from)?;
        if json {
            return say_json(&serde_json::json!({ "rows": rows, "aside": aside }));
        }
        say(&match rows {
            Some(rows) => format!("Moved {rows} rows. What was moved away is in {aside} now; delete it when all works."),
            None => format!("All had been moved before. What was moved away is in {aside} now; delete it when all works."),
        })
    })
}

fn status(json: bool, config: &ConfigArg) -> Result<(), Failure> {
    setup::runtime()?.block_on(async {
        let store = Store::open(&config.config).await?;
        let lines = store.status().await;
        store.close().await;
        let lines = lines?;
        if json {
            return say_json(&lines);
        }
        let now = Clock::system().now();
        let rows: Vec<Vec<String>> = lines
            .iter()
            .map(|line| {
                let minute = line.pace.sends.iter().filter(|at| **at > now - 60_000).count();
                vec![
                    line.connector.clone(),
                    line.waiting.to_string(),
                    line.oldest.map_or("-".to_owned(), moment),
                    line.in_flight.to_string(),
                    if line.pace.closed_until > now { moment(line.pace.closed_until) } else { "-".to_owned() },
                    minute.to_string(),
                    line.pace.month_count.to_string(),
                    line.dead.to_string(),
                ]
            })
            .collect();
        say(&table(&["CONNECTOR", "WAITING", "OLDEST", "IN FLIGHT", "CLOSED UNTIL", "THIS MINUTE", "THIS MONTH", "DEAD"], &rows))
    })
}
