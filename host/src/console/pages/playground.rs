//! The playground: any event with any config, written by the real component. Nothing is sent.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;

use super::super::preview::{self, Missing, Wish};
use super::fixtures::{FIXTURES, find};
use super::format::{counted, fill, pretty};
use super::layout::Section;
use super::visit::{Form, Visit, query};
use super::words::Words;
use super::{Console, card, draw, sample};
use crate::delivery::preview::{Plan, Preview, PreviewRequest};

/// What stands in the fields.
#[derive(Default)]
struct Desk {
    fixture: String,
    event: String,
    /// The connector whose hidden values are meant.
    connector: String,
    config: String,
}

/// What came of it.
struct Shown {
    /// Each with the part that it is about: `event`, `config` or both, as an empty text.
    problems: Vec<(&'static str, String)>,
    preview: Option<Preview>,
}

/// `GET /playground`
pub(super) async fn open(State(console): State<Console>, visit: Visit, uri: Uri) -> Response {
    let names = connectors(&console);
    let connector = query(&uri, "connector").filter(|name| names.contains(name)).or_else(|| names.first().cloned()).unwrap_or_default();
    let fixture = query(&uri, "fixture").as_deref().and_then(find).unwrap_or(&FIXTURES[0]);
    let config = config_of(&console, &connector);
    let desk = Desk { fixture: fixture.name.to_owned(), event: fixture.body.to_owned(), connector, config };
    page(&console, &visit, &names, &desk).await
}

/// `POST /playground`: shows what was typed, or puts what was chosen into a field first.
pub(super) async fn show(State(console): State<Console>, visit: Visit, form: Form) -> Response {
    let text = |name: &str| form.get(name).replace("\r\n", "\n");
    let mut desk = Desk { fixture: text("fixture"), event: text("event"), connector: text("connector"), config: text("config") };
    if form.has("load-event") {
        desk.event = find(&desk.fixture).map(|fixture| fixture.body.to_owned()).unwrap_or(desk.event);
    }
    if form.has("load-config") {
        desk.config = config_of(&console, &desk.connector);
    }
    page(&console, &visit, &connectors(&console), &desk).await
}

/// The connectors whose messages a plugin writes, by name.
fn connectors(console: &Console) -> Vec<String> {
    let sinks = console.control().sinks();
    sinks.connectors.iter().filter(|(_, built)| built.plugin.is_some()).map(|(name, _)| name.to_string()).take(500).collect()
}

fn config_of(console: &Console, connector: &str) -> String {
    let control = console.control();
    let kind = || control.sinks().registry.names().into_iter().next().unwrap_or_default();
    sample::of_connector(control, connector).unwrap_or_else(|| sample::of_plugin(&kind()))
}

async fn page(console: &Console, visit: &Visit, names: &[String], desk: &Desk) -> Response {
    let shown = try_out(console, desk).await;
    let w = visit.words;
    let body = html! {
        div.head { h1 { (w.playground) } p.dim { (w.playground_help) } }
        form.playground method="post" action="/playground" data-playground {
            (visit.token())
            section.field aria-labelledby="event-h" {
                h2 #event-h { (w.event) }
                (choice(w, "fixture", w.example, &desk.fixture, &FIXTURES.iter().map(|one| one.name).collect::<Vec<_>>(), "load-event"))
                label.unseen for="event" { (w.event_json) }
                textarea #event name="event" rows="22" spellcheck="false" autocomplete="off" aria-describedby="event-problems" { "\n" (desk.event) }
                div #event-problems { (problems(&shown, "event")) }
            }
            section.field aria-labelledby="config-h" {
                h2 #config-h { (w.config) }
                (choice(w, "connector", w.connector, &desk.connector, &names.iter().map(String::as_str).collect::<Vec<_>>(), "load-config"))
                label.unseen for="config" { (w.config_toml) }
                textarea #config name="config" rows="16" spellcheck="false" autocomplete="off" aria-describedby="config-problems" { "\n" (desk.config) }
                div #config-problems { (problems(&shown, "config")) }
                p.dim { (fill(w.hidden_help, &[&preview::HIDDEN])) }
                (keys(console, w, &desk.config))
            }
            section.result aria-labelledby="result-h" {
                h2 #result-h { (w.as_seen) }
                div #result aria-live="polite" { (result(w, &shown, &desk.connector)) }
                button.primary type="submit" { (w.show) }
            }
        }
    };
    visit.answer(Section::Playground, None, Ok(body))
}

/// A list to choose from, and what puts the choice into the field below.
fn choice(w: &Words, name: &str, label: &str, chosen: &str, options: &[&str], load: &str) -> Markup {
    html! {
        div.choice {
            label for=(name) { (label) }
            select #(name) name=(name) data-load=(load) { @for one in options { option value=(one) selected[*one == chosen] { (one) } } }
            button #(load) type="submit" name=(load) value="yes" { (w.load) span.unseen { " " (label) } }
        }
    }
}

async fn try_out(console: &Console, desk: &Desk) -> Shown {
    let none = |problems| Shown { problems, preview: None };
    let config = match sample::read(&desk.config) {
        Ok(config) => config,
        Err(text) => return none(vec![("config", text)]),
    };
    let wish = Wish {
        connector: Some(desk.connector.clone()).filter(|name| !name.is_empty()),
        config: Some(config),
        events: desk.event.clone().into_bytes(),
    };
    match preview::show(console.control(), wish).await {
        Ok(preview) => Shown { problems: Vec::new(), preview: Some(preview) },
        Err(Missing::Wrong(found)) => none(found.iter().map(|problem| ("config", problem.to_string())).collect()),
        Err(missing @ Missing::Event(_)) => none(vec![("event", missing.to_string())]),
        Err(Missing::Refused(reason)) => none(vec![("", [reason.text, reason.advice].join(" "))]),
        Err(other) => none(vec![("", other.to_string())]),
    }
}

fn problems(shown: &Shown, part: &str) -> Markup {
    let list: Vec<&str> = shown.problems.iter().filter(|(about, _)| *about == part).map(|(_, text)| text.as_str()).collect();
    html! { @if !list.is_empty() { ul.problems { @for text in list { li { span aria-hidden="true" { "▲ " } (text) } } } } }
}

fn result(w: &Words, shown: &Shown, connector: &str) -> Markup {
    let Some(preview) = &shown.preview else { return html! { (problems(shown, "")) p.empty { (w.nothing_to_show) } } };
    html! {
        p.dim { (preview.plugin) " " (preview.version) " · " (counted(w.n_events, preview.covers as u64)) }
        @match &preview.plan {
            Plan::Request(request) => (request_shown(w, request, if connector.is_empty() { "preview" } else { connector })),
            Plan::Decided(decided) => p.empty { (w.nothing_sent) " " span.code { (serde_json::to_string(decided).unwrap_or_default()) } },
        }
    }
}

fn request_shown(w: &Words, request: &PreviewRequest, who: &str) -> Markup {
    html! {
        @if let Some(card) = card::read(&request.body) { (draw::card(w, &card, who)) } @else { p.dim { (w.not_drawable) } }
        h3 { (w.signed_url) }
        p.code.wrap #url { (request.method) " " (request.url) }
        h3 { (w.exact_body) " " span.dim { (fill(w.n_bytes, &[&request.body_bytes])) } }
        pre #json tabindex="0" { (pretty(&request.body)) }
        details #headers { summary { (w.headers) } pre tabindex="0" { @for (name, value) in &request.headers { (name) ": " (value) "\n" } } }
    }
}

/// The keys that the plugin's schema knows, with its own words.
fn keys(console: &Console, w: &Words, config: &str) -> Markup {
    let kind = sample::read(config).ok().and_then(|config| config.get("type")?.as_str().map(str::to_owned)).unwrap_or_default();
    let Some(plugin) = console.control().sinks().registry.current(&kind) else { return html! {} };
    let properties = plugin.descriptor().config_schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    html! {
        details #keys {
            summary { (fill(w.keys_of, &[&kind])) }
            dl.keys {
                @for (name, schema) in &properties {
                    dt.code { (name) }
                    dd { (schema.get("description").and_then(Value::as_str).unwrap_or_default()) (allowed(schema)) }
                }
            }
        }
    }
}

fn allowed(schema: &Value) -> Markup {
    let options = schema.get("enum").and_then(Value::as_array).map(|list| list.iter().map(Value::to_string).collect::<Vec<_>>().join(", "));
    html! { @if let Some(options) = options { " " span.code { (options) } } }
}
