//! The pages behind the links: a GET shows and changes nothing, a POST from the page's own form is written down.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, LOCATION, ORIGIN,
    REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use tokio::sync::SemaphorePermit;

use super::links::LinkMaker;
use super::page::{self, Form, MAX_NAME, MAX_TEXT, Say};
use super::shared::{Seen, Shared};
use super::token::{Token, TokenError};
use super::words::Words;
use crate::event::Status;
use crate::outbox::book::{Ask, Booked, DONE, Progress, Verb};

/// The largest form: a comment of Chinese characters, percent-encoded.
const MAX_FORM: usize = 32 * 1024;
/// How long a form may take to come.
const FORM_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a page waits for what was asked for to be carried out.
const OUTCOME_WAIT: Duration = Duration::from_secs(2);
/// Keeps the reader's name.
const NAME_COOKIE: &str = "incident-sink-name";
const NAME_SECONDS: u32 = 180 * 86_400;

/// Which of several responses by one link a page is about.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Which {
    r: Option<String>,
}

/// A response of ours, with what every page carries.
fn answer(status: StatusCode, html: String) -> Response {
    let policy = HeaderValue::from_str(&page::POLICY).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (CONTENT_SECURITY_POLICY, policy),
        // The form's origin is to be told to ourselves, the link to nobody else.
        (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // For readers that do not know the policy's `frame-ancestors`.
        (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex, nofollow")),
    ];
    (status, headers, html).into_response()
}

/// A request whose link was read.
struct Visit<'a> {
    shared: &'a Shared,
    text: &'a str,
    token: Token,
    _place: SemaphorePermit<'a>,
    words: &'static Words,
}

/// `GET /respond/{token}`.
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(text): Path<String>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Response {
    match Visit::begin(&shared, &text, &headers).await {
        Ok(visit) => visit.show(which.r.as_deref(), &name_of(&headers)).await,
        Err(refused) => refused,
    }
}

/// `POST /respond/{token}`.
pub(super) async fn act(State(shared): State<Arc<Shared>>, Path(text): Path<String>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let visit = match Visit::begin(&shared, &text, &parts.headers).await {
        Ok(visit) => visit,
        Err(refused) => return refused,
    };
    let links = shared.links.as_deref();
    let own = links.is_some_and(|links| is_own_page(&parts.headers, links));
    match read_form(body).await {
        Some(form) if own && form.token == text => visit.act(form).await,
        _ => answer(StatusCode::FORBIDDEN, page::render(visit.words, None, &Say::Trouble(visit.words.elsewhere))),
    }
}

impl<'a> Visit<'a> {
    /// Believes nothing of a link before its signature was checked.
    async fn begin(shared: &'a Shared, text: &'a str, headers: &HeaderMap) -> Result<Visit<'a>, Response> {
        let browsers = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let words = Words::choose(None, browsers);
        let Some(links) = &shared.links else { return Err(StatusCode::NOT_FOUND.into_response()) };
        let (token, expired) = match links.read(text, shared.clock.now()) {
            Some(Ok(token)) => (token, false),
            Some(Err(TokenError::Expired(token))) => (token, true),
            None => return Err(answer(StatusCode::SERVICE_UNAVAILABLE, page::render(words, None, &Say::Trouble(words.unwritten)))),
            Some(Err(TokenError::Forged)) => return Err(answer(StatusCode::NOT_FOUND, page::render(words, None, &Say::Forged))),
        };
        let words = Words::choose(shared.languages.get(&token.connector).map(String::as_str), browsers);
        let Ok(place) = shared.pages.try_acquire() else {
            return Err(answer(StatusCode::SERVICE_UNAVAILABLE, page::render(words, None, &Say::Trouble(words.busy))));
        };
        let visit = Visit { shared, text, token, words, _place: place };
        if expired {
            let seen = visit.look().await;
            return Err(visit.page(StatusCode::GONE, &seen, &Say::Expired));
        }
        Ok(visit)
    }

    fn incident(&self) -> String {
        self.token.incident.to_string()
    }

    async fn look(&self) -> Seen {
        self.shared.look(&self.incident()).await
    }

    fn page(&self, status: StatusCode, seen: &Seen, say: &Say<'_>) -> Response {
        answer(status, page::render(self.words, Some((self.token.incident, &self.token.connector, seen)), say))
    }

    async fn show(&self, which: Option<&str>, name: &str) -> Response {
        let key = key_of(self.text, which.unwrap_or_default());
        let response = match self.shared.outcome(&key, OUTCOME_WAIT).await {
            Ok(response) => response,
            Err(error) => return self.unwritten(&error),
        };
        let (seen, verb) = (self.look().await, self.token.verb);
        let form = Form { token: self.text, name, text: response.as_ref().map_or("", |response| response.ask.text.as_str()) };
        let say = match response.as_ref().map(|response| &response.progress) {
            Some(Progress::Open) => Say::Going { other: None },
            Some(Progress::Done(result)) if result == DONE => match response.as_ref().map(|response| response.ask.who.as_str()) {
                Some(who) if who != name => Say::Used { verb, who },
                _ => Say::Done(verb),
            },
            Some(Progress::Done(_)) => Say::Already,
            Some(Progress::Failed(_)) | None if nothing_left(verb, seen.status.as_ref()) => Say::Already,
            Some(Progress::Failed(why)) => Say::Failed { why, verb, form },
            None => Say::Confirm { verb, form, missing: None },
        };
        self.page(StatusCode::OK, &seen, &say)
    }

    async fn act(&self, form: Posted) -> Response {
        let verb = self.token.verb;
        let (name, text) = (clean(&form.name, MAX_NAME, false), clean(&form.text, MAX_TEXT, true));
        let seen = self.look().await;
        if nothing_left(verb, seen.status.as_ref()) {
            return self.page(StatusCode::OK, &seen, &Say::Already);
        }
        let missing = match (name.is_empty(), verb == Verb::Comment && text.is_empty()) {
            (true, _) => Some(self.words.name_missing),
            (false, true) => Some(self.words.text_missing),
            (false, false) => None,
        };
        if missing.is_some() {
            let form = Form { token: self.text, name: &name, text: &text };
            return self.page(StatusCode::BAD_REQUEST, &seen, &Say::Confirm { verb, form, missing });
        }
        // A link accepts or resolves once; comments by it are told apart by what they say.
        let which = if verb == Verb::Comment { digest(&format!("{name}\n{text}")) } else { String::new() };
        let key = key_of(self.text, &which);
        let text = if verb == Verb::Comment { text } else { String::new() };
        let connector = self.token.connector.clone();
        let ask = Ask { key: key.clone(), incident: self.incident(), verb, connector, who: name.clone(), person: None, text };
        match self.shared.ask(ask).await {
            Ok(Booked::Before(other)) if other.ask.key != key => {
                self.page(StatusCode::OK, &seen, &Say::Going { other: Some(&other.ask.who) })
            }
            Ok(_) => self.see_other(&which, &name),
            Err(error) => self.unwritten(&error),
        }
    }

    /// Back to the page, which shows what became of it: so that a reload asks for nothing again.
    fn see_other(&self, which: &str, name: &str) -> Response {
        let query = if which.is_empty() { String::new() } else { format!("?r={which}") };
        let base = self.shared.links.as_deref().map(LinkMaker::base);
        let secure = base.is_some_and(|base| base.scheme() == "https");
        let cookie = format!(
            "{NAME_COOKIE}={}; Max-Age={NAME_SECONDS}; Path={}; HttpOnly; SameSite=Lax{}",
            utf8_percent_encode(name, NON_ALPHANUMERIC),
            base.map_or("/", |base| base.path()),
            if secure { "; Secure" } else { "" }
        );
        let mut response = answer(StatusCode::SEE_OTHER, String::new());
        // Relative, so that it is right behind any proxy.
        let location = HeaderValue::from_str(&format!("{}{query}", self.text));
        response.headers_mut().extend(location.ok().map(|value| (LOCATION, value)));
        response.headers_mut().extend(HeaderValue::from_str(&cookie).ok().map(|value| (SET_COOKIE, value)));
        response
    }

    fn unwritten(&self, error: &crate::outbox::OutboxError) -> Response {
        tracing::error!(incident = self.token.incident, %error, "A response could not be read or written down.");
        answer(StatusCode::SERVICE_UNAVAILABLE, page::render(self.words, None, &Say::Trouble(self.words.unwritten)))
    }
}

/// Whether an incident is already where a verb would bring it, or beyond.
pub(super) fn nothing_left(verb: Verb, status: Option<&Status>) -> bool {
    match verb {
        Verb::Accept => matches!(status, Some(Status::Accepted | Status::Resolved)),
        Verb::Resolve | Verb::Comment => status == Some(&Status::Resolved),
    }
}

/// Whether a form was sent from a page of ours, as far as the browser says. What it does not say, the signed token in the form has to make up for.
fn is_own_page(headers: &HeaderMap, links: &LinkMaker) -> bool {
    let said = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let site = said(HeaderName::from_static("sec-fetch-site")).is_none_or(|site| matches!(site, "same-origin" | "none"));
    let origin = said(ORIGIN).is_none_or(|origin| origin == links.base().origin().ascii_serialization());
    site && origin
}

#[derive(Default)]
struct Posted {
    token: String,
    name: String,
    text: String,
}

async fn read_form(body: Body) -> Option<Posted> {
    let bytes = tokio::time::timeout(FORM_TIMEOUT, axum::body::to_bytes(body, MAX_FORM)).await.ok()?.ok()?;
    let mut form = Posted::default();
    for (name, value) in url::form_urlencoded::parse(&bytes) {
        match &*name {
            "token" => form.token = value.into_owned(),
            "name" => form.name = value.into_owned(),
            "text" => form.text = value.into_owned(),
            _ => {}
        }
    }
    Some(form)
}

/// Without control characters, and at most so many characters.
pub(super) fn clean(text: &str, most: usize, lines: bool) -> String {
    let text = if lines { crate::plugin::text::block(&text.replace("\r\n", "\n"), 4 * most) } else { crate::plugin::text::line(text) };
    text.trim().chars().take(most).collect()
}

/// What a response by a link is written down under.
fn key_of(token: &str, which: &str) -> String {
    let which: String = which.chars().filter(char::is_ascii_hexdigit).take(32).collect();
    format!("link:{}:{which}", digest(token))
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes())[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn name_of(headers: &HeaderMap) -> String {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    let value = cookies.filter_map(|cookie| cookie.trim().split_once('=')).find(|(name, _)| *name == NAME_COOKIE).map(|(_, value)| value);
    clean(&percent_decode_str(value.unwrap_or_default()).decode_utf8_lossy(), MAX_NAME, false)
}
