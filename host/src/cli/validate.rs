//! `validate`: a config, checked whole.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::{ConfigArg, Failure, output, setup};
use crate::clock::Clock;
use crate::config::{ConfigError, FileWatch};
use crate::delivery::links::OpenLinks;
use crate::host::{HostError, Plan, Sinks};

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
pub(super) struct ValidateArgs {
    /// Prints JSON: what is wrong, and where.
    #[arg(long)]
    json: bool,
    /// Checks it again whenever it changes, until Ctrl-C.
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    config: ConfigArg,
}

/// What a config has in it, and what is wrong with it.
#[derive(Debug, Default, Serialize)]
struct Verdict {
    valid: bool,
    config: String,
    sources: usize,
    connectors: usize,
    actions: usize,
    plugins: usize,
    warnings: Vec<ConfigError>,
    errors: Vec<ConfigError>,
}

/// Checks a config, once or whenever it changes.
pub(super) fn validate(args: &ValidateArgs) -> Result<(), Failure> {
    if !args.watch {
        return once(args);
    }
    let (runtime, config) = (setup::runtime()?, &args.config.config);
    loop {
        // Before it is read, so that no change is missed.
        let files = crate::config::Document::load(config).map_or_else(|_| vec![config.clone()], |document| document.files());
        let mut watch = FileWatch::new(files);
        if let Err(Failure::Config(text) | Failure::Failed(text)) = once(args) {
            output::complain(&text);
        }
        runtime.block_on(watch.changed());
    }
}

fn once(args: &ValidateArgs) -> Result<(), Failure> {
    match check(&args.config.config) {
        Ok(verdict) => {
            setup::warn(&verdict.warnings);
            output::say_either(args.json, &verdict, || sentence(&verdict))
        }
        Err(HostError::Config(errors)) => {
            if args.json {
                let config = args.config.config.display().to_string();
                output::say_json(&Verdict { config, errors: errors.0.clone(), ..Verdict::default() })?;
            }
            Err(errors.into())
        }
        Err(other) => Err(other.into()),
    }
}

fn check(config: &Path) -> Result<Verdict, HostError> {
    let plan = Plan::read(crate::config::Document::load(config)?)?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| HostError::Start(format!("cannot start the runtime: {error}")))?;
    let sinks = runtime.block_on(Sinks::build(&plan, &Clock::system(), Arc::new(OpenLinks)))?;
    Ok(Verdict {
        valid: true,
        config: plan.document.origin().to_owned(),
        sources: plan.sources.len(),
        connectors: plan.connectors.len(),
        actions: plan.actions.len(),
        plugins: plan.plugins.len(),
        warnings: plan.warnings.iter().chain(&sinks.warnings).cloned().collect(),
        errors: Vec::new(),
    })
}

fn sentence(verdict: &Verdict) -> String {
    let counts = [(verdict.sources, "source"), (verdict.connectors, "connector"), (verdict.actions, "action"), (verdict.plugins, "plugin")];
    let counted: Vec<String> = counts.iter().map(|(count, what)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" })).collect();
    format!("{}: valid ({})", verdict.config, counted.join(", "))
}
