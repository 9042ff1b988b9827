//! Builds what is new in a config, and touches nothing that is in use.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Changes, ReloadError};
use crate::config::ConfigErrors;
use crate::host::{Control, Plan, Sinks, exporter, respond};
use crate::plugin::Plugin;
use crate::respond::LinkMaker;
use crate::server::{LoadedTls, TlsFiles};
use crate::source::{Source, SourceContext};
use crate::telemetry::Logs;
use crate::telemetry::traces::Exporter;

/// What is new, built: nothing of it runs yet.
pub(in crate::host) struct Stage {
    pub(in crate::host) plan: Arc<Plan>,
    pub(in crate::host) sinks: Arc<Sinks>,
    /// Sources that are new or other.
    pub(in crate::host) sources: BTreeMap<String, Source>,
    /// Who makes the links, where that has changed.
    pub(in crate::host) links: Option<Option<Arc<LinkMaker>>>,
    /// The certificate, or none, where that has changed.
    pub(in crate::host) tls: Option<Option<LoadedTls>>,
    /// Where traces go, or nowhere, where that has changed.
    pub(in crate::host) exporter: Option<Option<Exporter>>,
}

impl Stage {
    /// Builds. Dropping it half-way changes nothing.
    pub(in crate::host) async fn build(
        control: &Control,
        plan: Plan,
        changes: &Changes,
        sources: bool,
        logs: Option<&Logs>,
    ) -> Result<Stage, ReloadError> {
        let mut plan = Arc::new(plan);
        let plugins = plugins(control, &plan, changes).await?;
        let sinks = Arc::new(control.sinks().rebuild(&plan, &changes.connectors, &plugins, control.clock()).await?);
        let links = changes.responding.then(|| respond::links(&plan));
        if let Some(missing) = respond::take_key(links.as_ref().and_then(Option::as_ref), &**control.outbox()).await? {
            return Err(ReloadError::Build(missing.to_string()));
        }
        let tls = if changes.tls { Some(tls(&plan)?) } else { None };
        let exporter = changes.traces.then(|| exporter(&plan, logs)).transpose();
        let exporter = exporter.map_err(|error| ReloadError::Build(error.to_string()))?;
        let sources = if sources { self::sources(control, &plan, changes).await? } else { BTreeMap::new() };
        // All errors with a place in it were found.
        if let Some(plan) = Arc::get_mut(&mut plan) {
            plan.document.pack();
        }
        Ok(Stage { plan, sinks, sources, links, tls, exporter })
    }
}

/// Loads the plugins that are new or other, to check connectors with; they are put to use later.
async fn plugins(control: &Control, plan: &Arc<Plan>, changes: &Changes) -> Result<BTreeMap<String, Plugin>, ReloadError> {
    let names: Vec<String> = changes.plugins.added.iter().chain(&changes.plugins.changed).cloned().collect();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (plan, engine) = (Arc::clone(plan), control.sinks().engine.clone());
    let load = move || {
        let (mut loaded, mut errors) = (BTreeMap::new(), Vec::new());
        for name in names {
            match plan.plugins.get(&name).map(|config| config.load(&engine, &name, plan.document.base())) {
                Some(Ok(plugin)) => drop(loaded.insert(name, plugin)),
                Some(Err(error)) => errors.push(plan.document.error(&["plugins", &name, "path"], error.to_string())),
                None => {}
            }
        }
        ConfigErrors::check(errors).map(|()| loaded)
    };
    let loaded = tokio::task::spawn_blocking(load).await.map_err(|error| ReloadError::Broken(error.to_string()))?;
    loaded.map_err(ReloadError::Config)
}

fn tls(plan: &Plan) -> Result<Option<LoadedTls>, ReloadError> {
    let files = plan.settings.server.tls.as_ref().map(|tls| TlsFiles::beside(plan.document.base(), tls));
    let loaded = files.map(LoadedTls::load).transpose();
    loaded.map_err(|error| ReloadError::Config(plan.document.error(&["server", "tls"], error.to_string()).into()))
}

async fn sources(control: &Control, plan: &Plan, changes: &Changes) -> Result<BTreeMap<String, Source>, ReloadError> {
    let mut built = BTreeMap::new();
    for name in changes.sources.added.iter().chain(&changes.sources.changed) {
        let Some(config) = plan.sources.get(name) else { continue };
        let cx = SourceContext { name: name.as_str().into(), intake: control.intake().clone(), clock: control.clock().clone() };
        let source = config.build(cx).await;
        let source = source.map_err(|text| ReloadError::Config(plan.document.error(&["sources", name], text).into()))?;
        built.insert(name.clone(), source);
    }
    Ok(built)
}
