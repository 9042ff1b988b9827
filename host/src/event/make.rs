//! Makes events in a program.

use jiff::Timestamp;

use super::{Event, Kind, Status, identity, ilert};

impl Event {
    /// An event of an open incident with nothing but what every event has; whatever else is known goes into its fields. Its id is made of
    /// incident, kind and time, so that handing the same one over again is recognised.
    ///
    /// ```
    /// use incident_sink::event::{Event, Kind, Priority};
    /// let mut event = Event::new("disk-7", Kind::Created, "Disk of db-1 is full", jiff::Timestamp::now());
    /// event.priority = Some(Priority::High);
    /// ```
    pub fn new(incident_id: impl Into<String>, kind: Kind, summary: impl Into<String>, occurred_at: Timestamp) -> Event {
        let incident_id = incident_id.into();
        let id = format!("{incident_id}/{}/{}", kind.as_str(), occurred_at.as_millisecond());
        Event {
            id: format!("own:{}", identity::bounded(&id)),
            status: match kind {
                Kind::Acknowledged => Status::Accepted,
                Kind::Resolved | Kind::AutoResolved => Status::Resolved,
                _ => Status::Pending,
            },
            kind,
            incident_id,
            priority: None,
            severity: None,
            summary: summary.into(),
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
            reported_at: occurred_at,
            occurred_at,
            incident_url: None,
            extra: Vec::new(),
        }
    }

    /// Reads iLert's JSON, in any of its forms since 2019. Times that are missing are `received_at`.
    ///
    /// ```
    /// use incident_sink::event::Event;
    /// let body = serde_json::json!({"id": 7, "eventType": "alert-created", "summary": "Disk full"});
    /// assert_eq!(Event::from_json(&body, jiff::Timestamp::now())?.incident_id, "7");
    /// # Ok::<_, incident_sink::event::ilert::EventError>(())
    /// ```
    pub fn from_json(value: &serde_json::Value, received_at: Timestamp) -> Result<Event, ilert::EventError> {
        ilert::parse(value, &ilert::EdgeHeaders::default(), received_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_is_made_twice_is_the_same_one() {
        let made = |kind, ms| Event::new("7", kind, "x", Timestamp::from_millisecond(ms).unwrap());
        assert_eq!(made(Kind::Created, 5).id, made(Kind::Created, 5).id);
        assert_ne!(made(Kind::Created, 5).id, made(Kind::Created, 6).id);
        assert_ne!(made(Kind::Created, 5).id, made(Kind::Resolved, 5).id);
        assert_eq!(made(Kind::Resolved, 5).status, Status::Resolved);
    }
}
