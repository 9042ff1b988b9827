//! The keys that every webhook has in common: its path, and who may post.

use axum::http::header::HeaderName;

use super::SourceScope;
use super::auth::Guard;
use crate::secret::Secret;

/// The header of a token where the config names none.
pub(super) fn default_token_header() -> String {
    "x-incident-sink-token".to_owned()
}

/// What a webhook's config says of its senders.
pub(super) struct Credentials<'a> {
    pub(super) username: Option<&'a str>,
    pub(super) password: Option<&'a Secret>,
    pub(super) token: Option<&'a Secret>,
    pub(super) token_header: &'a str,
}

impl Credentials<'_> {
    /// The guard that asks for them.
    pub(super) fn guard(&self) -> Result<Guard, String> {
        let basic = match (self.username, self.password) {
            (None, None) => None,
            (Some(user), Some(password)) if !user.is_empty() && !user.contains(':') && !password.expose().is_empty() => {
                Some((Secret::new(user), password.clone()))
            }
            (Some(_), None) => return Err("`username` is set and `password` is not".to_owned()),
            (None, Some(_)) => return Err("`password` is set and `username` is not".to_owned()),
            _ => return Err("`username` and `password` must not be empty, and `username` has no `:`".to_owned()),
        };
        let name: HeaderName =
            self.token_header.parse().map_err(|_| format!("`token_header` is no name of a header: `{}`", self.token_header))?;
        if self.token.is_some_and(|token| token.expose().trim() != token.expose() || token.expose().is_empty()) {
            return Err("`token` must not be empty, nor begin or end with a space".to_owned());
        }
        Ok(Guard { basic, token: self.token.cloned().map(|token| (name, token)) })
    }

    /// Everything wrong with them and with the path.
    pub(super) fn check(&self, path: &str, scope: SourceScope) -> Result<(), String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte);
        if !path.starts_with('/') || !path.bytes().all(plain) {
            return Err(format!("`path` must begin with `/` and have only letters, digits and -._~/% in it: `{path}`"));
        }
        let guard = self.guard()?;
        if guard.basic.is_none() && guard.token.is_none() && !scope.loopback {
            return Err("set `username` and `password`, or `token`: without them anybody who reaches `server.listen` could post events \
                (on a loopback address they may be left out)"
                .to_owned());
        }
        Ok(())
    }
}
