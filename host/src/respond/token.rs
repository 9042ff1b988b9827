//! What is in a link, and the signature that makes it ours. Pure.
//!
//! `base64url(1, verb, incident, expiry, connector, HMAC-SHA256)`: bound to one incident, one verb, one connector and a time.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::key::{Key, Keys};
use crate::clock::UnixMs;
use crate::outbox::book::Verb;

/// Keeps these signatures apart from whatever else the key might ever sign.
const PURPOSE: &[u8] = b"incident-sink respond link\0";
/// The form of a token.
const FORM: u8 = 1;
/// Form, verb, incident, expiry.
const HEAD: usize = 1 + 1 + 8 + 8;
/// Bytes of the signature.
const TAG: usize = 32;
/// Longer ones are not looked at.
const MAX_TOKEN: usize = 1024;

/// What a link is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it does.
    pub verb: Verb,
    /// iLert's id of the incident.
    pub incident: u64,
    /// The connector on whose message it stands.
    pub connector: String,
    /// Until when.
    pub expires: UnixMs,
}

/// Why a link does nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not signed by us, or changed since.
    #[error("the link was not made by this host")]
    Forged,
    /// Ours, and too old.
    #[error("the link has expired")]
    Expired(Token),
}

impl Token {
    /// How long it is when it is signed.
    pub fn sealed_len(&self) -> usize {
        (HEAD + self.connector.len() + TAG).saturating_mul(4).div_ceil(3)
    }

    /// Signs it.
    pub fn seal(&self, key: &Key) -> String {
        let mut bytes = vec![FORM, self.verb as u8];
        bytes.extend(self.incident.to_be_bytes());
        bytes.extend(self.expires.to_be_bytes());
        bytes.extend(self.connector.as_bytes());
        let tag = mac(key, &bytes).finalize().into_bytes();
        bytes.extend(tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a signed one. Signatures are compared in constant time, with every key, before anything else is believed. `link_ttl_ms` bounds the
    /// expiry, so that a key that was lost and replaced cannot sign for ever.
    pub fn open(text: &str, keys: &Keys, now: UnixMs, link_ttl_ms: i64) -> Result<Token, TokenError> {
        if text.len() > MAX_TOKEN {
            return Err(TokenError::Forged);
        }
        // Strict: the unused bits at the end must be zero, so that no two texts are one token.
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Forged)?;
        let (payload, tag) = bytes.len().checked_sub(TAG).map(|at| bytes.split_at(at)).ok_or(TokenError::Forged)?;
        let signed = std::iter::once(&keys.current).chain(&keys.old).fold(false, |signed, key| signed | verify(key, payload, tag));
        let token = signed.then(|| read(payload)).flatten().ok_or(TokenError::Forged)?;
        if token.expires > now.saturating_add(link_ttl_ms).saturating_add(CLOCK_STEP_MS) {
            return Err(TokenError::Forged);
        }
        if token.expires <= now { Err(TokenError::Expired(token)) } else { Ok(token) }
    }
}

/// So much may the clock have been set back since a link was made.
const CLOCK_STEP_MS: i64 = 3_600_000;

fn mac(key: &Key, payload: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.bytes()).expect("HMAC takes keys of any length");
    mac.update(PURPOSE);
    mac.update(payload);
    mac
}

fn verify(key: &Key, payload: &[u8], tag: &[u8]) -> bool {
    mac(key, payload).verify_slice(tag).is_ok()
}

fn read(payload: &[u8]) -> Option<Token> {
    let (head, connector) = payload.split_at_checked(HEAD)?;
    let verb = Verb::ALL.into_iter().find(|verb| *verb as u8 == head[1])?;
    if head[0] != FORM {
        return None;
    }
    Some(Token {
        verb,
        incident: u64::from_be_bytes(head[2..10].try_into().ok()?),
        expires: UnixMs::from_be_bytes(head[10..18].try_into().ok()?),
        connector: String::from_utf8(connector.to_vec()).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixMs = 1_790_000_000_000;
    const TTL: i64 = 86_400_000;

    fn keys() -> Keys {
        Keys { current: Key::new([1; 32]), old: Some(Key::new([2; 32])) }
    }

    fn token() -> impl Strategy<Value = Token> {
        (0usize..3, 1u64..u64::MAX, "[a-z0-9-]{1,20}", 1i64..TTL).prop_map(|(verb, incident, connector, left)| Token {
            verb: Verb::ALL[verb],
            incident,
            connector,
            expires: NOW + left,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_500))]

        #[test]
        fn a_link_comes_back_under_both_keys_until_it_expires(token in token(), old: bool) {
            let keys = keys();
            let sealed = token.seal(if old { keys.old.as_ref().unwrap() } else { &keys.current });
            prop_assert_eq!(Token::open(&sealed, &keys, NOW, TTL), Ok(token.clone()));
            prop_assert_eq!(Token::open(&sealed, &keys, token.expires, TTL), Err(TokenError::Expired(token)));
        }

        #[test]
        fn a_link_with_any_character_changed_is_forged(token in token(), at: prop::sample::Index, other in "[A-Za-z0-9_=.-]") {
            let sealed = token.seal(&keys().current);
            let at = at.index(sealed.len());
            let altered = format!("{}{other}{}", &sealed[..at], &sealed[at + 1..]);
            prop_assume!(altered != sealed);
            prop_assert_eq!(Token::open(&altered, &keys(), NOW, TTL), Err(TokenError::Forged));
        }

        #[test]
        fn a_link_cut_or_made_longer_is_forged(token in token(), at: prop::sample::Index, more in "[A-Za-z0-9_-]{1,50}") {
            let sealed = token.seal(&keys().current);
            prop_assert_eq!(Token::open(&sealed[..at.index(sealed.len())], &keys(), NOW, TTL), Err(TokenError::Forged));
            prop_assert_eq!(Token::open(&format!("{sealed}{more}"), &keys(), NOW, TTL), Err(TokenError::Forged));
        }

        #[test]
        fn a_link_signed_by_anybody_else_or_for_too_long_is_forged(token in token(), key: [u8; 32], text in "[A-Za-z0-9_-]{0,200}") {
            prop_assume!(key != [1; 32] && key != [2; 32]);
            prop_assert_eq!(Token::open(&token.seal(&Key::new(key)), &keys(), NOW, TTL), Err(TokenError::Forged));
            prop_assert_eq!(Token::open(&text, &keys(), NOW, TTL), Err(TokenError::Forged));
            let eternal = Token { expires: NOW + 2 * TTL, ..token };
            prop_assert_eq!(Token::open(&eternal.seal(&keys().current), &keys(), NOW, TTL), Err(TokenError::Forged));
        }
    }
}
