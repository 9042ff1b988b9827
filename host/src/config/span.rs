//! A length of time as people write it: `10s`, `5m`, `24h`, `7d`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest that a span may be: ten years, with leap days.
const MAX_MS: u64 = 3_653 * 86_400_000;

/// The units, the longest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A length of time, in whole milliseconds, at most ten years. Read from `"90s"`, `"1h30m"`, `"250ms"`, or from a number of seconds.
///
/// ```
/// use incident_sink::config::Span;
/// let span: Span = "1h30m".parse().unwrap();
/// assert_eq!(span.duration().as_secs(), 5400);
/// assert_eq!(span.to_string(), "90m");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    ms: u64,
}

/// Why a text or number is no span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// Not of the form.
    #[error("expected a time like \"10s\", \"5m\", \"24h\", \"7d\", or a number of seconds")]
    Form,
    /// Beyond ten years.
    #[error("expected a time of at most ten years")]
    TooLong,
}

impl Span {
    /// So many milliseconds; more than ten years are ten years.
    pub const fn from_millis(ms: u64) -> Span {
        Span { ms: if ms > MAX_MS { MAX_MS } else { ms } }
    }

    /// So many seconds; more than ten years are ten years.
    pub const fn from_secs(seconds: u64) -> Span {
        Span::from_millis(seconds.saturating_mul(1000))
    }

    /// In milliseconds.
    pub const fn millis(self) -> u64 {
        self.ms
    }

    /// As the standard library has it.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.ms)
    }

    /// Checks the range; the error names it.
    pub fn within(self, least: Span, most: Span) -> Result<(), String> {
        if (least..=most).contains(&self) { Ok(()) } else { Err(format!("expected a time from {least} to {most}, found {self}")) }
    }

    fn checked(ms: Option<u64>) -> Result<Span, SpanError> {
        ms.filter(|ms| *ms <= MAX_MS).map(|ms| Span { ms }).ok_or(SpanError::TooLong)
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.duration()
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(SpanError::Form);
        }
        let mut total = Some(0u64);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(SpanError::Form)?;
            let (number, after) = rest.split_at(digits);
            let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
            let (unit, next) = after.split_at(letters);
            let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(SpanError::Form)?;
            if number.is_empty() {
                return Err(SpanError::Form);
            }
            // Digits alone fail to parse only where they are too many.
            let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor));
            total = total.zip(part).and_then(|(total, part)| total.checked_add(part));
            rest = next.trim_start();
        }
        Span::checked(total)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ms == 0 {
            return f.write_str("0s");
        }
        match UNITS.iter().find(|(_, factor)| self.ms.is_multiple_of(*factor)) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.ms / factor),
            None => write!(f, "{}ms", self.ms),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SpanVisitor)
    }
}

struct SpanVisitor;

impl de::Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time like \"10s\", \"5m\", \"24h\", \"7d\", or a number of seconds")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
        text.parse().map_err(|error| match error {
            SpanError::Form => E::invalid_value(de::Unexpected::Str(text), &self),
            SpanError::TooLong => E::custom(error),
        })
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Span, E> {
        Span::checked(seconds.checked_mul(1000)).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Span, E> {
        let seconds = u64::try_from(seconds).map_err(|_| E::invalid_value(de::Unexpected::Signed(seconds), &self))?;
        self.visit_u64(seconds)
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Span, E> {
        if seconds.is_nan() || seconds < 0.0 {
            return Err(E::invalid_value(de::Unexpected::Float(seconds), &self));
        }
        let duration = Duration::try_from_secs_f64(seconds).map_err(|_| E::custom(SpanError::TooLong))?;
        Span::checked(u64::try_from(duration.as_millis()).ok()).map_err(E::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A time, as \"10s\", \"5m\", \"24h\", \"7d\", or a number of seconds.",
            "anyOf": [
                { "type": "string", "pattern": r"^\s*([0-9]+(ms|s|m|h|d)\s*)+$" },
                { "type": "number", "minimum": 0 }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn people_write_times_in_many_ways() {
        let table = [("10s", 10_000), ("5m", 300_000), ("24h", 86_400_000), ("7d", 604_800_000), ("250ms", 250), (" 1h 30m ", 5_400_000)];
        for (text, ms) in table {
            assert_eq!(text.parse::<Span>().map(Span::millis), Ok(ms), "{text}");
        }
        for text in ["", "10", "s", "1.5h", "-1s", "10 s", "1w", "1s2", "１s"] {
            assert_eq!(text.parse::<Span>(), Err(SpanError::Form), "{text}");
        }
        for text in ["3654d", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(text.parse::<Span>(), Err(SpanError::TooLong), "{text}");
        }
    }

    #[test]
    fn a_number_is_a_number_of_seconds() {
        assert_eq!(serde_json::from_str::<Span>("90").unwrap().to_string(), "90s");
        assert_eq!(serde_json::from_str::<Span>("0.25").unwrap().millis(), 250);
        for text in ["-1", "-0.5", "1e300", "9e18", "true", "\"soon\""] {
            assert!(serde_json::from_str::<Span>(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_displayed_reads_back(ms in 0..=MAX_MS) {
            let span = Span::from_millis(ms);
            prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,20}") {
            let _ = text.parse::<Span>();
        }
    }
}
