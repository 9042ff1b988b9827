//! `dead-letters`: messages that will not be tried again by themselves.

use clap::{Args, Subcommand};

use super::client::Store;
use super::output::{moment, say, say_either, say_json, table};
use super::progress::Progress;
use super::{ConfigArg, Failure, setup};
use crate::outbox::{Filter, MessageId, MessageSummary};

/// One page of a list.
const PAGE: usize = 500;

/// Subcommands of `dead-letters`.
#[derive(Debug, Subcommand)]
pub(super) enum DeadLettersCommand {
    /// Lists them, newest first; also what sources could not read.
    #[command(after_help = "Example: incident-sink dead-letters list --connector ops")]
    List {
        /// Of one connector.
        #[arg(long, value_name = "NAME")]
        connector: Option<String>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Shows one: its events, its attempts, the receiver's words and what to do.
    #[command(after_help = "Example: incident-sink dead-letters show 42")]
    Show {
        /// Its number.
        id: i64,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Sends one again, or all of a connector.
    #[command(after_help = "Example: incident-sink dead-letters replay 42\n         incident-sink dead-letters replay --connector ops")]
    Replay(Which),
    /// Forgets one, or all of a connector.
    #[command(after_help = "Example: incident-sink dead-letters discard 42")]
    Discard(Which),
}

/// One, or all of a connector.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Its number.
    #[arg(required_unless_present = "connector", conflicts_with = "connector")]
    id: Option<i64>,
    /// All of this connector.
    #[arg(long, value_name = "NAME")]
    connector: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArg,
}

/// Does one.
pub(super) fn dead_letters(command: &DeadLettersCommand) -> Result<(), Failure> {
    setup::runtime()?.block_on(async {
        match command {
            DeadLettersCommand::List { connector, json, config } => {
                let store = Store::open(&config.config).await?;
                let listed = list(&store, connector.as_deref(), *json).await;
                store.close().await;
                listed
            }
            DeadLettersCommand::Show { id, json, config } => {
                let store = Store::open(&config.config).await?;
                let shown = show(&store, MessageId(*id), *json).await;
                store.close().await;
                shown
            }
            DeadLettersCommand::Replay(which) => each(which, "replayed", true).await,
            DeadLettersCommand::Discard(which) => each(which, "discarded", false).await,
        }
    })
}

async fn all(store: &Store, connector: Option<&str>) -> Result<Vec<MessageSummary>, Failure> {
    let mut all: Vec<MessageSummary> = Vec::new();
    loop {
        let before = all.last().map(|last| last.id);
        let filter =
            Filter { state: Some("dead".to_owned()), connector: connector.map(str::to_owned), before, limit: PAGE, ..Filter::default() };
        let page = store.messages(filter).await?;
        let full = page.len() == PAGE;
        all.extend(page);
        if !full {
            return Ok(all);
        }
    }
}

async fn list(store: &Store, connector: Option<&str>, json: bool) -> Result<(), Failure> {
    let dead = all(store, connector).await?;
    let unreadable = if connector.is_none() { store.unreadable().await? } else { Vec::new() };
    if json {
        return say_json(&serde_json::json!({ "messages": dead, "unreadable": unreadable }));
    }
    if dead.is_empty() && unreadable.is_empty() {
        return say("no dead letters");
    }
    if !dead.is_empty() {
        let rows: Vec<Vec<String>> = dead
            .iter()
            .map(|one| {
                vec![
                    one.id.0.to_string(),
                    moment(one.updated_at),
                    one.connector.clone(),
                    one.events.to_string(),
                    one.reason.code.clone(),
                    one.summary.clone(),
                    one.reason.text.clone(),
                ]
            })
            .collect();
        say(&table(&["ID", "SINCE", "CONNECTOR", "EVENTS", "CODE", "FIRST EVENT", "WHY"], &rows))?;
    }
    for item in unreadable {
        let text = |key: &str| item.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let at = item.get("at").and_then(serde_json::Value::as_i64).unwrap_or_default();
        say(&format!("unreadable, from `{}` at {}: {}", text("source"), moment(at), text("error")))?;
    }
    Ok(())
}

async fn show(store: &Store, id: MessageId, json: bool) -> Result<(), Failure> {
    let detail = store.message(id).await?;
    if json {
        return say_json(&detail);
    }
    let summary = &detail.summary;
    say(&format!("message {} for connector `{}`: {}", summary.id.0, summary.connector, summary.state))?;
    if !summary.reason.text.is_empty() {
        say(&format!("why:        {} {}", summary.reason.code, summary.reason.text))?;
    }
    if !summary.reason.advice.is_empty() {
        say(&format!("what to do: {}", summary.reason.advice))?;
    }
    for event in &detail.covered {
        say(&format!("event:      {} {} #{} {}", event.kind.as_str(), event.status.as_str(), event.incident_id, event.summary))?;
    }
    for attempt in &detail.attempts_made {
        let line = format!("attempt:    {} {} after {} ms", moment(attempt.at), attempt.outcome, attempt.took_ms);
        let why = format!(" {} {}", attempt.reason.code, attempt.reason.text);
        say(&format!("{line}{}", why.trim_end()))?;
    }
    Ok(())
}

async fn each(which: &Which, what: &str, replay: bool) -> Result<(), Failure> {
    let store = Store::open(&which.config.config).await?;
    let done = each_of(&store, which, what, replay).await;
    store.close().await;
    let ids: Vec<i64> = done?.iter().map(|id| id.0).collect();
    say_either(which.json, &serde_json::json!({ what: ids }), || format!("{} {what}", ids.len()))
}

async fn each_of(store: &Store, which: &Which, what: &str, replay: bool) -> Result<Vec<MessageId>, Failure> {
    let mut ids = match which.id {
        Some(id) => vec![MessageId(id)],
        None => all(store, which.connector.as_deref()).await?.iter().map(|one| one.id).collect(),
    };
    ids.sort_unstable(); // the oldest first, as they were sent first
    let mut progress = Progress::new();
    for (done, id) in ids.iter().enumerate() {
        if replay {
            store.replay(*id).await?
        } else {
            store.discard(*id).await?
        }
        progress.at(done + 1, ids.len(), what);
    }
    Ok(ids)
}
