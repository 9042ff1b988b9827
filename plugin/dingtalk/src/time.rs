//! Local times and ages, without a calendar library.

use crate::types::Timestamp;

const DAY: i64 = 86_400;

/// A moment as a clock on the wall of the connector's time zone shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    pub(crate) year: i64,
    pub(crate) month: u8,
    pub(crate) day: u8,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
}

/// The local time of a timestamp. Moments outside the years 1 to 9999 are shown as the nearest of them.
pub(crate) fn local(at: Timestamp) -> Local {
    const FIRST: i64 = -62_135_596_800;
    const LAST: i64 = 253_402_300_799;
    let seconds = (at.unix_ms.div_euclid(1000).saturating_add(i64::from(at.offset_minutes) * 60)).clamp(FIRST, LAST);
    let (days, rest) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    let small = |n: i64| u8::try_from(n).unwrap_or(u8::MAX);
    Local { year, month: small(month), day: small(day), hour: small(rest / 3600), minute: small(rest % 3600 / 60) }
}

/// Days since 1970-01-01 to year, month and day: the calendar is counted in eras of 400 years that begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// A length of time in the two largest units that say something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// Under a minute.
    Moment,
    /// Minutes.
    Minutes(i64),
    /// Hours and minutes.
    Hours(i64, i64),
    /// Days and hours.
    Days(i64, i64),
}

/// From one moment to a later one; `None` if it is not later.
pub(crate) fn span(from: Timestamp, to: Timestamp) -> Option<Span> {
    let seconds = to.unix_ms.saturating_sub(from.unix_ms) / 1000;
    match seconds {
        ..1 => None,
        1..60 => Some(Span::Moment),
        60..3600 => Some(Span::Minutes(seconds / 60)),
        3600..DAY => Some(Span::Hours(seconds / 3600, seconds % 3600 / 60)),
        _ => Some(Span::Days(seconds / DAY, seconds % DAY / 3600)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(unix_ms: i64, offset_minutes: i16) -> Timestamp {
        Timestamp { unix_ms, offset_minutes }
    }

    #[test]
    fn a_leap_day_in_shanghai_is_shown_as_the_wall_clock_there_does() {
        // 2024-02-28T18:30:00Z
        let shown = local(at(1_709_145_000_000, 480));
        assert_eq!(shown, Local { year: 2024, month: 2, day: 29, hour: 2, minute: 30 });
    }

    #[test]
    fn a_moment_before_1970_and_a_western_offset_are_no_trouble() {
        assert_eq!(local(at(-1, -90)), Local { year: 1969, month: 12, day: 31, hour: 22, minute: 29 });
    }

    proptest! {
        #[test]
        fn any_timestamp_has_a_local_time_that_a_calendar_knows(ms: i64, offset: i16) {
            let shown = local(at(ms, offset));
            prop_assert!((1..=12).contains(&shown.month) && (1..=31).contains(&shown.day));
            prop_assert!(shown.hour < 24 && shown.minute < 60 && (1..=9999).contains(&shown.year));
        }

        #[test]
        fn the_next_day_is_one_day_later(days in -700_000i64..2_900_000) {
            let (a, b) = (civil(days), civil(days + 1));
            prop_assert!(b > a);
            prop_assert!(b.2 == a.2 + 1 || b.2 == 1);
        }

        #[test]
        fn a_span_is_never_negative(a: i64, b: i64) {
            if let Some(Span::Minutes(n) | Span::Hours(n, _) | Span::Days(n, _)) = span(at(a, 0), at(b, 0)) {
                prop_assert!(n > 0 && b > a);
            }
        }
    }
}
