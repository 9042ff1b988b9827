//! From the host's event to the contract's.

use jiff::tz::TimeZone;

use super::{text, wit};
use crate::event::{Event, Image, Kind, Link, Named, Person, Priority, Responder, Status};

/// The most of an event's details that a message for it alone is written from, in bytes.
pub const DETAILS_ALONE: usize = 16 << 10;
/// The most of each event's details in a batch.
pub const DETAILS_IN_BATCH: usize = 256;

/// A moment, with the offset of the time zone then.
pub fn timestamp(at: jiff::Timestamp, zone: &TimeZone) -> wit::Timestamp {
    let minutes = zone.to_offset(at).seconds() / 60;
    // Offsets are less than 26 hours.
    wit::Timestamp { unix_ms: at.as_millisecond(), offset_minutes: i16::try_from(minutes).unwrap_or_default() }
}

/// A moment in milliseconds; one that no calendar has becomes the nearest that it has.
pub fn timestamp_ms(unix_ms: i64, zone: &TimeZone) -> wit::Timestamp {
    let edge = if unix_ms < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    timestamp(jiff::Timestamp::from_millisecond(unix_ms).unwrap_or(edge), zone)
}

/// One item of a batch of `batch` items that stands for `folded` earlier events of its incident.
pub fn event(event: &Event, folded: u32, batch: usize, zone: &TimeZone) -> wit::Event {
    let details = if batch > 1 { DETAILS_IN_BATCH } else { DETAILS_ALONE };
    wit::Event {
        id: event.id.clone(),
        kind: kind(&event.kind),
        incident_id: event.incident_id.clone(),
        status: status(&event.status),
        priority: event.priority.as_ref().map(priority),
        severity: event.severity,
        summary: event.summary.clone(),
        details: text::prefix(&event.details, details).to_owned(),
        alert_key: event.alert_key.clone(),
        alert_source: event.alert_source.as_ref().map(|Named { id, name }| wit::AlertSource { id: id.clone(), name: name.clone() }),
        escalation_policy: event.escalation_policy.as_ref().map(|policy| policy.name.clone()),
        assigned_to: event.assigned_to.as_ref().map(person),
        responders: event.responders.iter().map(responder).collect(),
        actor: event.actor.as_ref().map(person),
        comment: event.comment.as_deref().map(|comment| text::prefix(comment, details).to_owned()),
        links: event.links.iter().map(link).collect(),
        images: event.images.iter().map(image).collect(),
        reported_at: timestamp(event.reported_at, zone),
        occurred_at: timestamp(event.occurred_at, zone),
        incident_url: event.incident_url.clone(),
        folded,
        extra: event.extra.clone(),
    }
}

/// What happened.
pub fn kind(kind: &Kind) -> wit::Kind {
    match kind {
        Kind::Created => wit::Kind::Created,
        Kind::Assigned => wit::Kind::Assigned,
        Kind::AutoEscalated => wit::Kind::AutoEscalated,
        Kind::Acknowledged => wit::Kind::Acknowledged,
        Kind::Raised => wit::Kind::Raised,
        Kind::CommentAdded => wit::Kind::CommentAdded,
        Kind::Resolved => wit::Kind::Resolved,
        Kind::AutoResolved => wit::Kind::AutoResolved,
        Kind::Rejected => wit::Kind::Rejected,
        Kind::ResponderAdded => wit::Kind::ResponderAdded,
        Kind::ResponderRemoved => wit::Kind::ResponderRemoved,
        Kind::EscalationEnded => wit::Kind::EscalationEnded,
        Kind::NotResolved => wit::Kind::NotResolved,
        Kind::Test => wit::Kind::Test,
        Kind::Other(name) => wit::Kind::Other(name.clone()),
    }
}

fn status(status: &Status) -> wit::Status {
    match status {
        Status::Pending => wit::Status::Pending,
        Status::Accepted => wit::Status::Accepted,
        Status::Resolved => wit::Status::Resolved,
        Status::Other(word) => wit::Status::Other(word.clone()),
    }
}

fn priority(priority: &Priority) -> wit::Priority {
    match priority {
        Priority::High => wit::Priority::High,
        Priority::Low => wit::Priority::Low,
        Priority::Other(word) => wit::Priority::Other(word.clone()),
    }
}

fn person(person: &Person) -> wit::Person {
    wit::Person {
        id: person.id.clone(),
        username: person.username.clone(),
        first_name: person.first_name.clone(),
        last_name: person.last_name.clone(),
        email: person.email.clone(),
    }
}

fn responder(responder: &Responder) -> wit::Responder {
    wit::Responder { person: person(&responder.person), accepted: responder.accepted }
}

fn link(link: &Link) -> wit::Link {
    wit::Link { text: link.text.clone(), href: link.href.clone() }
}

fn image(image: &Image) -> wit::Image {
    wit::Image { alt: image.alt.clone(), src: image.src.clone(), href: image.href.clone() }
}
