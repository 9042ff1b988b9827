//! Parts of the config's JSON Schema that no derive can know.

use schemars::{Schema, SchemaGenerator, json_schema};

/// A text that may be given in place, or named: `{ env = "X" }`, `{ file = "p" }`. For `#[schemars(schema_with = "…")]` on every
/// [`crate::secret::Secret`].
pub fn secret_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [
            { "type": "string" },
            {
                "type": "object",
                "description": "The text of an environment variable.",
                "properties": { "env": { "type": "string" } },
                "required": ["env"],
                "additionalProperties": false
            },
            {
                "type": "object",
                "description": "The text of a file, without its last newline; a relative path starts at the config's folder.",
                "properties": { "file": { "type": "string" } },
                "required": ["file"],
                "additionalProperties": false
            }
        ]
    })
}

/// Several of them, each under a name.
pub(super) fn secrets_schema(generator: &mut SchemaGenerator) -> Schema {
    let secret = secret_schema(generator);
    json_schema!({ "type": "object", "additionalProperties": secret })
}
