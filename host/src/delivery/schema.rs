//! A plugin's schema, compiled: checks the plugin's part of a connector's config and takes the secrets out of it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jsonschema::PatternOptions;
use jsonschema::error::{TypeKind, ValidationError, ValidationErrorKind};
use serde_json::{Map, Value};

use super::connector::HOST_KEYS;
use super::problem::{Problem, escape};
use crate::config::unknown_key;
use crate::plugin::Plugin;
use crate::secret::Secret;

/// So many parts of a schema may apply to one value; more is no schema that people write.
const MAX_PARTS: usize = 256;

/// So many compiled schemas are kept.
const MAX_VERSIONS: usize = 64;

/// One plugin version's schema.
pub struct PluginSchema {
    schema: Value,
    validator: jsonschema::Validator,
}

impl fmt::Debug for PluginSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PluginSchema").field(&self.schema).finish()
    }
}

/// The plugin's part of a config, in two halves that never meet again.
pub struct Split {
    /// What `begin` and `resume` see: canonical JSON without a secret.
    pub config: Box<str>,
    /// What `sign` sees: `writeOnly` members by JSON Pointer.
    pub secrets: Vec<(Box<str>, Secret)>,
}

impl fmt::Debug for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointers: Vec<&str> = self.secrets.iter().map(|(pointer, _)| &**pointer).collect();
        f.debug_struct("Split").field("config", &self.config).field("secrets", &pointers).finish()
    }
}

/// A schema that is none.
#[derive(Debug, thiserror::Error)]
#[error("the plugin's config schema cannot be used: {0}")]
pub struct SchemaError(String);

impl PluginSchema {
    /// Compiles it. Nothing is fetched: a reference leads to the schema itself. Patterns are matched in linear time.
    pub fn new(schema: &Value) -> Result<PluginSchema, SchemaError> {
        let options = jsonschema::options().with_draft(jsonschema::Draft::Draft202012).with_pattern_options(PatternOptions::regex());
        let validator = options.build(schema).map_err(|error| SchemaError(error.to_string()))?;
        Ok(PluginSchema { schema: schema.clone(), validator })
    }

    /// Checks a connector's keys without the host's, and splits them. Problems show no value.
    pub fn read(&self, part: Map<String, Value>) -> Result<Split, Vec<Problem>> {
        let mut value = Value::Object(part);
        let problems: Vec<Problem> = self.validator.iter_errors(&value).flat_map(|error| self.problems(&error)).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut secrets = Vec::new();
        self.take_secrets(&mut value, vec![&self.schema], &mut String::new(), &mut secrets);
        value.sort_all_objects();
        Ok(Split { config: value.to_string().into(), secrets })
    }

    fn problems(&self, error: &ValidationError<'_>) -> Vec<Problem> {
        let pointer = error.instance_path().as_str();
        let one = |text: String| vec![Problem { pointer: pointer.to_owned(), text }];
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                let mut known = self.known_keys(error.schema_path().as_str());
                if pointer.is_empty() {
                    known.extend(HOST_KEYS);
                }
                let problem = |key: &String| Problem { pointer: format!("{pointer}/{}", escape(key)), text: unknown_key(key, &known) };
                unexpected.iter().map(problem).collect()
            }
            ValidationErrorKind::Required { property } => one(format!("`{}` is missing", property.as_str().unwrap_or_default())),
            ValidationErrorKind::Type { kind } => one(format!("expected {}", types(kind))),
            ValidationErrorKind::Enum { options } => {
                let options: Vec<String> = options.as_array().into_iter().flatten().map(Value::to_string).collect();
                one(format!("expected one of {}", options.join(", ")))
            }
            ValidationErrorKind::Constant { expected_value } => one(format!("expected {expected_value}")),
            ValidationErrorKind::Pattern { pattern } => one(format!("the value does not match the pattern {pattern}")),
            _ => one(error.masked_with("the value").to_string()),
        }
    }

    /// The properties beside the keyword that found an unknown one.
    fn known_keys(&self, keyword: &str) -> Vec<&str> {
        let parent = keyword.rsplit_once('/').map_or("", |(parent, _)| parent);
        let properties = self.schema.pointer(parent).and_then(|schema| schema.get("properties")).and_then(Value::as_object);
        properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str)).collect()
    }

    /// Moves every member that some applicable part of the schema calls `writeOnly` out of the value.
    fn take_secrets<'s>(&'s self, value: &mut Value, schemas: Vec<&'s Value>, pointer: &mut String, secrets: &mut Vec<(Box<str>, Secret)>) {
        let parts = self.applicable(schemas);
        let mut below = |child: &mut Value, segment: &str, schemas: Vec<&'s Value>| -> bool {
            let length = pointer.len();
            pointer.push('/');
            pointer.push_str(segment);
            let parts = self.applicable(schemas);
            let secret = parts.iter().any(|part| part.get("writeOnly") == Some(&Value::Bool(true)));
            if secret {
                secrets.extend(secret_text(child).map(|text| (pointer.as_str().into(), text)));
            } else {
                self.take_secrets(child, parts, pointer, secrets);
            }
            pointer.truncate(length);
            secret
        };
        match value {
            Value::Object(members) => members.retain(|key, child| !below(child, &escape(key), member_schemas(&parts, key))),
            // An item stays as null, so that the others keep their places.
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    if below(item, &index.to_string(), item_schemas(&parts, index)) {
                        *item = Value::Null;
                    }
                }
            }
            _ => {}
        }
    }

    /// Every part of the schema that may say something of the same value: references followed, branches taken, all of them.
    fn applicable<'s>(&'s self, schemas: Vec<&'s Value>) -> Vec<&'s Value> {
        let mut parts: Vec<&Value> = Vec::new();
        let mut open = schemas;
        while let Some(schema) = open.pop() {
            if parts.len() == MAX_PARTS || parts.iter().any(|part| std::ptr::eq(*part, schema)) {
                continue;
            }
            parts.push(schema);
            let reference = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
            open.extend(reference.and_then(|pointer| self.schema.pointer(pointer)));
            for list in ["allOf", "anyOf", "oneOf"] {
                open.extend(schema.get(list).and_then(Value::as_array).into_iter().flatten());
            }
            open.extend(["if", "then", "else"].iter().filter_map(|keyword| schema.get(*keyword)));
            open.extend(schema.get("dependentSchemas").and_then(Value::as_object).into_iter().flat_map(|schemas| schemas.values()));
        }
        parts
    }
}

/// The schemas of the plugin versions in use, each compiled once.
#[derive(Debug, Default)]
pub struct Schemas(Mutex<HashMap<String, Arc<PluginSchema>>>);

impl Schemas {
    /// The schema of one version.
    pub fn of(&self, plugin: &Plugin) -> Result<Arc<PluginSchema>, SchemaError> {
        if let Some(known) = self.table().get(plugin.digest()) {
            return Ok(Arc::clone(known));
        }
        let schema = Arc::new(PluginSchema::new(&plugin.descriptor().config_schema)?);
        let mut table = self.table();
        // Versions come and go; the few in use are compiled again at once.
        if table.len() >= MAX_VERSIONS {
            table.clear();
        }
        table.insert(plugin.digest().to_owned(), Arc::clone(&schema));
        Ok(schema)
    }

    fn table(&self) -> MutexGuard<'_, HashMap<String, Arc<PluginSchema>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn member_schemas<'s>(parts: &[&'s Value], key: &str) -> Vec<&'s Value> {
    let mut schemas = Vec::new();
    for part in parts {
        schemas.extend(part.get("properties").and_then(|properties| properties.get(key)));
        // Which pattern matches is left open: a secret too many is safe, one too few is not.
        schemas.extend(part.get("patternProperties").and_then(Value::as_object).into_iter().flat_map(|patterns| patterns.values()));
        schemas.extend(["additionalProperties", "unevaluatedProperties"].iter().filter_map(|keyword| part.get(*keyword)));
    }
    schemas
}

fn item_schemas<'s>(parts: &[&'s Value], index: usize) -> Vec<&'s Value> {
    let mut schemas = Vec::new();
    for part in parts {
        schemas.extend(part.get("prefixItems").and_then(|items| items.get(index)));
        schemas.extend(["items", "contains", "unevaluatedItems"].iter().filter_map(|keyword| part.get(*keyword)));
    }
    schemas
}

/// A secret as text; anything but text as JSON. Null is no secret.
fn secret_text(value: &mut Value) -> Option<Secret> {
    match value.take() {
        Value::Null => None,
        Value::String(text) => Some(Secret::new(text)),
        other => Some(Secret::new(other.to_string())),
    }
}

fn types(kind: &TypeKind) -> String {
    let one = |kind: String| match kind.as_str() {
        "string" => "a text".to_owned(),
        "integer" => "a whole number".to_owned(),
        "number" => "a number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "object" => "a table".to_owned(),
        "array" => "a list".to_owned(),
        _ => kind,
    };
    match kind {
        TypeKind::Single(kind) => one(kind.to_string()),
        TypeKind::Multiple(kinds) => kinds.iter().map(|kind| one(kind.to_string())).collect::<Vec<_>>().join(" or "),
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
