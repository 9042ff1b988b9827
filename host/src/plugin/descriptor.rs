//! What a plugin says of itself, checked.

use semver::Version;
use serde_json::Value;

use super::{text, wit};

/// The longest window and penalty of a pace.
const MONTH_MS: u64 = 31 * 24 * 3600 * 1000;
/// The most messages in one window: a lane keeps the log of so many sends.
const PACE_MESSAGES: u32 = 10_000;
/// The most events at once.
const BATCH: u32 = 1000;

/// A plugin's own word, checked: it can be relied on.
#[derive(Clone, Debug, PartialEq)]
pub struct Descriptor {
    /// What a connector's `type` says.
    pub name: String,
    /// The plugin's version.
    pub version: Version,
    /// JSON Schema of the plugin's part of a connector's config; an object.
    pub config_schema: Value,
    /// Where that schema has secrets (`"writeOnly": true`), as JSON Pointers into a config, sorted.
    pub secrets: Vec<String>,
    /// How fast the receiver takes messages; `None` for no limit.
    pub pace: Option<wit::Pace>,
    /// The most events that `begin` takes at once: 1 to 1000.
    pub max_batch: u32,
    /// The largest request body, in bytes; at least 1.
    pub max_body: u32,
    /// What this version of the contract has no field for.
    pub extra: Vec<(String, String)>,
}

/// What is wrong with a plugin's word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// Its name.
    #[error("its name `{0}` is not made of 1 to 64 lower-case letters, digits, `-` and `_`, a letter first")]
    Name(String),
    /// Its version.
    #[error("its version `{0}` is not a semantic version such as 1.2.0")]
    Version(String),
    /// Its schema is no JSON.
    #[error("its config schema is not JSON: {0}")]
    SchemaJson(String),
    /// Its schema is JSON and no schema.
    #[error("its config schema is not a JSON Schema of an object: {0}")]
    Schema(String),
    /// A secret that the host cannot take out of a config.
    #[error("its config schema marks a secret at `{0}`, where the host cannot tell it from the rest; only named members can be secrets")]
    SecretPlace(String),
    /// Its pace.
    #[error("its pace of {messages} messages in {window_ms} ms with a penalty of {penalty_ms} ms is out of range")]
    Pace {
        /// Messages.
        messages: u32,
        /// Milliseconds.
        window_ms: u64,
        /// Milliseconds.
        penalty_ms: u64,
    },
    /// Its batch.
    #[error("its largest batch must be 1 to {BATCH} events, not {0}")]
    Batch(u32),
    /// Its body.
    #[error("its largest body is 0 bytes")]
    Body,
}

impl Descriptor {
    /// Checks what `describe` answered.
    pub fn check(raw: wit::Descriptor) -> Result<Descriptor, DescriptorError> {
        if !is_name(&raw.name) {
            return Err(DescriptorError::Name(text::line(text::prefix(&raw.name, 80))));
        }
        let version = Version::parse(&raw.version).map_err(|_| DescriptorError::Version(text::line(text::prefix(&raw.version, 80))))?;
        let config_schema = parse_schema(&raw.config_schema)?;
        let secrets = super::schema_secrets::find(&config_schema).map_err(DescriptorError::SecretPlace)?;
        if let Some(pace) = raw.pace {
            check_pace(pace)?;
        }
        if !(1..=BATCH).contains(&raw.max_batch) {
            return Err(DescriptorError::Batch(raw.max_batch));
        }
        if raw.max_body == 0 {
            return Err(DescriptorError::Body);
        }
        let extra = raw.extra.into_iter().map(|(key, value)| (text::line(&key), value)).collect();
        let wit::Descriptor { name, pace, max_batch, max_body, .. } = raw;
        Ok(Descriptor { name, version, config_schema, secrets, pace, max_batch, max_body, extra })
    }
}

/// Whether a plugin, and the `type` of a connector, can be called so.
pub fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

fn parse_schema(json: &str) -> Result<Value, DescriptorError> {
    let schema: Value = serde_json::from_str(json).map_err(|error| DescriptorError::SchemaJson(error.to_string()))?;
    let wrong = |detail: &str| DescriptorError::Schema(text::line(text::prefix(detail, 500)));
    let object = schema.as_object().ok_or_else(|| wrong("it is not a JSON object"))?;
    if object.get("type").is_some_and(|kind| kind != "object") {
        return Err(wrong("its `type` is not `object`"));
    }
    // Also finds references that lead nowhere; nothing is fetched.
    jsonschema::draft202012::new(&schema).map_err(|error| wrong(&error.to_string()))?;
    Ok(schema)
}

fn check_pace(pace: wit::Pace) -> Result<(), DescriptorError> {
    let wit::Pace { messages, window_ms, penalty_ms } = pace;
    let good = (1..=PACE_MESSAGES).contains(&messages) && (1..=MONTH_MS).contains(&window_ms) && penalty_ms <= MONTH_MS;
    if good { Ok(()) } else { Err(DescriptorError::Pace { messages, window_ms, penalty_ms }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw() -> wit::Descriptor {
        wit::Descriptor {
            name: "chat".into(),
            version: "1.2.3".into(),
            config_schema: r#"{"type":"object","properties":{"key":{"type":"string","writeOnly":true}}}"#.into(),
            pace: Some(wit::Pace { messages: 20, window_ms: 60_000, penalty_ms: 600_000 }),
            max_batch: 20,
            max_body: 20_000,
            extra: vec![],
        }
    }

    #[test]
    fn a_sane_descriptor_is_taken_with_its_secrets() {
        let descriptor = Descriptor::check(raw()).unwrap();
        assert_eq!(descriptor.version, Version::new(1, 2, 3));
        assert_eq!(descriptor.secrets, ["/key"]);
    }

    #[test]
    fn each_field_is_refused_for_its_own_reason() {
        type Spoil = fn(&mut wit::Descriptor);
        let table: &[(Spoil, &str)] = &[
            (|d| d.name = String::new(), "its name"),
            (|d| d.name = "../x".into(), "its name"),
            (|d| d.name = "a".repeat(65), "its name"),
            (|d| d.version = "1.2".into(), "its version `1.2`"),
            (|d| d.config_schema = "{".into(), "is not JSON"),
            (|d| d.config_schema = "true".into(), "not a JSON object"),
            (|d| d.config_schema = r#"{"type":"string"}"#.into(), "`type` is not `object`"),
            (|d| d.config_schema = r#"{"type":"object","properties":[]}"#.into(), "not a JSON Schema"),
            (|d| d.config_schema = r#"{"$ref":"https://example.com/x"}"#.into(), "not a JSON Schema"),
            (|d| d.pace = Some(wit::Pace { messages: 0, window_ms: 1, penalty_ms: 0 }), "its pace"),
            (|d| d.pace = Some(wit::Pace { messages: 1, window_ms: 0, penalty_ms: 0 }), "its pace"),
            (|d| d.pace = Some(wit::Pace { messages: 1, window_ms: 1, penalty_ms: u64::MAX }), "its pace"),
            (|d| d.max_batch = 0, "1 to 1000 events, not 0"),
            (|d| d.max_body = 0, "0 bytes"),
        ];
        for (spoil, words) in table {
            let mut descriptor = raw();
            spoil(&mut descriptor);
            let error = Descriptor::check(descriptor).unwrap_err().to_string();
            assert!(error.contains(words), "{error:?} lacks {words:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_check_panic(name in ".*", version in ".*", schema in ".*") {
            let _ = Descriptor::check(wit::Descriptor { name, version, config_schema: schema, ..raw() });
        }
    }
}
