//! The login, where the config has a token: it is shown once, and a session takes its place.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use maud::html;
use tokio::sync::Semaphore;
use tracing::warn;

use super::visit::{Form, Visit, is_own_page, language, no_session_cookie, query, see_other, session_cookie};
use super::{Console, layout};

/// A wrong token is answered after this long, and only so many of them at a time: nobody tries many.
const WRONG: Duration = Duration::from_millis(500);
static TRIES: Semaphore = Semaphore::const_new(4);

/// Where to go after the login: a page of ours, never another server's.
fn destination(next: &str) -> &str {
    let own = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n']);
    if own { next } else { "/" }
}

/// `GET /login`
pub(super) async fn show(State(console): State<Console>, uri: Uri, headers: HeaderMap) -> Response {
    let next = query(&uri, "next").unwrap_or_default();
    if console.control().plan().settings.admin.token.is_none() {
        return see_other(destination(&next));
    }
    page(&headers, StatusCode::OK, destination(&next), false)
}

/// `POST /login`
pub(super) async fn enter(State(console): State<Console>, headers: HeaderMap, body: Bytes) -> Response {
    let words = language(&headers);
    if !is_own_page(&headers) {
        return layout::alone(words, StatusCode::FORBIDDEN, words.forbidden, words.other_page);
    }
    let field = |wanted: &str| {
        url::form_urlencoded::parse(&body).find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let next = field("next");
    let Some(token) = console.control().plan().settings.admin.token.clone() else { return see_other(destination(&next)) };
    if !token.matches(field("token").trim().as_bytes()) {
        let Ok(_place) = TRIES.try_acquire() else {
            return layout::alone(words, StatusCode::SERVICE_UNAVAILABLE, words.login, words.too_many_tries);
        };
        warn!("Somebody tried to log in to the console with a wrong token.");
        tokio::time::sleep(WRONG).await;
        return page(&headers, StatusCode::FORBIDDEN, destination(&next), true);
    }
    let id = console.0.sessions.begin(&token, Instant::now());
    let mut response = see_other(destination(&next));
    response.headers_mut().extend(session_cookie(&headers, &id).map(|cookie| (SET_COOKIE, cookie)));
    response
}

/// `POST /logout`
pub(super) async fn leave(State(console): State<Console>, visit: Visit, headers: HeaderMap, _form: Form) -> Response {
    console.0.sessions.end(&visit.session);
    let mut response = see_other("/login");
    response.headers_mut().extend(no_session_cookie(&headers).map(|cookie| (SET_COOKIE, cookie)));
    response
}

fn page(headers: &HeaderMap, status: StatusCode, next: &str, wrong: bool) -> Response {
    let words = language(headers);
    let body = html! {
        form.panel.login method="post" action="/login" {
            h1 { (words.login) }
            p.dim { (words.login_help) }
            @if wrong { p.flash.bad role="alert" { (words.wrong_token) } }
            input type="hidden" name="next" value=(next);
            label for="token" { (words.token) }
            input #token type="password" name="token" autocomplete="current-password" required autofocus;
            button.primary type="submit" { (words.log_in) }
        }
    };
    layout::bare(words, status, words.login, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_no_other_server() {
        assert_eq!(destination("/messages?q=a"), "/messages?q=a");
        for elsewhere in ["", "https://evil.example", "//evil.example", "/\\evil.example", "/a\r\nset-cookie: b", "messages"] {
            assert_eq!(destination(elsewhere), "/", "{elsewhere}");
        }
    }
}
