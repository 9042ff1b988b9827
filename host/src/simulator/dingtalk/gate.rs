//! The robot's security settings: signature, caller's address, keywords.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::answer::{Answer, BAD_SIGN, BAD_TIMESTAMP, NO_KEYWORD, ip_not_allowed};
use super::robot::Robot;
use super::schema::Message;
use crate::clock::UnixMs;

/// How far a timestamp may be from the server's time, in milliseconds.
const HOUR_MS: i64 = 3_600_000;

/// Checks `timestamp` and `sign`, which have been decoded once; a robot without a secret asks for neither.
pub(super) fn signature(robot: &Robot, timestamp: Option<&str>, sign: Option<&str>, now: UnixMs) -> Result<(), Answer> {
    let Some(secret) = &robot.secret else { return Ok(()) };
    let timestamp = timestamp.ok_or(BAD_TIMESTAMP)?;
    // Digits only: `i64::from_str` would take a plus sign, DingTalk's own string would not be the same.
    let at = timestamp.parse::<i64>().ok().filter(|_| timestamp.bytes().all(|byte| byte.is_ascii_digit())).ok_or(BAD_TIMESTAMP)?;
    if now.abs_diff(at) > HOUR_MS.unsigned_abs() {
        return Err(BAD_TIMESTAMP);
    }
    let right = sign_of(timestamp, secret.expose());
    let same = sign.is_some_and(|sign| right.as_bytes().ct_eq(sign.as_bytes()).into());
    if same { Ok(()) } else { Err(BAD_SIGN) }
}

/// base64(HMAC-SHA256(key = secret, "timestamp\nsecret")), as DingTalk documents it.
pub(super) fn sign_of(timestamp: &str, secret: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(format!("{timestamp}\n{secret}").as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Checks where the call comes from.
pub(super) fn address(robot: &Robot, peer: SocketAddr) -> Result<(), Answer> {
    let ip = peer.ip().to_canonical();
    let listed = |v4| robot.ip_allowlist.iter().any(|range| range.contains(v4));
    match ip {
        _ if robot.ip_allowlist.is_empty() => Ok(()),
        IpAddr::V4(v4) if listed(v4) => Ok(()),
        _ => Err(ip_not_allowed(ip)),
    }
}

/// Checks that one of the robot's keywords occurs.
pub(super) fn keywords(robot: &Robot, message: &Message) -> Result<(), Answer> {
    let found = robot.keywords.is_empty() || robot.keywords.iter().any(|keyword| message.contains(keyword));
    if found { Ok(()) } else { Err(NO_KEYWORD) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_known_good_clients() {
        for (timestamp, secret, sign) in [
            ("1577262236757", "this is a secret", "DJrE6qdyVGCQz9z5r2MDuNcNAhwYnuAkyj13cx169CA="),
            ("1577262236757", "this is secret", "hmPWwU+7lVdm3ZZz0r9tSfx0L4Q26jWOZr9+Gs6EZQM="),
            (
                "1582163555000",
                "SECb90923e19e58b466481e9e7b7a5b4f108a4531abde590ad3967fb29f0eae5c68",
                "BQKsG+QOCl+bYJOLc6pxDHxjVquzlZPWgvRzeN2J5zY=",
            ),
            ("1700000000000", "SEC0123456789abcdef", "TSZbRFUuvaSQaRKUpF970OPCb2/LcQAP3wOvwZIzBZk="),
        ] {
            assert_eq!(sign_of(timestamp, secret), sign);
        }
    }

    #[test]
    fn a_timestamp_may_be_an_hour_off_and_no_more() {
        let robot = Robot::new("ops", "t").signed("SEC");
        let check = |at: i64| {
            let at = at.to_string();
            signature(&robot, Some(&at), Some(&sign_of(&at, "SEC")), 1_700_000_000_000)
        };
        assert_eq!(check(1_700_000_000_000 - HOUR_MS), Ok(()));
        assert_eq!(check(1_700_000_000_000 + HOUR_MS), Ok(()));
        assert_eq!(check(1_700_000_000_000 - HOUR_MS - 1), Err(BAD_TIMESTAMP));
        assert_eq!(check(1_700_000_000), Err(BAD_TIMESTAMP), "seconds");
        assert_eq!(signature(&robot, Some("+1700000000000"), None, 1_700_000_000_000), Err(BAD_TIMESTAMP));
    }
}
