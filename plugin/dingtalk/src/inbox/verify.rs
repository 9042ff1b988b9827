//! Whether a message comes from DingTalk: an app robot's are signed, an Outgoing robot's carry a token.

use alloc::string::{String, ToString};

use hmac::Mac;

use crate::contract::inbox::Refusal;
use crate::sign::{APP_SECRET, OUTGOING_TOKEN, keyed, secret, signature};

/// The most that a signed message's time may differ from the host's, in both directions.
const WINDOW_MS: u64 = 3_600_000;

/// Yes, or why not. A signature, where there is one, must hold; the token counts only for requests without one.
pub(super) fn check(secrets: &[(String, String)], headers: &[(String, String)], now_ms: u64) -> Result<(), Refusal> {
    let header = |name: &str| headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
    match (secret(secrets, APP_SECRET), secret(secrets, OUTGOING_TOKEN)) {
        (None, None) => Err(refused(403, "The connector has neither app_secret nor outgoing_token: it takes no messages.")),
        (Some(key), token) => match (header("sign"), token, header("token")) {
            (Some(sign), _, _) => signed(key, header("timestamp"), sign, now_ms),
            (None, Some(token), Some(given)) => same(token, given),
            _ => Err(refused(401, "The header sign is missing.")),
        },
        (None, Some(token)) => same(token, header("token").ok_or_else(|| refused(401, "The header token is missing."))?),
    }
}

fn refused(status: u16, text: &str) -> Refusal {
    Refusal { status, text: text.to_string() }
}

fn signed(key: &str, timestamp: Option<&str>, sign: &str, now_ms: u64) -> Result<(), Refusal> {
    let timestamp = timestamp.ok_or_else(|| refused(401, "The header timestamp is missing."))?;
    let at: u64 = timestamp.parse().map_err(|_| refused(401, "The header timestamp is no number."))?;
    if !equal(key, &signature(timestamp, key), sign) {
        return Err(refused(401, "The signature does not match: check app_secret."));
    }
    if at.abs_diff(now_ms) > WINDOW_MS {
        return Err(refused(401, "The message is more than an hour old, or this machine's clock is wrong."));
    }
    Ok(())
}

fn same(token: &str, given: &str) -> Result<(), Refusal> {
    if equal(token, token, given) { Ok(()) } else { Err(refused(401, "The token does not match: check outgoing_token.")) }
}

/// Compares hashes in constant time, so that the time says nothing about what was expected, nor about its length.
fn equal(key: &str, expected: &str, given: &str) -> bool {
    let expected = keyed(key, &[expected]).finalize().into_bytes();
    keyed(key, &[given]).verify_slice(&expected).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_577_262_236_757;
    /// The official sample of an inbound message: this time, this secret.
    const SECRET: &str = "this is a secret";
    const SIGN: &str = "DJrE6qdyVGCQz9z5r2MDuNcNAhwYnuAkyj13cx169CA=";

    fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    fn status(secrets: &[(&str, &str)], given: &[(&str, &str)], now: u64) -> u16 {
        check(&headers(secrets), &headers(given), now).map_or_else(|refusal| refusal.status, |()| 200)
    }

    #[test]
    fn a_signed_message_is_taken_for_an_hour_in_both_directions() {
        let given = [("Timestamp", "1577262236757"), ("Sign", SIGN)];
        let secrets = [("/app_secret", SECRET)];
        for now in [NOW, NOW + WINDOW_MS, NOW - WINDOW_MS] {
            assert_eq!(status(&secrets, &given, now), 200);
        }
        for now in [NOW + WINDOW_MS + 1, NOW - WINDOW_MS - 1, 0, u64::MAX] {
            assert_eq!(status(&secrets, &given, now), 401);
        }
    }

    #[test]
    fn a_wrong_or_missing_signature_is_refused() {
        let secrets = [("/app_secret", SECRET), ("/outgoing_token", "t0ken")];
        let time = ("timestamp", "1577262236757");
        for given in [
            &[time, ("sign", "hmPWwU+7lVdm3ZZz0r9tSfx0L4Q26jWOZr9+Gs6EZQM=")][..],
            &[time, ("sign", "")],
            &[time, ("sign", "no base64")],
            &[time, ("sign", "DJrE"), ("token", "t0ken")],
            &[("sign", SIGN)],
            &[("timestamp", "1577262236758"), ("sign", SIGN)],
            &[("timestamp", "soon"), ("sign", SIGN)],
            &[],
        ] {
            assert_eq!(status(&secrets, given, NOW), 401, "{given:?}");
        }
    }

    #[test]
    fn a_token_counts_only_where_one_is_configured() {
        let given = [("token", "t0ken")];
        assert_eq!(status(&[("/outgoing_token", "t0ken")], &given, NOW), 200);
        assert_eq!(status(&[("/outgoing_token", "t0ken!")], &given, NOW), 401);
        assert_eq!(status(&[("/outgoing_token", "t0ken")], &[], NOW), 401);
        assert_eq!(status(&[("/app_secret", SECRET)], &given, NOW), 401);
        assert_eq!(status(&[("/app_secret", SECRET), ("/outgoing_token", "t0ken")], &given, NOW), 200);
    }

    #[test]
    fn a_connector_without_these_secrets_takes_nothing() {
        assert_eq!(status(&[("/secret", SECRET)], &[("timestamp", "1577262236757"), ("sign", SIGN)], NOW), 403);
        assert_eq!(status(&[("/app_secret", ""), ("/outgoing_token", "")], &[("token", "")], NOW), 403);
    }
}
