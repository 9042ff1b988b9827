//! What most commands begin with: a config, read; a runtime.

use std::path::Path;

use crate::config::{ConfigError, Document, Log, LogFormat};
use crate::host::Plan;
use crate::telemetry::{self, Logs, Redactor};

use super::Failure;

/// Reads and checks a config.
pub(super) fn plan(path: &Path) -> Result<Plan, Failure> {
    let document = Document::load(path).map_err(|errors| {
        let failure = Failure::from(errors);
        let hint = "name a config with --config FILE or INCIDENT_SINK_CONFIG; `incident-sink validate` checks it";
        if path.exists() { failure } else { failure.next(hint) }
    })?;
    Ok(Plan::read(document)?)
}

/// Sets the logs up; no secret of the config gets into them.
pub(super) fn logs(plan: &Plan, format: Option<LogFormat>) -> Result<Logs, Failure> {
    let redactor = Redactor::default();
    redactor.set(plan.document.secrets());
    let log = Log { format: format.unwrap_or(plan.settings.log.format), ..plan.settings.log.clone() };
    let control = telemetry::init(&log, &redactor).map_err(|error| Failure::Config(error.to_string()))?;
    Ok(Logs { control, redactor })
}

/// Logs for a command whose output is on standard output: warnings and errors, unless `RUST_LOG` asks for more.
pub(super) fn quiet_logs(plan: &Plan) -> Result<(), Failure> {
    let redactor = Redactor::default();
    redactor.set(plan.document.secrets());
    let quiet = Log { level: "warn".to_owned(), ..plan.settings.log.clone() };
    start_logs(&quiet, &redactor)
}

fn start_logs(log: &Log, redactor: &Redactor) -> Result<(), Failure> {
    telemetry::init(log, redactor).map(|_| ()).map_err(|error| Failure::Config(error.to_string()))
}

/// A runtime with as many threads as the machine has processors.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("cannot start the runtime: {error}")))
}

/// Says what works, but hardly as it was meant.
pub(super) fn warn<'a>(warnings: impl IntoIterator<Item = &'a ConfigError>) {
    for warning in warnings {
        super::output::complain(&format!("warning: {warning}"));
    }
}

/// The one connector that is meant: the named one, or the only one.
pub(super) fn the_connector(plan: &Plan, named: Option<&str>) -> Result<String, Failure> {
    let known: Vec<&str> = plan.connectors.keys().map(|name| &**name).collect();
    match (named, known.as_slice()) {
        (Some(name), known) if known.contains(&name) => Ok(name.to_owned()),
        (Some(name), known) => Err(Failure::Config(format!("there is no connector `{name}`; {}", crate::config::hint(name, known)))),
        (None, [only]) => Ok((*only).to_owned()),
        (None, []) => Err(Failure::Config("the config has no connectors".to_owned())),
        (None, known) => {
            Err(Failure::Config(format!("the config has several connectors; choose one with --connector: {}", known.join(", "))))
        }
    }
}
