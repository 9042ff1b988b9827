//! `test-connection`: a test message through one connector.

use std::sync::Arc;

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
    #[command(flatten)]
    config: ConfigArg,
}

/// Tests a connector.
pub(super) fn test(args: &ConnectionArgs) -> Result<(), Failure> {
    let plan = setup::plan(&args.config.config)?;
    let name = setup::the_connector(&plan, Some(&args.connector))?;
    setup::quiet_logs(&plan)?;
    let clock = Clock::system();
    setup::runtime()?.block_on(async {
        let sinks = Sinks::build(&plan, &clock, Arc::new(OpenLinks)).await?;
        let built = sinks.connectors.get(name.as_str()).ok_or_else(|| Failure::Config(format!("there is no connector `{name}`")))?;
        match test_connection(&*built.connector.sink, &clock).await {
            Ok(Outcome::Delivered { receipt, .. }) => {
                let receipt = receipt.map(|id| format!(" (receipt {id})")).unwrap_or_default();
                output::say(&format!("connector `{name}`: the test message was delivered{receipt}"))
            }
            Ok(Outcome::Retry { reason, .. } | Outcome::Unknown { reason }) => Err(told(&name, "could not be delivered now", &reason)),
            Ok(Outcome::Throttled { reason, .. }) => Err(told(&name, "was refused because the receiver is limiting", &reason)),
            Ok(Outcome::Rejected { reason }) => Err(told(&name, "was rejected", &reason)),
            Err(reason) => Err(told(&name, "could not be written", &reason)),
        }
    })
}

fn told(name: &str, what: &str, reason: &Reason) -> Failure {
    let code = if reason.code.is_empty() { String::new() } else { format!(" [{}]", reason.code) };
    let advice = if reason.advice.is_empty() { String::new() } else { format!("\nwhat to do: {}", reason.advice) };
    Failure::Failed(format!("connector `{name}`: the test message {what}{code}: {}{advice}", reason.text))
}
