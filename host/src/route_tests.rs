//! Tests of routing.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::event::ilert::{self, EdgeHeaders};

fn event(value: serde_json::Value) -> Event {
    ilert::parse(&value, &EdgeHeaders::default(), jiff::Timestamp::UNIX_EPOCH).unwrap()
}

fn actions(value: serde_json::Value) -> Vec<ActionConfig> {
    serde_json::from_value(value).unwrap()
}

fn sent(routes: &Routes, event: &Event) -> Vec<String> {
    routes.connectors_for(event).iter().map(|name| name.to_string()).collect()
}

fn zabbix(kind: &str, priority: &str) -> Event {
    event(json!({"id": 1, "eventType": kind, "priority": priority, "alertSource": {"id": 2101194, "name": "Zabbix"}}))
}

#[test]
fn an_action_that_asks_for_nothing_gets_everything() {
    let routes = Routes::new(actions(json!([{"connector": "ops"}])));
    assert_eq!(sent(&routes, &zabbix("incident-created", "LOW")), ["ops"]);
    assert_eq!(sent(&routes, &event(json!({"id": 1}))), ["ops"]);
    assert_eq!(sent(&Routes::default(), &event(json!({"id": 1}))), [] as [&str; 0]);
}

#[test]
fn alert_sources_match_by_id_as_number_or_text_and_by_name() {
    for source in [json!(2101194), json!("2101194"), json!("Zabbix"), json!("zabbix ")] {
        let routes = Routes::new(actions(json!([{"connector": "ops", "alert_sources": [7, source]}])));
        assert_eq!(sent(&routes, &zabbix("alert-created", "HIGH")), ["ops"], "{source}");
        assert!(routes.connectors_for(&event(json!({"id": 1}))).is_empty());
    }
}

#[test]
fn kinds_match_in_every_form_of_the_name() {
    for form in ["acknowledged", "incident-acknowledged", "alert-acknowledged", "accepted", "ALERT-ACCEPTED"] {
        let routes = Routes::new(actions(json!([{"connector": "ops", "events": [form]}])));
        assert_eq!(sent(&routes, &zabbix("incident-acknowledged", "LOW")), ["ops"], "{form}");
        assert!(routes.connectors_for(&zabbix("alert-created", "HIGH")).is_empty());
    }
    let routes = Routes::new(actions(json!([{"connector": "ops", "events": ["alert-snoozed"]}])));
    assert_eq!(sent(&routes, &zabbix("snoozed", "LOW")), ["ops"]);
}

#[test]
fn an_event_without_priority_counts_as_high() {
    let routes = Routes::new(actions(json!([{"connector": "high", "priorities": ["high"]}, {"connector": "low", "priorities": ["LOW"]}])));
    assert_eq!(sent(&routes, &zabbix("created", "HIGH")), ["high"]);
    assert_eq!(sent(&routes, &zabbix("created", "LOW")), ["low"]);
    assert_eq!(sent(&routes, &event(json!({"id": 1}))), ["high"]);
}

#[test]
fn a_test_passes_the_filters_for_kinds_and_priorities_but_not_those_for_sources() {
    let routes = Routes::new(actions(json!([
        {"connector": "ops", "events": ["created"], "priorities": ["LOW"]}, {"connector": "other", "alert_sources": ["Nagios"]}
    ])));
    assert_eq!(sent(&routes, &zabbix("alert-test", "HIGH")), ["ops"]);
}

#[test]
fn a_connector_gets_an_event_once_in_the_order_of_the_actions() {
    let routes =
        Routes::new(actions(json!([{"connector": "b"}, {"connector": "a", "alert_sources": ["zabbix", 2101194]}, {"connector": "b"}])));
    assert_eq!(sent(&routes, &zabbix("created", "HIGH")), ["b", "a"]);
    assert_eq!(routes.connectors().len(), 2);
}

#[test]
fn an_explanation_names_everything_that_does_not_fit() {
    let routes = Routes::new(actions(json!([
        {"name": "DB", "connector": "db", "alert_sources": [5, "Nagios"], "events": ["resolved"], "priorities": ["LOW"]}, {"connector": "all"}
    ])));
    let explained = routes.explain(&zabbix("created", "HIGH"));
    assert_eq!(
        explained[0].reasons,
        [
            "the alert source is `Zabbix` (2101194), wanted is 5 or `Nagios`",
            "the event is `created`, wanted is resolved",
            "the priority is HIGH, wanted is LOW"
        ]
    );
    assert_eq!((explained[1].action.as_str(), explained[1].matched), ("action 2", true));
}

#[test]
fn a_mistyped_kind_is_warned_of_with_the_nearest_name() {
    let [action] = &actions(json!([{"connector": "a", "events": ["alert-resovled", "created", "zzz"], "priorities": ["HIHG"]}]))[..] else {
        panic!("one action");
    };
    let warnings = action.warnings();
    assert_eq!(warnings[0], "no event kind `alert-resovled` is known; did you mean `resolved`?");
    assert!(warnings[1].starts_with("no event kind `zzz` is known; known are created, assigned"));
    assert_eq!(warnings[2], "no priority `HIHG` is known; did you mean `HIGH`?");
}

#[test]
fn an_unknown_key_is_refused() {
    assert!(serde_json::from_value::<ActionConfig>(json!({"connector": "a", "evnts": []})).is_err());
}

proptest! {
    #[test]
    fn the_index_and_the_explanation_agree(
        actions in proptest::collection::vec((0_usize..3, "[abc]", proptest::collection::vec(0_u64..4, 0..3), 0_usize..3, 0_usize..3), 0..30),
        source in 0_u64..4, kind in 0_usize..3, high in any::<bool>(),
    ) {
        let kinds = ["created", "resolved", "assigned"];
        let configs: Vec<ActionConfig> = actions.into_iter().map(|(name, connector, sources, kind, priority)| ActionConfig {
            name: format!("n{name}"),
            connector: connector.into(),
            alert_sources: sources.into_iter().map(|id| if id % 2 == 0 { SourceRef::Id(id) } else { SourceRef::Text(format!("Name {id}")) }).collect(),
            events: kinds[..kind].iter().map(|kind| format!("alert-{kind}")).collect(),
            priorities: ["HIGH", "LOW"][..priority].iter().map(|word| word.to_string()).collect(),
        }).collect();
        let routes = Routes::new(configs);
        let event = event(json!({
            "id": 1, "eventType": kinds[kind], "priority": if high { "HIGH" } else { "LOW" },
            "alertSource": {"id": source, "name": format!("name {source}")},
        }));
        let mut expected: Vec<ConnectorName> = Vec::new();
        for explanation in routes.explain(&event) {
            if explanation.matched && !expected.contains(&explanation.connector) {
                expected.push(explanation.connector);
            }
        }
        prop_assert_eq!(routes.connectors_for(&event), expected);
    }
}

#[test]
fn the_few_actions_of_a_source_are_found_among_ten_thousand() {
    let one = |n: u64| json!({"connector": format!("c{}", n % 100), "alert_sources": [n]});
    let routes = Routes::new(actions((0..10_000).map(one).collect()));
    let event = event(json!({"id": 1, "alertSource": {"id": 4242}}));
    assert_eq!(routes.candidates(&event), [4242]);
    assert_eq!(sent(&routes, &event), ["c42"]);
}
