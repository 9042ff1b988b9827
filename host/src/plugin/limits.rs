//! What one call of a plugin may use and answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::{Size, Wait};

/// The most memory that any plugin may be given: the slots of the pool are made for it.
pub(super) const MEMORY_CEILING: Size = Size::mib(64);

/// The limits of one plugin, for each call: `[plugins.NAME.limits]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// How long a call may run: `"1ms"` to `"10s"`.
    pub deadline: Wait,
    /// Linear memory: 64 KiB to 64 MiB.
    pub memory: Size,
    /// Elements of its table of functions.
    pub table_elements: u32,
    /// What the host copies out of the plugin's memory in one call, all texts and lists together.
    pub lifted: Size,
    /// A request's or an answer's body, where the plugin's own `max-body` is not smaller.
    pub body: Size,
    /// What a step may leave for the next one.
    pub continuation: Size,
    /// What a delivered message may ask to be kept for the next one.
    pub memo: Size,
    /// Headers of a request, names and values together.
    pub headers: Size,
    /// Stamps that a signature may consist of.
    pub stamps: u32,
    /// The value of one stamp.
    pub stamp: Size,
    /// Requests that one message may take: 1 to 32.
    pub steps: u32,
    /// The component itself, in bytes.
    pub component: Size,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            deadline: Wait::millis(100),
            memory: Size::mib(4),
            table_elements: 10_000,
            lifted: Size::kib(512),
            body: Size::kib(256),
            continuation: Size::kib(64),
            memo: Size::kib(4),
            headers: Size::kib(8),
            stamps: 16,
            stamp: Size::kib(1),
            steps: 8,
            component: Size::mib(8),
        }
    }
}

/// A limit that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("limits.{key} must be between {least} and {most}")]
pub struct LimitError {
    /// The key.
    pub key: &'static str,
    /// The least that is accepted.
    pub least: String,
    /// The most that is accepted.
    pub most: String,
}

impl Limits {
    /// Whether every limit is one that the sandbox can keep. Pure.
    pub fn validate(&self) -> Result<(), LimitError> {
        within("deadline", self.deadline, Wait::millis(1), Wait::millis(10_000))?;
        within("memory", self.memory, Size::kib(64), MEMORY_CEILING)?;
        within("table_elements", self.table_elements, 1, 100_000)?;
        within("lifted", self.lifted, Size::kib(4), Size::mib(64))?;
        within("body", self.body, Size(1), Size::mib(16))?;
        within("continuation", self.continuation, Size(0), Size::mib(1))?;
        within("memo", self.memo, Size(0), Size::kib(64))?;
        within("headers", self.headers, Size(0), Size::kib(64))?;
        within("stamps", self.stamps, 0, 64)?;
        within("stamp", self.stamp, Size(1), Size::kib(16))?;
        within("steps", self.steps, 1, 32)?;
        within("component", self.component, Size::kib(1), Size::mib(64))
    }
}

fn within<T: Ord + std::fmt::Display>(key: &'static str, value: T, least: T, most: T) -> Result<(), LimitError> {
    if value >= least && value <= most {
        return Ok(());
    }
    Err(LimitError { key, least: least.to_string(), most: most.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_survive_a_round_trip() {
        let limits = Limits::default();
        assert_eq!(limits.validate(), Ok(()));
        let text = toml::to_string(&limits).unwrap();
        assert!(text.contains("deadline = \"100ms\"") && text.contains("memory = \"4 MiB\""), "{text}");
        assert_eq!(toml::from_str::<Limits>(&text).unwrap(), limits);
    }

    #[test]
    fn a_single_limit_can_be_set_and_an_unknown_one_cannot() {
        let limits: Limits = toml::from_str("memory = \"1 MiB\"").unwrap();
        assert_eq!(limits, Limits { memory: Size::mib(1), ..Limits::default() });
        assert!(toml::from_str::<Limits>("memroy = 1").unwrap_err().to_string().contains("memroy"));
    }

    #[test]
    fn a_limit_out_of_range_names_its_key_and_the_range() {
        let limits = Limits { deadline: Wait::millis(60_000), ..Limits::default() };
        assert_eq!(limits.validate().unwrap_err().to_string(), "limits.deadline must be between 1ms and 10s");
        let limits = Limits { memory: Size::mib(65), ..Limits::default() };
        assert_eq!(limits.validate().unwrap_err().to_string(), "limits.memory must be between 64 KiB and 64 MiB");
    }
}
