//! Tests of reading Alertmanager's notifications.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: &str = "2026-03-01T10:00:00Z";

fn reading(now: &str) -> Reading {
    Reading { remind_every: Duration::from_secs(86_400), received_at: now.parse().unwrap(), limit: 1 << 20 }
}

fn alert(status: &str) -> Value {
    json!({
        "status": status,
        "labels": {"alertname": "DiskFull", "instance": "db-1:9100", "severity": "critical"},
        "annotations": {"summary": "Disk of db-1 is full", "description": "Only 1 % is left.", "runbook_url": "https://wiki.example/disk"},
        "startsAt": "2026-03-01T09:58:00.123Z",
        "endsAt": if status == "firing" { "0001-01-01T00:00:00Z" } else { "2026-03-01T09:59:30Z" },
        "generatorURL": "http://prometheus.example/graph?g0.expr=x",
        "fingerprint": "b1e1f4b2a1c2d3e4",
    })
}

fn group(alerts: &[Value]) -> Value {
    json!({"version": "4", "groupKey": "{}:{}", "status": "firing", "receiver": "ops", "externalURL": "http://am.example:9093", "truncatedAlerts": 0, "alerts": alerts})
}

fn events(group: &Value, now: &str) -> Vec<Result<Event, AlertError>> {
    read(group.to_string().as_bytes(), None, reading(now)).unwrap().alerts.into_iter().map(|(_, event)| event).collect()
}

fn one(alert: Value, now: &str) -> Event {
    events(&group(&[alert]), now).remove(0).unwrap()
}

#[test]
fn a_firing_alert_is_created_and_a_resolved_one_is_resolved() {
    let (firing, resolved) = (one(alert("firing"), NOW), one(alert("resolved"), NOW));
    assert_eq!((firing.kind.clone(), firing.status.clone()), (Kind::Created, Status::Pending));
    assert_eq!((resolved.kind.clone(), resolved.status.clone()), (Kind::Resolved, Status::Resolved));
    assert_eq!(firing.incident_id, resolved.incident_id);
    assert_ne!(firing.id, resolved.id);
    assert_eq!(firing.summary, "Disk of db-1 is full");
    assert!(firing.details.starts_with("Only 1 % is left.\n\nalertname: DiskFull\ninstance: db-1:9100"), "{}", firing.details);
    assert_eq!(firing.priority, Some(Priority::High));
    assert_eq!(firing.alert_source.unwrap().name, "ops");
    assert_eq!((firing.occurred_at, resolved.occurred_at), (firing.reported_at, "2026-03-01T09:59:30Z".parse().unwrap()));
    assert!(firing.extra.contains(&("labels.instance".to_owned(), "db-1:9100".to_owned())));
}

#[test]
fn links_lead_to_the_source_the_runbook_and_a_silence() {
    let event = one(alert("firing"), NOW);
    let texts: Vec<&str> = event.links.iter().map(|link| link.text.as_str()).collect();
    assert_eq!(texts, ["Source", "Runbook", "Silence"]);
    assert_eq!(
        event.links[2].href,
        "http://am.example:9093/#/silences/new?filter=%7Balertname%3D%22DiskFull%22%2Cinstance%3D%22db%2D1%3A9100%22%2Cseverity%3D%22critical%22%7D"
    );
    assert!(event.incident_url.unwrap().starts_with("http://am.example:9093/#/alerts?filter=%7B"));
    assert!(one(alert("resolved"), NOW).links.iter().all(|link| link.text != "Silence"));
}

#[test]
fn a_repeat_is_the_same_event_and_a_day_later_a_reminder() {
    let at = |now| one(alert("firing"), now);
    assert_eq!(at(NOW).id, at("2026-03-02T09:57:00Z").id);
    let later = at("2026-03-02T09:59:00Z");
    assert_eq!((later.kind.clone(), later.incident_id.clone()), (Kind::NotResolved, at(NOW).incident_id));
    assert_ne!(later.id, at(NOW).id);
    assert_eq!(later.id, at("2026-03-03T09:57:00Z").id);
    assert_ne!(later.id, at("2026-03-03T09:59:00Z").id);
}

#[test]
fn an_alert_that_fires_again_is_another_incident() {
    let mut again = alert("firing");
    again["startsAt"] = json!("2026-03-01T12:00:00Z");
    assert_ne!(one(alert("firing"), NOW).incident_id, one(again, NOW).incident_id);
}

#[test]
fn the_same_alert_of_another_receiver_is_another_event() {
    let mut other = group(&[alert("firing")]);
    other["receiver"] = json!("db");
    assert_ne!(events(&other, NOW)[0].as_ref().unwrap().id, one(alert("firing"), NOW).id);
}

#[test]
fn a_bad_alert_does_not_spoil_the_others() {
    let found = events(&group(&[json!({"status": "melting"}), alert("firing"), json!(7)]), NOW);
    assert_eq!(found[0], Err(AlertError::Status("melting".to_owned())));
    assert!(found[1].is_ok());
    assert!(matches!(&found[2], Err(AlertError::Shape(_))));
    let none = events(&json!({"id": 7}), NOW);
    assert!(matches!(&none[..], [Err(AlertError::Shape(text))] if text.contains("alerts")), "{none:?}");
}

#[test]
fn a_body_that_is_no_json_is_refused_as_a_whole() {
    assert!(matches!(read(b"", None, reading(NOW)), Err(BodyError::Empty)));
    assert!(matches!(read(b"{\"alerts\":[", None, reading(NOW)), Err(BodyError::NotJson { line: 1, .. })));
}

#[test]
fn an_alert_with_nothing_but_labels_or_without_them_can_be_told_apart() {
    let bare = one(json!({"status": "firing", "labels": {"alertname": "Up"}}), NOW);
    assert_eq!((bare.summary.as_str(), bare.details.as_str(), bare.priority), ("Up", "alertname: Up", None));
    let other = one(json!({"status": "firing", "labels": {"alertname": "Down"}}), NOW);
    assert_ne!(bare.incident_id, other.incident_id);
    assert!(one(json!({"status": "firing"}), NOW).summary.starts_with("Alert "));
}

#[test]
fn grafanas_own_addresses_become_links_and_an_image() {
    let mut grafana = alert("firing");
    grafana["silenceURL"] = json!("https://g.example/silence");
    grafana["dashboardURL"] = json!("https://g.example/d/1");
    grafana["imageURL"] = json!("https://g.example/i.png");
    let event = one(grafana, NOW);
    assert!(event.links.iter().any(|link| link.href == "https://g.example/silence"));
    assert!(event.links.iter().any(|link| link.text == "Dashboard"));
    assert_eq!(event.images[0].src, "https://g.example/i.png");
}

proptest! {
    #[test]
    fn any_alert_is_an_event_or_an_error(status in "firing|resolved|[a-z]{0,8}", fingerprint in "\\PC{0,80}", label in "\\PC{0,20}", starts in "\\PC{0,20}") {
        let alert = json!({"status": status, "fingerprint": fingerprint, "labels": {label.clone(): label}, "startsAt": starts});
        for event in events(&group(&[alert]), NOW).into_iter().flatten() {
            prop_assert!(event.incident_id.starts_with("am-") && event.id.len() <= 160);
        }
    }
}
