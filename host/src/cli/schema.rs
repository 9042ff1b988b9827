//! `schema`: the JSON Schema of a whole config, the installed plugins' parts included.

use std::path::PathBuf;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{Failure, output};
use crate::config::{Admin, Document, Ilert, Log, Otlp, Server};
use crate::delivery::connector_schema::connector_schema;
use crate::outbox::sqlite::SqliteConfig;
use crate::plugin::{Engine, EngineOptions, PluginConfig, Registry};
use crate::route::ActionConfig;
use crate::source::alertmanager_webhook::AlertmanagerWebhookConfig;
use crate::source::ilert_webhook::IlertWebhookConfig;
use crate::source::ndjson::NdjsonConfig;

/// Arguments of `schema`.
#[derive(Debug, clap::Args)]
pub(super) struct SchemaArgs {
    /// A config whose plugins' schemas are to be in it.
    #[arg(long, short, value_name = "FILE", env = "INCIDENT_SINK_CONFIG")]
    config: Option<PathBuf>,
    /// A plugin whose schema is to be in it; may be given several times.
    #[arg(long = "plugin", value_name = "NAME=FILE")]
    plugins: Vec<String>,
}

/// Prints the schema.
pub(super) fn schema(args: &SchemaArgs) -> Result<(), Failure> {
    let mut connectors = Vec::new();
    let registry = load(args)?;
    for name in registry.names() {
        if let Some(plugin) = registry.current(&name) {
            connectors.push(connector_schema(&name, &plugin.descriptor().config_schema));
        }
    }
    output::say_json(&whole(connectors))
}

fn load(args: &SchemaArgs) -> Result<Registry, Failure> {
    let mut base = PathBuf::from(".");
    let mut configs = std::collections::BTreeMap::new();
    if let Some(file) = args.config.clone().or_else(|| Some(PathBuf::from("incident-sink.toml")).filter(|file| file.exists())) {
        let document = Document::load(&file)?;
        document.base().clone_into(&mut base);
        for name in document.keys(&["plugins"]) {
            if let Some(config) = document.get::<PluginConfig>(&["plugins", &name]).map_err(|error| Failure::Config(error.to_string()))? {
                configs.insert(name, config);
            }
        }
    }
    for given in &args.plugins {
        let (name, file) = given.split_once('=').ok_or_else(|| Failure::Config(format!("--plugin {given}: expected NAME=FILE")))?;
        let file = std::path::absolute(file).map_err(|error| Failure::Config(format!("{file}: {error}")))?;
        configs.insert(name.to_owned(), PluginConfig::at(file));
    }
    let engine = Engine::new(EngineOptions::default()).map_err(|error| Failure::Failed(error.to_string()))?;
    Registry::load(&engine, &configs, &base).map_err(|errors| {
        let lines: Vec<String> = errors.into_iter().map(|(name, error)| format!("plugins.{name}: {error}")).collect();
        Failure::Config(lines.join("\n"))
    })
}

/// One section, with all that it needs in it; secrets may be named in place of given, as anywhere.
fn section<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(members) = schema.as_object_mut() {
        members.remove("$schema");
    }
    schema
}

/// A section that is chosen by its `type`.
fn tagged(kind: &str, mut schema: Value) -> Value {
    if let Some(members) = schema.as_object_mut() {
        let properties = members.entry("properties").or_insert_with(|| Value::Object(Map::new()));
        if let Some(properties) = properties.as_object_mut() {
            properties.insert("type".to_owned(), json!({ "const": kind }));
        }
        let required = members.entry("required").or_insert_with(|| json!([]));
        if let Some(required) = required.as_array_mut() {
            required.push(json!("type"));
        }
    }
    schema
}

fn whole(connectors: Vec<Value>) -> Value {
    let named = |schema: Value| json!({ "type": "object", "additionalProperties": schema });
    let sources = [
        tagged("ilert_webhook", section::<IlertWebhookConfig>()),
        tagged("alertmanager_webhook", section::<AlertmanagerWebhookConfig>()),
        tagged("ndjson", section::<NdjsonConfig>()),
        #[cfg(feature = "nats")]
        tagged("nats", section::<crate::source::nats::NatsConfig>()),
    ];
    let outboxes = [
        tagged("sqlite", section::<SqliteConfig>()),
        #[cfg(feature = "postgres")]
        tagged("postgres", section::<crate::outbox::postgres::PostgresConfig>()),
    ];
    let connector = if connectors.is_empty() { json!({ "type": "object", "required": ["type"] }) } else { json!({ "oneOf": connectors }) };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "incident-sink",
        "description": "The config of incident-sink.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "$schema": { "type": "string" },
            "server": section::<Server>(),
            "admin": section::<Admin>(),
            "outbox": json!({ "oneOf": outboxes }),
            "ilert": section::<Ilert>(),
            "log": section::<Log>(),
            "otlp": section::<Otlp>(),
            "plugins": named(section::<PluginConfig>()),
            "sources": named(json!({ "oneOf": sources })),
            "connectors": named(connector),
            "actions": { "type": "array", "items": section::<ActionConfig>() },
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_takes_the_designs_config_and_finds_a_wrong_key() {
        let schema = jsonschema::validator_for(&whole(Vec::new())).expect("the schema is one");
        let mut config = json!({
            "server": { "listen": "127.0.0.1:8740" },
            "outbox": { "type": "sqlite", "path": "incident-sink.db" },
            "ilert": { "api_key": { "env": "ILERT_API_KEY" }, "reconcile_interval": "5m" },
            "plugins": { "chat": { "path": "plugins/chat.wasm" } },
            "sources": { "ilert": { "type": "ilert_webhook", "path": "/webhooks/ilert", "username": "ilert", "password": { "env": "P" } } },
            "connectors": { "ops": { "type": "chat", "url": "https://chat.example/send" } },
            "actions": [{ "connector": "ops", "alert_sources": [2101194, "Zabbix"], "events": ["created"], "priorities": ["HIGH"] }]
        });
        let errors: Vec<String> = schema.iter_errors(&config).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new());
        config["server"]["listn"] = json!("x");
        assert!(!schema.is_valid(&config));
    }
}
