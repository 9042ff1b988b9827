//! What the outbox knows of incidents, and what people asked to be done about them.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::OutboxError;
use crate::clock::UnixMs;
use crate::event::{Event, Kind, Named, Status};

/// The `extra` member of an event that no webhook told of.
pub const CAUGHT_UP: &str = "caught_up";

/// An incident, as its last event left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// iLert's id.
    pub id: String,
    /// Where it stands. Once [`Status::Resolved`], it stays so.
    pub status: Status,
    /// When the event happened that brought it there.
    pub occurred_at: UnixMs,
    /// When that was written down.
    pub seen_at: UnixMs,
    /// What people are shown of it.
    pub about: About,
}

/// What is kept of an incident besides its state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// One line.
    pub summary: String,
    /// Its page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The monitoring tool's own key, which comments need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_key: Option<String>,
    /// Where iLert got it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_source: Option<Named>,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Take it over.
    Accept,
    /// Close it.
    Resolve,
    /// Write under it.
    Comment,
}

impl Verb {
    /// All of them.
    pub const ALL: [Verb; 3] = [Verb::Accept, Verb::Resolve, Verb::Comment];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Accept => "accept",
            Verb::Resolve => "resolve",
            Verb::Comment => "comment",
        }
    }

    /// The verb of that name.
    pub fn parse(name: &str) -> Option<Verb> {
        Verb::ALL.into_iter().find(|verb| verb.as_str() == name)
    }

    /// The verb that an event is the echo of.
    pub fn echoed_by(kind: &Kind) -> Option<Verb> {
        match kind {
            Kind::Acknowledged => Some(Verb::Accept),
            Kind::Resolved => Some(Verb::Resolve),
            _ => None,
        }
    }
}

/// What somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Equal for a repetition of the same click or message.
    pub key: String,
    /// iLert's id of the incident.
    pub incident: String,
    /// What is to be done.
    pub verb: Verb,
    /// Where it was asked for.
    pub connector: String,
    /// Who asks, as people are shown.
    pub who: String,
    /// The name of an API key of the asker's own.
    pub person: Option<String>,
    /// The comment; empty without one.
    pub text: String,
}

/// How far a response is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// To be carried out.
    Open,
    /// Carried out; the words are for people who look again.
    Done(String),
    /// Given up, with the reason.
    Failed(String),
}

/// An [`Ask`] that was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Identifies it within the outbox.
    pub id: i64,
    /// What was asked for.
    pub ask: Ask,
    /// How far it is.
    pub progress: Progress,
    /// Steps made, for one that takes several.
    pub stage: u32,
    /// Attempts that failed.
    pub attempts: u32,
    /// When it was asked for.
    pub created_at: UnixMs,
    /// Not tried before.
    pub next_at: UnixMs,
}

/// What became of an [`Ask`] at the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Booked {
    /// Written down.
    New(Response),
    /// Asked for before, in the same or in another way; nothing was written.
    Before(Response),
}

impl Booked {
    /// What is written down now.
    pub fn response(&self) -> &Response {
        match self {
            Booked::New(response) | Booked::Before(response) => response,
        }
    }
}

/// What becomes of a response after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A step is made, the next one follows at once.
    Made {
        /// Steps made so far.
        stage: u32,
    },
    /// Once more, not before `at`.
    Again {
        /// Not before.
        at: UnixMs,
        /// What went wrong, for people who look meanwhile.
        why: String,
    },
    /// Carried out.
    Done(String),
    /// Given up.
    Failed(String),
}

/// The result of a response that did what was asked for.
pub const DONE: &str = "done";

/// What is written under an alert about who responded, where iLert would name the host's own user. `None` for a comment, which names its writer.
pub fn signature(ask: &Ask) -> Option<String> {
    let did = match ask.verb {
        Verb::Accept => "Accepted",
        Verb::Resolve => "Resolved",
        Verb::Comment => return None,
    };
    Some(format!("{did} by {} ({}).", ask.who, ask.connector))
}

/// What an event has to do with what people asked for here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Echo<'a> {
    /// Nothing.
    No,
    /// It tells what this response did.
    Of(&'a Response),
    /// It repeats what people have read: the host's own note of who responded.
    Known,
}

/// Whose echo an event is, among the responses of its incident that may have no echo yet, the latest first. Pure.
pub fn echo<'a>(event: &Event, responses: &'a [Response]) -> Echo<'a> {
    let did = |response: &&Response| match &response.progress {
        Progress::Open => true,
        Progress::Done(result) => result == DONE,
        Progress::Failed(_) => false,
    };
    if event.kind == Kind::CommentAdded {
        let said = words(event.comment.as_deref().unwrap_or_default());
        let says = |text: &str| !text.is_empty() && said.contains(&words(text));
        if responses.iter().filter_map(|response| signature(&response.ask)).any(|text| says(&text)) {
            return Echo::Known;
        }
        return responses.iter().find(|response| says(&response.ask.text)).map_or(Echo::No, Echo::Of);
    }
    let verb = Verb::echoed_by(&event.kind);
    responses.iter().filter(did).find(|response| Some(response.ask.verb) == verb).map_or(Echo::No, Echo::Of)
}

/// A text whose spaces and line breaks do not matter.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The part of an outbox that responding needs. As all of it: answered after the sync, and a dropped call has happened or has not.
#[async_trait]
pub trait Book: Send + Sync {
    /// What is known of an incident.
    async fn incident(&self, id: &str) -> Result<Option<Incident>, OutboxError>;

    /// The incidents that are not resolved, by id, at most `limit`.
    async fn open_incidents(&self, limit: usize) -> Result<Vec<Incident>, OutboxError>;

    /// Forgets an incident that iLert does not know.
    async fn forget_incident(&self, id: &str) -> Result<(), OutboxError>;

    /// The incident that a connector was told of last.
    async fn last_told(&self, connector: &str) -> Result<Option<String>, OutboxError>;

    /// Writes an ask down, unless the same was asked for before, or the same is being done about the incident right now. One that failed is
    /// taken up again.
    async fn ask(&self, ask: Ask, now: UnixMs) -> Result<Booked, OutboxError>;

    /// What is written down under a key.
    async fn response(&self, key: &str) -> Result<Option<Response>, OutboxError>;

    /// Open responses in the order in which they were asked for, whether they are due or not.
    async fn open_responses(&self, limit: usize) -> Result<Vec<Response>, OutboxError>;

    /// A short value that the responder keeps under a name.
    async fn note(&self, name: &str) -> Result<Option<String>, OutboxError>;

    /// Keeps a value under a name, in the place of the one before.
    async fn keep_note(&self, name: &str, value: &str) -> Result<(), OutboxError>;

    /// Notes what became of an attempt.
    async fn step(&self, response: i64, step: Step, now: UnixMs) -> Result<(), OutboxError>;
}

/// Whether iLert can be asked about an incident of this id: its ids are numbers, others are stand-ins of sources that know none.
pub fn is_ilert_id(id: &str) -> bool {
    number(id).is_some()
}

fn number(id: &str) -> Option<i64> {
    let plain = !id.starts_with('0') && id.bytes().all(|byte| byte.is_ascii_digit());
    id.parse().ok().filter(|_| plain)
}

/// The number of the incident of iLert's that an event tells of, if it does.
pub(super) fn told_of(event: &Event) -> Option<i64> {
    if event.kind == Kind::Test { None } else { number(&event.incident_id) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_is_read_as_it_is_written() {
        for verb in Verb::ALL {
            assert_eq!(Verb::parse(verb.as_str()), Some(verb));
        }
        assert_eq!(Verb::parse("delete"), None);
    }

    fn response(verb: Verb, text: &str, progress: Progress) -> Response {
        let ask = Ask {
            key: "k".into(),
            incident: "7".into(),
            verb,
            connector: "ops".into(),
            who: "Li Lei".into(),
            person: None,
            text: text.into(),
        };
        Response { id: 1, ask, progress, stage: 0, attempts: 0, created_at: 0, next_at: 0 }
    }

    #[test]
    fn an_echo_is_that_of_what_was_done_here() {
        let mut event = crate::delivery::testing::event("7", Kind::Acknowledged);
        let accept = |progress| [response(Verb::Accept, "", progress)];
        assert!(matches!(echo(&event, &accept(Progress::Open)), Echo::Of(_)));
        assert!(matches!(echo(&event, &accept(Progress::Done(DONE.into()))), Echo::Of(_)));
        assert_eq!(echo(&event, &accept(Progress::Done("already".into()))), Echo::No, "somebody else did it");
        assert_eq!(echo(&event, &[response(Verb::Resolve, "", Progress::Open)]), Echo::No);
        event.kind = Kind::CommentAdded;
        event.comment = Some("Li Lei:\nAccepted by  Li Lei (ops).".into());
        assert_eq!(echo(&event, &accept(Progress::Open)), Echo::Known);
        event.comment = Some("Li Lei: on it".into());
        assert_eq!(echo(&event, &accept(Progress::Open)), Echo::No);
        assert!(matches!(echo(&event, &[response(Verb::Comment, "on it", Progress::Open)]), Echo::Of(_)));
    }

    #[test]
    fn only_numbers_are_ilerts_ids() {
        assert!(is_ilert_id("2983781"));
        assert!(is_ilert_id("9223372036854775807"));
        for other in ["", "key-disk-1", "-1", "0", "007", "9223372036854775808", "12345678901234567890", "१२"] {
            assert!(!is_ilert_id(other), "{other}");
        }
    }
}
