//! Values that tests of several rooms need.

use jiff::Timestamp;

use crate::event::{Event, Kind, Named, Priority, Status};

/// A small event.
pub(crate) fn event(incident: &str, kind: Kind) -> Event {
    Event {
        id: format!("event-of-{incident}-{}", kind.as_str()),
        status: match kind {
            Kind::Resolved | Kind::AutoResolved => Status::Resolved,
            Kind::Acknowledged => Status::Accepted,
            _ => Status::Pending,
        },
        kind,
        incident_id: incident.to_owned(),
        priority: Some(Priority::High),
        severity: None,
        summary: format!("incident {incident}"),
        details: "details".to_owned(),
        alert_key: None,
        alert_source: Some(Named { id: "1".to_owned(), name: "Zabbix".to_owned() }),
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
    }
}
