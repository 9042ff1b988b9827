//! One iLert incident event, as the host understands it.

pub mod alertmanager;
pub mod body;
pub mod encoding;
mod fields;
mod identity;
pub mod ilert;
mod make;
mod otlp;
mod time;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What happened to the incident. Wire names are iLert's, without `incident-`, `alert-` and `v-alert-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Kind {
    /// A new incident.
    Created,
    /// Assigned by a person.
    Assigned,
    /// Assigned by the escalation policy.
    AutoEscalated,
    /// Somebody took it over; iLert's pages say "accepted".
    Acknowledged,
    /// Its priority went up.
    Raised,
    /// Somebody wrote a comment.
    CommentAdded,
    /// Closed by a person or by its source.
    Resolved,
    /// Closed by iLert after a time.
    AutoResolved,
    /// A responder declined.
    Rejected,
    /// One responder more.
    ResponderAdded,
    /// One responder less.
    ResponderRemoved,
    /// The escalation policy ended and nobody has it.
    EscalationEnded,
    /// Still open after the time that the action asks for.
    NotResolved,
    /// Asked for by a person, to see that the connection works.
    Test,
    /// One that this version does not know, by its name without prefix.
    Other(String),
}

impl Kind {
    /// Every kind that has a name of its own, in the order of an incident's life.
    pub const KNOWN: [Kind; 14] = [
        Kind::Created,
        Kind::Assigned,
        Kind::AutoEscalated,
        Kind::Acknowledged,
        Kind::Raised,
        Kind::CommentAdded,
        Kind::Resolved,
        Kind::AutoResolved,
        Kind::Rejected,
        Kind::ResponderAdded,
        Kind::ResponderRemoved,
        Kind::EscalationEnded,
        Kind::NotResolved,
        Kind::Test,
    ];

    /// Reads iLert's name, with any of its prefixes or none, in any case. Never fails: an unknown one is [`Kind::Other`].
    ///
    /// ```
    /// use incident_sink::event::Kind;
    /// assert_eq!(Kind::parse("incident-acknowledged"), Kind::Acknowledged);
    /// assert_eq!(Kind::parse("v-alert-not-resolved"), Kind::NotResolved);
    /// assert_eq!(Kind::parse("accepted"), Kind::Acknowledged);
    /// ```
    pub fn parse(name: &str) -> Kind {
        let lower = name.trim().to_ascii_lowercase().replace('_', "-");
        let bare =
            ["v-alert-", "v-incident-", "alert-", "incident-"].iter().find_map(|prefix| lower.strip_prefix(prefix)).unwrap_or(&lower);
        match bare {
            "accepted" => Kind::Acknowledged,
            "escalated" => Kind::AutoEscalated,
            bare => Kind::KNOWN.into_iter().find(|kind| kind.as_str() == bare).unwrap_or_else(|| Kind::Other(bare.to_owned())),
        }
    }

    /// iLert's name without a prefix.
    pub fn as_str(&self) -> &str {
        match self {
            Kind::Created => "created",
            Kind::Assigned => "assigned",
            Kind::AutoEscalated => "auto-escalated",
            Kind::Acknowledged => "acknowledged",
            Kind::Raised => "raised",
            Kind::CommentAdded => "comment-added",
            Kind::Resolved => "resolved",
            Kind::AutoResolved => "auto-resolved",
            Kind::Rejected => "rejected",
            Kind::ResponderAdded => "responder-added",
            Kind::ResponderRemoved => "responder-removed",
            Kind::EscalationEnded => "escalation-ended",
            Kind::NotResolved => "not-resolved",
            Kind::Test => "test",
            Kind::Other(name) => name,
        }
    }
}

impl From<String> for Kind {
    fn from(name: String) -> Self {
        Kind::parse(&name)
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> Self {
        kind.as_str().to_owned()
    }
}

/// Where the incident stands. A resolved one is never reopened by iLert.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Status {
    /// Nobody has it.
    Pending,
    /// Somebody has it.
    Accepted,
    /// It is over.
    Resolved,
    /// One that this version does not know, as it came.
    Other(String),
}

impl Status {
    /// iLert's word.
    pub fn as_str(&self) -> &str {
        match self {
            Status::Pending => "PENDING",
            Status::Accepted => "ACCEPTED",
            Status::Resolved => "RESOLVED",
            Status::Other(word) => word,
        }
    }
}

impl From<String> for Status {
    fn from(word: String) -> Self {
        match word.trim().to_ascii_uppercase().as_str() {
            "PENDING" | "NEW" => Status::Pending,
            "ACCEPTED" => Status::Accepted,
            "RESOLVED" => Status::Resolved,
            _ => Status::Other(word),
        }
    }
}

impl From<Status> for String {
    fn from(status: Status) -> Self {
        status.as_str().to_owned()
    }
}

/// How urgent iLert holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Priority {
    /// People are woken.
    High,
    /// It can wait.
    Low,
    /// One that this version does not know, as it came.
    Other(String),
}

impl Priority {
    /// iLert's word.
    pub fn as_str(&self) -> &str {
        match self {
            Priority::High => "HIGH",
            Priority::Low => "LOW",
            Priority::Other(word) => word,
        }
    }
}

impl From<String> for Priority {
    fn from(word: String) -> Self {
        match word.trim().to_ascii_uppercase().as_str() {
            "HIGH" => Priority::High,
            "LOW" => Priority::Low,
            _ => Priority::Other(word),
        }
    }
}

impl From<Priority> for String {
    fn from(priority: Priority) -> Self {
        priority.as_str().to_owned()
    }
}

/// Something with iLert's id and a name: an alert source, an escalation policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// iLert's id, as text; empty where none came.
    pub id: String,
    /// What people call it.
    pub name: String,
}

/// An iLert user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// iLert's id, as text; empty where none came.
    pub id: String,
    /// The login.
    pub username: String,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// E-mail address.
    pub email: String,
}

/// Somebody who was asked to take the incident over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Responder {
    /// Who.
    pub person: Person,
    /// Whether they took it.
    pub accepted: bool,
}

/// A link that came with the incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// What to show; the address where no text came.
    pub text: String,
    /// The address, as it came: untrusted.
    pub href: String,
}

/// An image that came with the incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// What it shows.
    pub alt: String,
    /// Its address, as it came: untrusted.
    pub src: String,
    /// Where a click leads.
    pub href: Option<String>,
}

/// One event of one incident. All text is untrusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Stable over redelivery: iLert's `eventId`, else the edge item's id, else a hash.
    pub id: String,
    /// What happened.
    pub kind: Kind,
    /// iLert's id of the incident (since 2021: alert).
    pub incident_id: String,
    /// Where the incident stands after the event.
    pub status: Status,
    /// How urgent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// 1 (worst) to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<u8>,
    /// One line.
    pub summary: String,
    /// Many lines; markdown is allowed by iLert.
    pub details: String,
    /// The monitoring tool's own key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert_key: Option<String>,
    /// Where iLert got it from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert_source: Option<Named>,
    /// Who is asked in which order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalation_policy: Option<Named>,
    /// Who has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<Person>,
    /// Everybody asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub responders: Vec<Responder>,
    /// Who caused the event, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Person>,
    /// The comment of a `comment-added`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Links, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Images, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// When the incident was reported.
    pub reported_at: Timestamp,
    /// When the event happened.
    pub occurred_at: Timestamp,
    /// The incident's page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident_url: Option<String>,
    /// Whatever else a source knows, for plugins and templates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<(String, String)>,
}

impl Event {
    /// Whether people must hear of it before all else.
    pub fn is_high(&self) -> bool {
        self.priority == Some(Priority::High)
    }
}
