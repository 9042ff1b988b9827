//! Keys: what an event is deduplicated by, and what a receiver knows a message by.

use sha2::{Digest, Sha256};

use crate::clock::UnixMs;

/// The most characters of a message's key.
pub(super) const MAX_KEY: usize = 64;

/// The first half of the SHA-256 of an event's id.
pub(super) type Key = [u8; 16];

/// The key of an event's id.
pub(super) fn key_of(event_id: &str) -> Key {
    let digest = Sha256::digest(event_id.as_bytes());
    let mut key = Key::default();
    key.copy_from_slice(&digest[..16]);
    key
}

/// A key of its own for every message that its lane did not give one, also over several databases: receivers remember keys.
pub(super) fn fresh_key(connector: &str, covers: &[i64], now: UnixMs) -> String {
    let mut hash = Sha256::new();
    hash.update(connector.as_bytes());
    for number in covers.iter().chain([&now]) {
        hash.update(number.to_le_bytes());
    }
    hex(&hash.finalize()[..16])
}

/// `k`, `k-r1`, `k-r2` …; a key that would grow too long is replaced by its hash first.
pub(super) fn replayed_key(key: &str, replays: i64) -> String {
    let base = if replays == 0 { key } else { key.strip_suffix(&format!("-r{replays}")).unwrap_or(key) };
    let suffix = format!("-r{}", replays + 1);
    if base.chars().count() + suffix.len() <= MAX_KEY {
        return format!("{base}{suffix}");
    }
    format!("{}{suffix}", hex(&Sha256::digest(base.as_bytes())[..16]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_replay_has_a_key_of_its_own_within_the_limit() {
        assert_eq!(replayed_key("abc", 0), "abc-r1");
        assert_eq!(replayed_key("abc-r1", 1), "abc-r2");
        assert_eq!(replayed_key("natural-r1", 0), "natural-r1-r1");
        let long = "x".repeat(64);
        let first = replayed_key(&long, 0);
        let second = replayed_key(&first, 1);
        assert!(first.len() <= MAX_KEY && first != second && first.ends_with("-r1") && second.ends_with("-r2"), "{first} {second}");
        assert_ne!(first, replayed_key(&"y".repeat(64), 0));
    }
}
