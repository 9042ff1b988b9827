//! A connector's config as text to play with: its secrets are not shown, and stand for themselves.

use serde_json::{Map, Value};

use super::super::preview::HIDDEN;
use crate::config::{Document, names_a_secret};
use crate::host::Control;
use crate::plugin::Plugin;

/// The config of a connector, in TOML. `None` where there is no such connector.
pub(super) fn of_connector(control: &Control, name: &str) -> Option<String> {
    let plan = control.plan();
    let mut table = plan.document.value(&["connectors", name])?.into_owned();
    let table = table.as_object_mut()?;
    let kind = table.get("type").and_then(Value::as_str).unwrap_or_default();
    let plugin = control.sinks().registry.current(kind);
    hide(&plan.document, plugin.as_ref(), table, "");
    toml::to_string(table).ok()
}

/// A config for a plugin that no connector uses yet.
pub(super) fn of_plugin(kind: &str) -> String {
    format!("type = {}\nurl = \"{HIDDEN}\"\n", Value::from(kind))
}

/// Hides what the plugin's schema, a key's name, the environment or a file says is secret.
fn hide(document: &Document, plugin: Option<&Plugin>, table: &mut Map<String, Value>, place: &str) {
    for (key, value) in table {
        let pointer = format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"));
        let declared = plugin.is_some_and(|plugin| plugin.descriptor().secrets.contains(&pointer));
        let filled = |text: &str| document.secrets().iter().any(|secret| secret.expose() == text);
        match value {
            _ if declared || names_a_secret(key) => *value = Value::from(HIDDEN),
            Value::String(text) if filled(text) => *value = Value::from(HIDDEN),
            Value::Object(inner) => hide(document, plugin, inner, &pointer),
            Value::Array(items) => items.iter_mut().for_each(|item| {
                if item.as_str().is_some_and(filled) {
                    *item = Value::from(HIDDEN);
                } else if let Value::Object(inner) = item {
                    hide(document, plugin, inner, &pointer);
                }
            }),
            _ => {}
        }
    }
}

/// Reads a config that somebody typed: one connector's table, with or without its heading. Nothing is taken from the environment or a file.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let value: Value = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| error.to_string())?
    } else {
        toml::from_str(text).map_err(|error| error.to_string())?
    };
    match value.get("connectors").and_then(Value::as_object) {
        Some(connectors) => connectors.values().next().cloned().ok_or_else(|| "there is no connector in it".to_owned()),
        None => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Format;

    #[test]
    fn secrets_are_hidden_wherever_they_come_from() {
        let text = "[connectors.ops]\ntype = \"x\"\nurl = \"https://a/?t=1\"\nlanguage = { env = \"LANGUAGE_OF_OPS\" }\nsecret = \"SEC\"\n\
                    plain = \"seen\"\n[connectors.ops.deep]\napi_key = \"k\"\nn = 1\n";
        let document = Document::parse(text, Format::Toml, "t", std::path::Path::new(""), &|_| Some("from outside".into())).unwrap();
        let mut table = document.value(&["connectors", "ops"]).unwrap().as_object().unwrap().clone();
        hide(&document, None, &mut table, "");
        let shown = toml::to_string(&table).unwrap();
        for hidden in ["https://a", "from outside", "SEC", "\"k\""] {
            assert!(!shown.contains(hidden), "{hidden}\n{shown}");
        }
        assert!(shown.contains("seen") && shown.contains("n = 1"), "{shown}");
        assert_eq!(read(&shown).unwrap()["deep"]["n"], 1, "it reads back");
    }

    #[test]
    fn a_typed_config_may_have_its_heading_or_be_json() {
        for text in ["type = \"x\"", "[connectors.ops]\ntype = \"x\"", "{\"type\": \"x\"}"] {
            assert_eq!(read(text).unwrap()["type"], "x");
        }
        assert!(read("type = ").unwrap_err().contains("line 1"));
    }
}
