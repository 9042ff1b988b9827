//! `[connectors.NAME.delivery]`: how to deliver, as it is written.

use std::fmt;
use std::sync::Arc;

use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, de};

use super::budget::Payer;
use super::policy::{PaceRule, Policy};
use super::problem::Problem;
use crate::config::Span;

/// `[connectors.NAME.delivery]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Delivery {
    /// How long one request may take, answer included.
    pub timeout: Span,
    /// What could not be delivered for so long becomes a dead letter.
    pub max_age: Span,
    /// How many messages a calendar month may have.
    pub monthly_budget: Option<u32>,
    /// The account whose monthly budget this connector shares with others of the same account.
    pub account: Option<Box<str>>,
    /// A lower pace than the plugin's, or `"none"` where the receiver has no limit.
    pub pace: Option<PaceSetting>,
}

impl Default for Delivery {
    fn default() -> Self {
        Delivery { timeout: Span::from_secs(10), max_age: Span::from_secs(86_400), monthly_budget: None, account: None, pace: None }
    }
}

/// `"none"`, or so many messages in any such window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaceSetting {
    /// The receiver has no limit.
    None,
    /// At most so many.
    Limit(PaceLimit),
}

/// `{ messages = 20, window = "60s" }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PaceLimit {
    /// At least 1.
    pub messages: u32,
    /// The length of the window.
    pub window: Span,
}

impl<'de> Deserialize<'de> for PaceSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = PaceSetting;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"none\" or a table such as { messages = 20, window = \"60s\" }")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<PaceSetting, E> {
                if text == "none" { Ok(PaceSetting::None) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<PaceSetting, A::Error> {
                PaceLimit::deserialize(MapAccessDeserializer::new(map)).map(PaceSetting::Limit)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for PaceSetting {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PaceSetting".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let limit = generator.subschema_for::<PaceLimit>();
        json_schema!({ "anyOf": [{ "const": "none" }, limit] })
    }
}

impl Delivery {
    /// Everything that is wrong with it.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let hour = Span::from_secs(3600);
        let range = |key: &[&str], span: Span, least: Span, most: Span| {
            let inner: Vec<&str> = std::iter::once("delivery").chain(key.iter().copied()).collect();
            span.within(least, most).err().map(|text| Problem::at(&inner, text))
        };
        let (pace, messages) = match self.pace {
            Some(PaceSetting::Limit(limit)) => (
                range(&["pace", "window"], limit.window, Span::from_millis(1), Span::from_secs(31 * 86_400)),
                (limit.messages == 0).then(|| Problem::at(&["delivery", "pace", "messages"], "expected at least 1")),
            ),
            Some(PaceSetting::None) | None => (None, None),
        };
        let found = [
            range(&["timeout"], self.timeout, Span::from_millis(10), hour),
            range(&["max_age"], self.max_age, Span::from_secs(1), Span::from_secs(366 * 86_400)),
            pace,
            messages,
            (self.monthly_budget == Some(0)).then(|| Problem::at(&["delivery", "monthly_budget"], "expected at least 1")),
            (self.account.as_deref() == Some("")).then(|| Problem::at(&["delivery", "account"], "expected a name")),
        ];
        found.into_iter().flatten().collect()
    }

    /// What the lane of a connector keeps to.
    pub fn policy(&self, connector: &Arc<str>, zone: TimeZone) -> Policy {
        let pace = match self.pace {
            None => PaceRule::Sink,
            Some(PaceSetting::None) => PaceRule::Unlimited,
            Some(PaceSetting::Limit(limit)) => PaceRule::Lower { messages: limit.messages, window_ms: limit.window_ms() },
        };
        Policy {
            pace,
            max_age_ms: i64::try_from(self.max_age.millis()).unwrap_or(i64::MAX),
            monthly_budget: self.monthly_budget,
            payer: self.account.as_deref().map_or_else(|| Payer::Connector(Arc::clone(connector)), |name| Payer::Account(name.into())),
            zone,
        }
    }
}

impl PaceLimit {
    /// The window in milliseconds.
    pub(super) fn window_ms(self) -> u32 {
        u32::try_from(self.window.millis()).unwrap_or(u32::MAX)
    }
}
