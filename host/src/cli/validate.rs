//! `validate`: a config, checked whole.

use std::sync::Arc;

use super::{ConfigArg, Failure, output, setup};
use crate::clock::Clock;
use crate::delivery::links::OpenLinks;
use crate::host::Sinks;

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
pub(super) struct ValidateArgs {
    #[command(flatten)]
    config: ConfigArg,
}

/// Checks a config.
pub(super) fn validate(args: &ValidateArgs) -> Result<(), Failure> {
    let plan = setup::plan(&args.config.config)?;
    let sinks = setup::runtime()?.block_on(Sinks::build(&plan, &Clock::system(), Arc::new(OpenLinks)))?;
    setup::warn(plan.warnings.iter().chain(&sinks.warnings));
    let counts = [
        (plan.sources.len(), "source"),
        (plan.connectors.len(), "connector"),
        (plan.actions.len(), "action"),
        (plan.plugins.len(), "plugin"),
    ];
    let counted: Vec<String> = counts.iter().map(|(count, what)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" })).collect();
    output::say(&format!("{}: valid ({})", plan.document.origin(), counted.join(", ")))
}
