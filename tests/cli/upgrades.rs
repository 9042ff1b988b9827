//! Broken upgrades of a host that runs: each one is told in its log, by its API, by a metric, and by the exit code of the command.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;

use crate::chameleon::chameleon;
use crate::harness::{Running, ask, failed};
use crate::plugins::{component, event, place, receiver, until};
use crate::slow::slow;

/// What is wrong with a component, and words of the refusal.
const BROKEN: [(&str, &str); 42] = [
    ("wrong-name", "calls itself `impostor`"),
    ("bad-version", "its version"),
    ("bad-schema", "config schema is not JSON"),
    ("huge-describe", "memory"),
    ("spin-describe", "ran longer"),
    ("trap-describe", "crashed"),
    ("spin-check", "ran longer"),
    ("trap-check", "crashed"),
    ("check-complains", "`ops` does not fit the new version"),
    ("spin-begin", "ran longer"),
    ("trap-begin", "crashed"),
    ("begin-fails", "no form that the chameleon knows"),
    ("spin-sign", "ran longer"),
    ("trap-sign", "crashed"),
    ("sign-fails", "cannot work with these secrets"),
    ("secret-to-error", "its own words are not shown"),
    ("secret-to-rule", "header `(not shown)`"),
    ("spin-resume", "ran longer"),
    ("trap-resume", "crashed"),
    ("memory-bomb", "needs more memory"),
    ("stack-overflow", "crashed"),
    ("huge-body", "memory"),
    ("huge-continuation", "memory"),
    ("huge-string", "memory"),
    ("bad-json", "is not JSON"),
    ("not-utf8-body", "is not JSON"),
    ("other-host", "evil.example"),
    ("other-path", "not an absolute URL"),
    ("other-scheme", "no `allow` prefix"),
    ("token-query", "access_token"),
    ("stamp-token", "access_token"),
    ("host-header", "`host` is the host's"),
    ("auth-header", "carries a credential"),
    ("hop-header", "is the host's"),
    ("crlf-header", "characters that a header cannot have"),
    ("endless-steps", "more than 8 requests"),
    ("covers-zero", "covers 0 of"),
    ("covers-too-many", "covers 2 of 1"),
    ("many-stamps", "more than 512 KiB of data"),
    ("stamp-host-header", "`host` is the host's"),
    ("stamp-body-overwrite", "summary"),
    ("drops-all", "wants no events"),
];

/// Offers a component to the running host; how it answers.
async fn offer(host: &Running, bytes: Vec<u8>) -> (StatusCode, Value) {
    incident_sink::delivery::http::install_crypto();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.put(format!("{}/api/plugins/chameleon", host.admin)).body(bytes).send().await.unwrap();
    (answer.status(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
}

/// Whether the log says so: what was written a moment ago may still be on its way here.
async fn says(host: &Running, words: &str) -> bool {
    for _ in 0..1_000 {
        if host.log().contains(words) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

async fn json(host: &Running, path: &str) -> Value {
    serde_json::from_str(&ask(host, path, "application/json").await.1).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_broken_upgrade_of_a_running_host_is_told_everywhere_and_changes_nothing() {
    let (url, got) = receiver().await;
    // Short, for the loops; nothing else comes near it on a busy machine either.
    let place = place(&format!("{url}?access_token=t"), "limits.deadline = \"500ms\"");
    let host = place.start();
    until(&place, "the first version to be kept", |state| state["versions"].as_array().is_some_and(|kept| kept.len() == 1));
    let import = r#"(component (import "wasi:random/random@0.2.0" (instance (export "get-random-u64" (func (result u64))))))"#;
    let raw = [
        (b"<html>404</html>".to_vec(), "not WebAssembly"),
        (wat::parse_str("(module)").unwrap(), "core module"),
        (wat::parse_str("(component)").unwrap(), "it exports nothing"),
        (wat::parse_str(import).unwrap(), "imports `wasi:random/random@0.2.0`"),
        (chameleon("good-2")[..40_000].to_vec(), "damaged, cut short"),
        ([chameleon("good-2"), vec![0; 20 << 20]].concat(), "more than 8 MiB"),
    ];
    let broken: Vec<(Vec<u8>, &str)> = BROKEN.iter().map(|(name, words)| (chameleon(name), *words)).chain(raw).collect();
    for (index, (bytes, words)) in broken.iter().enumerate() {
        let (status, problem) = offer(&host, bytes.clone()).await;
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(status == StatusCode::UNPROCESSABLE_ENTITY && detail.contains(words), "{index}: {status} {problem}");
        let shown = json(&host, "/api/plugins").await;
        assert_eq!((&shown[0]["last_failure"]["error"], &shown[0]["version"]), (&detail.into(), &"1.0.0".into()), "{index}");
        let said = format!("error={detail}");
        assert!(says(&host, &said).await, "{index}: {said}\n{}", host.log());
    }
    let metrics = ask(&host, "/metrics", "text/plain").await.1;
    let counted = format!("incident_sink_plugin_swaps_total{{plugin=\"chameleon\",result=\"refused\"}} {}", broken.len());
    assert!(metrics.contains(&counted), "{metrics}");
    // Beside the running host, whose version goes on.
    for (index, (bytes, words)) in broken.iter().enumerate().step_by(5) {
        component(&place, "new.wasm", bytes);
        let code = if index == 0 { 2 } else { 1 };
        let text = failed(&place.run(&["plugin", "install", "new.wasm"]), code);
        assert!(text.contains(if index == 0 { "impostor" } else { words }), "{index}: {text}");
    }
    event(&host.url, "after").await;
    until(&place, "the message", |_| got.lock().unwrap().iter().any(|body| body["version"] == "1.0.0"));
    let (code, log) = host.stop();
    assert!(code == 0 && !log.contains("hush-hush"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_go_out_while_a_component_of_twenty_megabytes_is_compiled() {
    let (url, got) = receiver().await;
    let place = place(&url, "limits.deadline = \"5s\"\nlimits.component = \"32MiB\"");
    let host = Arc::new(place.start());
    let installing = tokio::spawn({
        let host = Arc::clone(&host);
        async move { offer(&host, slow(chameleon("good-2"), 20)).await }
    });
    let mut sent = 0;
    while !installing.is_finished() || sent == 0 {
        event(&host.url, &format!("e{sent}")).await;
        sent += 1;
        let arrived = || got.lock().unwrap().len() >= sent;
        let begun = Instant::now();
        while !arrived() {
            assert!(begun.elapsed() < Duration::from_secs(30), "message {sent} waits for the compilation");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let (status, installed) = installing.await.unwrap();
    assert!(status == StatusCode::OK && installed["changed"] == true, "{status} {installed}");
    let by_the_old = got.lock().unwrap().iter().filter(|body| body["version"] == "1.0.0").count();
    println!("{by_the_old} messages went out, one after the other, while 20 MiB of code were compiled");
    assert!(by_the_old > 0);
    event(&host.url, "after").await;
    until(&place, "the new version's message", |_| got.lock().unwrap().iter().any(|body| body["version"] == "2.0.0"));
}
