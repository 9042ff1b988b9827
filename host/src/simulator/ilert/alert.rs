//! An alert, its states, and the two JSON forms that iLert gives it: REST and webhook.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::UnixMs;

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Nobody has it.
    Pending,
    /// Somebody has it; escalation has stopped.
    Accepted,
    /// Over, for good.
    Resolved,
}

/// Someone who answers alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// iLert's id.
    pub id: u64,
    /// The login.
    pub username: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Address.
    pub email: String,
}

impl User {
    /// A user whose login and address follow from the name.
    pub fn new(id: u64, first_name: &str, last_name: &str) -> Self {
        let username = format!("{}.{}", first_name.to_lowercase(), last_name.to_lowercase());
        let email = format!("{username}@example.com");
        User { id, username, first_name: first_name.into(), last_name: last_name.into(), email }
    }
}

/// An alert source or an escalation policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// iLert's id.
    pub id: u64,
    /// Its name.
    pub name: String,
}

/// What an alert is created from; the rest has defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct NewAlert {
    /// One line.
    pub summary: String,
    /// More, possibly markdown.
    pub details: String,
    /// `HIGH` or `LOW`.
    pub priority: String,
    /// 1 to 5.
    pub severity: Option<u8>,
    /// The sender's own key; one is made where it is absent.
    pub alert_key: Option<String>,
    /// Where it came from.
    pub alert_source: Named,
    /// Who is asked in turn.
    pub escalation_policy: Named,
    /// Who is asked first.
    pub assigned_to: Option<User>,
    /// `[{"href": …, "text": …}]`.
    pub links: Vec<Value>,
    /// `[{"src": …, "href": …, "alt": …}]`.
    pub images: Vec<Value>,
}

impl Default for NewAlert {
    fn default() -> Self {
        NewAlert {
            summary: "app.compute is DOWN".into(),
            details: String::new(),
            priority: "HIGH".into(),
            severity: None,
            alert_key: None,
            alert_source: Named { id: 2_101_194, name: "Nagios".into() },
            escalation_policy: Named { id: 2_256_025, name: "Default escalation".into() },
            assigned_to: None,
            links: Vec::new(),
            images: Vec::new(),
        }
    }
}

/// An alert as iLert keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// iLert's id.
    pub id: u64,
    /// What it was created from; priority and assignee change.
    pub about: NewAlert,
    /// The sender's key.
    pub alert_key: String,
    /// Where it stands.
    pub status: Status,
    /// When it was reported.
    pub report_time: UnixMs,
    /// When it ended.
    pub resolved_on: Option<UnixMs>,
    /// Who works on it, and whether they have accepted it.
    pub responders: Vec<(User, Status)>,
}

impl Alert {
    /// A new one.
    pub fn new(id: u64, about: NewAlert, now: UnixMs) -> Self {
        let alert_key = about.alert_key.clone().unwrap_or_else(|| format!("sim-{id}"));
        let responders = about.assigned_to.iter().map(|user| (user.clone(), Status::Pending)).collect();
        Alert { id, about, alert_key, status: Status::Pending, report_time: now, resolved_on: None, responders }
    }

    /// Whether it is not over.
    pub fn is_open(&self) -> bool {
        self.status != Status::Resolved
    }

    /// Somebody takes it; `None` is the alert source. The caller has checked that it is open.
    pub(super) fn accept(&mut self, by: Option<&User>) {
        self.status = Status::Accepted;
        if let Some(user) = by {
            self.about.assigned_to = Some(user.clone());
            self.respond(user, Status::Accepted);
        }
    }

    /// It is over.
    pub(super) fn resolve(&mut self, now: UnixMs) {
        self.status = Status::Resolved;
        self.resolved_on = Some(now);
    }

    /// Somebody else is asked.
    pub(super) fn assign(&mut self, to: &User) {
        self.about.assigned_to = Some(to.clone());
        self.respond(to, Status::Pending);
    }

    fn respond(&mut self, user: &User, status: Status) {
        match self.responders.iter_mut().find(|(known, _)| known.id == user.id) {
            Some((_, known)) => *known = status,
            None => self.responders.push((user.clone(), status)),
        }
    }

    fn responders(&self) -> Value {
        self.responders.iter().map(|(user, status)| json!({ "user": user, "status": status })).collect()
    }

    /// As `GET /api/alerts/{id}` answers: the id is a number.
    pub fn rest(&self) -> Value {
        let mut value = json!({
            "id": self.id,
            "summary": self.about.summary,
            "details": self.about.details,
            "reportTime": iso(self.report_time, 3),
            "status": self.status,
            "priority": self.about.priority,
            "alertKey": self.alert_key,
            "alertSource": self.about.alert_source,
            "escalationPolicy": self.about.escalation_policy,
            "assignedTo": self.about.assigned_to,
            "responders": self.responders(),
            "mergeState": "NONE",
            "links": self.about.links,
            "images": self.about.images,
        });
        self.add_optional(&mut value);
        value
    }

    /// As a webhook carries it: the id is a string, and `eventId` is what tells a repetition.
    pub fn event(&self, event_type: &str, event_id: &str, now: UnixMs, comment: Option<&str>) -> Value {
        let mut value = self.rest();
        value["id"] = self.id.to_string().into();
        value["eventType"] = event_type.into();
        value["timestamp"] = iso(now, 9).into();
        value["eventId"] = event_id.into();
        if let Some(comment) = comment {
            value["comment"] = comment.into();
        }
        value
    }

    fn add_optional(&self, value: &mut Value) {
        if let Some(severity) = self.about.severity {
            value["severity"] = severity.into();
        }
        if let Some(at) = self.resolved_on {
            value["resolvedOn"] = iso(at, 3).into();
        }
    }
}

/// ISO 8601 in UTC with so many digits of a second.
fn iso(at: UnixMs, digits: usize) -> String {
    let at = Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX);
    format!("{at:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_number_in_rest_and_a_string_in_a_webhook() {
        let mut alert = Alert::new(42, NewAlert::default(), 1_700_000_000_000);
        alert.accept(Some(&User::new(7, "Li", "Lei")));
        assert_eq!((&alert.rest()["id"], &alert.rest()["reportTime"]), (&json!(42), &json!("2023-11-14T22:13:20.000Z")));
        let event = alert.event("alert-acknowledged", "e", 1_700_000_000_001, None);
        assert_eq!((&event["id"], &event["timestamp"]), (&json!("42"), &json!("2023-11-14T22:13:20.001000000Z")));
        assert_eq!(event["responders"][0], json!({ "user": alert.about.assigned_to, "status": "ACCEPTED" }));
        assert!(event.get("resolvedOn").is_none() && event.get("comment").is_none());
    }
}
