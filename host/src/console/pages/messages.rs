//! The messages: what is open, delivered and dead, newest first, live, and searchable.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};

use super::Console;
use super::connectors::words_of;
use super::format::{ago, count};
use super::layout::{Section, Trouble};
use super::visit::{Visit, query, with_query};
use super::words::Words;
use crate::outbox::{Filter, MessageId, MessageSummary, Waiting};

/// Waiting events that are shown.
const QUEUE: usize = 20;
/// Messages on one page.
const PAGE: usize = 50;

/// What is looked for.
struct Wanted {
    text: String,
    connector: String,
    state: String,
    before: Option<MessageId>,
}

impl Wanted {
    fn of(uri: &Uri) -> Wanted {
        let text = |name| query(uri, name).map(|value| value.trim().to_owned()).unwrap_or_default();
        let before = query(uri, "before").and_then(|before| before.parse().ok()).map(MessageId);
        Wanted { text: text("q"), connector: text("connector"), state: text("state"), before }
    }

    fn filter(&self) -> Filter {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Filter {
            state: given(&self.state),
            connector: given(&self.connector),
            text: given(&self.text),
            before: self.before,
            limit: PAGE + 1,
        }
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.connector.is_empty() && self.state.is_empty()
    }
}

/// `GET /messages`
pub(super) async fn index(State(console): State<Console>, visit: Visit, uri: Uri) -> Response {
    let body = page(&console, &visit, &uri).await;
    visit.answer(Section::Messages, None, body)
}

async fn page(console: &Console, visit: &Visit, uri: &Uri) -> Result<Markup, Trouble> {
    let (w, wanted) = (visit.words, Wanted::of(uri));
    let mut list = console.control().outbox().messages(wanted.filter()).await?;
    let more = list.len() > PAGE;
    list.truncate(PAGE);
    let now = console.control().clock().now();
    let waiting = waiting(console, &wanted).await?;
    let last = list.last().map(|message| message.id.0.to_string());
    Ok(html! {
        div.head { h1 { (w.messages) } }
        (visit.flash_about(None))
        (form(console, w, &wanted))
        div #messages data-live {
            @if !waiting.is_empty() { (queue(w, &waiting, now)) }
            @if list.is_empty() { p.empty { (if wanted.is_empty() { w.no_messages } else { w.none_found }) } }
            @else { (table(w, &list, now)) }
        }
        @if more || wanted.before.is_some() {
            nav.pages aria-label=(w.pages) {
                @if wanted.before.is_some() { a href=(with_query(uri, "before", None)) { (w.newest) } }
                @if let Some(last) = last.filter(|_| more) { a href=(with_query(uri, "before", Some(&last))) { (w.older) } }
            }
        }
    })
}

/// The first events that wait for the one connector that is looked at.
async fn waiting(console: &Console, wanted: &Wanted) -> Result<Vec<Waiting>, Trouble> {
    let all = wanted.text.is_empty() && matches!(wanted.state.as_str(), "" | "open") && wanted.before.is_none();
    if wanted.connector.is_empty() || !all {
        return Ok(Vec::new());
    }
    Ok(console.control().outbox().waiting(&wanted.connector, QUEUE).await?)
}

fn queue(w: &Words, waiting: &[Waiting], now: i64) -> Markup {
    html! {
        section.queue aria-labelledby="queue" {
            h2 #queue { (w.waiting_here) }
            ul {
                @for one in waiting {
                    li { span.state { span aria-hidden="true" { "○" } " " (one.event.kind.as_str()) } " " (one.event.summary) " " span.dim { (ago(w, one.accepted_at, now)) } }
                }
            }
            @if waiting.len() == QUEUE { p.dim { "…" } }
        }
    }
}

fn form(console: &Console, w: &Words, wanted: &Wanted) -> Markup {
    let connectors = console.control().dispatcher().connectors();
    let mut names: Vec<&str> = connectors.keys().map(|name| &**name).take(500).collect();
    names.sort_unstable();
    let states = [("", w.any_state), ("open", w.open), ("delivered", w.delivered), ("dead", w.dead)];
    html! {
        form.filters role="search" method="get" action="/messages" {
            div { label for="q" { (w.search_text) } input #q type="search" name="q" value=(wanted.text) placeholder=(w.search_hint); }
            div {
                label for="connector" { (w.connector) }
                // A list to choose from, but not only: messages stay when their connector is gone.
                input #connector type="text" name="connector" list="connectors" value=(wanted.connector) placeholder=(w.any_connector);
                datalist #connectors { @for name in names { option value=(name) {} } }
            }
            div {
                label for="state" { (w.state) }
                select #state name="state" {
                    @for (value, word) in states { option value=(value) selected[value == wanted.state] { (word) } }
                }
            }
            button.primary type="submit" { (w.search) }
        }
    }
}

/// A state, by shape and word.
pub(super) fn state(w: &Words, state: &str) -> Markup {
    let (class, mark, word) = match state {
        "open" => ("state busy", "◐", w.open),
        "delivered" => ("state good", "✓", w.delivered),
        "dead" => ("state bad", "▲", w.dead),
        other => ("state", "○", other),
    };
    html! { span class=(class) { span aria-hidden="true" { (mark) } " " (word) } }
}

/// Messages as a table.
fn table(w: &Words, list: &[MessageSummary], now: i64) -> Markup {
    html! {
        table.list {
            caption.unseen { (w.messages) }
            thead {
                tr {
                    th scope="col" { (w.state) }
                    th scope="col" { (w.message) }
                    th scope="col" { (w.connector) }
                    th.number scope="col" { (w.events) }
                    th.number scope="col" { (w.attempts) }
                    th scope="col" { (w.changed) }
                }
            }
            tbody {
                @for one in list {
                    tr #{ "m-" (one.id.0) } {
                        td { (state(w, &one.state)) }
                        td.wide {
                            a href={ "/messages/" (one.id.0) } { (if one.summary.is_empty() { w.no_summary } else { &one.summary }) }
                            @if one.state != "delivered" && !one.reason.text.is_empty() { p.words { (words_of(&one.reason)) } }
                        }
                        td { a.plain href={ "/messages?connector=" (super::format::segment(&one.connector)) } { (one.connector) } }
                        td.number data-label=(w.events) { (count(one.events)) }
                        td.number data-label=(w.attempts) { (one.attempts) }
                        td.dim { (ago(w, if one.state == "open" { one.created_at } else { one.updated_at }, now)) }
                    }
                }
            }
        }
    }
}
