//! Dead letters: what was not delivered and waits for a decision, and what sources could not read.

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use futures_util::stream::{self, StreamExt as _};
use maud::{Markup, html};

use super::Console;
use super::connectors::words_of;
use super::flash::{Flash, Mood};
use super::format::{ago, count, counted, fill, segment};
use super::layout::{Section, Trouble};
use super::visit::{Form, Visit, query, with_query};
use super::words::Words;
use crate::outbox::{Filter, MessageId, MessageSummary, OutboxError, Unreadable};

/// Dead letters on one page.
const PAGE: usize = 50;
/// Unreadable items that are shown.
const UNREADABLE: usize = 50;
/// How much of an unreadable item is shown, in bytes.
const SHOWN: usize = 4_096;
/// The most dead letters that one click replays or discards; a further click goes on.
const AT_ONCE: usize = 5_000;
/// Changes that are under way at once: the outbox commits them in groups.
const TOGETHER: usize = 64;

/// `GET /dead-letters`
pub(super) async fn index(State(console): State<Console>, visit: Visit, uri: Uri) -> Response {
    let body = page(&console, &visit, &uri).await;
    visit.answer(Section::DeadLetters, None, body)
}

async fn page(console: &Console, visit: &Visit, uri: &Uri) -> Result<Markup, Trouble> {
    let (w, outbox, now) = (visit.words, console.control().outbox(), console.control().clock().now());
    let connector = query(uri, "connector").filter(|name| !name.is_empty());
    let before = query(uri, "before").and_then(|before| before.parse().ok()).map(MessageId);
    let filter = Filter { state: Some("dead".to_owned()), connector: connector.clone(), before, limit: PAGE + 1, ..Filter::default() };
    let mut list = outbox.messages(filter).await?;
    let more = list.len() > PAGE;
    list.truncate(PAGE);
    let last = list.last().map(|message| message.id.0.to_string());
    let mut groups: Vec<(String, u64)> =
        outbox.status().await?.into_iter().filter(|line| line.dead > 0).map(|line| (line.connector, line.dead)).collect();
    groups.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let unreadable = outbox.unreadable(UNREADABLE).await?;
    Ok(html! {
        div.head { h1 { (w.dead_letters) } @if connector.is_some() { a href="/dead-letters" { (w.all_connectors) } } }
        (visit.flash_about(None))
        div #letters data-live {
            @if groups.is_empty() { p.empty { span.state.good { span aria-hidden="true" { "✓" } } " " (w.no_dead_letters) } }
            @else { (overview(visit, &groups, connector.as_deref())) }
            ul.cards { @for one in &list { (letter(visit, one, now)) } }
        }
        @if let Some(last) = last.filter(|_| more) {
            nav.pages aria-label=(w.pages) { a href=(with_query(uri, "before", Some(&last))) { (w.older) } }
        }
        @if !unreadable.is_empty() { (unreadable_items(w, &unreadable, now)) }
    })
}

fn overview(visit: &Visit, groups: &[(String, u64)], only: Option<&str>) -> Markup {
    let w = visit.words;
    html! {
        ul.groups {
            @for (name, dead) in groups.iter().filter(|(name, _)| only.is_none_or(|only| only == name)).take(PAGE) {
                li {
                    a href={ "/dead-letters?connector=" (segment(name)) } { strong { (name) } }
                    span.dim { (fill(w.n_dead, &[&count(*dead)])) }
                    form method="post" action="/dead-letters/replay-all" {
                        (visit.token())
                        input type="hidden" name="connector" value=(name);
                        button type="submit" { (w.replay_all) span.unseen { " " (name) } }
                    }
                    details.confirm #{ "all-" (super::format::anchor(name)) } {
                        summary { (w.discard_all) span.unseen { " " (name) } }
                        form method="post" action="/dead-letters/discard-all" {
                            (visit.token())
                            input type="hidden" name="connector" value=(name);
                            p { (fill(w.discard_all_sure, &[&count(*dead), name])) }
                            button.danger type="submit" { (w.discard_for_ever) }
                        }
                    }
                }
            }
        }
    }
}

fn letter(visit: &Visit, one: &MessageSummary, now: i64) -> Markup {
    let w = visit.words;
    html! {
        li.card #{ "m-" (one.id.0) } {
            div.card-head {
                h2 { a href={ "/messages/" (one.id.0) } { (if one.summary.is_empty() { w.no_summary } else { &one.summary }) } }
                p.dim.where {
                    (one.connector) " · " (counted(w.n_events, one.events)) " · " (counted(w.n_attempts, one.attempts.into())) " · "
                    (ago(w, one.updated_at.min(now), now))
                }
            }
            div.words-box {
                p { (words_of(&one.reason)) }
                @if !one.reason.advice.is_empty() { p.advice { strong { (w.what_to_do) ": " } (one.reason.advice) } }
            }
            (choices(visit, one.id))
        }
    }
}

/// What can be done about a dead letter.
pub(super) fn choices(visit: &Visit, id: MessageId) -> Markup {
    let (w, id) = (visit.words, id.0);
    html! {
        div.choices {
            form method="post" action={ "/dead-letters/" (id) "/replay" } {
                (visit.token())
                button.primary #{ "replay-" (id) } type="submit" { (w.replay) span.unseen { " #" (id) } }
            }
            details.confirm #{ "discard-" (id) } {
                summary { (w.discard) span.unseen { " #" (id) } }
                form method="post" action={ "/dead-letters/" (id) "/discard" } {
                    (visit.token())
                    p { (w.discard_sure) }
                    button.danger type="submit" { (w.discard_for_ever) }
                }
            }
        }
    }
}

fn unreadable_items(w: &Words, items: &[(i64, i64, Unreadable)], now: i64) -> Markup {
    html! {
        section.unreadable aria-labelledby="unreadable" {
            h2 #unreadable { (w.unreadable) }
            p.dim { (w.unreadable_help) }
            ul.cards {
                @for (id, at, item) in items {
                    li.card {
                        p { strong { (item.source) } span.dim { " · #" (id) " · " (ago(w, *at, now)) } }
                        p.words { (item.error) }
                        details { summary { (w.what_came) } pre tabindex="0" { (String::from_utf8_lossy(&item.body[..item.body.len().min(SHOWN)])) } }
                    }
                }
            }
        }
    }
}

/// `POST /dead-letters/{id}/replay`
pub(super) async fn replay(State(console): State<Console>, visit: Visit, Path(id): Path<i64>, _form: Form) -> Response {
    let done = Deed::Replay.carry_out(&console, MessageId(id)).await;
    settled(&console, &visit, done.map(|()| fill(visit.words.replayed, &[&id])))
}

/// `POST /dead-letters/{id}/discard`
pub(super) async fn discard(State(console): State<Console>, visit: Visit, Path(id): Path<i64>, _form: Form) -> Response {
    let done = Deed::Discard.carry_out(&console, MessageId(id)).await;
    settled(&console, &visit, done.map(|()| fill(visit.words.discarded, &[&id])))
}

fn settled(console: &Console, visit: &Visit, done: Result<String, OutboxError>) -> Response {
    let flash = match done {
        Ok(text) => Flash::new(Mood::Good, text, ""),
        Err(error) => Flash::new(Mood::Bad, visit.words.not_done, error.to_string()),
    };
    visit.back(console, "/dead-letters", flash)
}

/// What can be done about a dead letter.
#[derive(Clone, Copy)]
enum Deed {
    Replay,
    Discard,
}

impl Deed {
    async fn carry_out(self, console: &Console, id: MessageId) -> Result<(), OutboxError> {
        let control = console.control();
        match self {
            Deed::Replay => {
                let connector = control.outbox().replay(id, control.clock().steady()).await?;
                control.dispatcher().wake(&[connector]);
                Ok(())
            }
            Deed::Discard => control.outbox().discard(id).await,
        }
    }
}

/// `POST /dead-letters/replay-all`
pub(super) async fn replay_all(State(console): State<Console>, visit: Visit, form: Form) -> Response {
    let done = all(&console, form.get("connector"), Deed::Replay).await;
    told(&console, &visit, done, visit.words.n_replayed)
}

/// `POST /dead-letters/discard-all`
pub(super) async fn discard_all(State(console): State<Console>, visit: Visit, form: Form) -> Response {
    let done = all(&console, form.get("connector"), Deed::Discard).await;
    told(&console, &visit, done, visit.words.n_discarded)
}

/// Does the same with each dead letter of a connector, oldest first, up to a number. One that somebody else was faster with does not count.
async fn all(console: &Console, connector: &str, deed: Deed) -> Result<usize, OutboxError> {
    let (mut ids, mut before) = (Vec::new(), None);
    while ids.len() < AT_ONCE {
        let filter =
            Filter { state: Some("dead".to_owned()), connector: Some(connector.to_owned()), before, limit: 1_000, ..Filter::default() };
        let list = console.control().outbox().messages(filter).await?;
        let Some(last) = list.last() else { break };
        before = Some(last.id);
        ids.extend(list.into_iter().map(|one| one.id));
    }
    ids.reverse();
    ids.truncate(AT_ONCE);
    let mut results = stream::iter(ids).map(|id| deed.carry_out(console, id)).buffered(TOGETHER);
    let mut done = 0;
    while let Some(result) = results.next().await {
        match result {
            Ok(()) => done += 1,
            Err(OutboxError::NotFound(_) | OutboxError::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn told(console: &Console, visit: &Visit, done: Result<usize, OutboxError>, text: &str) -> Response {
    settled(console, visit, done.map(|done| counted(text, done as u64)))
}
