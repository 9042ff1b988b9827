//! `send`: events from standard input, through routing and the outbox, until all are delivered.

use std::io::{self, BufReader};
use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use super::{ConfigArg, Failure, output, run, setup};
use crate::host::{Control, Host, Options};
use crate::outbox::Filter;
use crate::route::ActionConfig;
use crate::source::{SourceContext, ndjson};

/// Arguments of `send`.
#[derive(Debug, clap::Args)]
pub(super) struct SendArgs {
    /// Sends every event to this connector, whatever the actions say.
    #[arg(long, value_name = "NAME")]
    connector: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArg,
}

/// Sends.
pub(super) fn send(args: &SendArgs) -> Result<(), Failure> {
    let mut plan = setup::plan(&args.config.config)?;
    if let Some(name) = &args.connector {
        let connector = setup::the_connector(&plan, Some(name))?;
        plan.actions = vec![ActionConfig {
            name: "send".to_owned(),
            connector: connector.into(),
            alert_sources: Vec::new(),
            events: Vec::new(),
            priorities: Vec::new(),
        }];
    }
    setup::quiet_logs(&plan)?;
    setup::runtime()?.block_on(async {
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        run::listen_for_signals(stop.clone(), abort.clone())?;
        let host = Host::build(plan, Options { without_sources: true, ..Options::default() }).await?;
        let control = host.control();
        let before = dead(&control).await?;
        let work = async {
            let sent = through(&control, &stop).await;
            let dead = dead(&control).await;
            stop.cancel();
            (sent, dead)
        };
        let (ran, (sent, after)) = tokio::join!(host.run(stop.clone(), abort), work);
        ran?;
        let (totals, left) = sent?;
        let dead = after?.saturating_sub(before);
        let ndjson::Totals { accepted, duplicates, rejected } = totals;
        let told = json!({ "accepted": accepted, "duplicates": duplicates, "rejected": rejected, "dead": dead, "waiting": left });
        output::say_either(args.json, &told, || {
            format!("{accepted} accepted, {duplicates} duplicates, {rejected} rejected, {dead} dead letters, {left} still waiting")
        })?;
        if dead > 0 || rejected > 0 {
            return Err(Failure::Failed("not everything was delivered; see `incident-sink dead-letters list`".to_owned()));
        }
        if left > 0 {
            return Err(Failure::Failed(
                "stopped before everything was delivered; the rest is in the outbox and goes out at the next start".to_owned(),
            ));
        }
        Ok(())
    })
}

/// Takes the input in and waits until the lanes have nothing left to do; how much is left if it was stopped before.
async fn through(control: &Control, stop: &CancellationToken) -> Result<(ndjson::Totals, u64), Failure> {
    let cx = SourceContext { name: Arc::from("stdin"), intake: control.intake().clone(), clock: control.clock().clone() };
    let totals = ndjson::take_in(cx, BufReader::new(io::stdin()), stop.clone()).await.map_err(Failure::Failed)?;
    let progress = async {
        let (mut every, mut line) = (tokio::time::interval(std::time::Duration::from_secs(1)), Progress::new());
        loop {
            every.tick().await;
            // What cannot be counted now is counted in a second.
            if let Ok(left) = left(control).await {
                line.left(left, "events");
            }
        }
    };
    tokio::select! {
        () = control.dispatcher().drained() => {}
        () = stop.cancelled() => {}
        () = progress => {}
    }
    Ok((totals, left(control).await?))
}

async fn left(control: &Control) -> Result<u64, Failure> {
    let lines = control.outbox().status().await.map_err(|error| Failure::Failed(error.to_string()))?;
    Ok(lines.iter().map(|line| line.waiting + line.in_flight).sum())
}

async fn dead(control: &Control) -> Result<usize, Failure> {
    let filter = Filter { state: Some("dead".to_owned()), limit: usize::MAX, ..Filter::default() };
    Ok(control.outbox().messages(filter).await.map_err(|error| Failure::Failed(error.to_string()))?.len())
}
