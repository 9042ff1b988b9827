//! One message: as people see it, what it covers, every attempt, and the receiver's words.

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};

use super::connectors::words_of;
use super::format::{ago, count, fill, pretty, segment, span};
use super::layout::{Section, Trouble};
use super::visit::Visit;
use super::words::Words;
use super::{Console, card, dead_letters, draw, messages};
use crate::delivery::draft::{PluginDraft, Work};
use crate::delivery::links::is_web;
use crate::event::{Event, Status};
use crate::outbox::{AttemptRecord, Draft, MessageDetail, MessageId, Reason};

/// Events that are listed; a digest may have hundreds.
const MOST_EVENTS: usize = 200;
/// Attempts that are shown at once, newest first.
const MOST_ATTEMPTS: usize = 12;

/// `GET /messages/{id}`
pub(super) async fn show(State(console): State<Console>, visit: Visit, Path(id): Path<String>) -> Response {
    let (title, body) = match detail(&console, &id).await {
        Ok(detail) => (detail.summary.summary.clone(), Ok(page(&console, &visit, &detail))),
        Err(trouble) => (String::new(), Err(trouble)),
    };
    visit.answer(Section::Messages, Some(title.as_str()).filter(|title| !title.is_empty()), body)
}

async fn detail(console: &Console, id: &str) -> Result<MessageDetail, Trouble> {
    let missing = || Trouble { status: axum::http::StatusCode::NOT_FOUND, text: format!("there is no message {id}") };
    let id = MessageId(id.parse().map_err(|_| missing())?);
    Ok(console.control().outbox().message(id).await?)
}

fn page(console: &Console, visit: &Visit, detail: &MessageDetail) -> Markup {
    let (w, one, now) = (visit.words, &detail.summary, console.control().clock().now());
    let body = body(detail);
    html! {
        p.trail { a href="/messages" { (w.messages) } " / " span { "#" (one.id.0) } }
        div.head { h1 { (if one.summary.is_empty() { w.no_summary } else { &one.summary }) } }
        (visit.flash_about(None))
        div.split {
            div #story data-live {
                (facts(w, detail, now))
                @if one.state == "dead" { (dead_letters::choices(visit, one.id)) }
                section aria-labelledby="attempts" { h2 #attempts { (w.attempts) } (attempts(w, detail, now)) }
                section aria-labelledby="events" { h2 #events { (w.events) } (events(w, &detail.covered, now)) }
            }
            section.seen aria-labelledby="seen" {
                h2 #seen { (w.as_seen) }
                @match &body {
                    Some(body) => {
                        @if let Some(card) = card::read(body) { (draw::card(w, &card, &one.connector)) } @else { p.dim { (w.not_drawable) } }
                        details { summary { (w.exact_body) } pre tabindex="0" { (pretty(&without_links(body))) } }
                    }
                    None => p.empty { (w.not_written) },
                }
            }
        }
    }
}

fn facts(w: &Words, detail: &MessageDetail, now: i64) -> Markup {
    let one = &detail.summary;
    html! {
        p.stateline {
            (messages::state(w, &one.state)) " "
            a href={ "/messages?connector=" (segment(&one.connector)) } { (one.connector) }
            span.dim { " · " (ago(w, one.created_at, now)) }
            @if one.state == "open" && one.updated_at > now + 1_000 {
                span.dim { " · " (fill(w.next_attempt, &[&span(w, one.updated_at - now)])) }
            }
        }
        @if !one.reason.text.is_empty() && one.state != "delivered" {
            div.words-box {
                h2 { (w.receivers_words) }
                p { (words_of(&one.reason)) }
                @if !one.reason.advice.is_empty() { p.advice { strong { (w.what_to_do) ": " } (one.reason.advice) } }
            }
        }
        dl.pairs {
            dt { (w.key) } dd.code { (one.key) }
            @if let Some(author) = &detail.author { dt { (w.written_by) } dd.code { (short(author)) } }
        }
    }
}

/// A digest's first digits, which are enough to tell versions apart.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

fn attempts(w: &Words, detail: &MessageDetail, now: i64) -> Markup {
    let newest: Vec<&AttemptRecord> = detail.attempts_made.iter().rev().collect();
    let (shown, rest) = newest.split_at(newest.len().min(MOST_ATTEMPTS));
    html! {
        @if newest.is_empty() { p.dim { (w.no_attempts) } }
        (timeline(w, shown, &detail.summary.reason, now))
        @if !rest.is_empty() {
            details #earlier { summary { (fill(w.and_more, &[&count(rest.len() as u64)])) } (timeline(w, rest, &detail.summary.reason, now)) }
        }
    }
}

/// What is said above already is not said again.
fn timeline(w: &Words, attempts: &[&AttemptRecord], said: &Reason, now: i64) -> Markup {
    let mark = |outcome: &str| match outcome {
        "delivered" => ("state good", "✓", w.delivered),
        "rejected" => ("state bad", "▲", w.outcome_rejected),
        "fault" => ("state bad", "▲", w.outcome_fault),
        "throttled" => ("state warn", "◼", w.outcome_throttled),
        "unknown" => ("state warn", "?", w.outcome_unknown),
        _ => ("state busy", "◐", w.outcome_retry),
    };
    html! {
        ol.timeline {
            @for one in attempts {
                @let (class, mark, word) = mark(&one.outcome);
                li {
                    span class=(class) { span aria-hidden="true" { (mark) } " " (word) } " "
                    span.dim { (ago(w, one.at.min(now), now)) " · " (one.took_ms) " ms" }
                    @if !one.reason.text.is_empty() { p.words { (words_of(&one.reason)) } }
                    @if !one.reason.advice.is_empty() && one.reason.advice != said.advice { p.advice { (one.reason.advice) } }
                }
            }
        }
    }
}

fn events(w: &Words, events: &[Event], now: i64) -> Markup {
    html! {
        ul.events {
            @for event in events.iter().take(MOST_EVENTS) {
                li {
                    (status(w, &event.status)) " "
                    @match event.incident_url.as_ref().filter(|url| is_web(url)) {
                        Some(url) => a href=(url) rel="noreferrer noopener" target="_blank" { (event.summary) },
                        None => span { (event.summary) },
                    }
                    p.dim {
                        span.code { (event.kind.as_str()) } " · #" (event.incident_id)
                        @if let Some(source) = &event.alert_source { " · " (source.name) }
                        @if let Some(priority) = &event.priority { " · " (priority.as_str()) }
                        " · " (ago(w, event.occurred_at.as_millisecond(), now))
                    }
                }
            }
        }
        @if events.len() > MOST_EVENTS { p.dim { (fill(w.and_more, &[&count((events.len() - MOST_EVENTS) as u64)])) } }
    }
}

fn status(w: &Words, status: &Status) -> Markup {
    let (class, mark, word) = match status {
        Status::Pending => ("state bad", "●", w.pending),
        Status::Accepted => ("state busy", "◐", w.accepted),
        Status::Resolved => ("state good", "✓", w.resolved),
        Status::Other(word) => ("state", "○", word.as_str()),
    };
    html! { span class=(class) { span aria-hidden="true" { (mark) } " " (word) } }
}

/// What was sent last, where it is text that the host can open.
fn body(detail: &MessageDetail) -> Option<String> {
    let draft = Draft { prepared: detail.prepared.clone()?, author: detail.author.clone().unwrap_or_default() };
    match PluginDraft::open(&draft).ok()?.work {
        Work::Send(sending) => String::from_utf8(sending.request.body).ok(),
        Work::Decided(_) => None,
    }
}

/// The links by which people respond, without what signs them: whoever has it can act.
fn without_links(body: &str) -> String {
    const PATH: &str = "/respond/";
    let mut pieces = body.split(PATH);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.~%".contains(c))).unwrap_or(piece.len());
        out += PATH;
        out += if end == 0 { "" } else { super::super::preview::HIDDEN };
        out += &piece[end..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_signs_a_link_is_not_shown() {
        let body = r#"{"url":"https://x.example/respond/AbC-_9.z","text":"[Accept](https://x.example/respond/q) /respond/"}"#;
        assert_eq!(
            without_links(body),
            r#"{"url":"https://x.example/respond/…","text":"[Accept](https://x.example/respond/…) /respond/"}"#
        );
        assert_eq!(without_links("plain"), "plain");
    }
}
