//! A config, read whole and checked without touching anything: no file, no socket, no task.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;

use crate::config::{ConfigError, ConfigErrors, Document, Settings};
use crate::delivery::SinkConfig;
use crate::delivery::connector::ConnectorConfig;
use crate::outbox::sqlite::SqliteConfig;
use crate::outbox::{ConnectorName, OutboxConfig};
use crate::plugin::PluginConfig;
use crate::route::ActionConfig;
use crate::source::ndjson::NdjsonConfig;
use crate::source::{SourceConfig, SourceScope};

use super::native::NativeConnector;

/// The source that every config has.
const STDIN: &str = "stdin";

/// Everything that a config asks for. What needs a look at the world (a plugin's schema, a file, an address) is checked when it is built.
#[derive(Debug)]
pub struct Plan {
    /// The config that it came from, for the places of later errors.
    pub document: Document,
    /// The host's own sections.
    pub settings: Settings,
    /// `[outbox]`
    pub outbox: Box<dyn OutboxConfig>,
    /// `[plugins.*]`
    pub plugins: BTreeMap<String, PluginConfig>,
    /// `[sources.*]`
    pub sources: BTreeMap<String, Box<dyn SourceConfig>>,
    /// `[connectors.*]`
    pub connectors: BTreeMap<ConnectorName, ConnectorPlan>,
    /// `[[actions]]`
    pub actions: Vec<ActionConfig>,
    /// What works, but hardly as it was meant.
    pub warnings: Vec<ConfigError>,
}

/// One connector, read.
#[derive(Debug)]
pub enum ConnectorPlan {
    /// A plugin writes its messages.
    Plugin(Arc<ConnectorConfig>),
    /// A sink of the program itself does.
    Native(NativeConnector),
}

impl Plan {
    /// Leaves only the named sources; all of them where none is named. `stdin` need not be in the config: then it is an `ndjson` source.
    /// An `Err` says which source there is not.
    pub fn keep_sources(&mut self, named: &[String]) -> Result<(), String> {
        if named.is_empty() {
            return Ok(());
        }
        if named.iter().any(|name| name == STDIN) {
            self.sources.entry(STDIN.to_owned()).or_insert_with(|| Box::new(NdjsonConfig::default()));
        }
        if let Some(unknown) = named.iter().find(|name| !self.sources.contains_key(*name)) {
            let known: Vec<&str> = self.sources.keys().map(String::as_str).chain([STDIN]).collect();
            return Err(format!("there is no source `{unknown}`; {}", crate::config::hint(unknown, &known)));
        }
        self.sources.retain(|name, _| named.contains(name));
        Ok(())
    }

    /// Reads a config. Finds as many errors as it can, in the order of the text.
    pub fn read(document: Document) -> Result<Plan, ConfigErrors> {
        let mut reader = Reader { document: &document, errors: Vec::new(), warnings: Vec::new() };
        let settings = reader.settings();
        let outbox = reader.outbox();
        let plugins = reader.plugins();
        let sources = reader.sources(settings.as_ref());
        let connectors = reader.connectors(&plugins);
        let actions = reader.actions();
        let Reader { errors, warnings, .. } = reader;
        ConfigErrors::check(errors)?;
        let (Some(settings), Some(outbox)) = (settings, outbox) else {
            return Err(ConfigError::of_file(document.origin(), "the config cannot be read").into());
        };
        Ok(Plan { document, settings, outbox, plugins, sources, connectors, actions, warnings })
    }
}

struct Reader<'a> {
    document: &'a Document,
    errors: Vec<ConfigError>,
    warnings: Vec<ConfigError>,
}

impl Reader<'_> {
    fn settings(&mut self) -> Option<Settings> {
        Settings::read(self.document).map_err(|errors| self.errors.extend(errors.0)).ok()
    }

    fn keep<T>(&mut self, read: Result<T, ConfigError>) -> Option<T> {
        read.map_err(|error| self.errors.push(error)).ok()
    }

    fn outbox(&mut self) -> Option<Box<dyn OutboxConfig>> {
        let read = self.document.get::<Box<dyn OutboxConfig>>(&["outbox"]);
        let config = self.keep(read)?.unwrap_or_else(|| Box::new(SqliteConfig::default()));
        if let Err(text) = config.validate() {
            self.errors.push(self.document.error(&["outbox"], text));
        }
        Some(config)
    }

    fn plugins(&mut self) -> BTreeMap<String, PluginConfig> {
        let mut plugins = BTreeMap::new();
        for name in self.document.keys(&["plugins"]) {
            let read = self.document.get::<PluginConfig>(&["plugins", &name]);
            if let Some(config) = self.keep(read).flatten() {
                for error in config.validate() {
                    let path: Vec<&str> = ["plugins", &name].into_iter().chain(error.key.split('.')).collect();
                    self.errors.push(self.document.error(&path, error.text));
                }
                plugins.insert(name, config);
            }
        }
        plugins
    }

    fn sources(&mut self, settings: Option<&Settings>) -> BTreeMap<String, Box<dyn SourceConfig>> {
        let loopback = settings.is_none_or(|settings| settings.server.listen.ip().is_loopback());
        let mut sources: BTreeMap<String, Box<dyn SourceConfig>> = BTreeMap::new();
        let mut taken: HashMap<String, String> = HashMap::new();
        for name in self.document.keys(&["sources"]) {
            let read = self.document.get::<Box<dyn SourceConfig>>(&["sources", &name]);
            let Some(config) = self.keep(read).flatten() else { continue };
            if let Err(text) = config.validate(SourceScope { loopback }) {
                self.errors.push(self.document.error(&["sources", &name], text));
            }
            for path in config.paths() {
                if let Some(other) = taken.insert(path.to_owned(), name.clone()) {
                    let text = format!("the path {path} belongs to the source `{other}` already; give one of them another");
                    self.errors.push(self.document.error(&["sources", &name, "path"], text));
                }
            }
            sources.insert(name, config);
        }
        sources
    }

    fn connectors(&mut self, plugins: &BTreeMap<String, PluginConfig>) -> BTreeMap<ConnectorName, ConnectorPlan> {
        let mut connectors = BTreeMap::new();
        for name in self.document.keys(&["connectors"]) {
            if let Some(connector) = self.connector(&name, plugins) {
                connectors.insert(name.into(), connector);
            }
        }
        connectors
    }

    fn connector(&mut self, name: &str, plugins: &BTreeMap<String, PluginConfig>) -> Option<ConnectorPlan> {
        let table = self.document.value(&["connectors", name])?;
        let kind = table.get("type").and_then(Value::as_str).unwrap_or_default();
        let read = if kind.is_empty() || plugins.contains_key(kind) || !is_native(kind) {
            ConnectorConfig::parse(&table).map(|config| ConnectorPlan::Plugin(Arc::new(config)))
        } else {
            NativeConnector::parse(&table).map(ConnectorPlan::Native)
        };
        if !kind.is_empty() && !plugins.contains_key(kind) && !is_native(kind) {
            let known: Vec<&str> = plugins.keys().map(String::as_str).collect();
            let text = format!("there is no plugin `{kind}`; {}", crate::config::hint(kind, &known));
            self.errors.push(self.document.error(&["connectors", name, "type"], text));
        }
        read.map_err(|problems| {
            for problem in problems {
                let keys = problem.keys();
                let path: Vec<&str> = ["connectors", name].into_iter().chain(keys.iter().map(String::as_str)).collect();
                self.errors.push(self.document.error(&path, problem.text));
            }
        })
        .ok()
    }

    fn actions(&mut self) -> Vec<ActionConfig> {
        let mut actions = Vec::new();
        let connectors = self.document.keys(&["connectors"]);
        let known: Vec<&str> = connectors.iter().map(String::as_str).collect();
        let set: std::collections::HashSet<&str> = known.iter().copied().collect();
        let count = self.document.value(&["actions"]).map_or(0, |value| value.as_array().map_or(1, Vec::len));
        if count > 0 && self.document.value(&["actions"]).is_some_and(|value| !value.is_array()) {
            self.errors.push(self.document.error(&["actions"], "expected a list of tables: write [[actions]]"));
            return actions;
        }
        for index in (0..count).map(|index| index.to_string()) {
            let read = self.document.get::<ActionConfig>(&["actions", &index]);
            let Some(action) = self.keep(read).flatten() else { continue };
            if !set.contains(&*action.connector) {
                let text = format!("there is no connector `{}`; {}", action.connector, crate::config::hint(&action.connector, &known));
                self.errors.push(self.document.error(&["actions", &index, "connector"], text));
            }
            for text in action.warnings() {
                self.warnings.push(self.document.error(&["actions", &index], text));
            }
            actions.push(action);
        }
        actions
    }
}

/// Whether a type is one of the sinks that are compiled in: then its name is known, whatever else is missing.
fn is_native(kind: &str) -> bool {
    match serde_json::from_value::<Box<dyn SinkConfig>>(serde_json::json!({ "type": kind })) {
        Ok(_) => true,
        Err(error) => !error.to_string().starts_with("unknown variant"),
    }
}
