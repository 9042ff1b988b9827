//! Tests of reading iLert's payloads.

use proptest::prelude::*;
use serde_json::json;

use super::super::body::{self, MAX_BODY};
use super::*;
use crate::event::Named;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/ilert");

fn received() -> Timestamp {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

fn fixture(name: &str) -> Value {
    let bytes = std::fs::read(format!("{FIXTURES}/{name}.json")).unwrap();
    body::split(&bytes, None, MAX_BODY).unwrap().remove(0).value.unwrap()
}

fn read(value: &Value) -> Event {
    parse(value, &EdgeHeaders::default(), received()).unwrap()
}

#[test]
fn every_fixture_is_an_event_of_its_kind() {
    let cases = [
        ("2019-acknowledged", "acknowledged", Status::Accepted),
        ("2021-acknowledged", "acknowledged", Status::Accepted),
        ("2021-assigned", "assigned", Status::Pending),
        ("2021-auto-escalated", "auto-escalated", Status::Pending),
        ("2021-auto-resolved", "auto-resolved", Status::Resolved),
        ("2021-comment-added", "comment-added", Status::Accepted),
        ("2021-created", "created", Status::Pending),
        ("2021-eventbridge-wrapped", "created", Status::Pending),
        ("2021-raised", "raised", Status::Pending),
        ("2021-resolved", "resolved", Status::Resolved),
        ("2023-auto-escalated", "auto-escalated", Status::Accepted),
        ("2025-created", "created", Status::Pending),
        ("2026-created-rich", "created", Status::Pending),
        ("2026-not-resolved", "not-resolved", Status::Accepted),
        ("2026-unknown-kind", "snoozed", Status::Pending),
    ];
    for (name, kind, status) in &cases {
        let event = read(&fixture(name));
        assert_eq!((event.kind.as_str(), &event.status), (*kind, status), "{name}");
        assert!(!event.incident_id.is_empty() && !event.summary.is_empty() && event.priority.is_some(), "{name}");
        assert!(event.alert_source.is_some_and(|source| !source.id.is_empty()), "{name}");
    }
    let files = std::fs::read_dir(FIXTURES).unwrap().filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|e| e == "json"));
    assert_eq!(files.count(), cases.len());
}

#[test]
fn the_rich_fixture_is_read_whole() {
    let event = read(&fixture("2026-created-rich"));
    assert_eq!(event.id, "event:0b21f505-bd0f-49a2-bf8f-f238919b23fc");
    assert_eq!(event.incident_id, "12797431");
    assert_eq!(event.severity, Some(1));
    assert_eq!(event.alert_key.as_deref(), Some("zabbix-12345"));
    assert_eq!(event.alert_source, Some(Named { id: "2269078".to_owned(), name: "Zabbix 生产".to_owned() }));
    assert_eq!(event.responders.len(), 2);
    assert_eq!((event.links[0].text.as_str(), event.links[1].text.as_str()), ("Grafana", "https://runbook.example/db"));
    assert_eq!(event.images[0].alt, "CPU");
    assert_eq!(event.reported_at, "2026-03-01T00:00:00Z".parse().unwrap());
    assert_eq!(event.occurred_at, "2026-03-01T00:00:00.000001Z".parse().unwrap());
    let extra = [("customDetails.host", "db-1"), ("customDetails.region", "cn-hangzhou")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(event.extra, extra);
    assert_eq!(event.actor, None);
}

#[test]
fn unknown_scalars_are_kept_as_extra_and_unknown_structures_are_left_out() {
    let event = read(&fixture("2025-created"));
    assert!(event.extra.contains(&("mergeState".to_owned(), "NONE".to_owned())));
    assert!(event.extra.iter().any(|(name, _)| name == "correlationId"));
    assert_eq!(read(&fixture("2026-unknown-kind")).extra, []);
    let many: Map<String, Value> =
        (0..1000).map(|n| (format!("k{n}"), json!("x".repeat(5000)))).chain([("id".to_owned(), json!(1))]).collect();
    let event = read(&Value::Object(many));
    assert_eq!(event.extra.len(), MAX_EXTRA);
    assert!(event.extra.iter().all(|(_, value)| value.len() == MAX_EXTRA_CHARS));
}

#[test]
fn whoever_accepted_is_the_actor_of_an_acknowledged() {
    assert_eq!(read(&fixture("2019-acknowledged")).actor.unwrap().username, "abr");
    let accepted = |id, status| json!({"user": {"id": id}, "status": status});
    let actor = |value: Value| read(&value).actor.map(|person| person.id);
    let base = |assigned: Value, responders: Value| json!({"id": 1, "eventType": "alert-acknowledged", "assignedTo": assigned, "responders": responders});
    assert_eq!(actor(base(Value::Null, json!([accepted(1, "PENDING"), accepted(2, "ACCEPTED")]))).as_deref(), Some("2"));
    assert_eq!(actor(base(json!({"id": 1}), json!([accepted(1, "ACCEPTED"), accepted(2, "ACCEPTED")]))).as_deref(), Some("1"));
    assert_eq!(actor(base(Value::Null, json!([accepted(1, "ACCEPTED"), accepted(2, "ACCEPTED")]))), None);
    assert_eq!(actor(base(Value::Null, Value::Null)), None);
    assert_eq!(read(&fixture("2021-assigned")).actor, None);
}

#[test]
fn a_custom_template_with_ilerts_variable_names_is_read_too() {
    for (prefix, key) in [("alert", "alertKey"), ("incident", "incidentKey")] {
        let event = read(&json!({
            format!("{prefix}Id"): "77", format!("{prefix}Summary"): "disk full", format!("{prefix}Details"): "on db-1",
            format!("{prefix}Status"): "RESOLVED", format!("{prefix}Priority"): "LOW", format!("{prefix}Url"): "https://acme.ilert.com/x/77",
            key: "k", "alertSourceId": 5, "alertSourceName": "Zabbix", "escalationPolicyId": "6", "escalationPolicyName": "Night",
            "reportTime": "2026-01-01T00:00:00Z", "link": "https://grafana.example", "eventType": format!("{prefix}-resolved"),
        }));
        assert_eq!((event.incident_id.as_str(), event.summary.as_str(), event.details.as_str()), ("77", "disk full", "on db-1"));
        assert_eq!((event.kind, event.status, event.priority), (Kind::Resolved, Status::Resolved, Some(Priority::Low)));
        assert_eq!(event.alert_source, Some(Named { id: "5".to_owned(), name: "Zabbix".to_owned() }));
        assert_eq!(event.escalation_policy.unwrap().name, "Night");
        assert_eq!(event.incident_url.as_deref(), Some("https://acme.ilert.com/x/77"));
        assert_eq!((event.links.len(), event.alert_key.as_deref(), event.extra.len()), (1, Some("k"), 0));
    }
}

#[test]
fn an_item_without_id_and_summary_is_unusable_and_the_error_points_at_both() {
    let error = parse(&json!({"id": {}, "eventType": "alert-created"}), &EdgeHeaders::default(), received()).unwrap_err();
    assert_eq!(error.to_string(), "/id: an object; /summary: missing: an event needs at least one of the two");
    assert_eq!(parse(&json!([1]), &EdgeHeaders::default(), received()), Err(EventError::NotAnObject { found: "an array" }));
}

#[test]
fn the_headers_of_the_edge_connector_fill_what_is_missing() {
    let headers = EdgeHeaders {
        event_type: Some("alert-acknowledged".to_owned()),
        alert_id: Some("9".to_owned()),
        item_id: Some("41".to_owned()),
        ..EdgeHeaders::default()
    };
    let event = parse(&json!({"details": "x"}), &headers, received()).unwrap();
    assert_eq!((event.id.as_str(), event.incident_id.as_str(), event.kind), ("edge:41", "9", Kind::Acknowledged));
    let event = parse(&json!({"id": 1, "eventId": "e", "eventType": "alert-created"}), &headers, received()).unwrap();
    assert_eq!((event.id.as_str(), event.incident_id.as_str(), event.kind), ("event:e", "1", Kind::Created));
}

#[test]
fn missing_times_are_the_time_of_receiving() {
    let event = read(&json!({"id": 1, "eventType": "alert-created"}));
    assert_eq!((event.reported_at, event.occurred_at), (received(), received()));
    let event = read(&json!({"id": 1, "eventType": "alert-assigned", "reportTime": "2026-01-01T00: 00: 00Z"}));
    assert_eq!((event.reported_at, event.occurred_at), ("2026-01-01T00:00:00Z".parse().unwrap(), received()));
}

#[test]
fn events_without_an_incident_id_are_grouped_by_alert_key_or_not_at_all() {
    let id = |value: Value| read(&value).incident_id;
    assert_eq!(id(json!({"summary": "a", "alertKey": "k"})), "key-k");
    assert_ne!(id(json!({"summary": "a"})), id(json!({"summary": "b"})));
}

#[test]
fn a_url_that_is_no_page_is_no_button() {
    for url in ["javascript:alert(1)", "ftp://x", "é://", "x"] {
        assert_eq!(read(&json!({"id": 1, "alertUrl": url})).incident_url, None);
    }
    assert!(read(&json!({"id": 1, "alertUrl": "HTTPS://acme.ilert.com"})).incident_url.is_some());
}

fn any_json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "(incident|alert)-(created|resolved)|PENDING|2026-0[0-9]-01T00:00:00Z".prop_map(Value::from),
    ];
    scalar.prop_recursive(3, 24, 6, |inner| {
        let name = prop_oneof![proptest::sample::select(READ.to_vec()).prop_map(str::to_owned), "user|name|href|src|email", "\\PC{0,4}"];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(name, inner, 0..8).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_an_event_or_an_error(value in any_json()) {
        if let Ok(event) = parse(&value, &EdgeHeaders::default(), received()) {
            prop_assert!(!event.id.is_empty() && !event.incident_id.is_empty() && !event.summary.is_empty());
            let stored = serde_json::to_string(&event).unwrap();
            prop_assert_eq!(serde_json::from_str::<Event>(&stored).unwrap(), event);
        }
    }

    #[test]
    fn any_subset_of_the_rich_fixture_reads_the_fields_that_are_there(keep in proptest::collection::vec(any::<bool>(), 16)) {
        let whole = fixture("2026-created-rich");
        let complete = read(&whole);
        let members = whole.as_object().unwrap().iter().zip(keep.iter().cycle());
        let part: Map<String, Value> = members.filter(|(_, keep)| **keep).map(|((name, value), _)| (name.clone(), value.clone())).collect();
        let has = |name: &str| part.contains_key(name);
        let (id, summary) = (has("id"), has("summary"));
        let parsed = parse(&Value::Object(part.clone()), &EdgeHeaders::default(), received());
        prop_assert_eq!(parsed.is_ok(), id || summary);
        let Ok(event) = parsed else { return Ok(()) };
        prop_assert_eq!(event.id == complete.id, has("eventId"));
        prop_assert_eq!(event.incident_id == complete.incident_id, id);
        prop_assert_eq!(event.summary == complete.summary, summary);
        prop_assert_eq!(event.kind == Kind::Created, has("eventType") || has("status"));
        prop_assert_eq!(event.status, Status::Pending);
        prop_assert_eq!(event.priority.is_some(), has("priority"));
        prop_assert_eq!(event.severity.is_some(), has("severity"));
        prop_assert_eq!(event.alert_source.is_some(), has("alertSource"));
        prop_assert_eq!(event.escalation_policy.is_some(), has("escalationPolicy"));
        prop_assert_eq!(event.responders.len(), if has("responders") { 2 } else { 0 });
        prop_assert_eq!(event.links.len(), if has("links") { 2 } else { 0 });
        prop_assert_eq!(event.images.len(), usize::from(has("images")));
        prop_assert_eq!(event.extra.len(), if has("customDetails") { 2 } else { 0 });
    }
}
