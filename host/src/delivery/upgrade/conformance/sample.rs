//! A config that a schema allows, made of its own examples and defaults. Pure.

use serde_json::{Map, Value, json};

/// How deep a schema is followed.
const DEPTH: usize = 8;

/// The smallest config: what is required, and the secrets, so that they are tried too.
pub(super) fn of(schema: &Value) -> Value {
    value(schema, schema, DEPTH)
}

fn value(root: &Value, schema: &Value, depth: usize) -> Value {
    let schema = resolve(root, schema);
    let given = schema
        .get("const")
        .or_else(|| schema.get("default"))
        .or_else(|| schema.pointer("/examples/0"))
        .or_else(|| schema.pointer("/enum/0"));
    if let Some(given) = given {
        return given.clone();
    }
    match schema.get("type").and_then(Value::as_str) {
        _ if depth == 0 => Value::Null,
        Some("object") => object(root, schema, depth - 1),
        Some("array") => {
            let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0).min(8);
            let item = schema.get("items").cloned().unwrap_or_default();
            (0..least).map(|_| value(root, &item, depth - 1)).collect()
        }
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(false),
        Some("null") => Value::Null,
        _ => text(schema),
    }
}

fn object(root: &Value, schema: &Value, depth: usize) -> Value {
    let required: Vec<&str> = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let wanted = |key: &str, schema: &Value| required.contains(&key) || resolve(root, schema).get("writeOnly") == Some(&json!(true));
    let members = properties.into_iter().flatten().filter(|(key, schema)| wanted(key, schema));
    members.map(|(key, schema)| (key.clone(), value(root, schema, depth))).collect::<Map<String, Value>>().into()
}

/// A text that is long enough. What a pattern or a format asks for, only an example can say.
fn text(schema: &Value) -> Value {
    let least = schema.get("minLength").and_then(Value::as_u64).and_then(|least| usize::try_from(least).ok()).unwrap_or(0);
    Value::from("conformance".repeat(least.min(4096) / 11 + 1))
}

/// Follows references within the schema, a few.
fn resolve<'v>(root: &'v Value, schema: &'v Value) -> &'v Value {
    let follow = |schema: &'v Value| root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?);
    (0..DEPTH).try_fold(schema, |schema, _| follow(schema).ok_or(schema)).unwrap_or_else(|end| end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_required_or_secret_is_filled_in() {
        let schema = json!({
            "type": "object", "required": ["room", "level", "tags"], "$defs": { "name": { "type": "string", "minLength": 20 } },
            "properties": {
                "room": { "$ref": "#/$defs/name" },
                "level": { "enum": ["low", "high"] },
                "tags": { "type": "array", "minItems": 2, "items": { "type": "integer", "minimum": 7 } },
                "secret": { "type": "string", "writeOnly": true, "examples": ["SEC1"] },
                "optional": { "type": "string" }
            }
        });
        let config = of(&schema);
        assert!(jsonschema::is_valid(&schema, &config), "{config}");
        assert_eq!((&config["level"], &config["tags"], &config["secret"]), (&json!("low"), &json!([7, 7]), &json!("SEC1")));
        assert!(config.get("optional").is_none());
    }

    #[test]
    fn a_schema_without_end_has_a_sample() {
        let schema = json!({ "type": "object", "required": ["a"], "properties": { "a": { "$ref": "#" } } });
        assert!(of(&schema).is_object());
        assert!(of(&json!({ "$ref": "#" })).is_string());
    }
}
