//! `test-connection`: a test message through one connector.

use std::sync::Arc;

use serde::Serialize;

use super::{ConfigArg, Failure, output, setup};
use crate::clock::Clock;
use crate::delivery::Outcome;
use crate::delivery::links::OpenLinks;
use crate::host::{Sinks, test_connection};
use crate::outbox::Reason;

/// Arguments of `test-connection`.
#[derive(Debug, clap::Args)]
pub(super) struct ConnectionArgs {
    /// The connector's name in the config.
    connector: String,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArg,
}

/// What the receiver said to the test message; the admin API's words.
#[derive(Debug, Serialize)]
struct Told {
    connector: String,
    outcome: &'static str,
    receipt: Option<String>,
    reason: Option<Reason>,
}

/// Tests a connector.
pub(super) fn test(args: &ConnectionArgs) -> Result<(), Failure> {
    let plan = setup::plan(&args.config.config)?;
    let name = setup::the_connector(&plan, Some(&args.connector))?;
    setup::quiet_logs(&plan)?;
    let clock = Clock::system();
    let outcome = setup::runtime()?.block_on(async {
        let sinks = Sinks::build(&plan, &clock, Arc::new(OpenLinks)).await?;
        let built = sinks.connectors.get(name.as_str()).ok_or_else(|| Failure::Config(format!("there is no connector `{name}`")))?;
        Ok::<_, Failure>(test_connection(&*built.connector.sink, &clock).await)
    })?;
    let (told, what) = told(name, outcome);
    if args.json {
        output::say_json(&told)?;
    }
    match (&told.reason, args.json) {
        (None, true) => Ok(()),
        (None, false) => {
            let receipt = told.receipt.as_ref().map(|id| format!(" (receipt {id})")).unwrap_or_default();
            output::say(&format!("connector `{}`: the test message {what}{receipt}", told.connector))
        }
        (Some(reason), _) => Err(failed(&told.connector, what, reason)),
    }
}

fn told(connector: String, outcome: Result<Outcome, Reason>) -> (Told, &'static str) {
    let (outcome, what, receipt, reason) = match outcome {
        Ok(Outcome::Delivered { receipt, .. }) => ("delivered", "was delivered", receipt, None),
        Ok(Outcome::Retry { reason, .. }) => ("retry", "could not be delivered now", None, Some(reason)),
        Ok(Outcome::Unknown { reason }) => ("unknown", "may have arrived or not", None, Some(reason)),
        Ok(Outcome::Throttled { reason, .. }) => ("throttled", "was refused because the receiver is limiting", None, Some(reason)),
        Ok(Outcome::Rejected { reason }) => ("rejected", "was rejected", None, Some(reason)),
        Err(reason) => ("failed", "could not be written", None, Some(reason)),
    };
    (Told { connector, outcome, receipt, reason }, what)
}

fn failed(name: &str, what: &str, reason: &Reason) -> Failure {
    let code = if reason.code.is_empty() { String::new() } else { format!(" [{}]", reason.code) };
    let advice = if reason.advice.is_empty() { String::new() } else { format!("\nwhat to do: {}", reason.advice) };
    Failure::Failed(format!("connector `{name}`: the test message {what}{code}: {}{advice}", reason.text))
}
