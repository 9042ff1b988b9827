//! Times, counts and names as people read them.

use std::fmt::Display;

use jiff::Timestamp;
use maud::{Markup, html};

use super::words::Words;
use crate::clock::UnixMs;

/// Puts values in the places of `{}`, in order.
pub(super) fn fill(text: &str, values: &[&dyn Display]) -> String {
    let mut pieces = text.split("{}");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for (index, piece) in pieces.enumerate() {
        if let Some(value) = values.get(index) {
            out += &value.to_string();
        }
        out += piece;
    }
    out
}

/// Says how many: a text for one and a text for many, apart by `|`, or one text for both.
pub(super) fn counted(text: &str, number: u64) -> String {
    let (one, many) = text.split_once('|').unwrap_or((text, text));
    fill(if number == 1 { one } else { many }, &[&count(number)])
}

/// A length of time in its largest unit.
pub(super) fn span(words: &Words, ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    let (count, unit) = match seconds {
        0..60 => (seconds, words.unit_second),
        60..3_600 => (seconds / 60, words.unit_minute),
        3_600..86_400 => (seconds / 3_600, words.unit_hour),
        _ => (seconds / 86_400, words.unit_day),
    };
    fill(unit, &[&count])
}

/// A moment, told by how long ago it was; the moment itself for those who look closer.
pub(super) fn ago(words: &Words, at: UnixMs, now: UnixMs) -> Markup {
    let moment = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
    let text = match now - at {
        passed if passed < -1_000 => fill(words.in_time, &[&span(words, -passed)]),
        passed if passed < 1_000 => words.just_now.to_owned(),
        passed => fill(words.ago, &[&span(words, passed)]),
    };
    html! { time datetime=(moment) title=(moment.strftime("%Y-%m-%d %H:%M:%S UTC")) data-moment { (text) } }
}

/// What is left of a wait, as a clock that the script lets run.
pub(super) fn countdown(ms: i64) -> Markup {
    let seconds = (ms.max(0) + 999) / 1_000;
    let text = if seconds >= 3_600 {
        format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    } else {
        format!("{}:{:02}", seconds / 60, seconds % 60)
    };
    html! { span.clock role="timer" data-left=(ms) { (text) } }
}

/// A count, grouped by thousands.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{2009}');
        }
        out.push(digit);
    }
    out
}

/// Bytes as KiB or MiB.
pub(super) fn bytes(size: usize) -> String {
    match size {
        0..1_024 => format!("{size} B"),
        1_024..1_048_576 => format!("{} KiB", size.div_ceil(1_024)),
        _ => format!("{:.1} MiB", size as f64 / 1_048_576.0),
    }
}

/// A name as a place in a page. Different names have different ones.
pub(super) fn anchor(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c.to_string() } else { format!("_{:x}_", u32::from(c)) };
    format!("at-{}", name.chars().map(safe).collect::<String>())
}

/// A name as a segment of an address.
pub(super) fn segment(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// JSON for people, or the text itself.
pub(super) fn pretty(text: &str) -> String {
    serde_json::from_str::<serde_json::Value>(text)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_their_largest_unit() {
        let words = Words::choose(Some("en"), None);
        let spans = [0, 59_999, 60_000, 3_599_000, 86_399_000, 86_400_000].map(|ms| span(words, ms));
        assert_eq!(spans, ["0 s", "59 s", "1 min", "59 min", "23 h", "1 d"]);
        assert_eq!(fill("{} of {}", &[&1, &2]), "1 of 2");
        assert!(countdown(572_001).0.contains(">9:33<"));
        assert!(countdown(3_600_000).0.contains(">1:00:00<"));
    }

    #[test]
    fn counts_and_names_are_readable_and_safe() {
        assert_eq!((count(999), count(1_234_567)), ("999".to_owned(), "1\u{2009}234\u{2009}567".to_owned()));
        assert_eq!((bytes(12), bytes(246_213), bytes(3 << 20)), ("12 B".to_owned(), "241 KiB".to_owned(), "3.0 MiB".to_owned()));
        assert_eq!([1, 2].map(|number| counted("{} event|{} events", number)), ["1 event", "2 events"]);
        assert_eq!(counted("{} 个事件", 1), "1 个事件");
        assert_eq!(anchor("ops"), "at-ops");
        assert_ne!(anchor("a b"), anchor("a_20_b"));
        assert_eq!(segment("a/b"), "a%2Fb");
    }
}
