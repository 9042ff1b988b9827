//! Tests of a plugin's schema.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn schema() -> PluginSchema {
    PluginSchema::new(&json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["room"],
        "properties": {
            "room": { "type": "string", "minLength": 2 },
            "language": { "enum": ["en", "zh-CN"] },
            "secret": { "type": "string", "writeOnly": true, "pattern": "^S" },
            "app": { "$ref": "#/$defs/app" },
            "tokens": { "type": "array", "items": { "type": "string", "writeOnly": true } },
            "mixed": { "anyOf": [{ "type": "integer" }, { "type": "string", "writeOnly": true }] },
            "keys": { "type": "object", "additionalProperties": { "writeOnly": true } }
        },
        "$defs": { "app": {
            "type": "object", "additionalProperties": false,
            "properties": { "key": { "type": "string" }, "a/b": { "type": "integer", "writeOnly": true } }
        } }
    }))
    .unwrap()
}

fn read(part: Value) -> Result<Split, Vec<String>> {
    let Value::Object(part) = part else { unreachable!("tests pass tables") };
    schema().read(part).map_err(|problems| problems.iter().map(Problem::to_string).collect())
}

fn problems(part: Value) -> Vec<String> {
    read(part).unwrap_err()
}

#[test]
fn secrets_leave_the_config_at_any_depth() {
    let split = read(json!({
        "secret": "S1", "room": "ops", "app": { "key": "k", "a/b": 7 }, "tokens": ["t0", "t1"], "mixed": "m", "keys": { "x": "k1" },
    }))
    .unwrap();
    assert_eq!(&*split.config, r#"{"app":{"key":"k"},"keys":{},"room":"ops","tokens":[null,null]}"#);
    let secrets: Vec<(&str, &str)> = split.secrets.iter().map(|(pointer, secret)| (&**pointer, secret.expose())).collect();
    let expected = [("/secret", "S1"), ("/app/a~1b", "7"), ("/tokens/0", "t0"), ("/tokens/1", "t1"), ("/mixed", "m"), ("/keys/x", "k1")];
    assert_eq!(secrets, expected);
    assert!(!format!("{split:?}").contains("S1"));
}

#[test]
fn equal_configs_have_equal_text() {
    let split = |part| read(part).unwrap().config;
    assert_eq!(split(json!({ "room": "ops", "language": "en" })), split(json!({ "language": "en", "room": "ops" })));
}

#[test]
fn an_unknown_key_gets_a_suggestion() {
    assert_eq!(problems(json!({ "room": "ops", "languge": "en" })), ["/languge: unknown key; did you mean `language`?"]);
    assert_eq!(problems(json!({ "room": "ops", "titel": "x" })), ["/titel: unknown key; did you mean `title`?"]);
    assert_eq!(problems(json!({ "room": "ops", "app": { "kez": "x" } })), ["/app/kez: unknown key; did you mean `key`?"]);
}

#[test]
fn a_wrong_value_is_named_with_its_place() {
    assert_eq!(problems(json!({})), ["`room` is missing"]);
    assert_eq!(problems(json!({ "room": 7 })), ["/room: expected a text"]);
    assert_eq!(problems(json!({ "room": "ops", "language": "de" })), ["/language: expected one of \"en\", \"zh-CN\""]);
    assert_eq!(problems(json!({ "room": "x" })), ["/room: the value is shorter than 2 characters"]);
    assert_eq!(problems(json!({ "room": "ops", "app": { "a/b": "x" } })), ["/app/a~1b: expected a whole number"]);
}

#[test]
fn no_problem_shows_a_value() {
    for part in [
        json!({ "room": "hush" , "secret": "hush" }),
        json!({ "room": "ops", "secret": { "hush": "hush" } }),
        json!({ "room": "ops", "mixed": ["hush"] }),
        json!({ "room": "ops", "tokens": "hush" }),
        json!({ "room": ["hush"] }),
    ] {
        for problem in problems(part) {
            assert!(!problem.contains("hush"), "{problem}");
        }
    }
}

#[test]
fn a_schema_that_is_none_or_looks_elsewhere_is_refused() {
    assert!(PluginSchema::new(&json!({ "type": "nonsense" })).is_err());
    assert!(PluginSchema::new(&json!({ "$ref": "https://example.com/schema.json" })).is_err());
}

#[test]
fn a_schema_that_refers_to_itself_ends() {
    let schema = PluginSchema::new(&json!({
        "type": "object", "properties": { "next": { "$ref": "#" }, "pin": { "writeOnly": true } }, "allOf": [{ "$ref": "#/properties/next" }]
    }))
    .unwrap();
    let part = json!({ "next": { "next": { "pin": "1" } } });
    let split = schema.read(part.as_object().unwrap().clone()).unwrap();
    assert_eq!(&*split.secrets[0].0, "/next/next/pin");
}

proptest! {
    #[test]
    fn a_secret_is_in_exactly_one_half(secret in "S[0-9a-f]{12}", token in "T[0-9a-f]{12}") {
        let split = read(json!({ "room": "ops", "secret": secret, "tokens": [token] })).unwrap();
        prop_assert!(!split.config.contains(&secret) && !split.config.contains(&token));
        let found: Vec<&str> = split.secrets.iter().map(|(_, secret)| secret.expose()).collect();
        prop_assert_eq!(found, [secret.as_str(), token.as_str()]);
    }
}
