//! The plugins: versions, digests, signatures, what is on trial, and the way back.

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};

use super::Console;
use super::flash::{Flash, Mood};
use super::format::{ago, anchor, bytes, count, fill, segment};
use super::layout::{Section, Trouble};
use super::message::short;
use super::visit::{Form, Visit};
use super::words::Words;
use crate::delivery::upgrade::{Failure, PluginState, VersionState, Who};

/// `GET /plugins`
pub(super) async fn index(State(console): State<Console>, visit: Visit) -> Response {
    let body = page(&console, &visit).await;
    visit.answer(Section::Plugins, None, body)
}

async fn page(console: &Console, visit: &Visit) -> Result<Markup, Trouble> {
    let upgrader = console.control().sinks().upgrader.clone();
    let states = tokio::task::spawn_blocking(move || upgrader.states()).await.map_err(|error| Trouble::broken(&error))?;
    let (w, now) = (visit.words, console.control().clock().now());
    Ok(html! {
        div.head { h1 { (w.plugins) } }
        (visit.flash_about(None))
        @if states.is_empty() { p.empty { (w.no_plugins) } }
        ul.cards {
            @for state in &states { (card(console, visit, state, now)) }
        }
    })
}

fn card(console: &Console, visit: &Visit, state: &PluginState, now: i64) -> Markup {
    let (w, place) = (visit.words, anchor(&state.name));
    let control = console.control();
    let has_keys = control.plan().plugins.get(&state.name).is_some_and(|config| !config.trusted_keys.is_empty());
    let world = control.sinks().registry.current(&state.name).map(|plugin| plugin.world().to_owned());
    html! {
        li.card.plugin #(place) {
            (visit.flash_about(Some(&state.name)))
            div #{ "state-" (place) } data-live {
                div.card-head {
                    h2 { (state.name) " " span.version { (state.version) } }
                    p.dim.where { span.code { (short(&state.digest)) } " · " (bytes(state.size)) @if let Some(world) = &world { " · " (world) } }
                }
                (trials(w, state))
                @if let Some(failure) = &state.last_failure { (failed(w, failure, now)) }
                (versions(w, &state.versions, has_keys, now))
                p.dim { (fill(w.plugin_counts, &[&count(state.counts.swaps), &count(state.counts.refused), &count(state.counts.rollbacks + state.counts.automatic_rollbacks)])) }
            }
            div.choices {
                @if state.versions.len() > 1 {
                    form method="post" action={ "/plugins/" (segment(&state.name)) "/rollback" } {
                        (visit.token())
                        button #{ "rollback-" (place) } type="submit" { (w.rollback) span.unseen { " " (state.name) } }
                    }
                }
            }
            (install(visit, state, &place))
        }
    }
}

fn trials(w: &Words, state: &PluginState) -> Markup {
    html! {
        @if let Some(canary) = &state.canary {
            p.trial {
                span.state.busy { span aria-hidden="true" { "◐" } " " (w.canary) } " "
                (fill(w.canary_text, &[&canary.version, &(canary.of - canary.left), &canary.of, &canary.before]))
            }
        }
        @if let Some(shadow) = &state.shadow {
            div.trial {
                p {
                    span.state.busy { span aria-hidden="true" { "◑" } " " (w.shadow) } " "
                    (fill(w.shadow_text, &[&shadow.version, &shadow.same, &shadow.different, &shadow.failed, &shadow.left]))
                }
                @if !shadow.samples.is_empty() {
                    details #{ "samples-" (anchor(&state.name)) } { summary { (w.differences) } pre tabindex="0" { (shadow.samples.join("\n")) } }
                }
            }
        }
    }
}

fn failed(w: &Words, failure: &Failure, now: i64) -> Markup {
    html! {
        div.words-box {
            h3 { (w.last_failure) " " span.dim { (ago(w, failure.at, now)) } }
            p { span.code { (failure.step) } " " (failure.error) }
            p.dim { (who(w, failure.who)) " · " span.code { (short(&failure.digest)) } }
        }
    }
}

fn versions(w: &Words, versions: &[VersionState], has_keys: bool, now: i64) -> Markup {
    html! {
        table.list {
            caption.unseen { (w.versions) }
            thead { tr { th scope="col" { (w.version) } th scope="col" { (w.digest) } th scope="col" { (w.signature) } th scope="col" { (w.installed) } } }
            tbody {
                @for one in versions {
                    tr {
                        td {
                            strong { (one.version) } " "
                            @if one.current { span.state.good { span aria-hidden="true" { "●" } " " (w.in_use) } }
                            @if let Some(failed) = &one.failed { span.state.bad { span aria-hidden="true" { "▲" } " " (w.taken_back) } p.words { (failed) } }
                        }
                        td data-label=(w.digest) { span.code title=(one.digest) { (short(&one.digest)) } }
                        td data-label=(w.signature) { (signature(w, one.signed, has_keys)) }
                        td.dim data-label=(w.installed) { (ago(w, one.at, now)) " · " (who(w, one.who)) }
                    }
                }
            }
        }
    }
}

/// With keys in the config nothing is loaded that they do not vouch for.
fn signature(w: &Words, signed: bool, has_keys: bool) -> &'static str {
    match (signed, has_keys) {
        (true, true) => w.signed_trusted,
        (true, false) => w.signed_unchecked,
        (false, _) => w.unsigned,
    }
}

fn who(w: &Words, who: Who) -> &'static str {
    match who {
        Who::Cli => w.by_cli,
        Who::Api => w.by_api,
        Who::File => w.by_file,
        Who::Config => w.by_config,
        Who::Canary => w.by_canary,
    }
}

fn install(visit: &Visit, state: &PluginState, place: &str) -> Markup {
    let w = visit.words;
    html! {
        details.install #{ "install-" (place) } {
            summary { (w.install_version) span.unseen { " " (state.name) } }
            form method="post" action={ "/plugins/" (segment(&state.name)) "/install" } enctype="multipart/form-data" data-drop {
                (visit.token())
                div.drop {
                    label for={ "file-" (place) } { (w.component_file) }
                    input #{ "file-" (place) } type="file" name="component" accept=".wasm,application/wasm" required;
                    p.dim { (w.drop_here) }
                }
                div.field {
                    label for={ "sig-" (place) } { (w.signature_file) }
                    input #{ "sig-" (place) } type="file" name="signature" accept=".sig";
                }
                div.field {
                    label for={ "shadow-" (place) } { (w.shadow_messages) }
                    input #{ "shadow-" (place) } type="number" name="shadow" min="0" max="10000" value="0";
                }
                div.check {
                    input #{ "force-" (place) } type="checkbox" name="force" value="yes";
                    label for={ "force-" (place) } { (w.force) }
                }
                button.primary type="submit" { (w.install) }
            }
        }
    }
}

/// `POST /plugins/{name}/rollback`
pub(super) async fn rollback(State(console): State<Console>, visit: Visit, Path(name): Path<String>, _form: Form) -> Response {
    let w = visit.words;
    let flash = match console.control().sinks().upgrader.rollback(&name, Who::Api).await {
        Ok(back) => Flash::new(Mood::Good, fill(w.rolled_back, &[&back.version]), ""),
        Err(error) => Flash::new(Mood::Bad, w.not_done, error.to_string()),
    };
    visit.back(&console, "/plugins", flash.about(&name))
}
