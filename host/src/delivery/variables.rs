//! The variables of templates: iLert's own names, of both generations, and ours.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::value::{Enumerator, Object, Value};

use crate::event::{Event, Kind, Link, Named, Person, Priority, Responder, Status};

/// Every variable, and what it holds. Absent values are empty text.
///
/// The first ones are iLert's, so that a template written for iLert's custom payloads needs no change.
pub const VARIABLES: [(&str, &str); 33] = [
    ("alertId", "iLert's id of the alert"),
    ("incidentId", "the same, by its name until 2021"),
    ("alertKey", "the monitoring tool's own key"),
    ("alertSummary", "one line"),
    ("incidentSummary", "the same, by its name until 2021"),
    ("alertDetails", "many lines"),
    ("incidentDetails", "the same, by its name until 2021"),
    ("alertStatus", "PENDING, ACCEPTED or RESOLVED"),
    ("incidentStatus", "the same, by its name until 2021"),
    ("alertPriority", "HIGH or LOW"),
    ("incidentPriority", "the same, by its name until 2021"),
    ("alertUrl", "the alert's page"),
    ("incidentUrl", "the same, by its name until 2021"),
    ("alertSourceId", "iLert's id of the alert source"),
    ("alertSourceName", "the alert source's name"),
    ("escalationPolicyId", "iLert's id of the escalation policy"),
    ("escalationPolicyName", "the escalation policy's name"),
    ("reportTime", "when it was reported, as iLert writes it: 2026-11-24T08:30:05Z"),
    ("link", "the first link that came with it"),
    ("eventType", "what happened, as iLert says it: alert-created, alert-acknowledged, …"),
    ("eventId", "the event's own id"),
    ("kind", "what happened, in short: created, acknowledged, …"),
    ("severity", "1 (worst) to 5"),
    ("assignedTo", "the name of whom it is assigned to"),
    ("assignedToEmail", "their e-mail address"),
    ("actor", "the name of who caused the event"),
    ("comment", "the comment of a comment-added"),
    ("responders", "a list of names"),
    ("links", "a list of links, each with `text` and `href`"),
    ("extra", "whatever else the source knows, by its key: extra.region"),
    ("connector", "the connector's name"),
    ("localTime", "when it happened, in the connector's time zone: 2026-11-24 16:30:05 +08:00"),
    ("localReportTime", "when it was reported, in the connector's time zone"),
];

/// Whether templates may use it.
pub fn is_known(name: &str) -> bool {
    VARIABLES.iter().any(|(known, _)| *known == name)
}

/// What to say of a name that templates may not use.
pub(super) fn hint(name: &str) -> String {
    crate::config::hint(name, &VARIABLES.map(|(known, _)| known))
}

/// One event's values, made when a template asks for them.
#[derive(Clone)]
pub struct Variables {
    /// The event.
    pub event: Arc<Event>,
    /// The connector's name.
    pub connector: Arc<str>,
    /// The connector's time zone.
    pub zone: TimeZone,
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variables").field("event", &self.event.id).field("connector", &self.connector).finish_non_exhaustive()
    }
}

impl Object for Variables {
    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.value(key)
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.value(key.as_str()?)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(VARIABLES.iter().map(|(name, _)| Value::from(*name)).collect())
    }
}

impl Variables {
    fn value(&self, name: &str) -> Option<Value> {
        let event = &*self.event;
        let value = match name {
            "alertId" | "incidentId" => text(&event.incident_id),
            "alertKey" => optional(event.alert_key.as_deref()),
            "alertSummary" | "incidentSummary" => text(&event.summary),
            "alertDetails" | "incidentDetails" => text(&event.details),
            "alertStatus" | "incidentStatus" => text(event.status.as_str()),
            "alertPriority" | "incidentPriority" => optional(event.priority.as_ref().map(Priority::as_str)),
            "alertUrl" | "incidentUrl" => optional(event.incident_url.as_deref()),
            "alertSourceId" => optional(event.alert_source.as_ref().map(|named| named.id.as_str())),
            "alertSourceName" => optional(event.alert_source.as_ref().map(|named| named.name.as_str())),
            "escalationPolicyId" => optional(event.escalation_policy.as_ref().map(|named| named.id.as_str())),
            "escalationPolicyName" => optional(event.escalation_policy.as_ref().map(|named| named.name.as_str())),
            "reportTime" => Value::from(event.reported_at.to_string()),
            "link" => optional(event.links.first().map(|link| link.href.as_str())),
            "eventType" => Value::from(format!("alert-{}", event.kind.as_str())),
            "eventId" => text(&event.id),
            "kind" => text(event.kind.as_str()),
            "severity" => event.severity.map_or_else(|| text(""), Value::from),
            "assignedTo" => Value::from(event.assigned_to.as_ref().map(display_name).unwrap_or_default()),
            "assignedToEmail" => optional(event.assigned_to.as_ref().map(|person| person.email.as_str())),
            "actor" => Value::from(event.actor.as_ref().map(display_name).unwrap_or_default()),
            "comment" => optional(event.comment.as_deref()),
            "responders" => event.responders.iter().map(|responder| Value::from(display_name(&responder.person))).collect(),
            "links" => event.links.iter().map(|link| Value::from_pairs([("text", text(&link.text)), ("href", text(&link.href))])).collect(),
            "extra" => Value::from_object(Extra(Arc::clone(&self.event))),
            "connector" => text(&self.connector),
            "localTime" => Value::from(self.local(event.occurred_at)),
            "localReportTime" => Value::from(self.local(event.reported_at)),
            _ => return None,
        };
        Some(value)
    }

    fn local(&self, at: Timestamp) -> String {
        at.to_zoned_datetime(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
    }
}

/// An event's extra fields; one that it does not have is empty.
#[derive(Debug)]
struct Extra(Arc<Event>);

impl Object for Extra {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        Some(optional(self.0.extra.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.extra.iter().map(|(name, _)| text(name)).collect())
    }
}

fn text(text: &str) -> Value {
    Value::from(text)
}

fn optional(value: Option<&str>) -> Value {
    text(value.unwrap_or_default())
}

/// First and last name; else the login; else the e-mail address.
fn display_name(person: &Person) -> String {
    let full = format!("{} {}", person.first_name.trim(), person.last_name.trim());
    [full.trim(), &person.username, &person.email].into_iter().find(|name| !name.is_empty()).unwrap_or_default().to_owned()
}

/// An event that has everything, to try a template with.
pub(super) fn sample_full() -> Variables {
    let named = |name: &str| Some(Named { id: "7".into(), name: name.into() });
    let person = Person {
        id: "7".into(),
        username: "sam".into(),
        first_name: "Sam".into(),
        last_name: "Lee".into(),
        email: "sam@example.com".into(),
    };
    let mut sample = sample_bare();
    let event = Event {
        kind: Kind::CommentAdded,
        status: Status::Accepted,
        priority: Some(Priority::High),
        severity: Some(1),
        summary: "Database is down".into(),
        details: "No connection since 08:30".into(),
        alert_key: Some("db-1".into()),
        alert_source: named("Zabbix"),
        escalation_policy: named("Default"),
        assigned_to: Some(person.clone()),
        responders: vec![Responder { person: person.clone(), accepted: true }],
        actor: Some(person),
        comment: Some("On it".into()),
        links: vec![Link { text: "Runbook".into(), href: "https://example.com/runbook".into() }],
        incident_url: Some("https://example.ilert.com/alert/view.jsf?id=1".into()),
        extra: vec![("region".into(), "eu".into())],
        ..(*sample.event).clone()
    };
    sample.event = Arc::new(event);
    sample
}

/// An event that has nothing but what it must.
pub(super) fn sample_bare() -> Variables {
    let event = Event {
        id: "1".into(),
        kind: Kind::Created,
        incident_id: "1".into(),
        status: Status::Pending,
        priority: None,
        severity: None,
        summary: "Test".into(),
        details: String::new(),
        alert_key: None,
        alert_source: None,
        escalation_policy: None,
        assigned_to: None,
        responders: Vec::new(),
        actor: None,
        comment: None,
        links: Vec::new(),
        images: Vec::new(),
        reported_at: Timestamp::UNIX_EPOCH,
        occurred_at: Timestamp::UNIX_EPOCH,
        incident_url: None,
        extra: Vec::new(),
    };
    Variables { event: Arc::new(event), connector: "sample".into(), zone: TimeZone::UTC }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_variable_has_a_value() {
        for sample in [sample_full(), sample_bare()] {
            let sample = Arc::new(sample);
            for (name, meaning) in VARIABLES {
                assert!(sample.get_value_by_str(name).is_some(), "{name}");
                assert!(!meaning.is_empty());
            }
        }
    }

    #[test]
    fn a_full_sample_leaves_nothing_empty() {
        let sample = Arc::new(sample_full());
        for (name, _) in VARIABLES {
            assert!(sample.value(name).is_some_and(|value| value.is_true()), "{name}");
        }
    }
}
