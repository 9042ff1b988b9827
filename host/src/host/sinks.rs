//! The delivering side of a plan, built: plugins loaded, every connector checked by its plugin, nothing running.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Clock;
use crate::config::{ConfigError, ConfigErrors};
use crate::delivery::http::{HttpClient, Proxy};
use crate::delivery::links::Links;
use crate::delivery::plugin_sink::PluginSink;
use crate::delivery::plugin_sinks::PluginSinks;
use crate::delivery::problem::Problem;
use crate::delivery::upgrade::Upgrader;
use crate::delivery::{Connector, Connectors, Healthcheck, SinkContext};
use crate::outbox::ConnectorName;
use crate::plugin::{Engine, EngineOptions, Plugin, Registry};

use super::error::HostError;
use super::plan::{ConnectorPlan, Plan};
use super::reload::Diff;

/// One connector, built.
pub struct Built {
    /// For its lane.
    pub connector: Arc<Connector>,
    /// The same sink where a plugin writes the messages: it can preview.
    pub plugin: Option<Arc<PluginSink>>,
    /// The look that a sink of the program itself asked for at its building, until it is taken.
    look: Mutex<Option<Healthcheck>>,
}

/// Every connector, built, and what they share.
pub struct Sinks {
    /// What plugins run in.
    pub engine: Engine,
    /// Which version of each plugin is in use.
    pub registry: Registry,
    /// Puts other versions of plugins to use.
    pub upgrader: Upgrader,
    /// Makes further sinks, and checks configs.
    pub factory: PluginSinks,
    /// By name.
    pub connectors: BTreeMap<ConnectorName, Arc<Built>>,
    /// What works, but hardly as it was meant.
    pub warnings: Vec<ConfigError>,
}

impl Sinks {
    /// Loads the plugins and builds every connector. Reads files, opens no connection, spawns no task.
    pub async fn build(plan: &Plan, clock: &Clock, links: Arc<dyn Links>) -> Result<Sinks, HostError> {
        let upgrader = load_plugins(plan, clock).await?;
        let (engine, registry) = (upgrader.engine().clone(), upgrader.registry().clone());
        let http = HttpClient::new(&Proxy::Environment).map_err(|error| HostError::Start(error.to_string()))?;
        let factory = PluginSinks::new(registry.clone(), &plan.plugins, http, links);
        let mut sinks = Sinks { engine, registry, upgrader, factory, connectors: BTreeMap::new(), warnings: Vec::new() };
        let mut errors = Vec::new();
        for (name, connector) in &plan.connectors {
            match sinks.connector(name, connector, clock, None).await {
                Ok((built, warnings)) => {
                    sinks.warnings.extend(place(plan, name, warnings));
                    sinks.connectors.insert(name.clone(), Arc::new(built));
                }
                Err(problems) => errors.extend(place(plan, name, problems)),
            }
        }
        ConfigErrors::check(errors)?;
        sinks.upgrader.set_sinks(sinks.of_plugins());
        Ok(sinks)
    }

    /// Those of a config that was read anew: what has not changed stays, the rest is built. `plugins` are versions that are about to be used,
    /// and check the connectors in place of those in use. Changes nothing that is in use.
    pub(super) async fn rebuild(
        &self,
        plan: &Plan,
        changes: &Diff,
        plugins: &BTreeMap<String, Plugin>,
        clock: &Clock,
    ) -> Result<Sinks, HostError> {
        let changed: HashSet<&str> = changes.names().collect();
        let (mut connectors, mut warnings, mut errors) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (name, connector) in &plan.connectors {
            let plugin = match connector {
                ConnectorPlan::Plugin(config) => plugins.get(config.kind()),
                ConnectorPlan::Native(_) => None,
            };
            let built = match self.connectors.get(name).filter(|_| !changed.contains(&**name)) {
                Some(built) => built.check_with(plugin).map(|()| (Arc::clone(built), Vec::new())),
                None => self.connector(name, connector, clock, plugin).await.map(|(built, warnings)| (Arc::new(built), warnings)),
            };
            match built {
                Ok((built, told)) => {
                    warnings.extend(place(plan, name, told));
                    connectors.insert(name.clone(), built);
                }
                Err(problems) => errors.extend(place(plan, name, problems)),
            }
        }
        ConfigErrors::check(errors)?;
        let Sinks { engine, registry, upgrader, factory, .. } = self;
        let (engine, registry, upgrader, factory) = (engine.clone(), registry.clone(), upgrader.clone(), factory.clone());
        Ok(Sinks { engine, registry, upgrader, factory, connectors, warnings })
    }

    /// The sinks whose messages plugins write.
    pub(super) fn of_plugins(&self) -> Vec<Arc<PluginSink>> {
        self.connectors.values().filter_map(|built| built.plugin.clone()).collect()
    }

    async fn connector(
        &self,
        name: &ConnectorName,
        plan: &ConnectorPlan,
        clock: &Clock,
        plugin: Option<&Plugin>,
    ) -> Result<(Built, Vec<Problem>), Vec<Problem>> {
        match plan {
            ConnectorPlan::Plugin(config) => {
                let built = match plugin {
                    Some(plugin) => self.factory.build_with(plugin, name.clone(), config.clone())?,
                    None => self.factory.build(name.clone(), config.clone())?,
                };
                let sink = Arc::new(built);
                let warnings = sink.warnings();
                let connector = Arc::new(Connector { name: name.clone(), sink: sink.clone(), policy: config.policy(name) });
                Ok((Built { connector, plugin: Some(sink), look: Mutex::default() }, warnings))
            }
            ConnectorPlan::Native(native) => {
                let cx = SinkContext { connector: name.clone(), clock: clock.clone() };
                let (sink, look) = native.sink.build(cx).await.map_err(|reason| vec![Problem::at(&[], reason.text)])?;
                let policy = native.delivery.policy(name, native.zone.clone());
                let connector = Arc::new(Connector { name: name.clone(), sink: sink.into(), policy });
                Ok((Built { connector, plugin: None, look: Mutex::new(Some(look)) }, Vec::new()))
            }
        }
    }

    /// One healthcheck for each receiver, by the name of a connector that leads to it.
    pub fn healthchecks(&self) -> Vec<(ConnectorName, Healthcheck)> {
        self.healthchecks_of(|_| true)
    }

    /// As [`Sinks::healthchecks`], of some connectors.
    pub fn healthchecks_of(&self, wanted: impl Fn(&str) -> bool) -> Vec<(ConnectorName, Healthcheck)> {
        let mut seen = HashSet::new();
        let mut checks = Vec::new();
        for (name, built) in self.connectors.iter().filter(|(name, _)| wanted(name)) {
            if built.receiver().is_none_or(|receiver| seen.insert(receiver)) {
                checks.extend(built.healthcheck().map(|check| (name.clone(), check)));
            }
        }
        checks
    }

    /// For the dispatcher.
    pub fn for_lanes(&self) -> Connectors {
        self.connectors.iter().map(|(name, built)| (name.clone(), built.connector.clone())).collect()
    }
}

impl Built {
    /// Whether a version that is about to be used takes its config.
    fn check_with(&self, plugin: Option<&Plugin>) -> Result<(), Vec<Problem>> {
        match (&self.plugin, plugin) {
            (Some(sink), Some(plugin)) => sink.check_with(plugin),
            _ => Ok(()),
        }
    }

    /// Looks whether the receiver can be reached. `None` where there is nothing to look at, or the look was taken already.
    pub fn healthcheck(&self) -> Option<Healthcheck> {
        match &self.plugin {
            Some(sink) => Some(sink.healthcheck()),
            None => self.look.lock().unwrap_or_else(PoisonError::into_inner).take(),
        }
    }

    /// What connectors with the same receiver have in common: one look is enough for all of them.
    fn receiver(&self) -> Option<String> {
        let url = url::Url::parse(&self.plugin.as_ref()?.config().redacted_url()).ok()?;
        Some(format!("{}://{}:{}", url.scheme(), url.host_str()?, url.port_or_known_default()?))
    }
}

async fn load_plugins(plan: &Plan, clock: &Clock) -> Result<Upgrader, HostError> {
    let (configs, base, clock) = (plan.plugins.clone(), plan.document.base().to_owned(), clock.clone());
    let loaded = tokio::task::spawn_blocking(move || {
        let engine = Engine::new(EngineOptions::default()).map_err(|error| HostError::Start(error.to_string()))?;
        Ok::<_, HostError>(Upgrader::open(engine, configs, &base, clock).map_err(LoadFailures))
    });
    let upgrader = loaded.await.map_err(|error| HostError::Start(format!("the plugins could not be loaded: {error}")))??;
    upgrader.map_err(|LoadFailures(failures)| {
        let errors = failures.into_iter().map(|(name, error)| plan.document.error(&["plugins", &name, "path"], error.to_string()));
        HostError::Config(ConfigErrors(errors.collect()))
    })
}

/// Plugins that did not load, each with its reason.
struct LoadFailures(Vec<(String, crate::plugin::LoadError)>);

/// Problems of a connector, with their places in the config.
fn place(plan: &Plan, connector: &str, problems: Vec<Problem>) -> Vec<ConfigError> {
    let place = |problem: Problem| {
        let keys = problem.keys();
        let path: Vec<&str> = ["connectors", connector].into_iter().chain(keys.iter().map(String::as_str)).collect();
        plan.document.error(&path, problem.text)
    };
    problems.into_iter().map(place).collect()
}
