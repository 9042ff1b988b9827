//! iLert's times, read with patience.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

/// Numbers from here on are milliseconds, below they are seconds: the year 5138 in seconds, 1973 in milliseconds.
const FIRST_MILLISECOND: u64 = 100_000_000_000;

/// Reads a time: ISO 8601 with 0 to 9 digits of a fraction and any offset, also with the stray spaces of iLert's own samples; without an
/// offset it is UTC, as all of iLert's times are. A number counts seconds or milliseconds since 1970. `None` for anything else.
pub(super) fn parse(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => parse_text(text.trim()),
        Value::Number(number) => {
            let number = number.as_i64()?;
            if number.unsigned_abs() < FIRST_MILLISECOND {
                Timestamp::from_second(number).ok()
            } else {
                Timestamp::from_millisecond(number).ok()
            }
        }
        _ => None,
    }
}

fn parse_text(text: &str) -> Option<Timestamp> {
    parse_strict(text).or_else(|| {
        // `2019-08-29T09: 52: 39.551Z`, as printed in iLert's documentation.
        let mut tight = text.to_owned();
        tight.retain(|character| !character.is_whitespace());
        if tight.as_bytes().get(10).is_some_and(u8::is_ascii_digit) {
            tight.insert(10, 'T');
        }
        parse_strict(&tight)
    })
}

fn parse_strict(text: &str) -> Option<Timestamp> {
    let utc = || TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok();
    text.parse().ok().or_else(utc)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_way_of_writing_a_time_is_the_same_time() {
        let expected: Timestamp = "2019-08-29T09:52:39Z".parse().unwrap();
        for text in [
            "2019-08-29T09:52:39Z",
            "2019-08-29T09:52:39.000Z",
            "2019-08-29T09:52:39.000000000Z",
            "2019-08-29T09: 52: 39Z",
            " 2019-08-29T09: 52: 39.000 Z ",
            "2019-08-29 09:52:39Z",
            "2019-08-29 09: 52: 39Z",
            "2019-08-29T17:52:39+08:00",
            "2019-08-29T17:52:39+0800",
            "2019-08-29T09:52:39",
        ] {
            assert_eq!(parse(&Value::from(text)), Some(expected), "{text}");
        }
        assert_eq!(parse(&Value::from(1_567_072_359)), Some(expected));
        assert_eq!(parse(&Value::from(1_567_072_359_000_i64)), Some(expected));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for value in [Value::Null, Value::from("yesterday"), Value::from(""), Value::from(1.5), Value::from(i64::MIN)] {
            assert_eq!(parse(&value), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_time_or_none(text in "\\PC{0,40}|[0-9T:.Z +-]{0,30}") {
            let _ = parse(&Value::from(text));
        }

        #[test]
        fn a_time_with_any_number_of_digits_reads_back(seconds in -10_000_000_000_i64..200_000_000_000, nanos in 0_i32..1_000_000_000) {
            let time = Timestamp::new(seconds, nanos).unwrap();
            prop_assert_eq!(parse(&Value::from(time.to_string())), Some(time));
        }
    }
}
