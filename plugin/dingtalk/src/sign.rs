//! DingTalk's signature: base64 of HMAC-SHA256 over the time and the secret, keyed with the secret.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::contract::signer::{Place, Stamp};

/// The members of the config that are secrets, by JSON Pointer.
pub(crate) const SECRET: &str = "/secret";
pub(crate) const APP_SECRET: &str = "/app_secret";
pub(crate) const OUTGOING_TOKEN: &str = "/outgoing_token";

/// One secret; `None` where it is not configured.
pub(crate) fn secret<'a>(secrets: &'a [(String, String)], pointer: &str) -> Option<&'a str> {
    let found = secrets.iter().find(|(name, _)| name == pointer);
    found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

/// What is added to a request. A robot without a signing secret takes requests as they are.
pub(crate) fn stamps(secrets: &[(String, String)], now_ms: u64) -> Vec<Stamp> {
    let Some(secret) = secret(secrets, SECRET) else { return Vec::new() };
    let timestamp = now_ms.to_string();
    let sign = signature(&timestamp, secret);
    let query = |name: &str, value| Stamp { place: Place::Query, name: name.into(), value };
    Vec::from([query("timestamp", timestamp), query("sign", sign)])
}

/// The signature of a time. The secret is both the key and the second line of what is signed.
pub(crate) fn signature(timestamp: &str, secret: &str) -> String {
    STANDARD.encode(keyed(secret, &[timestamp, "\n", secret]).finalize().into_bytes())
}

/// A keyed hash of texts, one after the other.
#[inline(never)]
pub(crate) fn keyed(key: &str, texts: &[&str]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    texts.iter().for_each(|text| mac.update(text.as_bytes()));
    mac
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::escape::encode;

    #[derive(Deserialize)]
    struct Vector {
        timestamp: u64,
        secret: String,
        base64: String,
        query: String,
    }

    #[test]
    fn every_known_signature_is_reproduced() {
        let vectors: Vec<Vector> =
            serde_json::from_str(include_str!("../../../tests/fixtures/dingtalk/sign-vectors.json")).expect("the vectors are JSON");
        assert!(!vectors.is_empty());
        for vector in vectors {
            let stamps = stamps(&[(SECRET.into(), vector.secret)], vector.timestamp);
            let shown: Vec<_> = stamps.iter().map(|stamp| (stamp.name.as_str(), stamp.value.as_str())).collect();
            assert_eq!(shown, [("timestamp", vector.timestamp.to_string().as_str()), ("sign", vector.base64.as_str())]);
            let mut once = String::new();
            encode(&mut once, &vector.base64, b"-._~");
            assert_eq!(once, vector.query);
        }
    }

    #[test]
    fn a_robot_without_a_secret_is_sent_unsigned_requests() {
        assert_eq!(stamps(&[], 1), []);
        assert_eq!(stamps(&[(SECRET.into(), String::new()), ("/app_secret".into(), "x".into())], 1), []);
    }
}
