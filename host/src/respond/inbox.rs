//! Commands typed in a chat: `POST /webhooks/inbox/{connector}`, verified and read by the connector's plugin.
//!
//! A chat system gives a few seconds for an answer and repeats a callback that gets none: so a command is written down under the callback's own
//! id, and what takes longer is answered with a request of its own. That answer is lost when the host stops meanwhile; the response is not.
//!
//! A flood of callbacks is kept from the deliveries: few bodies are held, fewer are verified, at a time; more are told to come again.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::carry::PATIENCE_MS;
use super::carry_out::OVER;
use super::page::{MAX_NAME, MAX_TEXT};
use super::shared::Shared;
use super::web::{clean, nothing_left};
use super::words::Words;
use crate::delivery::listener::{Heard, Unheard};
use crate::delivery::plugin_sink::PluginSink;
use crate::event::Status;
use crate::outbox::book::{Ask, DONE, Progress, Verb, is_ilert_id};
use crate::plugin::wit;
use crate::source::problem::Problem;

/// The largest callback.
const MAX_BODY: usize = 64 * 1024;
/// How long a callback may take to come, and to get its turn.
const COMING: Duration = Duration::from_millis(1_000);
/// How long the answer may take from the begin, what the commands take included: chat systems give 2.5 s and more.
const PROMPT: Duration = Duration::from_millis(2_200);
/// Commands of one callback; more are not looked at.
const MAX_COMMANDS: usize = 10;

/// What became of a command so far.
enum Told {
    /// To be said.
    Now(Result<String, String>),
    /// To be looked up.
    State { incident: String },
    /// Being carried out, under this key.
    Later { key: String, incident: String, verb: Verb },
}

/// Takes a callback.
pub(super) async fn receive(State(shared): State<Arc<Shared>>, Path(connector): Path<String>, request: Request) -> Response {
    let not_found = || Problem::new(StatusCode::NOT_FOUND, "No such inbox", "no connector of this name takes callbacks").into_response();
    let Some(sink) = shared.listeners.get(&connector) else { return not_found() };
    let deadline = Instant::now() + PROMPT;
    let Ok(place) = shared.callers.try_acquire() else {
        return Problem::come_again("too many callbacks at once", 10).into_response();
    };
    let read = async {
        let incoming = incoming(request).await?;
        // Few at a time, so that a flood of bad ones leaves the plugins' instances to the deliveries.
        let turn = Arc::clone(&shared.hearing).acquire_owned().await.ok()?;
        let (sink, now) = (Arc::clone(&sink), shared.clock.now());
        let heard = move || {
            let heard = sink.hear(incoming, now);
            // Not before, even if nobody waits any more.
            drop(turn);
            heard
        };
        tokio::task::spawn_blocking(heard).await.ok()
    };
    let heard = match tokio::time::timeout(COMING, read).await {
        Ok(Some(Ok(heard))) => heard,
        Ok(Some(Err(Unheard::Deaf))) => return not_found(),
        Ok(Some(Err(Unheard::Refused(refusal)))) => {
            debug!(connector, status = refusal.status, reason = refusal.text, "A callback was refused.");
            let status = StatusCode::from_u16(refusal.status).ok().filter(|status| status.as_u16() >= 400);
            return Problem::new(status.unwrap_or(StatusCode::FORBIDDEN), "The callback is refused", refusal.text).into_response();
        }
        Ok(Some(Err(Unheard::Fault(reason)))) => {
            warn!(connector, error = reason.text, "A callback could not be read.");
            return Problem::come_again("the connector's plugin could not read it", 10).into_response();
        }
        Ok(None) => return Problem::new(StatusCode::BAD_REQUEST, "Not a callback", "the body is too large or broken off").into_response(),
        Err(_) => return Problem::come_again("too many callbacks at once, or the body did not come", 10).into_response(),
    };
    drop(place);
    if heard.received.commands.is_empty() {
        return plain(heard.received.answer);
    }
    let words = Words::choose(shared.languages.get(&connector).map(String::as_str), None);
    let talk = Talk { words, shared, connector, sink };
    // Not cut off by a caller who goes away: what is asked for was verified.
    let tasks = talk.shared.tasks.clone();
    tasks.spawn(talk.answer(heard, deadline)).await.unwrap_or_else(|_| Problem::come_again("the host is stopping", 10).into_response())
}

async fn incoming(request: Request) -> Option<wit::Incoming> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY).await.ok()?.to_vec();
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let headers = parts.headers.iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect();
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    Some(wit::Incoming { method: parts.method.to_string(), path: parts.uri.path().to_owned(), headers, query, body })
}

fn plain(answer: wit::Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).ok().filter(|status| status.as_u16() >= 200).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body).into_response();
    for (name, value) in &answer.headers {
        // Only what describes the body: the rest of an answer is the host's.
        if name.eq_ignore_ascii_case("content-type")
            && let Ok(value) = HeaderValue::from_str(value)
        {
            response.headers_mut().insert(HeaderName::from_static("content-type"), value);
        }
    }
    response
}

/// One callback with commands.
struct Talk {
    shared: Arc<Shared>,
    connector: String,
    sink: Arc<PluginSink>,
    words: &'static Words,
}

impl Talk {
    async fn answer(self, heard: Heard, deadline: Instant) -> Response {
        let id = heard.received.id.clone().unwrap_or_default();
        // An id may be of any length, and may be missing.
        let id =
            format!("{}:{}", self.connector, hex(&if id.is_empty() { heard.digest() } else { Sha256::digest(id.as_bytes()).to_vec() }));
        let mut told = Vec::new();
        for (index, command) in heard.received.commands.iter().take(MAX_COMMANDS).enumerate() {
            told.push(self.command(command, format!("inbox:{id}:{index}")).await);
        }
        match tokio::time::timeout_at(deadline, self.results(&told)).await {
            Ok(results) => match self.sink.reply(&heard, &results, self.shared.clock.now()) {
                Ok(replied) => plain(replied.answer),
                Err(reason) => {
                    warn!(connector = self.connector, error = reason.text, "The plugin did not word the answer to a command.");
                    plain(heard.received.answer)
                }
            },
            Err(_) => {
                let answer = plain(heard.received.answer.clone());
                match Promise::make(&self.shared, id) {
                    Ok(promise) => {
                        let (tasks, stop) = (self.shared.tasks.clone(), self.shared.stop.clone());
                        tasks.spawn(async move {
                            stop.run_until_cancelled(self.later(&heard, &told)).await;
                            drop(promise);
                        });
                    }
                    Err(Unpromised::Made) => debug!(connector = self.connector, "A repeated command is answered once."),
                    Err(Unpromised::TooMany) => {
                        warn!(connector = self.connector, "Too many answers are due later; this command is carried out without one.");
                    }
                }
                answer
            }
        }
    }

    /// Answers with a request of its own, once everything is carried out or given up.
    async fn later(&self, heard: &Heard, told: &[Told]) {
        let patience = Duration::from_millis(PATIENCE_MS.unsigned_abs());
        let Ok(results) = tokio::time::timeout(patience, self.results(told)).await else { return };
        let sent = match self.sink.reply(heard, &results, self.shared.clock.now()) {
            Ok(wit::Replied { late: Some(late), .. }) => self.sink.send_late(late).await,
            Ok(_) => Ok(()),
            Err(reason) => Err(reason),
        };
        if let Err(reason) = sent {
            warn!(connector = self.connector, error = reason.text, "The late answer to a command was not sent.");
        }
    }

    /// Looks at, or writes down, what is asked for.
    async fn command(&self, command: &wit::Command, key: String) -> Told {
        let refuse = |text: &str| Told::Now(Err(text.to_owned()));
        let by = &command.by;
        if self.shared.allowed.as_ref().is_some_and(|allowed| by.id.is_empty() || !allowed.contains(&by.id)) {
            return refuse(self.words.not_allowed);
        }
        let verb = match &command.action {
            wit::Action::Accept => Some(Verb::Accept),
            wit::Action::Resolve => Some(Verb::Resolve),
            wit::Action::Comment => Some(Verb::Comment),
            wit::Action::Open => None,
            wit::Action::Other(name) if name == "status" => None,
            wit::Action::Other(_) => return refuse(self.words.unknown_command),
        };
        // A repetition is about the incident that was meant at first, and does nothing, even if the first try failed.
        match self.shared.book().response(&key).await {
            Ok(Some(before)) => return Told::Later { key: before.ask.key, incident: before.ask.incident, verb: before.ask.verb },
            Ok(None) => {}
            Err(error) => {
                warn!(connector = self.connector, %error, "A command could not be looked up, and is not carried out.");
                return refuse(self.words.unwritten);
            }
        }
        let Some(incident) = self.meant(command).await else { return refuse(self.words.which) };
        match verb {
            Some(verb) => self.ask(verb, incident, command, key).await,
            None => Told::State { incident },
        }
    }

    /// The incident that is named, else the one that the connector was told of last.
    async fn meant(&self, command: &wit::Command) -> Option<String> {
        let named = command.incident_id.as_deref().map(|id| id.trim().trim_start_matches('#').to_owned());
        let incident = match named {
            Some(id) => Some(id),
            None => self.shared.book().last_told(&self.connector).await.unwrap_or_else(|error| {
                warn!(connector = self.connector, %error, "The last incident of a connector could not be read.");
                None
            }),
        };
        incident.filter(|id| is_ilert_id(id))
    }

    async fn ask(&self, verb: Verb, incident: String, command: &wit::Command, key: String) -> Told {
        let refuse = |text: &str| Told::Now(Err(text.to_owned()));
        let by = &command.by;
        let text = if verb == Verb::Comment { clean(&command.text, MAX_TEXT, true) } else { String::new() };
        if verb == Verb::Comment && text.is_empty() {
            return refuse(self.words.text_missing);
        }
        if let Some(already) = self.already(verb, &incident).await {
            return Told::Now(Ok(already));
        }
        let person = self.shared.ilert.knows(&by.id).then(|| by.id.clone());
        let ask = Ask { key, incident: incident.clone(), verb, connector: self.connector.clone(), who: name(by), person, text };
        match self.shared.ask(ask).await {
            Ok(booked) => Told::Later { key: booked.response().ask.key.clone(), incident, verb },
            Err(error) => {
                warn!(connector = self.connector, incident, %error, "A command could not be written down.");
                refuse(self.words.unwritten)
            }
        }
    }

    async fn results(&self, told: &[Told]) -> Vec<Result<String, String>> {
        let mut results = Vec::with_capacity(told.len());
        for told in told {
            results.push(match told {
                Told::Now(result) => result.clone(),
                Told::State { incident } => self.state(incident).await,
                Told::Later { key, incident, verb } => self.outcome(key, incident, *verb).await,
            });
        }
        results
    }

    /// What to say where nothing is left to do.
    async fn already(&self, verb: Verb, incident: &str) -> Option<String> {
        let status = self.shared.book().incident(incident).await.ok()??.status;
        nothing_left(verb, Some(&status)).then(|| format!("{} {incident}: {}", self.words.incident, self.words.already(Some(&status))))
    }

    async fn outcome(&self, key: &str, incident: &str, verb: Verb) -> Result<String, String> {
        let words = self.words;
        let about = |text: &str| format!("{} {incident}: {text}", words.incident);
        let patience = Duration::from_millis(PATIENCE_MS.unsigned_abs());
        match self.shared.outcome(key, patience).await {
            Ok(Some(response)) => match response.progress {
                Progress::Done(result) if result == DONE => Ok(about(&words.done_by(verb, &response.ask.who))),
                Progress::Done(result) => {
                    let over = result == OVER || verb == Verb::Resolve;
                    Ok(about(words.already(Some(if over { &Status::Resolved } else { &Status::Accepted }))))
                }
                Progress::Failed(why) => Err(about(&format!("{} {why}", words.failed))),
                Progress::Open => Err(about(words.in_progress)),
            },
            Ok(None) | Err(_) => Err(about(words.unwritten)),
        }
    }

    async fn state(&self, incident: &str) -> Result<String, String> {
        let seen = self.shared.look(incident).await;
        let Some(status) = &seen.status else { return Err(self.words.unknown_state.to_owned()) };
        let mut text = format!("{} {incident}: {} · {}", self.words.incident, self.words.status(Some(status)), seen.summary);
        if !seen.responders.is_empty() {
            text.push_str(&format!(" · {} {}", self.words.by, seen.responders.join(", ")));
        }
        if !seen.live {
            text.push_str(&format!(" ({})", self.words.last_known));
        }
        Ok(text)
    }
}

/// That a callback is answered later; kept while it exists.
struct Promise {
    shared: Arc<Shared>,
    id: String,
    _place: OwnedSemaphorePermit,
}

/// Why a callback is not answered later.
enum Unpromised {
    /// Its repetition is.
    Made,
    /// So are many others.
    TooMany,
}

impl Promise {
    fn make(shared: &Arc<Shared>, id: String) -> Result<Promise, Unpromised> {
        let place = Arc::clone(&shared.late).try_acquire_owned().map_err(|_| Unpromised::TooMany)?;
        if !shared.promised.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone()) {
            return Err(Unpromised::Made);
        }
        Ok(Promise { shared: Arc::clone(shared), id, _place: place })
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.shared.promised.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

fn name(by: &wit::Person) -> String {
    let full = format!("{} {}", by.first_name, by.last_name);
    let all = [full.as_str(), &by.username, &by.id];
    all.into_iter().map(|name| clean(name, MAX_NAME, false)).find(|name| !name.is_empty()).unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
