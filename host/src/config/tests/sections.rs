//! The host's own sections.

use super::toml;
use crate::config::{LogFormat, Settings};

#[test]
fn a_config_without_sections_is_all_defaults() {
    let settings = Settings::read(&toml("")).unwrap();
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8740");
    assert_eq!(settings.server.grace.to_string(), "30s");
    assert_eq!(settings.admin.listen.to_string(), "127.0.0.1:8741");
    assert!(settings.ilert.is_none());
    assert_eq!((settings.log.format, settings.log.level.as_str()), (LogFormat::Text, "info"));
}

#[test]
fn every_key_of_the_hosts_own_sections_is_read() {
    let text = "[server]\nlisten = '[::1]:80'\npublic_url = 'https://incidents.example.com'\ngrace = 5\ntls = { cert = 'c.pem', key = 'k.pem' }\n\
        [admin]\nlisten = '0.0.0.0:8741'\ntoken = { env = 'TOKEN' }\n\
        [ilert]\napi_url = 'http://127.0.0.1:9/api'\napi_key = 'k'\nintegration_key = 'i'\nreconcile_interval = '10m'\nlink_ttl = '2d'\n\
        [log]\nformat = 'json'\nlevel = 'info,incident_sink::delivery=debug'\n";
    let settings = Settings::read(&toml(text)).unwrap();
    assert_eq!(settings.server.tls.unwrap().key, std::path::Path::new("k.pem"));
    assert_eq!(settings.server.public_url.unwrap().as_str(), "https://incidents.example.com/");
    assert_eq!(settings.admin.token.unwrap().expose(), "hunter2hunter2");
    let ilert = settings.ilert.unwrap();
    assert_eq!((ilert.reconcile_interval.to_string(), ilert.link_ttl.to_string()), ("10m".to_owned(), "2d".to_owned()));
    assert_eq!(settings.log.format, LogFormat::Json);
}

#[test]
fn every_fault_of_the_hosts_own_sections_is_told_in_the_order_of_the_text() {
    let text = "[server]\npublic_url = 'ftp://x.example'\ngrace = '2h'\n\
        [admin]\ntoken = ''\n\
        [ilert]\napi_url = 'http://api.example.com'\napi_key = ' '\nreconcile_interval = '1s'\nlink_ttl = '31d'\n\
        [log]\nformat = 'xml'\n[pugins]\n";
    let expected = [
        "c.toml:2:14: server.public_url: expected an address that begins with https:// or http://",
        "c.toml:3:9: server.grace: expected a time from 0s to 1h, found 2h",
        "c.toml:5:9: admin.token: is empty",
        "c.toml:7:11: ilert.api_url: expected https: the key would cross the network in clear",
        "c.toml:8:11: ilert.api_key: is empty",
        "c.toml:9:22: ilert.reconcile_interval: expected a time from 10s to 1d, found 1s",
        "c.toml:10:12: ilert.link_ttl: expected a time from 1m to 30d, found 31d",
        "c.toml:12:10: log.format: `xml` is not known; known are `text`, `json`",
        "c.toml:13:2: pugins: unknown key; did you mean `plugins`?",
    ];
    assert_eq!(Settings::read(&toml(text)).unwrap_err().to_string(), expected.join("\n"));
}

#[test]
fn a_section_changed_when_its_meaning_changed() {
    let one = toml("[connectors.a]\nx = 1\ny = { z = 'é' }\n[connectors.b]\nx = 1\n");
    let same = toml("connectors = { a = { y = { z = 'é' }, x = 1 }, b = { x = 1.0 } }\n");
    assert_eq!(one.section_digest(&["connectors", "a"]), same.section_digest(&["connectors", "a"]));
    assert_ne!(one.section_digest(&["connectors", "b"]), same.section_digest(&["connectors", "b"]));
    assert_ne!(one.section_digest(&["connectors", "c"]), one.section_digest(&["connectors", "b"]));
}

#[test]
fn an_error_of_what_is_missing_stands_at_the_table_around_it() {
    let document = toml("[[actions]]\nconnector = 'ops'\n[[actions]]\nconnector = 'x'\n[plugins]\n");
    assert_eq!(document.error(&["actions", "1", "connector"], "is unknown").to_string(), "c.toml:4:13: actions[1].connector: is unknown");
    assert_eq!(document.error(&["actions", "1", "name"], "is missing").to_string(), "c.toml:3:1: actions[1].name: is missing");
    assert_eq!(document.error(&["connectors"], "is missing").to_string(), "c.toml: connectors: is missing");
    assert_eq!(document.keys(&["actions", "0"]), ["connector"]);
}

#[test]
fn the_schema_of_a_secret_allows_a_reference() {
    let schema = schemars::schema_for!(crate::config::Admin).to_value();
    let token = schema.pointer("/properties/token/anyOf/1/properties/env/type");
    assert_eq!(token.and_then(|kind| kind.as_str()), Some("string"), "{schema}");
}
