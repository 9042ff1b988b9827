//! Incidents to show, and a message as a person would read it.

use std::fmt::Write;

use serde_json::Value;

use crate::Plugin;
use crate::contract::sink::Guest;
use crate::types::*;

/// 2026-03-01T09:52:00+08:00.
pub(crate) const REPORTED: i64 = 1_772_329_920_000;

pub(crate) const KINDS: [Kind; 14] = [
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

pub(crate) fn at(minutes: i64) -> Timestamp {
    Timestamp { unix_ms: REPORTED + minutes * 60_000, offset_minutes: 480 }
}

pub(crate) fn person(first: &str, last: &str, email: &str) -> Person {
    let username = email.split('@').next().unwrap_or_default().into();
    Person { id: "7".into(), username, first_name: first.into(), last_name: last.into(), email: email.into() }
}

/// An incident with everything that iLert can say about it.
pub(crate) fn rich(kind: Kind) -> Event {
    let andreas = person("Andreas", "Farmer", "andreas.farmer@example.com");
    let (status, minutes) = match kind {
        Kind::Created | Kind::Test => (Status::Pending, 0),
        Kind::Acknowledged | Kind::CommentAdded | Kind::ResponderAdded | Kind::ResponderRemoved => (Status::Accepted, 2),
        Kind::Resolved | Kind::AutoResolved => (Status::Resolved, 41),
        _ => (Status::Pending, 5),
    };
    Event {
        id: "0b21f505-bd0f-49a2-bf8f-f238919b23fc".into(),
        incident_id: "12797431".into(),
        status,
        priority: Some(Priority::High),
        severity: Some(1),
        summary: "PROBLEM Host Alert: app_compute-3 is DOWN <db-1> *critical*".into(),
        details: "CRITICAL - Host unreachable (10.0.3.17)\nlast seen 09:51:12\n\n- ping: 100 % loss\n- ssh: refused".into(),
        alert_key: Some("zabbix-12345".into()),
        alert_source: Some(AlertSource { id: "2269078".into(), name: "Zabbix 生产".into() }),
        escalation_policy: Some("Default escalation".into()),
        assigned_to: Some(andreas.clone()),
        responders: vec![
            Responder { person: andreas.clone(), accepted: false },
            Responder { person: person("雷", "李", "lei.li@example.com"), accepted: true },
        ],
        actor: matches!(kind, Kind::Assigned | Kind::Acknowledged | Kind::CommentAdded | Kind::Resolved | Kind::Rejected)
            .then(|| person("Mei", "Han", "han.mei@example.com")),
        comment: (kind == Kind::CommentAdded).then(|| "Switched to the replica, looking at the disk of app_compute-3 now.".into()),
        links: vec![
            Link { text: "Grafana".into(), href: "https://grafana.example/d/abc?x=1&y=(2)".into() },
            Link { text: String::new(), href: "https://runbook.example/db".into() },
        ],
        images: vec![Image { alt: "CPU".into(), src: "https://grafana.example/render/abc.png".into(), href: None }],
        reported_at: at(0),
        occurred_at: at(minutes),
        incident_url: Some("https://xyz.ilert.com/incident/view.jsf?id=12797431".into()),
        folded: 0,
        extra: Vec::new(),
        kind,
    }
}

/// An incident of which nothing is known but its number.
pub(crate) fn bare() -> Event {
    Event {
        summary: String::new(),
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
        priority: None,
        severity: None,
        incident_url: None,
        ..rich(Kind::Created)
    }
}

/// The context of a message about these incidents, with the host's links for each.
pub(crate) fn context(events: &[Event]) -> Context {
    let actions = [("accept", Action::Accept), ("resolve", Action::Resolve), ("open", Action::Open)];
    let link = |event: &Event, (name, action): (&str, Action)| {
        let id = event.incident_id.clone();
        ActionLink { href: format!("https://incidents.example.com/respond/{name}/{id}?t=Zm9v.YmFy"), incident_id: id, action }
    };
    let links = events.iter().flat_map(|event| actions.clone().map(|action| link(event, action))).collect();
    let last = events.iter().map(|event| event.occurred_at.unix_ms).max().unwrap_or(REPORTED);
    Context {
        connector: "ops".into(),
        now: Timestamp { unix_ms: last + 180_000, offset_minutes: 480 },
        attempt: 1,
        message_id: "01JQ0000000000000000000000".into(),
        memo: None,
        waiting: 0,
        links,
        title: None,
        text: None,
        extra: Vec::new(),
    }
}

/// What is sent, and how many events it covers.
pub(crate) fn sent(config: &str, batch: &[Event], cx: &Context) -> (Vec<u8>, u32) {
    match Plugin::begin(config.into(), batch.to_vec(), cx.clone()) {
        Ok(Step::Send(sending)) => (sending.request.body, sending.covers),
        other => panic!("no request but {other:?}"),
    }
}

pub(crate) fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("a body is JSON")
}

/// A message as text: members in their order, invisible breaks as `‹›`, blanks at the end of a line as `·`.
pub(crate) fn shown(body: &[u8]) -> String {
    let message = json(body);
    let kind = message["msgtype"].as_str().expect("a message has a type");
    let mut out = format!("type    {kind}\n");
    for name in ["title", "text", "content", "messageUrl", "picUrl"] {
        if let Some(text) = message[kind][name].as_str() {
            let text = text.replace('\u{200b}', "‹›").replace("  \n", "··\n").replace('\n', "\n        ");
            writeln!(out, "{name:<7} {text}").expect("a string takes any text");
        }
    }
    let content = &message[kind];
    if let Some(title) = content["singleTitle"].as_str() {
        writeln!(out, "button  [{title}] {}", content["singleURL"].as_str().unwrap_or("?")).expect("a string takes any text");
    }
    for (list, url) in [("btns", "actionURL"), ("links", "messageURL")] {
        for one in content[list].as_array().into_iter().flatten() {
            let picture = one["picURL"].as_str().unwrap_or_default();
            let (title, url) = (one["title"].as_str().unwrap_or("?"), one[url].as_str().unwrap_or("?"));
            writeln!(out, "button  [{title}] {url} {picture}").expect("a string takes any text");
        }
    }
    if let Some(at) = message.get("at") {
        writeln!(out, "at      {at}").expect("a string takes any text");
    }
    out
}
