//! Sizes and short times in a config: `"64 KiB"`, `"100ms"`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of bytes: `"4 MiB"`, `"64 KiB"`, `"512 B"` or a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub usize);

/// A short time: `"100ms"`, `"2s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait(pub Duration);

/// A size or a time that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a size.
    #[error("expected a size such as \"64 KiB\", \"4 MiB\" or a number of bytes")]
    Size,
    /// Not a time.
    #[error("expected a time such as \"100ms\" or \"2s\"")]
    Wait,
}

impl Size {
    /// So many KiB.
    pub const fn kib(kib: usize) -> Self {
        Size(kib * 1024)
    }

    /// So many MiB.
    pub const fn mib(mib: usize) -> Self {
        Size::kib(mib * 1024)
    }
}

impl Wait {
    /// So many milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Wait(Duration::from_millis(millis))
    }
}

/// The number in front and the unit behind it.
fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim()))
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text).ok_or(UnitError::Size)?;
        let factor: u64 = match unit {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(UnitError::Size),
        };
        let bytes = number.checked_mul(factor).and_then(|bytes| usize::try_from(bytes).ok());
        bytes.map(Size).ok_or(UnitError::Size)
    }
}

impl FromStr for Wait {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text).ok_or(UnitError::Wait)?;
        match unit {
            "ms" => Ok(Wait(Duration::from_millis(number))),
            "s" => Ok(Wait(Duration::from_secs(number))),
            _ => Err(UnitError::Wait),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0 B"),
            bytes if bytes.is_multiple_of(1 << 20) => write!(f, "{} MiB", bytes >> 20),
            bytes if bytes.is_multiple_of(1 << 10) => write!(f, "{} KiB", bytes >> 10),
            bytes => write!(f, "{bytes} B"),
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            millis if millis > 0 && millis.is_multiple_of(1000) => write!(f, "{}s", millis / 1000),
            millis => write!(f, "{millis}ms"),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Wait {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"64 KiB\" or a number of bytes")
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
                usize::try_from(bytes).map(Size).map_err(|_| E::invalid_value(Unexpected::Unsigned(bytes), &self))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
                usize::try_from(bytes).map(Size).map_err(|_| E::invalid_value(Unexpected::Signed(bytes), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Bytes)
    }
}

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A size: `64 KiB`, `4 MiB`, or a number of bytes.",
            "anyOf": [{ "type": "string", "pattern": "^\\d+ *(B|KiB|MiB|GiB)?$" }, { "type": "integer", "minimum": 0 }],
        })
    }
}

impl JsonSchema for Wait {
    fn schema_name() -> Cow<'static, str> {
        "Wait".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "A short time: `100ms`, `2s`.", "type": "string", "pattern": "^\\d+ *(ms|s)$" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_and_times_are_read_as_people_write_them() {
        assert_eq!("64 KiB".parse(), Ok(Size::kib(64)));
        assert_eq!("4MiB".parse(), Ok(Size::mib(4)));
        assert_eq!("17".parse(), Ok(Size(17)));
        assert_eq!("100ms".parse(), Ok(Wait::millis(100)));
        assert_eq!("2 s".parse(), Ok(Wait::millis(2000)));
    }

    #[test]
    fn nonsense_and_overflow_are_refused() {
        for text in ["", "KiB", "-1", "1.5 MiB", "1 kB", "99999999999999999999", "18446744073709551615 GiB"] {
            assert_eq!(text.parse::<Size>(), Err(UnitError::Size), "{text}");
        }
        for text in ["", "100", "1m", "ms", "-5ms"] {
            assert_eq!(text.parse::<Wait>(), Err(UnitError::Wait), "{text}");
        }
        assert!(serde_json::from_str::<Size>("-1").is_err());
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(bytes in 0_usize..1 << 40, millis in 0_u64..1 << 40) {
            prop_assert_eq!(Size(bytes).to_string().parse(), Ok(Size(bytes)));
            prop_assert_eq!(Wait::millis(millis).to_string().parse(), Ok(Wait::millis(millis)));
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in ".*") {
            let _ = text.parse::<Size>();
            let _ = text.parse::<Wait>();
        }
    }
}
