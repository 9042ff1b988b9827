//! Makes the sinks of connectors whose messages plugins write, and checks their configs.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use url::Url;

use super::connector::ConnectorConfig;
use super::http::HttpClient;
use super::links::Links;
use super::plugin_sink::PluginSink;
use super::problem::Problem;
use super::schema::{Schemas, Split};
use crate::config::hint;
use crate::plugin::{CallError, Plugin, PluginConfig, Registry, wit};

/// What all connectors share; makes their sinks.
#[derive(Clone)]
pub struct PluginSinks(Arc<Shared>);

struct Shared {
    registry: Registry,
    /// Replaced when the config is read anew: sinks that stay see it too.
    settings: ArcSwap<Settings>,
    http: HttpClient,
    schemas: Arc<Schemas>,
}

struct Settings {
    allow: BTreeMap<String, Arc<[Url]>>,
    links: Arc<dyn Links>,
}

impl Settings {
    fn new(plugins: &BTreeMap<String, PluginConfig>, links: Arc<dyn Links>) -> Settings {
        let allow = plugins.iter().map(|(name, config)| (name.clone(), config.allow.as_slice().into())).collect();
        Settings { allow, links }
    }
}

impl PluginSinks {
    /// With the plugins of a config: their versions from the registry, their `allow` prefixes from their configs.
    pub fn new(registry: Registry, plugins: &BTreeMap<String, PluginConfig>, http: HttpClient, links: Arc<dyn Links>) -> Self {
        let settings = ArcSwap::from_pointee(Settings::new(plugins, links));
        PluginSinks(Arc::new(Shared { registry, settings, http, schemas: Arc::default() }))
    }

    /// The same with other links on messages: for a preview.
    pub fn with_links(&self, links: Arc<dyn Links>) -> Self {
        let Shared { registry, settings, http, schemas } = &*self.0;
        let settings = ArcSwap::from_pointee(Settings { allow: settings.load().allow.clone(), links });
        PluginSinks(Arc::new(Shared { registry: registry.clone(), settings, http: http.clone(), schemas: Arc::clone(schemas) }))
    }

    /// Takes the `allow` prefixes and the links of a config that was read anew, for all sinks at once.
    pub fn set(&self, plugins: &BTreeMap<String, PluginConfig>, links: Arc<dyn Links>) {
        self.0.settings.store(Arc::new(Settings::new(plugins, links)));
    }

    /// Makes a connector's sink, or says everything that is wrong with the plugin's part of its config. Looks nothing up on the network.
    pub fn build(&self, name: Arc<str>, config: Arc<ConnectorConfig>) -> Result<PluginSink, Vec<Problem>> {
        let Some(plugin) = self.0.registry.current(config.kind()) else {
            let names = self.0.registry.names();
            let near = hint(config.kind(), &names.iter().map(String::as_str).collect::<Vec<_>>());
            return Err(vec![Problem::at(&["type"], format!("there is no plugin `{}`; {near}", config.kind()))]);
        };
        self.build_with(&plugin, name, config)
    }

    /// As [`PluginSinks::build`], checked by a version of the plugin that need not be in use yet.
    pub fn build_with(&self, plugin: &Plugin, name: Arc<str>, config: Arc<ConnectorConfig>) -> Result<PluginSink, Vec<Problem>> {
        let split = self.check(plugin, &config)?;
        Ok(PluginSink::new(self.clone(), name, config, plugin, split))
    }

    /// Checks a connector's config with one version of its plugin, in use or about to be: the schema, then the plugin's own check.
    pub fn check(&self, plugin: &Plugin, config: &ConnectorConfig) -> Result<Split, Vec<Problem>> {
        let split = self.split(plugin, config)?;
        let answer = match plugin.check(&split.config) {
            // A busy machine can keep one of thousands waiting beyond its deadline, and that must not keep a host from starting.
            Err(CallError::Busy | CallError::Deadline { .. }) => plugin.check(&split.config),
            answer => answer,
        };
        let problems = answer.map_err(|error| vec![Problem::at(&[], error.to_string())])?;
        if problems.is_empty() {
            return Ok(split);
        }
        Err(problems.into_iter().map(|wit::Problem { path, text }| Problem { pointer: path, text }).collect())
    }

    /// Which versions there are.
    pub(super) fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// What a plugin may name itself.
    pub(super) fn allow(&self, plugin: &str) -> Arc<[Url]> {
        self.0.settings.load().allow.get(plugin).cloned().unwrap_or_default()
    }

    /// The way out.
    pub(super) fn http(&self) -> &HttpClient {
        &self.0.http
    }

    /// Who makes the links.
    pub(crate) fn links(&self) -> Arc<dyn Links> {
        Arc::clone(&self.0.settings.load().links)
    }

    /// The config as a version sees it, or what its schema finds wrong with it.
    pub(super) fn split(&self, plugin: &Plugin, config: &ConnectorConfig) -> Result<Split, Vec<Problem>> {
        let schema = self.0.schemas.of(plugin).map_err(|error| vec![Problem::at(&[], error.to_string())])?;
        schema.read(config.plugin_part())
    }
}
