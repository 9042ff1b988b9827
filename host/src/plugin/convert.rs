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

#[cfg(test)]
mod tests {
    use super::super::testing::host_event;
    use super::*;

    #[test]
    fn times_carry_the_offset_of_their_own_season() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let offset = |at: &str| timestamp(at.parse().unwrap(), &berlin).offset_minutes;
        assert_eq!((offset("2026-01-15T12:00:00Z"), offset("2026-07-15T12:00:00Z")), (60, 120));
        assert_eq!(timestamp_ms(i64::MAX, &TimeZone::UTC).offset_minutes, 0);
        let kolkata = TimeZone::get("Asia/Kolkata").unwrap();
        assert_eq!(timestamp_ms(0, &kolkata), wit::Timestamp { unix_ms: 0, offset_minutes: 330 });
    }

    #[test]
    fn details_are_cut_between_characters_and_shorter_in_a_batch() {
        let mut host = host_event();
        host.details = "é".repeat(20_000);
        assert_eq!(event(&host, 0, 1, &TimeZone::UTC).details.len(), 16 << 10);
        host.details = format!("a{}", "é".repeat(20_000));
        let batched = event(&host, 3, 2, &TimeZone::UTC);
        assert_eq!((batched.details.len(), batched.folded), (255, 3));
    }

    #[test]
    fn every_kind_keeps_its_name() {
        for known in Kind::KNOWN {
            // The generated names are the contract's, in Rust's spelling.
            let words: String = known.as_str().split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
            assert!(format!("{:?}", kind(&known)).ends_with(&words), "{known:?}");
        }
        assert_eq!(kind(&Kind::Other("merged".into())), wit::Kind::Other("merged".into()));
    }

    #[test]
    fn an_event_keeps_everything_that_it_says() {
        let seen = event(&host_event(), 0, 1, &TimeZone::UTC);
        assert_eq!((seen.summary.as_str(), seen.severity), ("Disk full", Some(2)));
        assert_eq!(seen.priority, Some(wit::Priority::High));
        assert_eq!(seen.alert_source.unwrap().name, "Zabbix");
        assert_eq!(seen.escalation_policy.as_deref(), Some("Ops"));
        assert!(seen.responders[0].accepted && seen.responders[0].person.first_name == "Ada");
        assert_eq!((seen.links.len(), seen.images.len()), (1, 1));
    }
}
