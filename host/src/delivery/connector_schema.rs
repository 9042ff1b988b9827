//! The JSON Schema of a connector's table in a config file: the host's keys and one plugin's, in one.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::connector::HostKeys;

/// The schema of a connector of this plugin, for editors and the `schema` command.
///
/// It is a schema of its own (`$id`), so that references within the plugin's schema lead where they led. Secrets may be given in place, or
/// as `{ env }` and `{ file }`.
pub fn connector_schema(plugin: &str, schema: &Value) -> Value {
    let mut merged = schema.as_object().cloned().unwrap_or_default();
    let host = host_keys();
    let mut properties = taken(&mut merged, "properties");
    properties.values_mut().for_each(allow_references);
    if let Some(Value::Object(keys)) = host.get("properties") {
        properties.extend(keys.clone());
    }
    properties.insert("type".into(), json!({ "const": plugin, "description": "The plugin that writes the messages." }));
    let mut required = merged.remove("required").and_then(|list| list.as_array().cloned()).unwrap_or_default();
    required.extend(host.get("required").and_then(Value::as_array).into_iter().flatten().cloned());
    merged.remove("$schema");
    merged.insert("$id".into(), format!("urn:incident-sink:connector:{plugin}").into());
    merged.insert("properties".into(), properties.into());
    merged.insert("required".into(), required.into());
    merged.into()
}

/// The host's keys, without references, so that they can stand in any schema.
fn host_keys() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<HostKeys>().to_value()
}

fn taken(schema: &mut Map<String, Value>, keyword: &str) -> Map<String, Value> {
    match schema.remove(keyword) {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

/// Lets every secret below a schema be named in place of given. Its own rules hold for what is given in place.
fn allow_references(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    if members.get("writeOnly") == Some(&Value::Bool(true)) {
        let named = |key: &str| json!({ "type": "object", "properties": { key: { "type": "string" } }, "required": [key], "additionalProperties": false });
        let description = members.get("description").cloned();
        let mut choice = json!({ "anyOf": [schema.take(), named("env"), named("file")], "writeOnly": true });
        if let (Some(choice), Some(description)) = (choice.as_object_mut(), description) {
            choice.insert("description".into(), description);
        }
        *schema = choice;
    } else if let Some(Value::Object(below)) = members.get_mut("properties") {
        below.values_mut().for_each(allow_references);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Value {
        connector_schema(
            "chat",
            &json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false,
                "required": ["room"], "$defs": { "name": { "type": "string", "minLength": 2 } },
                "properties": {
                    "room": { "$ref": "#/$defs/name" },
                    "secret": { "type": "string", "writeOnly": true },
                    "app": { "type": "object", "properties": { "key": { "type": "string", "writeOnly": true } } }
                }
            }),
        )
    }

    #[test]
    fn a_config_file_is_judged_by_both_halves() {
        let schema = jsonschema::validator_for(&schema()).unwrap();
        let with = |extra: Value| {
            let mut table = json!({ "type": "chat", "url": { "env": "URL" }, "room": "ops" });
            table.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            schema.is_valid(&table)
        };
        assert!(with(json!({ "secret": { "file": "s" }, "timezone": "UTC", "app": { "key": { "env": "K" } } })));
        assert!(with(json!({ "delivery": { "timeout": "5s", "pace": "none" }, "secret": "S" })));
        assert!(with(json!({ "delivery": { "pace": { "messages": 1, "window": "1m" } } })));
        assert!(!with(json!({ "room": "x" })), "the plugin's references hold");
        assert!(!with(json!({ "type": "other" })));
        assert!(!with(json!({ "delivery": { "timeot": "5s" } })));
        assert!(!with(json!({ "rom": "ops" })));
        assert!(!schema.is_valid(&json!({ "type": "chat", "room": "ops" })), "a connector has a URL");
    }
}
