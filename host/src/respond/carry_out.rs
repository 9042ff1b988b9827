//! What one response takes, part by part, each done once.
//!
//! A part is noted before it is sent. Where that note is found by a later attempt, an answer was lost or the host died in between: then iLert is
//! asked what happened before anything is sent again.

use tracing::warn;

use super::budget::Purpose;
use super::carry::is_too_late;
use super::ilert::{ApiError, Comment};
use super::shared::Shared;
use crate::clock::UnixMs;
use crate::event::{Named, Status};
use crate::outbox::OutboxError;
use crate::outbox::book::{About, DONE, Progress, Response, Step, Verb, signature};

/// The result of a response that found its wish fulfilled.
pub(super) const ALREADY: &str = "already";
/// The result of a response that found the incident over.
pub(super) const OVER: &str = "over";
/// So much may iLert's clock differ from the host's.
const CLOCKS_MS: UnixMs = 60_000;

/// Why an attempt ends.
pub(super) enum Trouble {
    /// iLert.
    Api(ApiError),
    /// The outbox.
    Outbox(OutboxError),
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Self {
        Trouble::Api(error)
    }
}

impl From<OutboxError> for Trouble {
    fn from(error: OutboxError) -> Self {
        Trouble::Outbox(error)
    }
}

/// A part of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Accepts or resolves.
    Act,
    /// Writes under the alert who did it, where iLert would name the host's own user.
    Sign,
    /// Writes the comment.
    Write,
}

/// A comment finds an alert only while it is open, so the name is written before a resolve, and after an accept, which is what counts.
fn parts(verb: Verb) -> &'static [Part] {
    match verb {
        Verb::Accept => &[Part::Act, Part::Sign],
        Verb::Resolve => &[Part::Sign, Part::Act],
        Verb::Comment => &[Part::Write],
    }
}

/// How far a response is for the one who asked: an accept has happened before it is signed.
pub(super) fn progress(response: &Response) -> Progress {
    let acted = parts(response.ask.verb).iter().take(response.stage as usize / 2).any(|part| *part == Part::Act);
    match &response.progress {
        Progress::Open if acted => Progress::Done(DONE.to_owned()),
        progress => progress.clone(),
    }
}

/// Does what is left of a response. The stage counts two for each part: one when it begins, one when it is done.
pub(super) async fn carry_out(shared: &Shared, response: &Response) -> Result<&'static str, Trouble> {
    let parts = parts(response.ask.verb);
    let mut stage = response.stage;
    while let Some(part) = parts.get(stage as usize / 2) {
        let begun = stage % 2 == 1;
        if !begun {
            stage += 1;
            shared.step(response.id, Step::Made { stage }).await?;
        }
        match part.carry_out(shared, response, begun).await {
            Ok(DONE) => stage += 1,
            Ok(result) => return Ok(result),
            Err(Trouble::Api(error)) => {
                if !begun && !error.may_have_acted() {
                    shared.step(response.id, Step::Made { stage: stage - 1 }).await?;
                }
                return Err(error.into());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(DONE)
}

impl Part {
    /// `begun` where an earlier attempt may have done it.
    async fn carry_out(self, shared: &Shared, response: &Response, begun: bool) -> Result<&'static str, Trouble> {
        match self {
            Part::Act => Ok(act(shared, response, begun).await?),
            Part::Sign => sign(shared, response, begun).await.map(|()| DONE),
            Part::Write => comment(shared, response, &response.ask.text, begun).await.map(|()| DONE),
        }
    }
}

/// Accepts or resolves. What may have been done before, or by somebody else, is looked at rather than done again.
async fn act(shared: &Shared, response: &Response, begun: bool) -> Result<&'static str, ApiError> {
    let ask = &response.ask;
    if (begun || response.attempts > 0)
        && let Some(result) = fulfilled(ask.verb, &shared.ilert.get(&ask.incident, Purpose::Respond).await?.status)
    {
        // Sent before, and as it was wished for: that was us.
        return Ok(if begun && result == ALREADY { DONE } else { result });
    }
    let person = ask.person.as_deref();
    let sent = match ask.verb {
        Verb::Accept => shared.ilert.accept(&ask.incident, person).await,
        _ => shared.ilert.resolve(&ask.incident, person).await,
    };
    match sent {
        Ok(_) => Ok(DONE),
        Err(error @ ApiError::Refused(_)) => {
            let status = shared.ilert.get(&ask.incident, Purpose::Respond).await?.status;
            fulfilled(ask.verb, &status).ok_or(error)
        }
        Err(error) => Err(error),
    }
}

fn fulfilled(verb: Verb, status: &Status) -> Option<&'static str> {
    match (verb, status) {
        (Verb::Accept, Status::Accepted) | (Verb::Resolve, Status::Resolved) => Some(ALREADY),
        (Verb::Accept, Status::Resolved) => Some(OVER),
        _ => None,
    }
}

/// An accept has time for its signature; a resolve does not wait for it.
async fn sign(shared: &Shared, response: &Response, begun: bool) -> Result<(), Trouble> {
    let ask = &response.ask;
    let own_key = ask.person.as_deref().is_some_and(|person| shared.ilert.knows(person));
    let Some(text) = signature(ask).filter(|_| !own_key) else { return Ok(()) };
    match comment(shared, response, &text, begun).await {
        Err(Trouble::Api(ApiError::NoIntegrationKey)) => Ok(()),
        Err(Trouble::Api(error)) if ask.verb == Verb::Resolve || !error.is_temporary() || is_too_late(shared, response) => {
            warn!(incident = ask.incident, %error, "The name of who responded could not be written under the alert.");
            Ok(())
        }
        done => done,
    }
}

/// Writes under an alert. iLert has no key for comments that would make a repetition harmless, so after a lost answer its timeline is read first.
async fn comment(shared: &Shared, response: &Response, text: &str, begun: bool) -> Result<(), Trouble> {
    let ask = &response.ask;
    if begun && has_said(shared, response, text).await? {
        return Ok(());
    }
    let subject = Subject::find(shared, &ask.incident).await?;
    let no_key = || ApiError::Refused("the alert has no alert key, without which iLert takes no comments".to_owned());
    let alert_key = subject.alert_key.as_deref().ok_or_else(no_key)?;
    let comment = Comment { alert_source: subject.alert_source.as_ref(), alert_key, summary: &subject.summary, who: &ask.who, text };
    Ok(shared.ilert.comment(&comment).await?)
}

/// What a comment is about.
struct Subject {
    alert_key: Option<String>,
    alert_source: Option<Named>,
    summary: String,
}

impl Subject {
    /// As heard of last, else as iLert says. An alert that no comment can be written under is not asked for.
    async fn find(shared: &Shared, incident: &str) -> Result<Subject, Trouble> {
        let known = shared.book().incident(incident).await?.map(|known| known.about);
        let source = known.as_ref().and_then(|about| about.alert_source.as_ref());
        if source.is_some() && !shared.ilert.takes_comments(source) {
            return Err(ApiError::NoIntegrationKey.into());
        }
        if let Some(About { alert_key: Some(alert_key), alert_source, summary, .. }) = known {
            return Ok(Subject { alert_key: Some(alert_key), alert_source, summary });
        }
        let alert = shared.ilert.get(incident, Purpose::Respond).await?;
        Ok(Subject { alert_key: alert.alert_key, alert_source: alert.alert_source, summary: alert.summary })
    }
}

/// A timeline that cannot be read for good says nothing: a comment twice is better than none.
async fn has_said(shared: &Shared, response: &Response, text: &str) -> Result<bool, ApiError> {
    let since = response.created_at.saturating_sub(CLOCKS_MS);
    match shared.ilert.has_said(&response.ask.incident, text, since).await {
        Err(error) if !error.is_temporary() || matches!(error, ApiError::Unreadable(_)) => {
            warn!(incident = response.ask.incident, %error, "iLert's timeline cannot be read; a comment whose answer was lost is sent again.");
            Ok(false)
        }
        said => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::book::Ask;

    #[test]
    fn an_accept_is_done_for_people_before_its_signature_is_written() {
        let ask = |verb| Ask {
            key: String::new(),
            incident: "7".into(),
            verb,
            connector: "ops".into(),
            who: "Li Lei".into(),
            person: None,
            text: String::new(),
        };
        let open =
            |verb, stage| Response { id: 1, ask: ask(verb), progress: Progress::Open, stage, attempts: 0, created_at: 0, next_at: 0 };
        let is_done = |verb, stage| progress(&open(verb, stage)) != Progress::Open;
        assert_eq!([0, 1, 2, 3].map(|stage| is_done(Verb::Accept, stage)), [false, false, true, true]);
        assert_eq!([0, 1, 2, 3].map(|stage| is_done(Verb::Resolve, stage)), [false; 4]);
    }
}
