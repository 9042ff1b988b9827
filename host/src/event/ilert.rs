//! iLert's payloads, every generation, read into an event.
//!
//! The payload grew over the years (no `eventType` before 2021, `incident-…` and `alert-…` names, one assignee and then many responders), and a
//! custom body template may rename everything: the names of its variables (`alertSummary`, `incidentUrl` …) are read too. Nothing inessential
//! makes an event unreadable: a field of an unexpected type counts as absent.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Event, Kind, Link, Person, Priority, Responder, Status, fields, identity, time};

/// The most entries of [`Event::extra`].
pub const MAX_EXTRA: usize = 64;
/// The longest value of [`Event::extra`], in characters.
pub const MAX_EXTRA_CHARS: usize = 1024;

/// What came beside a payload and tells what it may lack: the headers of iLert's edge connector, or of a broker's message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeHeaders {
    /// `X-ilert-Event-Type`.
    pub event_type: Option<String>,
    /// `X-ilert-Alert-Id`.
    pub alert_id: Option<String>,
    /// `X-ilert-Edge-Item-Id`.
    pub item_id: Option<String>,
    /// The id that a broker tells messages apart by, such as `Nats-Msg-Id`.
    pub message_id: Option<String>,
}

/// Why an item is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// An event is an object.
    #[error("expected an object, found {found}")]
    NotAnObject {
        /// What came.
        found: &'static str,
    },
    /// Neither tells which incident it is, nor what it is about.
    #[error("/id: {id}; /summary: {summary}: an event needs at least one of the two")]
    Unusable {
        /// What is wrong with the id.
        id: &'static str,
        /// What is wrong with the summary.
        summary: &'static str,
    },
}

/// Members that become fields of the event, and so not part of `extra`.
const READ: [&str; 42] = [
    "id",
    "alertId",
    "incidentId",
    "summary",
    "alertSummary",
    "incidentSummary",
    "details",
    "alertDetails",
    "incidentDetails",
    "status",
    "alertStatus",
    "incidentStatus",
    "priority",
    "alertPriority",
    "incidentPriority",
    "severity",
    "alertSeverity",
    "alertKey",
    "incidentKey",
    "alertUrl",
    "incidentUrl",
    "eventType",
    "eventId",
    "reportTime",
    "timestamp",
    "alertSource",
    "alertSourceId",
    "alertSourceName",
    "escalationPolicy",
    "escalationPolicyId",
    "escalationPolicyName",
    "assignedTo",
    "responders",
    "comment",
    "links",
    "link",
    "images",
    "customDetails",
    "labels",
    "url",
    "alertComment",
    "incidentComment",
];

/// Reads one item. Times that are missing or unreadable become the time of the event, of the report, or `received_at`.
///
/// No payload says who caused an event. The one guess made is for `acknowledged`: whoever accepted it, see [`Event::actor`].
pub fn parse(value: &Value, headers: &EdgeHeaders, received_at: Timestamp) -> Result<Event, EventError> {
    let object = value.as_object().ok_or(EventError::NotAnObject { found: type_name(value) })?;
    let id = fields::word(object, &["id", "alertId", "incidentId"]).or_else(|| headers.alert_id.clone());
    let summary = fields::text(object, &["summary", "alertSummary", "incidentSummary"]);
    if id.is_none() && summary.is_none() {
        return Err(EventError::Unusable { id: fault(object.get("id")), summary: fault(object.get("summary")) });
    }
    let alert_key = fields::word(object, &["alertKey", "incidentKey"]);
    let details = fields::text(object, &["details", "alertDetails", "incidentDetails"]).unwrap_or_default();
    let incident_id = id.unwrap_or_else(|| stand_in_id(alert_key.as_deref(), value));
    let (kind, status) = kind_and_status(object, headers);
    let assigned_to = object.get("assignedTo").and_then(fields::person);
    let responders = fields::responders(object.get("responders"));
    let (reported_at, occurred_at) = times(object, &kind, received_at);
    Ok(Event {
        id: identity::dedup_id(fields::word(object, &["eventId"]).as_deref(), headers, value),
        summary: summary.unwrap_or_else(|| stand_in_summary(&details, &incident_id)),
        actor: actor(&kind, assigned_to.as_ref(), &responders),
        incident_id,
        kind,
        status,
        priority: fields::word(object, &["priority", "alertPriority", "incidentPriority"]).map(Priority::from),
        severity: ["severity", "alertSeverity"].iter().find_map(|name| object.get(*name).and_then(fields::severity)),
        details,
        alert_key,
        alert_source: fields::named(object, "alertSource", "alertSourceId", "alertSourceName"),
        escalation_policy: fields::named(object, "escalationPolicy", "escalationPolicyId", "escalationPolicyName"),
        assigned_to,
        responders,
        comment: fields::text(object, &["comment", "alertComment", "incidentComment"]),
        links: links(object),
        images: fields::images(object.get("images")),
        reported_at,
        occurred_at,
        incident_url: incident_url(object),
        extra: extra(object),
    })
}

/// The event's kind, else the edge connector's, else the one that the status tells of; and the status, else the one that the kind leads to.
fn kind_and_status(object: &Map<String, Value>, headers: &EdgeHeaders) -> (Kind, Status) {
    let status = fields::word(object, &["status", "alertStatus", "incidentStatus"]).map(Status::from);
    let kind = fields::word(object, &["eventType"]).or_else(|| headers.event_type.clone()).map(|name| Kind::parse(&name));
    match (kind, status) {
        (Some(kind), Some(status)) => (kind, status),
        (Some(kind), None) => {
            let status = match kind {
                Kind::Acknowledged => Status::Accepted,
                Kind::Resolved | Kind::AutoResolved => Status::Resolved,
                _ => Status::Pending,
            };
            (kind, status)
        }
        (None, Some(status)) => {
            let kind = match status {
                Status::Pending => Kind::Created,
                Status::Accepted => Kind::Acknowledged,
                Status::Resolved => Kind::Resolved,
                Status::Other(_) => Kind::Other("update".to_owned()),
            };
            (kind, status)
        }
        (None, None) => (Kind::Other("update".to_owned()), Status::Pending),
    }
}

/// When the incident was reported, and when the event happened. `reportTime` is the incident's: it tells when the event happened only for
/// a new one.
fn times(object: &Map<String, Value>, kind: &Kind, received_at: Timestamp) -> (Timestamp, Timestamp) {
    let time = |name| object.get(name).and_then(time::parse);
    let (reported, happened) = (time("reportTime"), time("timestamp"));
    let happened = happened.or_else(|| match kind {
        Kind::Created => reported,
        Kind::Resolved | Kind::AutoResolved => time("resolvedOn"),
        _ => None,
    });
    (reported.or(happened).unwrap_or(received_at), happened.unwrap_or(received_at))
}

/// Of an `acknowledged`: the assignee, where he or she has accepted or no responder has; else the one responder who has.
fn actor(kind: &Kind, assigned_to: Option<&Person>, responders: &[Responder]) -> Option<Person> {
    if *kind != Kind::Acknowledged {
        return None;
    }
    let accepted: Vec<&Person> = responders.iter().filter(|responder| responder.accepted).map(|responder| &responder.person).collect();
    match (assigned_to, accepted.as_slice()) {
        (Some(assignee), []) => Some(assignee.clone()),
        (Some(assignee), accepted) if accepted.contains(&assignee) => Some(assignee.clone()),
        (_, [only]) => Some((*only).clone()),
        _ => None,
    }
}

/// Groups the events of an incident whose id is not told: by the monitoring tool's key, else each event by itself.
fn stand_in_id(alert_key: Option<&str>, item: &Value) -> String {
    alert_key.map_or_else(|| format!("no-id-{}", &identity::item_hash(item)[..16]), |key| format!("key-{key}"))
}

fn stand_in_summary(details: &str, incident_id: &str) -> String {
    details.lines().map(str::trim).find(|line| !line.is_empty()).map_or_else(|| format!("Incident {incident_id}"), str::to_owned)
}

/// The links, and that of a custom template.
fn links(object: &Map<String, Value>) -> Vec<Link> {
    let mut links = fields::links(object.get("links"));
    if let Some(href) = fields::word(object, &["link"])
        && links.iter().all(|link| link.href != href)
    {
        links.push(Link { text: href.clone(), href });
    }
    links
}

/// Only what a browser opens as a page: it becomes a button.
fn incident_url(object: &Map<String, Value>) -> Option<String> {
    fields::word(object, &["alertUrl", "incidentUrl", "url"]).filter(|url| {
        let lower = url.get(..8).unwrap_or(url).to_ascii_lowercase();
        lower.starts_with("https://") || lower.starts_with("http://")
    })
}

/// Scalars that have no field: unknown members by their names, those of `customDetails` and `labels` behind that name and a dot.
fn extra(object: &Map<String, Value>) -> Vec<(String, String)> {
    let unknown = object.iter().filter(|(name, _)| !READ.contains(&name.as_str())).map(|(name, value)| (name.clone(), value));
    let nested = ["customDetails", "labels"].into_iter().filter_map(|group| Some((group, object.get(group)?.as_object()?)));
    let nested = nested.flat_map(|(group, members)| members.iter().map(move |(name, value)| (format!("{group}.{name}"), value)));
    unknown
        .chain(nested)
        .filter_map(|(name, value)| Some((name, fields::scalar(value)?)))
        .map(|(name, text)| (clipped(&name), clipped(&text)))
        .take(MAX_EXTRA)
        .collect()
}

pub(super) fn clipped(text: &str) -> String {
    text.chars().take(MAX_EXTRA_CHARS).collect()
}

fn fault(value: Option<&Value>) -> &'static str {
    match value {
        None => "missing",
        Some(Value::String(_)) => "empty",
        Some(value) => type_name(value),
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
#[path = "ilert_tests.rs"]
mod tests;
