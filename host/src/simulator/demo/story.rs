//! What happens in the demo: real payloads of iLert, in the order of an incident's life; a storm; a wrong secret.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::simulator::dingtalk::Shown;
use crate::simulator::ilert::{Named, NewAlert};

/// One thing that happens.
pub(super) struct Chapter {
    pub(super) title: &'static str,
    pub(super) deed: Deed,
    /// How many cards are drawn.
    pub(super) cards: usize,
}

/// Who does what.
pub(super) enum Deed {
    /// iLert posts this, as it once did.
    Post(Vec<u8>),
    /// An alert begins in the simulated iLert, which posts it.
    Alert(Box<NewAlert>),
    /// Somebody taps a button of the last card that has it, and gives a name.
    Tap { button: &'static str, name: &'static str },
    /// Somebody writes to the robot.
    Say { text: &'static str, name: &'static str, staff_id: &'static str },
}

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/ilert/", $name, ".json"))
    };
}

/// The source that only the connector with the wrong secret listens to.
pub(super) const BROKEN_SOURCE: &str = "Backup";

/// The source of the alert that people respond to.
pub(super) const ANSWERED_SOURCE: u64 = 2_193_327;

/// The storm's alert source.
pub(super) const STORM_SOURCE: &str = "Zabbix";

/// The story, with its times moved to the last minutes before `now`: a reader is not to wonder at incidents that are open for years.
pub(super) fn chapters(storm: usize, now: Timestamp) -> Vec<Chapter> {
    let one = |title, body: &str| Chapter { title, deed: Deed::Post(moved(body, now).into_bytes()), cards: 2 };
    let deed = |title, deed| Chapter { title, deed, cards: 2 };
    vec![
        one("An incident is created; two groups read it, each in its language", fixture!("2026-created-rich")),
        one("Another one, in iLert's form of 2021", fixture!("2021-created")),
        one("Nobody accepts, so the escalation policy goes on", fixture!("2021-auto-escalated")),
        one("Somebody accepts it", fixture!("2021-acknowledged")),
        one("A comment", fixture!("2021-comment-added")),
        one("It is over", fixture!("2021-resolved")),
        deed("A new one, in an iLert that can be answered", Deed::Alert(Box::new(checkout()))),
        deed(
            "A person accepts from the chat: the tap opens a page, and only the page's button acts",
            Deed::Tap { button: "Accept", name: "Li Lei" },
        ),
        deed(
            "Another person resolves it, by writing to the robot; no number means the last incident",
            Deed::Say { text: "resolve", name: "Han Meimei", staff_id: "manager7675" },
        ),
        Chapter {
            title: "A storm: more than the robot's 20 messages a minute can carry, so the rest comes as digests",
            deed: Deed::Post(storm_body(storm, now)),
            cards: 3,
        },
        one("A robot whose secret is wrong: DingTalk answers 200 and refuses; nothing is lost", &broken()),
    ]
}

/// Whether a message belongs into the README's picture: what people respond to, and a digest, in English.
pub(super) fn is_for_the_picture(shown: &Shown) -> bool {
    shown.robot == "iLert" && !["storm", "test incident"].iter().any(|left_out| shown.title.contains(left_out))
}

fn checkout() -> NewAlert {
    NewAlert {
        summary: "Checkout answers with 502 for 4 % of requests".into(),
        details: "upstream: payments-eu, since the deployment of 14:02".into(),
        severity: Some(2),
        alert_source: Named { id: ANSWERED_SOURCE, name: "Grafana".into() },
        ..NewAlert::default()
    }
}

/// Many incidents, as NDJSON; a third of them is resolved in the same breath.
fn storm_body(count: usize, now: Timestamp) -> Vec<u8> {
    let reported = minutes_before(now, 1);
    let mut body = String::new();
    for number in 0..count {
        let event = |status: &str, kind: &str| {
            json!({
                "id": format!("{}", 13_000_000 + number),
                "eventId": format!("storm-{number}-{kind}"),
                "summary": format!("storm: disk full on db-{number}"),
                "details": "The volume /var has 0 bytes left.",
                "reportTime": reported,
                "status": status,
                "eventType": kind,
                "priority": if number % 5 == 0 { "HIGH" } else { "LOW" },
                "alertSource": { "id": 7, "name": STORM_SOURCE },
            })
        };
        push(&mut body, &event("PENDING", "alert-created"));
        if number % 3 == 0 {
            push(&mut body, &event("RESOLVED", "alert-resolved"));
        }
    }
    body.into_bytes()
}

/// The payload as it is, reported three minutes before `now`.
fn moved(body: &str, now: Timestamp) -> String {
    let Ok(mut event) = serde_json::from_str::<Value>(body) else { return body.to_owned() };
    if let Some(members) = event.as_object_mut() {
        members.insert("reportTime".to_owned(), minutes_before(now, 3).into());
        if members.contains_key("timestamp") {
            members.insert("timestamp".to_owned(), now.to_string().into());
        }
    }
    event.to_string()
}

fn minutes_before(now: Timestamp, minutes: i64) -> String {
    Timestamp::from_second(now.as_second() - minutes * 60).unwrap_or(now).to_string()
}

fn push(body: &mut String, event: &Value) {
    body.push_str(&event.to_string());
    body.push('\n');
}

fn broken() -> String {
    json!({
        "id": "14000000", "eventId": "broken-1", "summary": "nightly backup failed", "details": "exit code 2",
        "reportTime": "2026-03-01T00:00:00Z", "status": "PENDING", "eventType": "alert-created", "priority": "HIGH",
        "alertSource": { "id": 8, "name": BROKEN_SOURCE },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chapter_is_readable() {
        for chapter in chapters(10, Timestamp::now()) {
            let Deed::Post(body) = chapter.deed else { continue };
            let items = crate::event::body::split(&body, None, crate::event::body::MAX_EVENT).unwrap();
            assert!(!items.is_empty() && items.iter().all(|item| item.value.is_ok()), "{}", chapter.title);
        }
    }
}
