//! Where a JSON Schema has secrets: the members that it marks `"writeOnly": true`.

use std::collections::BTreeSet;

use serde_json::Value;

/// How deep a schema may nest, references followed.
const DEPTH: usize = 32;
/// How many places are looked at, so that references that fan out come to an end.
const PLACES: usize = 10_000;

/// Keywords whose schemas describe the same value.
const SAME_ONE: &[&str] = &["if", "then", "else"];
const SAME_LIST: &[&str] = &["allOf", "anyOf", "oneOf"];
/// Keywords whose schemas describe values that have no place of their own in a config.
const NOWHERE_ONE: &[&str] =
    &["items", "contains", "additionalProperties", "unevaluatedProperties", "unevaluatedItems", "propertyNames", "not", "contentSchema"];
const NOWHERE_LIST: &[&str] = &["prefixItems"];
const NOWHERE_MAP: &[&str] = &["patternProperties"];

/// JSON Pointers into a config, sorted. The `Err` is the place of a secret that no pointer can name, such as an item of a list: the host
/// could not keep it from the half that writes messages.
pub(super) fn find(schema: &Value) -> Result<Vec<String>, String> {
    let mut walk = Walk { root: schema, found: BTreeSet::new(), places: 0 };
    walk.visit(schema, &Place { pointer: String::new(), named: true }, 0)?;
    Ok(walk.found.into_iter().collect())
}

struct Walk<'a> {
    root: &'a Value,
    found: BTreeSet<String>,
    places: usize,
}

/// Where in a config a schema applies.
struct Place {
    /// As a JSON Pointer; for people only where it is not `named`.
    pointer: String,
    /// Whether the pointer names exactly one value.
    named: bool,
}

impl Place {
    fn member(&self, name: &str) -> Place {
        Place { pointer: format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1")), named: self.named }
    }

    fn nowhere(&self, keyword: &str) -> Place {
        Place { pointer: format!("{}/({keyword})", self.pointer), named: false }
    }
}

impl<'a> Walk<'a> {
    fn visit(&mut self, schema: &'a Value, place: &Place, depth: usize) -> Result<(), String> {
        let Some(object) = schema.as_object() else { return Ok(()) };
        self.places += 1;
        if depth > DEPTH || self.places > PLACES {
            return Err(format!("{} (nested too deeply to be searched)", place.pointer));
        }
        if object.get("writeOnly") == Some(&Value::Bool(true)) {
            // The config as a whole cannot be secret: nothing would be left to write messages with.
            if !place.named || place.pointer.is_empty() {
                return Err(place.pointer.clone());
            }
            self.found.insert(place.pointer.clone());
            return Ok(());
        }
        for (keyword, value) in object {
            let keyword = keyword.as_str();
            match keyword {
                "properties" => self.members(value, place, depth)?,
                "dependentSchemas" => self.each(value.as_object().map(|map| map.values()), place, depth)?,
                "$ref" | "$dynamicRef" => self.follow(value, place, depth)?,
                _ if SAME_ONE.contains(&keyword) => self.visit(value, place, depth + 1)?,
                _ if SAME_LIST.contains(&keyword) => self.each(value.as_array(), place, depth)?,
                _ if NOWHERE_ONE.contains(&keyword) => self.visit(value, &place.nowhere(keyword), depth + 1)?,
                _ if NOWHERE_LIST.contains(&keyword) => self.each(value.as_array(), &place.nowhere(keyword), depth)?,
                _ if NOWHERE_MAP.contains(&keyword) => {
                    self.each(value.as_object().map(|map| map.values()), &place.nowhere(keyword), depth)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn members(&mut self, properties: &'a Value, place: &Place, depth: usize) -> Result<(), String> {
        for (name, schema) in properties.as_object().into_iter().flatten() {
            self.visit(schema, &place.member(name), depth + 1)?;
        }
        Ok(())
    }

    fn each<I: IntoIterator<Item = &'a Value>>(&mut self, schemas: Option<I>, place: &Place, depth: usize) -> Result<(), String> {
        schemas.into_iter().flatten().try_for_each(|schema| self.visit(schema, place, depth + 1))
    }

    /// A reference within the schema, as a pointer. Any other kind could hide a secret.
    fn follow(&mut self, reference: &Value, place: &Place, depth: usize) -> Result<(), String> {
        let target = reference.as_str().and_then(|text| text.strip_prefix('#')).and_then(|pointer| self.root.pointer(pointer));
        match target {
            Some(schema) => self.visit(schema, place, depth + 1),
            None => Err(format!("{} (behind a reference that is not a pointer into the schema)", place.pointer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_found_at_any_depth_and_behind_references() {
        let schema = json!({
            "$defs": { "key": { "type": "string", "writeOnly": true } },
            "properties": {
                "secret": { "$ref": "#/$defs/key" },
                "app": { "properties": { "a/b~c": { "writeOnly": true } } },
                "public": { "type": "string" },
            },
            "oneOf": [{ "properties": { "token": { "writeOnly": true } } }, {}],
        });
        assert_eq!(find(&schema).unwrap(), ["/app/a~1b~0c", "/secret", "/token"]);
    }

    #[test]
    fn a_secret_without_a_name_of_its_own_is_refused() {
        for schema in [
            json!({ "writeOnly": true }),
            json!({ "properties": { "keys": { "items": { "writeOnly": true } } } }),
            json!({ "additionalProperties": { "writeOnly": true } }),
            json!({ "patternProperties": { "^k": { "properties": { "x": { "writeOnly": true } } } } }),
            json!({ "$ref": "#anchor" }),
        ] {
            assert!(find(&schema).is_err(), "{schema}");
        }
    }

    #[test]
    fn a_schema_that_refers_to_itself_comes_to_an_end() {
        assert!(find(&json!({ "properties": { "next": { "$ref": "#" } } })).is_err());
    }
}
