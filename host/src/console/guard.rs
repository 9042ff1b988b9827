//! Who may call the admin API.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::secret::Secret;
use crate::source::problem::Problem;

/// The rule. The token is asked for at each call, since a config that is read anew may have another.
pub(super) struct Guard {
    token: Box<dyn Fn() -> Option<Secret> + Send + Sync>,
}

impl Guard {
    pub(super) fn new(token: impl Fn() -> Option<Secret> + Send + Sync + 'static) -> Self {
        Guard { token: Box::new(token) }
    }

    /// Why a call is refused.
    fn refuses(&self, headers: &HeaderMap) -> Option<Problem> {
        let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if let Some(token) = (self.token)() {
            let given = text(header::AUTHORIZATION).strip_prefix("Bearer ").unwrap_or_default();
            let missing =
                || Problem::new(StatusCode::UNAUTHORIZED, "Unauthorized", "send `Authorization: Bearer` with the config's `admin.token`");
            return (!token.matches(given.as_bytes())).then(missing);
        }
        let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok()).unwrap_or("none");
        let local = is_loopback_name(text(header::HOST));
        let own = matches!(site, "none" | "same-origin") && !headers.contains_key(header::ORIGIN) || site == "same-origin";
        (!local || !own).then(|| {
            Problem::new(
                StatusCode::FORBIDDEN,
                "Forbidden",
                "without `admin.token` only programs on this machine may call, by a loopback address",
            )
        })
    }
}

/// `127.0.0.1`, `localhost` or `[::1]`, with any port.
pub(super) fn is_loopback_name(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())).map_or(host, |(name, _)| name);
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Lets a call through or refuses it.
pub(super) async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    match guard.refuses(request.headers()) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn without_a_token_only_this_machines_programs_may_call() {
        let guard = Guard::new(|| None);
        assert!(guard.refuses(&headers(&[("host", "127.0.0.1:8741")])).is_none());
        assert!(guard.refuses(&headers(&[("host", "localhost")])).is_none());
        assert!(
            guard
                .refuses(&headers(&[("host", "[::1]:8741"), ("sec-fetch-site", "same-origin"), ("origin", "http://[::1]:8741")]))
                .is_none()
        );
        assert!(guard.refuses(&headers(&[("host", "evil.example")])).is_some(), "a rebound name");
        assert!(guard.refuses(&headers(&[("host", "127.0.0.1:8741"), ("sec-fetch-site", "cross-site")])).is_some());
        assert!(guard.refuses(&headers(&[("host", "127.0.0.1:8741"), ("origin", "https://evil.example")])).is_some());
    }

    #[test]
    fn with_a_token_everybody_needs_it() {
        let guard = Guard::new(|| Some(Secret::new("t0ken")));
        assert!(guard.refuses(&headers(&[("host", "127.0.0.1:8741")])).is_some());
        assert!(guard.refuses(&headers(&[("authorization", "Bearer t0keN")])).is_some());
        assert!(guard.refuses(&headers(&[("authorization", "Bearer t0ken")])).is_none());
    }
}
