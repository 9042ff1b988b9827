//! A page of metrics: what was counted, and what is looked up at the moment of asking.
//!
//! One page at a time: to write one for ten thousand connectors takes some processor time, and nothing else waits for it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::registry::Registry;

use super::{Control, Sinks};
use crate::clock::UnixMs;
use crate::delivery::upgrade::Counts;
use crate::delivery::{Connector, Dispatcher, Pace, pace};
use crate::outbox::{ConnectorStatus, OutboxError};
use crate::plugin::{BOUNDS_US, Usage};
use crate::telemetry::metrics::name;
use crate::telemetry::metrics::page::{Counted, histograms, values};
use crate::telemetry::process::Process;

/// How long the outbox may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Characters of a digest that are shown.
const DIGEST: usize = 12;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// Another one is being written.
    #[error("another page of metrics is being written")]
    Busy,
    /// It could not be written.
    #[error("the page of metrics could not be written: {0}")]
    Broken(String),
}

impl Control {
    /// All metrics, in OpenMetrics' text format. An outbox that does not answer leaves out what only it knows.
    pub async fn page_of_metrics(&self) -> Result<String, MetricsError> {
        let _turn = self.0.page.try_lock().map_err(|_| MetricsError::Busy)?;
        let (health, lines) = tokio::join!(self.health(), tokio::time::timeout(PATIENCE, self.0.outbox.status()));
        let lines: Result<Vec<ConnectorStatus>, OutboxError> =
            lines.unwrap_or_else(|_| Err(OutboxError::Unavailable("it does not answer".to_owned())));
        let (control, ready, troubles) = (self.clone(), health.is_ready(), health.troubles.len());
        let written = tokio::task::spawn_blocking(move || {
            let moment = Moment::take(&control, lines.ok(), ready, troubles);
            let mut looked_up = Registry::default();
            looked_up.register_collector(Box::new(moment));
            let mut text = String::new();
            encode_registry(&mut text, &control.0.registry.load())?;
            encode_registry(&mut text, &looked_up)?;
            encode_eof(&mut text).map(|()| text)
        });
        let broken = |error: &dyn fmt::Display| MetricsError::Broken(error.to_string());
        written.await.map_err(|error| broken(&error))?.map_err(|error: fmt::Error| broken(&error))
    }
}

/// What is looked up.
struct Moment {
    lines: Vec<Line>,
    plugins: Vec<InUse>,
    swaps: Vec<(String, Counts)>,
    usage: Vec<(String, Usage)>,
    process: Process,
    busy: usize,
    ready: bool,
    troubles: usize,
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moment").finish_non_exhaustive()
    }
}

/// The version of a plugin that is in use.
struct InUse {
    name: String,
    version: String,
    digest: String,
    is_watched: bool,
}

/// One connector.
struct Line {
    connector: Arc<Connector>,
    /// `None` if the outbox did not answer.
    status: Option<ConnectorStatus>,
    /// Messages in the window, and how many it may have.
    window: Option<(u32, u32)>,
    /// The budget, and what is left of it.
    budget: Option<(u32, u32)>,
    /// Messages of this month.
    month: Option<u32>,
    closed_until: UnixMs,
    age_ms: i64,
}

impl Moment {
    fn take(control: &Control, status: Option<Vec<ConnectorStatus>>, ready: bool, troubles: usize) -> Moment {
        let (sinks, now) = (control.sinks(), control.0.clock.steady());
        let lines = lines(&sinks, &control.0.dispatcher, status, now);
        let (swaps, usage, process, busy) = (sinks.upgrader.counts(), sinks.upgrader.usage(), Process::look(), control.0.dispatcher.busy());
        Moment { lines, plugins: plugins(&sinks), swaps, usage, process, busy, ready, troubles }
    }

    fn of<'a>(&'a self, value: impl Fn(&Line) -> Option<f64> + 'a) -> impl Iterator<Item = ([&'a str; 1], f64)> {
        self.lines.iter().filter_map(move |line| Some(([&*line.connector.name], value(line)?)))
    }

    fn of_status<'a>(&'a self, value: impl Fn(&ConnectorStatus) -> u64 + 'a) -> impl Iterator<Item = ([&'a str; 1], f64)> {
        self.of(move |line| Some(value(line.status.as_ref()?) as f64))
    }

    fn delivery(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        values(encoder, &name::BACKLOG, self.of_status(|status| status.waiting))?;
        values(encoder, &name::OLDEST, self.of(|line| line.status.as_ref().map(|_| line.age_ms as f64 / 1_000.0)))?;
        values(encoder, &name::IN_FLIGHT, self.of_status(|status| status.in_flight))?;
        values(encoder, &name::DEAD, self.of_status(|status| status.dead))?;
        values(encoder, &name::CLOSED_UNTIL, self.of(|line| line.status.as_ref().map(|_| line.closed_until as f64 / 1_000.0)))?;
        values(encoder, &name::WINDOW, self.of(|line| line.window.map(|(sent, _)| f64::from(sent))))?;
        values(encoder, &name::WINDOW_LIMIT, self.of(|line| line.window.map(|(_, limit)| f64::from(limit))))?;
        values(encoder, &name::MONTH, self.of(|line| line.month.map(f64::from)))?;
        values(encoder, &name::BUDGET, self.of(|line| line.budget.map(|(limit, _)| f64::from(limit))))?;
        values(encoder, &name::BUDGET_LEFT, self.of(|line| line.budget.map(|(_, left)| f64::from(left))))?;
        values(encoder, &name::CONNECTORS, [([], self.lines.len() as f64)])?;
        values(encoder, &name::LANES, [([], self.busy as f64)])
    }

    fn plugins(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let info = self.plugins.iter().map(|plugin| ([plugin.name.as_str(), plugin.version.as_str(), plugin.digest.as_str()], 1.0));
        values(encoder, &name::PLUGIN_INFO, info)?;
        let watched = self.plugins.iter().map(|plugin| ([plugin.name.as_str()], f64::from(u8::from(plugin.is_watched))));
        values(encoder, &name::PLUGIN_CANARY, watched)?;
        let swaps = self.swaps.iter().flat_map(|(name, counts)| {
            let results = [
                ("installed", counts.swaps),
                ("refused", counts.refused),
                ("rolled_back", counts.rollbacks),
                ("taken_back", counts.automatic_rollbacks),
            ];
            results.map(|(result, count)| ([name.as_str(), result], count as f64))
        });
        values(encoder, &name::PLUGIN_SWAPS, swaps)?;
        let calls = self.usage.iter().flat_map(|(name, usage)| {
            usage.functions.iter().map(|function| Counted {
                labels: [name.as_str(), function.function],
                sum: function.seconds,
                classes: bounds().zip(function.classes.iter().copied()).collect(),
            })
        });
        histograms(encoder, &name::PLUGIN_CALLS, calls)?;
        let faults =
            self.usage.iter().flat_map(|(name, usage)| usage.faults.iter().map(|fault| ([name.as_str(), fault.fault], fault.count as f64)));
        values(encoder, &name::PLUGIN_FAULTS, faults)
    }

    fn process(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        values(encoder, &name::BUILD_INFO, [([env!("CARGO_PKG_VERSION")], 1.0)])?;
        values(encoder, &name::PROCESS_START, self.process.start_seconds.map(|value| ([], value)))?;
        values(encoder, &name::PROCESS_CPU, self.process.cpu_seconds.map(|value| ([], value)))?;
        values(encoder, &name::PROCESS_MEMORY, self.process.memory_bytes.map(|value| ([], value)))?;
        values(encoder, &name::PROCESS_FDS, self.process.open_fds.map(|value| ([], value)))?;
        values(encoder, &name::PROCESS_MAX_FDS, self.process.max_fds.map(|value| ([], value)))
    }
}

impl Collector for Moment {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.delivery(&mut encoder)?;
        values(&mut encoder, &name::READY, [([], f64::from(u8::from(self.ready)))])?;
        values(&mut encoder, &name::TROUBLES, [([], self.troubles as f64)])?;
        self.plugins(&mut encoder)?;
        self.process(&mut encoder)
    }
}

/// One line for each connector of the config.
fn lines(sinks: &Sinks, dispatcher: &Dispatcher, status: Option<Vec<ConnectorStatus>>, now: UnixMs) -> Vec<Line> {
    let known = status.is_some();
    let mut status: std::collections::HashMap<String, ConnectorStatus> =
        status.unwrap_or_default().into_iter().map(|line| (line.connector.clone(), line)).collect();
    let line = |connector: &Arc<Connector>| {
        // What the outbox has nothing of has nothing waiting.
        let status = known.then(|| status.remove(&*connector.name).unwrap_or_default());
        let log = status.as_ref().map(|status| &status.pace);
        let window = log.and_then(|log| {
            let limit: Pace = connector.policy.pace(&connector.sink.profile())?;
            Some((pace::used(limit, log, now), limit.messages))
        });
        let (this_month, used) = dispatcher.used(&connector.policy);
        let month = log.map(|log| if log.month == this_month { log.month_count } else { 0 });
        let budget = connector.policy.monthly_budget.map(|limit| (limit, limit.saturating_sub(used)));
        let closed_until = log.map(|log| log.closed_until).filter(|until| *until > now).unwrap_or_default();
        let age_ms = status.as_ref().and_then(|status| status.oldest).map_or(0, |oldest| now.saturating_sub(oldest).max(0));
        Line { connector: Arc::clone(connector), status, window, budget, month, closed_until, age_ms }
    };
    sinks.connectors.values().map(|built| &built.connector).map(line).collect()
}

/// The classes of the times of calls, in seconds.
fn bounds() -> impl Iterator<Item = f64> {
    BOUNDS_US.into_iter().map(|bound| bound as f64 / 1e6).chain([f64::MAX])
}

/// The versions in use, without a look at the disk.
fn plugins(sinks: &Sinks) -> Vec<InUse> {
    let on_trial = sinks.upgrader.on_trial().into_iter();
    let in_use = on_trial.filter_map(|(name, trial)| {
        let plugin = sinks.registry.current(&name)?;
        let (version, digest) = (plugin.descriptor().version.to_string(), plugin.digest().get(..DIGEST).unwrap_or_default().to_owned());
        Some(InUse { name, version, digest, is_watched: trial.canary.is_some() })
    });
    in_use.collect()
}
