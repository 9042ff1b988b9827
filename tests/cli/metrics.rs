//! What Prometheus gets: the page of the real program, the alert rules, the dashboard.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use incident_sink::simulator::dingtalk::Fault;
use incident_sink::telemetry::metrics::{Kind, by_name, catalogue};

use crate::harness::{Place, SECRET, ask, fixture, group, post};

fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(name)
}

/// Runs Debian's promtool; `None` where the preparation left it out.
fn promtool(args: &[&str], input: &str) -> Option<String> {
    if std::env::var("INCIDENT_SINK_LEFT_OUT").unwrap_or_default().split(',').any(|name| name == "promtool") {
        eprintln!("left out: promtool is not installed");
        return None;
    }
    let mut command = Command::new("promtool");
    command.args(args).current_dir(asset("")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool is installed (Debian: prometheus)");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    Some(text)
}

/// The value of a line of the page.
fn value(page: &str, line: &str) -> Option<f64> {
    page.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_real_program_tells_what_happened_and_promtool_finds_no_fault_in_it() {
    let group = group().await;
    group.fault("ops", Fault::Status { status: 503, retry_after: None }, 1).unwrap();
    let place = Place::with_connector(&group.url_of("ops").unwrap(), SECRET);
    let running = place.start();
    let event = std::fs::read(fixture("ilert/2026-created-rich.json")).unwrap();
    assert_eq!(post(&running.url, event.clone()).await.0, 202);
    assert_eq!(post(&running.url, event).await.0, 202);
    assert_eq!(post(&running.url, b"[{\"no\":\"event\"}]".to_vec()).await.0, 202);
    let until = Instant::now() + Duration::from_secs(60);
    let page = loop {
        let (status, page) = ask(&running, "/metrics", "text/plain").await;
        assert_eq!(status, 200, "{page}");
        if value(&page, "incident_sink_messages_total{connector=\"ops\",outcome=\"delivered\"}") == Some(1.0) {
            break page;
        }
        assert!(Instant::now() < until, "{page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let expected = [
        ("incident_sink_events_total{source=\"ilert\",kind=\"created\",result=\"accepted\"}", 1.0),
        ("incident_sink_events_total{source=\"ilert\",kind=\"created\",result=\"duplicate\"}", 1.0),
        ("incident_sink_events_total{source=\"ilert\",kind=\"unreadable\",result=\"rejected\"}", 1.0),
        ("incident_sink_attempts_total{connector=\"ops\",outcome=\"delivered\"}", 1.0),
        ("incident_sink_attempts_total{connector=\"ops\",outcome=\"retry\"}", 1.0),
        ("incident_sink_backlog_events{connector=\"ops\"}", 0.0),
        ("incident_sink_dead_letters{connector=\"ops\"}", 0.0),
        ("incident_sink_http_requests_total{server=\"public\",code=\"202\"}", 3.0),
        ("incident_sink_plugin_faults_total{plugin=\"dingtalk\",fault=\"trap\"}", 0.0),
        ("incident_sink_plugin_swaps_total{plugin=\"dingtalk\",result=\"refused\"}", 0.0),
        ("incident_sink_config_last_reload_successful", 1.0),
        ("incident_sink_connectors", 1.0),
        ("incident_sink_ready", 1.0),
    ];
    for (line, expected) in expected {
        assert_eq!(value(&page, line), Some(expected), "{line}\n{page}");
    }
    assert!(
        value(&page, "incident_sink_plugin_call_duration_seconds_count{plugin=\"dingtalk\",function=\"begin\"}") >= Some(1.0),
        "{page}"
    );
    assert!(value(&page, "incident_sink_outbox_commit_duration_seconds_count") > Some(2.0), "{page}");
    assert!(value(&page, "process_resident_memory_bytes") > Some(1e6), "{page}");
    promtool(&["check", "metrics"], &page);

    let (_, open) = ask(&running, "/metrics", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5").await;
    assert!(open.ends_with("# EOF\n") && open.contains("# TYPE incident_sink_events counter"), "{open}");
    for line in open.lines().filter(|line| line.starts_with("# TYPE")) {
        let name = line.split(' ').nth(2).unwrap();
        assert!(catalogue().iter().any(|metric| metric.family() == name), "{name} is not in the catalogue");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_as_text_and_as_json() {
    let group = group().await;
    let running = Place::with_connector(&group.url_of("ops").unwrap(), SECRET).start_and_keep();
    for (path, word) in [("/healthz", "ok"), ("/readyz", "ready")] {
        assert_eq!(ask(&running.1, path, "*/*").await, (200, format!("{word}\n")));
        let (status, body) = ask(&running.1, path, "application/json").await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, body["status"].as_str(), body["reasons"].as_array().map(Vec::len)), (200, Some(word), Some(0)));
    }
}

#[test]
fn promtool_finds_no_fault_in_the_alert_rules_and_their_tests_pass() {
    promtool(&["check", "rules", "alerts.yml"], "");
    promtool(&["test", "rules", "alerts_test.yml"], "");
}

/// Every word in a text that looks like a metric of ours.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("incident_sink_") || word.starts_with("process_")).map(str::to_owned).collect()
}

#[test]
fn every_metric_that_rules_and_dashboard_name_exists() {
    for file in ["alerts.yml", "alerts_test.yml", "grafana-dashboard.json"] {
        let names = named(&std::fs::read_to_string(asset(file)).unwrap());
        assert!(names.len() > 10, "{file}");
        for name in names {
            let parts = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let known = by_name(&name).is_some() || parts.and_then(by_name).is_some_and(|metric| metric.kind == Kind::Histogram);
            assert!(known, "{file} names {name}, which does not exist");
        }
    }
}

#[test]
fn every_alert_has_a_test_and_says_what_to_do() {
    let rules = std::fs::read_to_string(asset("alerts.yml")).unwrap();
    let tests = std::fs::read_to_string(asset("alerts_test.yml")).unwrap();
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(&format!("alertname: {alert}")), "{alert} has no test");
    }
    assert_eq!(rules.matches("- alert:").count(), rules.matches("description:").count());
}

#[test]
fn the_dashboard_is_one_that_grafana_reads() {
    let dashboard: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(asset("grafana-dashboard.json")).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().unwrap();
        assert!(
            !targets.is_empty() && targets.iter().all(|target| target["expr"].as_str().is_some_and(|expr| !expr.is_empty())),
            "{panel}"
        );
        let place = &panel["gridPos"];
        assert!(place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24, "{panel}");
    }
}
