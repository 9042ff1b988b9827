//! Tests of a connector's config.

use serde_json::json;

use super::super::budget::Payer;
use super::super::policy::PaceRule;
use super::super::{Pace, Profile};
use super::*;

fn parse(mut table: Value) -> Result<ConnectorConfig, String> {
    let fields = table.as_object_mut().unwrap();
    fields.entry("type").or_insert("chat".into());
    fields.entry("url").or_insert("https://chat.example/send?token=hush".into());
    ConnectorConfig::parse(&table).map_err(|problems| problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))
}

fn problem(table: Value) -> String {
    let text = parse(table).unwrap_err();
    assert!(!text.contains("hush"), "{text}");
    text
}

#[test]
fn the_hosts_keys_are_read_and_the_others_are_the_plugins() {
    let config = parse(json!({
        "timezone": "Asia/Shanghai", "title": "{{ alertSummary }}", "language": "en", "secret": "hush", "people": { "a": 1 },
        "delivery": { "timeout": "5s", "max_age": "2h", "monthly_budget": 3000, "account": "corp", "pace": { "messages": 10, "window": "60s" } },
    }))
    .unwrap();
    assert_eq!((config.kind(), config.zone().iana_name()), ("chat", Some("Asia/Shanghai")));
    assert_eq!(config.title().map(Template::source), Some("{{ alertSummary }}"));
    assert!(config.text().is_none());
    assert_eq!(Value::Object(config.plugin_part()), json!({ "language": "en", "secret": "hush", "people": { "a": 1 } }));
    let policy = config.policy(&"ops".into());
    assert_eq!(policy.pace, PaceRule::Lower { messages: 10, window_ms: 60_000 });
    assert_eq!((policy.max_age_ms, policy.monthly_budget, policy.payer), (7_200_000, Some(3000), Payer::Account("corp".into())));
    assert_eq!(config.timeout(), Duration::from_secs(5));
    assert!(!format!("{config:?}").contains("hush"));
}

#[test]
fn what_is_not_said_has_a_default() {
    let config = parse(json!({})).unwrap();
    assert_eq!(config.timeout(), Duration::from_secs(10));
    let policy = config.policy(&"ops".into());
    assert_eq!((policy.max_age_ms, policy.pace), (86_400_000, PaceRule::Sink));
    assert_eq!(policy.payer, Payer::Connector("ops".into()));
    assert_eq!(config.zone(), &TimeZone::UTC);
}

#[test]
fn a_wrong_value_is_named_with_its_place() {
    let cases = [
        (json!({ "url": "hush" }), "/url: expected an http or https URL"),
        (json!({ "url": "ftp://hush/" }), "/url: expected an http or https URL"),
        (json!({ "url": "https://hush/#x" }), "/url: a URL to deliver to has no `#`; write it as `%23`"),
        (json!({ "url": 7 }), "/url: expected a string, found a number"),
        (json!({ "timezone": "Asia/Shangai" }), "/timezone: `Asia/Shangai` is not an IANA time zone; did you mean `Asia/Shanghai`?"),
        (json!({ "timezone": "Mars" }), "/timezone: `Mars` is not an IANA time zone; expected one such as `Europe/Berlin`"),
        (json!({ "delivery": { "timeot": "1s" } }), "/delivery/timeot: unknown key; did you mean `timeout`?"),
        (json!({ "delivery": { "timeout": "1ms" } }), "/delivery/timeout: expected a time from 10ms to 1h, found 1ms"),
        (json!({ "delivery": { "monthly_budget": 0 } }), "/delivery/monthly_budget: expected at least 1"),
        (json!({ "delivery": { "account": "" } }), "/delivery/account: expected a name"),
        (json!({ "delivery": { "pace": { "messages": 0, "window": "1m" } } }), "/delivery/pace/messages: expected at least 1"),
        (json!({ "delivery": { "pace": { "messages": 1 } } }), "/delivery/pace: `window` is missing"),
        (json!({ "title": "{{ alertSumary }}" }), "/title: line 1: there is no variable `alertSumary`; did you mean `alertSummary`?"),
        (json!({ "type": "" }), "/type: expected the name of a plugin"),
    ];
    for (table, expected) in cases {
        assert!(problem(table.clone()).starts_with(expected), "{table}: {}", problem(table.clone()));
    }
    assert!(problem(json!({ "delivery": { "pace": "fast" } })).contains("expected \"none\" or a table"));
    assert_eq!(problem(json!({ "url": "x", "timezone": "y", "text": "{{" })).lines().count(), 3);
    assert_eq!(ConnectorConfig::parse(&json!([])).unwrap_err()[0].to_string(), "a connector is a table");
    assert_eq!(ConnectorConfig::parse(&json!({ "type": "x" })).unwrap_err()[0].text, "`url` is missing");
}

#[test]
fn a_pace_of_none_lifts_the_limit_and_a_higher_one_is_warned_of() {
    let profile = Profile { pace: Some(Pace { messages: 20, window_ms: 60_000, penalty_ms: 1 }), max_batch: 1 };
    let with = |pace: Value| parse(json!({ "delivery": { "pace": pace } })).unwrap();
    assert_eq!(with(json!("none")).policy(&"a".into()).pace(&profile), None);
    assert!(with(json!("none")).warnings(&profile).is_empty());
    assert!(with(json!({ "messages": 19, "window": "60s" })).warnings(&profile).is_empty());
    let warnings = with(json!({ "messages": 21, "window": 60 })).warnings(&profile);
    assert!(
        warnings[0].to_string().starts_with("/delivery/pace: this pace is higher than the receiver's 20 messages in 1m"),
        "{warnings:?}"
    );
}

#[test]
fn an_unencrypted_url_is_warned_of_unless_it_stays_on_this_machine() {
    let profile = Profile { pace: None, max_batch: 1 };
    let warnings = |url: &str| parse(json!({ "url": url })).unwrap().warnings(&profile).len();
    assert_eq!(warnings("http://chat.example/"), 1);
    assert_eq!(warnings("http://127.0.0.1:1/") + warnings("http://[::1]/") + warnings("http://localhost/") + warnings("https://a/"), 0);
}

#[test]
fn a_connector_is_small() {
    assert!(std::mem::size_of::<ConnectorConfig>() <= 320, "{}", std::mem::size_of::<ConnectorConfig>());
}
