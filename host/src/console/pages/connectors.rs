//! The connectors: how each lane is, what was answered last, and *Test this connection*.

use std::collections::HashMap;

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};

use super::flash::{Flash, Mood};
use super::format::{ago, anchor, count, countdown, fill, segment, span};
use super::gauge::gauge;
use super::lanes::{self, Lane, State as LaneState};
use super::layout::{Section, Trouble};
use super::visit::{Form, Visit, query, with_query};
use super::words::Words;
use super::{Console, messages};
use crate::delivery::Outcome;
use crate::delivery::budget::Standing;
use crate::host::{Health, test_connection};
use crate::outbox::{ConnectorStatus, Filter, MessageSummary, Reason};

/// Connectors on one page.
const PAGE: usize = 50;

/// What is known of one connector besides its lane.
struct About {
    kind: String,
    url: Option<String>,
    last: Option<MessageSummary>,
}

/// `GET /`
pub(super) async fn index(State(console): State<Console>, visit: Visit, uri: Uri) -> Response {
    let body = page(&console, &visit, &uri).await;
    visit.answer(Section::Connectors, None, body)
}

async fn page(console: &Console, visit: &Visit, uri: &Uri) -> Result<Markup, Trouble> {
    let (wanted, from) = (query(uri, "q").unwrap_or_default(), query(uri, "from").and_then(|from| from.parse().ok()).unwrap_or(0));
    let all = all_lanes(console).await?;
    let found: Vec<&Lane> = all.iter().filter(|lane| matches(&lane.name, &wanted)).collect();
    let shown: Vec<&Lane> = found.iter().skip(from).take(PAGE).copied().collect();
    let about = about(console, &shown).await?;
    let now = console.control().clock().now();
    let w = visit.words;
    Ok(html! {
        div.head { h1 { (w.connectors) } @if all.len() > PAGE || !wanted.is_empty() { (search(w, &wanted)) } }
        (visit.flash_about(None))
        div #totals data-live { (troubles(w, &console.control().health().await)) (totals(w, &all)) }
        @if all.is_empty() { p.empty { (w.no_connectors) } }
        ul #connectors.cards data-live {
            @for lane in &shown {
                @if let Some(about) = about.get(&*lane.name) { (card(visit, lane, about, now)) }
            }
        }
        (more(w, uri, from, found.len()))
    })
}

fn matches(name: &str, wanted: &str) -> bool {
    name.to_lowercase().contains(&wanted.trim().to_lowercase())
}

async fn all_lanes(console: &Console) -> Result<Vec<Lane>, Trouble> {
    let control = console.control();
    let lines = control.outbox().status().await?;
    let lines: HashMap<&str, &ConnectorStatus> = lines.iter().map(|line| (line.connector.as_str(), line)).collect();
    let (idle, clock) = (ConnectorStatus::default(), control.clock());
    let connectors = control.dispatcher().connectors();
    let line = |name: &str| lines.get(name).copied().unwrap_or(&idle);
    let spent = lanes::spendings(connectors.iter().map(|(name, one)| (&one.policy, line(name))), clock.now());
    let lane = |(name, connector): (&std::sync::Arc<str>, &std::sync::Arc<crate::delivery::Connector>)| {
        let spent = spent.get(&connector.policy.payer).copied().unwrap_or_default();
        lanes::lane(connector, line(name), spent, clock.steady())
    };
    let mut all: Vec<Lane> = connectors.iter().map(lane).collect();
    lanes::sort(&mut all);
    Ok(all)
}

async fn about(console: &Console, lanes: &[&Lane]) -> Result<HashMap<String, About>, Trouble> {
    let mut about = HashMap::new();
    for lane in lanes {
        let filter = Filter { connector: Some(lane.name.to_string()), limit: 1, ..Filter::default() };
        let last = console.control().outbox().messages(filter).await?.pop();
        let sinks = console.control().sinks();
        let plugin = sinks.connectors.get(&lane.name).and_then(|built| built.plugin.as_ref());
        let kind = plugin.map_or("native", |sink| sink.config().kind()).to_owned();
        about.insert(lane.name.to_string(), About { kind, url: plugin.map(|sink| sink.config().redacted_url()), last });
    }
    Ok(about)
}

fn search(w: &Words, wanted: &str) -> Markup {
    html! {
        form.search role="search" method="get" action="/" {
            label.unseen for="q" { (w.search_connectors) }
            input #q type="search" name="q" value=(wanted) placeholder=(w.search_connectors);
            button type="submit" { (w.search) }
        }
    }
}

/// What the host itself says is wrong.
fn troubles(w: &Words, health: &Health) -> Markup {
    let one = |title: &str, list: &[crate::host::Trouble]| {
        html! {
            @if !list.is_empty() {
                div.flash.bad role="status" { span.mark aria-hidden="true" { "!" } div { strong { (title) } @for one in list { p { (one) } } } }
            }
        }
    };
    html! { (one(w.takes_nothing_in, &health.reasons)) (one(w.out_of_order, &health.troubles)) }
}

fn totals(w: &Words, all: &[Lane]) -> Markup {
    let sum = |of: fn(&Lane) -> u64| count(all.iter().map(of).sum());
    let closed = all.iter().filter(|lane| lane.state == LaneState::Closed).count() as u64;
    let dead: u64 = all.iter().map(|lane| lane.dead).sum();
    let one = |name: &str, value: String, class: Option<&str>| {
        html! { div class=[class] { dt { (name) } dd { (value) } } }
    };
    html! {
        dl.totals {
            (one(w.connectors, count(all.len() as u64), None))
            (one(w.waiting, sum(|lane| lane.waiting), None))
            (one(w.in_flight, sum(|lane| lane.in_flight), None))
            (one(w.closed_lanes, count(closed), (closed > 0).then_some("warn")))
            (one(w.dead_letters, count(dead), (dead > 0).then_some("alarm")))
        }
    }
}

fn state(w: &Words, state: LaneState) -> Markup {
    let (class, mark, word) = match state {
        LaneState::Closed => ("state warn", "◼", w.state_closed),
        LaneState::Spent => ("state warn", "◼", w.state_spent),
        LaneState::Behind => ("state busy", "◐", w.state_behind),
        LaneState::Sending => ("state busy", "▶", w.state_sending),
        LaneState::Quiet => ("state good", "●", w.state_quiet),
    };
    html! { span class=(class) { span aria-hidden="true" { (mark) } " " (word) } }
}

fn card(visit: &Visit, lane: &Lane, about: &About, now: i64) -> Markup {
    let (w, place) = (visit.words, anchor(&lane.name));
    let dead = format!("/dead-letters?connector={}", segment(&lane.name));
    html! {
        li.card #(place) {
            div.card-head {
                h2 { a href={ "/messages?connector=" (segment(&lane.name)) } { (lane.name) } }
                (state(w, lane.state))
                @if lane.closed_for > 0 { span.left { (w.closed_for) " " (countdown(lane.closed_for)) } }
                @if lane.dead > 0 { a.state.bad href=(dead) { span aria-hidden="true" { "▲" } " " (fill(w.n_dead, &[&count(lane.dead)])) } }
                form method="post" action={ "/connectors/" (segment(&lane.name)) "/test" } data-swap="connectors" {
                    (visit.token())
                    button #{ "test-" (place) } type="submit" { (w.test_connection) span.unseen { " " (lane.name) } }
                }
                p.dim.where { (about.kind) @if let Some(url) = &about.url { " · " span.code { (url) } } }
            }
            dl.facts {
                div { dt { (w.backlog) } dd { strong { (count(lane.waiting)) } (oldest(w, lane, now)) } }
                div { dt { (w.pace) } dd { (pace(w, lane)) } }
                div { dt { (w.budget) } dd { (budget(w, lane)) } }
                div { dt { (w.last_answer) } dd { (last(w, about.last.as_ref(), now)) } }
            }
            (visit.flash_about(Some(&lane.name)))
        }
    }
}

fn oldest(w: &Words, lane: &Lane, now: i64) -> Markup {
    html! {
        @if let Some(at) = lane.oldest { span.dim { " · " (fill(w.oldest, &[&span(w, now - at)])) } }
        @if lane.in_flight > 0 { span.dim { " · " (fill(w.n_in_flight, &[&count(lane.in_flight)])) } }
    }
}

fn pace(w: &Words, lane: &Lane) -> Markup {
    let Some((used, pace)) = lane.pace else { return html! { span.dim { (w.no_limit) } } };
    let text = fill(w.n_in_window, &[&used, &pace.messages, &span(w, i64::from(pace.window_ms))]);
    html! { (gauge(used, pace.messages, used * 5 >= pace.messages * 4)) span.dim { (text) } }
}

fn budget(w: &Words, lane: &Lane) -> Markup {
    let shared = if lane.shared { w.shared_budget } else { "" };
    match lane.budget {
        Some((limit, standing)) => html! {
            (gauge(lane.month, limit, standing >= Standing::Low))
            span.dim { (fill(w.n_this_month_of, &[&count(lane.month.into()), &count(limit.into())])) (shared) }
        },
        None => html! { span.dim { (fill(w.n_this_month, &[&count(lane.month.into())])) } },
    }
}

fn last(w: &Words, message: Option<&MessageSummary>, now: i64) -> Markup {
    let Some(message) = message else { return html! { span.dim { (w.nothing_yet) } } };
    html! {
        (messages::state(w, &message.state))
        " " a href={ "/messages/" (message.id.0) } { (ago(w, message.updated_at.min(now), now)) }
        @if !message.reason.text.is_empty() { p.words { (words_of(&message.reason)) } }
    }
}

/// A receiver's words, with its code, unless they name it, or it is the HTTP status of an answer whose words tell more.
pub(super) fn words_of(reason: &Reason) -> Markup {
    let adds = !reason.code.is_empty() && reason.code != "200" && !reason.text.contains(&*reason.code);
    html! { @if adds { span.code { (reason.code) } " " } (reason.text) }
}

fn more(w: &Words, uri: &Uri, from: usize, found: usize) -> Markup {
    html! {
        @if found > PAGE {
            nav.pages aria-label=(w.pages) {
                @if from > 0 { a href=(with_query(uri, "from", Some(&from.saturating_sub(PAGE).to_string()))) { (w.earlier_page) } }
                span.dim { (fill(w.n_to_n_of, &[&(from + 1), &(from + PAGE).min(found), &found])) }
                @if from + PAGE < found { a href=(with_query(uri, "from", Some(&(from + PAGE).to_string()))) { (w.later_page) } }
            }
        }
    }
}

/// `POST /connectors/{name}/test`
pub(super) async fn test(State(console): State<Console>, visit: Visit, Path(name): Path<String>, _form: Form) -> Response {
    let connectors = console.control().dispatcher().connectors();
    let Some(connector) = connectors.get(name.as_str()) else {
        let text = fill(visit.words.no_such_connector, &[&name]);
        return visit.back(&console, "/", Flash::new(Mood::Bad, text, ""));
    };
    let outcome = test_connection(&*connector.sink, console.control().clock()).await;
    visit.back(&console, "/", told(visit.words, outcome).about(&name))
}

fn told(w: &Words, outcome: Result<Outcome, Reason>) -> Flash {
    let (title, reason) = match outcome {
        Ok(Outcome::Delivered { receipt, .. }) => {
            let text = receipt.map(|receipt| fill(w.test_receipt, &[&receipt])).unwrap_or_default();
            return Flash::new(Mood::Good, w.test_delivered, text);
        }
        Ok(Outcome::Retry { reason, .. }) => (w.test_retry, reason),
        Ok(Outcome::Unknown { reason }) => (w.test_unknown, reason),
        Ok(Outcome::Throttled { reason, .. }) => (w.test_throttled, reason),
        Ok(Outcome::Rejected { reason }) => (w.test_rejected, reason),
        Err(reason) => (w.test_failed, reason),
    };
    let text = [reason.code, reason.text, reason.advice].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ");
    Flash::new(Mood::Bad, title, text)
}
