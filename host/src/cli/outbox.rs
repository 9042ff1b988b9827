//! `outbox status`: per connector what waits, since when, and what stands in its way.

use clap::Subcommand;

use super::client::Store;
use super::output::{moment, say, say_json, table};
use super::{ConfigArg, Failure, setup};
use crate::clock::Clock;

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
}

/// Does one.
pub(super) fn outbox(command: &OutboxCommand) -> Result<(), Failure> {
    let OutboxCommand::Status { json, config } = command;
    setup::runtime()?.block_on(async {
        let store = Store::open(&config.config).await?;
        let lines = store.status().await;
        store.close().await;
        let lines = lines?;
        if *json {
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
