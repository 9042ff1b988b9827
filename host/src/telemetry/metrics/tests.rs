//! The catalogue and what is written out agree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode;

use super::*;

/// Everything counted once.
fn counted() -> Metrics {
    let metrics = Metrics::default();
    let name: Arc<str> = "ops".into();
    metrics.intake.event(&name, "created", true, false);
    metrics.intake.rejected(&name, 2);
    metrics.intake.refused(&name, false);
    metrics.delivery.attempt(&name, "retry", Duration::from_millis(3), "http-503");
    metrics.delivery.delivered(&name, 2, Duration::from_secs(1));
    metrics.delivery.dead(&name, "max_age");
    metrics.delivery.failed(true);
    metrics.outbox.transaction(3, Duration::from_millis(2), false);
    metrics.ilert.request("get", "ok");
    metrics.ilert.response("accept", "done");
    metrics.ilert.reconciled(Some(1));
    metrics.http.answered("public", 202, Duration::from_millis(1));
    metrics.config.taken(true, 0, 1_000);
    metrics
}

fn written(metrics: &Metrics) -> String {
    let mut text = String::new();
    encode(&mut text, &metrics.registry()).unwrap();
    text
}

/// The labels that each written name has.
fn labels_of(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once(['{', ' ']).unwrap();
        let pairs = if line.contains('{') { rest.split_once('}').unwrap().0 } else { "" };
        let keys = pairs.split(',').filter_map(|pair| pair.split_once('=')).map(|(key, _)| key.to_owned()).filter(|key| key != "le");
        found.entry(name.to_owned()).or_default().extend(keys);
    }
    found
}

#[test]
fn what_is_written_is_in_the_catalogue_with_its_labels() {
    let text = written(&counted());
    for (written, labels) in labels_of(&text) {
        let bare = ["_bucket", "_sum", "_count"].iter().find_map(|end| written.strip_suffix(end)).unwrap_or(&written);
        let metric = by_name(bare).unwrap_or_else(|| panic!("{written} is not in the catalogue"));
        let expected: BTreeSet<String> = metric.labels.iter().map(|label| (*label).to_owned()).collect();
        assert_eq!(labels, expected, "{written}");
        assert!(text.contains(&format!("# TYPE {} {}", metric.family(), metric.kind.as_str())), "{written}");
    }
}

#[test]
fn names_are_as_prometheus_wants_them_and_each_is_there_once() {
    let mut seen = BTreeSet::new();
    for metric in catalogue() {
        assert!(seen.insert(metric.name), "{} is there twice", metric.name);
        assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
        assert!(metric.name.starts_with("incident_sink_") || metric.name.starts_with("process_"), "{}", metric.name);
        assert!(!metric.help.ends_with('.') && metric.help.starts_with(char::is_uppercase), "{}", metric.help);
    }
}

#[test]
fn a_connector_that_is_gone_is_forgotten() {
    let metrics = counted();
    metrics.delivery.forget(&"ops".into());
    let text = written(&metrics);
    assert!(!text.contains("connector=\"ops\""), "{text}");
    assert!(text.contains("source=\"ops\""), "{text}");
}

#[test]
fn label_values_cannot_forge_a_line() {
    let metrics = Metrics::default();
    let name: Arc<str> = "a\"} 1\nforged{x=\"".into();
    metrics.delivery.delivered(&name, 1, Duration::ZERO);
    assert!(!written(&metrics).lines().any(|line| line.starts_with("forged")));
}
