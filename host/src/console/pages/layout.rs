//! The frame of every page, and the headers that keep it to itself.

use std::fmt::Display;

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::assets::address;
use super::flash::{Flash, Mood};
use super::visit::{Visit, with_query};
use super::words::Words;
use crate::outbox::OutboxError;

/// Everything comes from this server, nothing is inline, no page may frame it, forms go nowhere else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// Which page it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Connectors,
    Messages,
    DeadLetters,
    Plugins,
    Playground,
}

impl Section {
    const ALL: [Section; 5] = [Section::Connectors, Section::Messages, Section::DeadLetters, Section::Plugins, Section::Playground];

    fn path(self) -> &'static str {
        match self {
            Section::Connectors => "/",
            Section::Messages => "/messages",
            Section::DeadLetters => "/dead-letters",
            Section::Plugins => "/plugins",
            Section::Playground => "/playground",
        }
    }

    pub(super) fn title(self, words: &Words) -> &'static str {
        match self {
            Section::Connectors => words.connectors,
            Section::Messages => words.messages,
            Section::DeadLetters => words.dead_letters,
            Section::Plugins => words.plugins,
            Section::Playground => words.playground,
        }
    }
}

/// What a page cannot show.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

impl From<OutboxError> for Trouble {
    fn from(error: OutboxError) -> Self {
        let status = match &error {
            OutboxError::NotFound(_) => StatusCode::NOT_FOUND,
            OutboxError::Conflict(_) => StatusCode::CONFLICT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Trouble { status, text: error.to_string() }
    }
}

impl Trouble {
    pub(super) fn broken(error: &impl Display) -> Self {
        Trouble { status: StatusCode::INTERNAL_SERVER_ERROR, text: error.to_string() }
    }
}

impl Visit {
    /// A page, or what stands in its way.
    pub(super) fn answer(&self, section: Section, title: Option<&str>, body: Result<Markup, Trouble>) -> Response {
        let name = section.title(self.words);
        match body {
            Ok(body) => {
                let title = title.map_or_else(|| name.to_owned(), |title| format!("{title} · {name}"));
                respond(StatusCode::OK, &self.frame(section, &title, &body))
            }
            Err(trouble) => {
                let body = html! { h1 { (name) } p.flash.bad role="alert" { (trouble.text) } };
                respond(trouble.status, &self.frame(section, name, &body))
            }
        }
    }

    fn frame(&self, section: Section, title: &str, body: &Markup) -> Markup {
        let words = self.words;
        let header = html! {
            header.side {
                a.brand href="/" { img src=(address("icon.svg")) alt="" width="22" height="22"; span { "incident-sink" } }
                nav aria-label=(words.sections) {
                    ul {
                        @for one in Section::ALL {
                            li { a href=(one.path()) aria-current=[(one == section).then_some("page")] { (one.title(words)) } }
                        }
                    }
                }
                div.tools {
                    span #pulse.pulse hidden[true] data-on=(words.live) data-off=(words.reconnecting) {}
                    (self.languages())
                    @if self.named {
                        form method="post" action="/logout" { (self.token()) button.quiet type="submit" { (words.log_out) } }
                    }
                }
            }
        };
        document(words, title, &header, body)
    }

    fn languages(&self) -> Markup {
        let other = |words: &'static Words| {
            html! {
                @if words.code == self.words.code { span lang=(words.code) aria-current="true" { (words.own_name) } }
                @else { a lang=(words.code) hreflang=(words.code) href=(with_query(&self.uri, "lang", Some(words.code))) { (words.own_name) } }
            }
        };
        html! { span.languages { @for words in Words::ALL { (other(words)) } } }
    }

    /// What makes a form this session's.
    pub(super) fn token(&self) -> Markup {
        html! { input type="hidden" name="csrf" value=(self.csrf); }
    }

    /// What became of a form, where it was about that.
    pub(super) fn flash_about(&self, about: Option<&str>) -> Markup {
        let flash = self.flash.as_ref().filter(|flash| flash.about.as_deref() == about);
        html! { @if let Some(flash) = flash { (show(flash)) } }
    }
}

fn show(flash: &Flash) -> Markup {
    let (class, mark) = match flash.mood {
        Mood::Good => ("good", "✓"),
        Mood::Bad => ("bad", "!"),
    };
    html! {
        div class={ "flash " (class) } role="status" data-announce {
            span.mark aria-hidden="true" { (mark) }
            div { strong { (flash.title) } @if !flash.text.is_empty() { p { (flash.text) } } }
        }
    }
}

fn document(words: &Words, title: &str, header: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(words.code) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex, nofollow";
                title { (title) " · incident-sink" }
                link rel="icon" type="image/svg+xml" href=(address("icon.svg"));
                link rel="stylesheet" href=(address("console.css"));
                script src=(address("console.js")) defer {}
            }
            body data-new=(words.new_message) {
                a.skip href="#main" { (words.skip) }
                (header)
                main #main tabindex="-1" { (body) }
                p #announce.unseen role="status" aria-live="polite" {}
            }
        }
    }
}

/// A page without the way to the others.
pub(super) fn bare(words: &Words, status: StatusCode, title: &str, body: &Markup) -> Response {
    respond(status, &document(words, title, &html! {}, body))
}

/// A page that says one thing.
pub(super) fn alone(words: &Words, status: StatusCode, title: &str, text: &str) -> Response {
    let body = html! { div.panel.login { h1 { (title) } p { (text) } p { a href="/" { (words.to_console) } } } };
    bare(words, status, title, &body)
}

fn respond(status: StatusCode, page: &Markup) -> Response {
    let kind = [(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))];
    (status, kind, page.0.clone()).into_response()
}

/// The headers of everything that the console answers.
pub(super) async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
    response
}
