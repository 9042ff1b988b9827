//! Who may post: Basic authentication or a token, compared in constant time.

use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use crate::secret::Secret;

/// Some senders leave the padding away.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&base64::alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// The credentials that a source accepts. With none at all everybody may post.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// User and password.
    pub basic: Option<(Secret, Secret)>,
    /// A token, in this header or as `Authorization: Bearer`.
    pub token: Option<(HeaderName, Secret)>,
}

impl Guard {
    /// Whether a request with these headers may pass. Where user and password as well as a token are set, either will do.
    pub fn allows(&self, headers: &HeaderMap) -> bool {
        match (&self.basic, &self.token) {
            (None, None) => true,
            (basic, token) => {
                let by_basic = basic.as_ref().is_some_and(|(user, password)| basic_matches(headers, user, password));
                let by_token = token.as_ref().is_some_and(|(name, token)| token_matches(headers, name, token));
                by_basic | by_token
            }
        }
    }

    /// What a refused sender is asked for, for `WWW-Authenticate`.
    pub fn challenge(&self) -> &'static str {
        if self.basic.is_some() { r#"Basic realm="incident-sink", charset="UTF-8""# } else { r#"Bearer realm="incident-sink""# }
    }
}

fn basic_matches(headers: &HeaderMap, user: &Secret, password: &Secret) -> bool {
    let Some(decoded) = credentials(headers, "basic").and_then(|encoded| BASE64.decode(encoded).ok()).map(zeroize::Zeroizing::new) else {
        return false;
    };
    let Some(colon) = decoded.iter().position(|byte| *byte == b':') else { return false };
    // Both are compared, so that the time does not tell which one was wrong.
    user.matches(&decoded[..colon]) & password.matches(&decoded[colon + 1..])
}

fn token_matches(headers: &HeaderMap, name: &HeaderName, token: &Secret) -> bool {
    let in_header = headers.get_all(name).iter().any(|value| token.matches(value.as_bytes()));
    let as_bearer = credentials(headers, "bearer").is_some_and(|bearer| token.matches(bearer));
    in_header | as_bearer
}

/// What follows the scheme in `Authorization`.
fn credentials<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a [u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (first, rest) = value.split_at_checked(scheme.len())?;
    let rest = first.eq_ignore_ascii_case(scheme.as_bytes()).then_some(rest)?.strip_prefix(b" ")?;
    Some(rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use base64::engine::general_purpose;

    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())])
    }

    fn guard() -> Guard {
        Guard {
            basic: Some((Secret::new("ilert"), Secret::new("pass:word"))),
            token: Some((HeaderName::from_static("x-token"), Secret::new("t0ken"))),
        }
    }

    #[test]
    fn the_right_user_and_password_pass_and_no_others() {
        let basic = |text: &str| headers("authorization", &format!("Basic {}", general_purpose::STANDARD.encode(text)));
        assert!(guard().allows(&basic("ilert:pass:word")));
        for wrong in ["ilert:pass", "other:pass:word", "ilert", ":", "", "ilert:pass:word "] {
            assert!(!guard().allows(&basic(wrong)), "{wrong}");
        }
        let unpadded = general_purpose::STANDARD_NO_PAD.encode("ilert:pass:word");
        assert!(guard().allows(&headers("authorization", &format!("basic {unpadded}"))));
    }

    #[test]
    fn the_token_passes_in_its_header_and_as_bearer() {
        assert!(guard().allows(&headers("x-token", "t0ken")));
        assert!(guard().allows(&headers("authorization", "Bearer t0ken")));
        for wrong in [headers("x-token", "t0ke"), headers("authorization", "t0ken"), headers("authorization", "Bearer"), HeaderMap::new()] {
            assert!(!guard().allows(&wrong));
        }
    }

    #[test]
    fn credentials_of_a_kind_that_is_not_configured_do_not_pass() {
        let only_basic = Guard { token: None, ..guard() };
        assert!(!only_basic.allows(&headers("x-token", "t0ken")));
        assert!(Guard::default().allows(&HeaderMap::new()));
    }
}
