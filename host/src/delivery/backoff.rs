//! How long to wait before the next attempt: exponential, full jitter, and never less than the receiver asked for. Pure.

/// The first wait is up to this long, in milliseconds.
pub const BASE_MS: u64 = 1_000;

/// No wait of our own is longer, in milliseconds.
pub const CAP_MS: u64 = 600_000;

/// The wait after `attempts` attempts (1 or more), with `random` in `0.0..1.0`; at least `hint_ms`.
///
/// Full jitter: any time between nothing and the exponential bound, so that lanes that failed together do not come back together. A tenth
/// of the bound is the least, so that a receiver in trouble is never hammered.
///
/// ```
/// use incident_sink::delivery::backoff::wait_ms;
/// assert_eq!(wait_ms(1, 0.5, 0), 500);
/// assert_eq!(wait_ms(1, 0.5, 7_000), 7_000);
/// ```
pub fn wait_ms(attempts: u32, random: f64, hint_ms: u64) -> u64 {
    let bound = BASE_MS.saturating_mul(1u64 << attempts.saturating_sub(1).min(20)).min(CAP_MS);
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let jittered = (bound as f64 * random.clamp(0.0, 1.0)) as u64;
    jittered.max(bound / 10).max(hint_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_wait_lies_between_a_tenth_of_its_bound_and_the_cap(attempts in 0u32..1_000, random in 0.0f64..1.0) {
            let wait = wait_ms(attempts, random, 0);
            prop_assert!((BASE_MS / 10..=CAP_MS).contains(&wait));
        }

        #[test]
        fn what_the_receiver_asks_for_is_kept(attempts in 1u32..50, random in 0.0f64..1.0, hint in 0u64..10_000_000) {
            prop_assert!(wait_ms(attempts, random, hint) >= hint);
        }
    }
}
