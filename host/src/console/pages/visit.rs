//! One look at the console: who looks, in which language, and whether what is posted comes from a form of theirs.

use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::header::{ACCEPT_LANGUAGE, COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::super::guard::is_loopback_name;
use super::flash::Flash;
use super::words::Words;
use super::{Console, session};

const SESSION: &str = "incident-sink-session";
const LANGUAGE: &str = "incident-sink-language";
const LANGUAGE_SECONDS: u32 = 365 * 86_400;

/// One look.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) words: &'static Words,
    /// The session's id; without a token in the config it only tells forms apart.
    pub(super) session: String,
    /// What forms carry.
    pub(super) csrf: String,
    /// Where they are, for the links that switch the language.
    pub(super) uri: Uri,
    /// Whether there is a session that can be ended.
    pub(super) named: bool,
    pub(super) flash: Option<Flash>,
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"))
}

/// A cookie's value.
pub(super) fn cookie<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    cookies.filter_map(|cookie| cookie.trim().split_once('=')).find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

/// A `Set-Cookie` that only this server gets back; over TLS, which a proxy in front tells of, only over TLS.
pub(super) fn set_cookie(headers: &HeaderMap, name: &str, value: &str, seconds: Option<u32>) -> Option<HeaderValue> {
    let secure = text(headers, "x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    HeaderValue::from_str(&format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{age}{}", if secure { "; Secure" } else { "" })).ok()
}

/// The cookie of a session.
pub(super) fn session_cookie(headers: &HeaderMap, id: &str) -> Option<HeaderValue> {
    set_cookie(headers, SESSION, id, None)
}

/// The cookie that ends it.
pub(super) fn no_session_cookie(headers: &HeaderMap) -> Option<HeaderValue> {
    set_cookie(headers, SESSION, "", Some(0))
}

/// The reader's language: what was chosen here, else what the browser asks for.
pub(super) fn language(headers: &HeaderMap) -> &'static Words {
    Words::choose(cookie(headers, LANGUAGE), text(headers, ACCEPT_LANGUAGE.as_str()))
}

/// Whether a request that changes something comes from a page of this server, as far as the browser says.
pub(super) fn is_own_page(headers: &HeaderMap) -> bool {
    let site = text(headers, "sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    let origin = text(headers, ORIGIN.as_str()).is_none_or(|origin| {
        let host = origin.split_once("://").map_or("", |(_, host)| host);
        text(headers, HOST.as_str()).is_some_and(|own| own.eq_ignore_ascii_case(host))
    });
    site && origin
}

/// To another page of ours.
pub(super) fn see_other(to: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().extend(HeaderValue::from_str(to).ok().map(|to| (LOCATION, to)));
    response
}

/// Lets a visitor in, or sends them to the login.
pub(super) async fn enter(State(console): State<Console>, mut request: Request, next: Next) -> Response {
    if let Some(chosen) = chosen_language(request.uri()) {
        return switch(&request, chosen);
    }
    let headers = request.headers();
    let words = language(headers);
    let token = console.control().plan().settings.admin.token.clone();
    let given = cookie(headers, SESSION).filter(|id| session::is_id(id)).map(str::to_owned);
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let refuse = |text: &str| super::layout::alone(words, StatusCode::FORBIDDEN, words.forbidden, text);
    if changes && !is_own_page(headers) {
        return refuse(words.other_page);
    }
    let (id, fresh) = match (&token, given) {
        (Some(token), Some(id)) if console.0.sessions.is_open(&id, token, Instant::now()) => (id, false),
        (Some(_), _) if changes => return refuse(words.session_over),
        (Some(_), _) => return to_login(request.uri()),
        // Without a token, a name that leads here from elsewhere is somebody's trick.
        (None, _) if !is_loopback_name(text(headers, HOST.as_str()).unwrap_or_default()) => return refuse(words.not_here),
        (None, Some(id)) => (id, false),
        (None, None) => (session::new_id(), true),
    };
    let flash = query(request.uri(), "flash").and_then(|id| console.0.flashes.get(&id));
    let set = if fresh { session_cookie(headers, &id) } else { None };
    let csrf = console.0.sessions.form_token(&id);
    let visit = Visit { words, session: id, csrf, uri: request.uri().clone(), named: token.is_some(), flash };
    request.extensions_mut().insert(visit);
    let mut response = next.run(request).await;
    response.headers_mut().extend(set.map(|cookie| (SET_COOKIE, cookie)));
    response
}

/// A parameter of the query.
pub(super) fn query(uri: &Uri, wanted: &str) -> Option<String> {
    let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    pairs.into_iter().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
}

/// The address with one parameter more, or another value of it; or without it.
pub(super) fn with_query(uri: &Uri, name: &str, value: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (known, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        if known != name && known != "flash" {
            query.append_pair(&known, &value);
        }
    }
    if let Some(value) = value {
        query.append_pair(name, value);
    }
    let query = query.finish();
    if query.is_empty() { uri.path().to_owned() } else { format!("{}?{query}", uri.path()) }
}

fn chosen_language(uri: &Uri) -> Option<&'static str> {
    query(uri, "lang").map(|lang| Words::choose(Some(&lang), None).code)
}

fn switch(request: &Request, chosen: &str) -> Response {
    let mut response = see_other(&with_query(request.uri(), "lang", None));
    let cookie = set_cookie(request.headers(), LANGUAGE, chosen, Some(LANGUAGE_SECONDS));
    response.headers_mut().extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
    response
}

fn to_login(uri: &Uri) -> Response {
    let next = uri.path_and_query().map_or("/", |path| path.as_str());
    let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
    see_other(&format!("/login?next={next}"))
}

impl Visit {
    /// Back to a page, with what became of the form.
    pub(super) fn back(&self, console: &Console, to: &str, flash: Flash) -> Response {
        let place = flash.about.as_deref().map(|name| format!("#{}", super::format::anchor(name))).unwrap_or_default();
        let id = console.0.flashes.keep(flash);
        let sign = if to.contains('?') { '&' } else { '?' };
        see_other(&format!("{to}{sign}flash={id}{place}"))
    }

    /// Whether a form is of this session.
    pub(super) fn is_own_form(&self, console: &Console, token: &str) -> bool {
        console.0.sessions.is_own_form(&self.session, token)
    }

    /// What a foreign form gets.
    pub(super) fn foreign_form(&self) -> Response {
        super::layout::alone(self.words, StatusCode::FORBIDDEN, self.words.forbidden, self.words.other_page)
    }
}

impl<S: Sync> FromRequestParts<S> for Visit {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        // Only missing where a route has no `enter` around it.
        parts.extensions.get::<Visit>().cloned().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// A form of this session, its fields by name. There is no other way to what was posted, so no page can forget to look whose it is.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn get(&self, wanted: &str) -> &str {
        self.0.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value)
    }

    pub(super) fn has(&self, wanted: &str) -> bool {
        self.0.iter().any(|(name, _)| name == wanted)
    }
}

impl FromRequest<Console> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, console: &Console) -> Result<Self, Self::Rejection> {
        let visit = request.extensions().get::<Visit>().cloned().ok_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response())?;
        let body = Bytes::from_request(request, console).await.map_err(IntoResponse::into_response)?;
        let form = Form(url::form_urlencoded::parse(&body).into_owned().collect());
        if visit.is_own_form(console, form.get("csrf")) { Ok(form) } else { Err(visit.foreign_form()) }
    }
}
