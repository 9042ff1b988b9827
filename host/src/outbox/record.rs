//! Where an incident stands after an event, and what the event becomes by it. Pure.

use std::sync::Arc;

use serde::Serialize;

use super::OutboxError;
use super::book::{self, CAUGHT_UP, Echo, Response, Verb};
use crate::clock::UnixMs;
use crate::event::{Event, Kind, Named, Person, Status};

/// A webhook that comes this long after its news was caught up with is not told again.
const LATE_MS: i64 = 3_600_000;
/// The most characters of a summary that the record keeps.
const MAX_SUMMARY: usize = 500;
/// An event within this time after somebody asked for what it tells is the echo of that.
pub(super) const ECHO_MS: i64 = 3_600_000;
/// Open incidents are forgotten after this time without news, or after the history if that is longer.
pub(super) const FORGET_OPEN_MS: i64 = 90 * 86_400_000;

/// An event of an incident, made ready by the caller, so that the writer only writes.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) event: Arc<Event>,
    /// The incident's number.
    pub(super) id: i64,
    pub(super) about: String,
}

impl Told {
    /// `None` for an event that tells nothing of an incident of iLert's.
    pub(super) fn of(event: &Arc<Event>) -> Result<Option<Told>, serde_json::Error> {
        let Some(id) = book::told_of(event) else { return Ok(None) };
        let summary = match event.summary.char_indices().nth(MAX_SUMMARY) {
            Some((end, _)) => &event.summary[..end],
            None => &event.summary,
        };
        let about = AboutOf { summary, url: &event.incident_url, alert_key: &event.alert_key, alert_source: &event.alert_source };
        Ok(Some(Told { id, about: serde_json::to_string(&about)?, event: Arc::clone(event) }))
    }
}

/// As [`book::About`], of an event that is kept elsewhere.
#[derive(Serialize)]
struct AboutOf<'e> {
    summary: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: &'e Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert_key: &'e Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert_source: &'e Option<Named>,
}

/// What is on record of an incident.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) status: Status,
    pub(super) occurred_at: UnixMs,
    pub(super) caught_up: Option<UnixMs>,
}

/// What an event is to the record.
pub(super) enum News {
    /// People know already.
    Old,
    /// It goes on.
    New {
        /// What is to be put on record, where the event changes anything.
        record: Option<Known>,
        /// The incident was over before.
        was_resolved: bool,
    },
}

/// What an event is to the record, before anybody is told.
pub(super) fn news(known: Option<&Known>, event: &Event, now: UnixMs) -> News {
    let caught_up = event.extra.iter().any(|(name, _)| name == CAUGHT_UP);
    if known.is_some_and(|known| is_old(known, event, caught_up, now)) {
        return News::Old;
    }
    let was_resolved = known.is_some_and(|known| known.status == Status::Resolved);
    let occurred_at = event.occurred_at.as_millisecond();
    // An event that was overtaken by a later one says nothing of the present; the end is the end whenever it is told.
    let changes = known.is_none_or(|known| {
        known.status != Status::Resolved
            && known.status != event.status
            && (occurred_at >= known.occurred_at || event.status == Status::Resolved)
    });
    let record = changes.then(|| Known { status: event.status.clone(), occurred_at, caught_up: caught_up.then_some(now) });
    News::New { record, was_resolved }
}

/// Whether people were told by the other of the two ways that news take, the webhook and catching up.
fn is_old(known: &Known, event: &Event, caught_up: bool, now: UnixMs) -> bool {
    let tells_only_status = matches!(event.kind, Kind::Created | Kind::Acknowledged | Kind::Resolved | Kind::AutoResolved);
    let recently = known.caught_up.is_some_and(|at| now.saturating_sub(at) < LATE_MS);
    tells_only_status && (caught_up || recently) && rank(&event.status) <= rank(&known.status)
}

/// How far an incident has come.
fn rank(status: &Status) -> u8 {
    match status {
        Status::Pending | Status::Other(_) => 0,
        Status::Accepted => 1,
        Status::Resolved => 2,
    }
}

/// Whether an event may be the echo of a response. One that tells of a comment may be of those too that have had theirs.
pub(super) fn may_echo(event: &Event) -> bool {
    event.kind == Kind::CommentAdded || Verb::echoed_by(&event.kind).is_some()
}

/// The form in which an event goes on.
pub(super) enum Form {
    /// People know already.
    Known,
    /// As it came; this response has had its echo by it.
    AsIs(Option<i64>),
    /// As this JSON, likewise.
    As(String, Option<i64>),
}

/// The event with what the outbox knows better: that the incident is over, and who asked for what it tells. `asked` are the responses of the
/// incident that may have no echo yet, the latest first.
pub(super) fn form(event: &Event, was_resolved: bool, asked: &[Response]) -> Result<Form, OutboxError> {
    let late = was_resolved && event.status != Status::Resolved;
    let echoed = match book::echo(event, asked) {
        Echo::Known => return Ok(Form::Known),
        Echo::Of(response) => Some(response),
        Echo::No => None,
    };
    let id = echoed.map(|response| response.id);
    // An API key of the asker's own lets iLert tell the name better than we can.
    let named = echoed.filter(|response| response.ask.person.is_none() || event.actor.is_none());
    if !late && named.is_none() {
        return Ok(Form::AsIs(id));
    }
    let mut event = event.clone();
    if late {
        event.status = Status::Resolved;
    }
    if let Some(Response { ask, .. }) = named {
        event.actor = Some(Person { first_name: ask.who.clone(), ..Person::default() });
        event.extra.push(("responded_in".to_owned(), ask.connector.clone()));
    }
    let payload = serde_json::to_string(&event)
        .map_err(|error| OutboxError::Broken(format!("event {} cannot be written as JSON: {error}", event.id)))?;
    Ok(Form::As(payload, id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::book::About;
    use crate::outbox::suite::event;

    #[test]
    fn what_is_kept_of_an_incident_is_read_as_it_is_written() {
        let mut event = event("a");
        event.incident_id = "7".into();
        for (written, kept) in [("disk full".to_owned(), "disk full".to_owned()), ("\u{706b}".repeat(501), "\u{706b}".repeat(500))] {
            event.summary = written;
            let told = Told::of(&Arc::new(event.clone())).unwrap().unwrap();
            let about: About = serde_json::from_str(&told.about).unwrap();
            let expected = About {
                summary: kept,
                url: event.incident_url.clone(),
                alert_key: event.alert_key.clone(),
                alert_source: event.alert_source.clone(),
            };
            assert_eq!((told.id, about), (7, expected.clone()));
            assert_eq!(told.about, serde_json::to_string(&expected).unwrap());
        }
    }
}
