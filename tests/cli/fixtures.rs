//! Every payload that iLert is known to send: answered with 202, and in the chat once, rightly signed.

use std::time::Duration;

use crate::harness::{Place, SECRET, fixture, group, post};

#[tokio::test(flavor = "multi_thread")]
async fn every_fixture_is_accepted_and_arrives_once() {
    let group = group().await;
    let place = Place::with_connector(&group.url_of("ops").unwrap(), SECRET);
    let host = place.start();
    let mut names: Vec<_> = std::fs::read_dir(fixture("ilert")).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    names.sort();
    assert!(names.len() >= 15, "{names:?}");
    for path in &names {
        let (status, answer) = post(&host.url, std::fs::read(path).unwrap()).await;
        assert_eq!(status, 202, "{}: {answer}", path.display());
    }
    // The EventBridge form wraps an event that was posted bare as well, without an id of its own: one event, told once.
    let distinct = names.len() - 1;
    group.wait_for("ops", distinct as u64, Duration::from_secs(30)).await.unwrap();
    for path in &names {
        let (status, answer) = post(&host.url, std::fs::read(path).unwrap()).await;
        assert_eq!((status, answer.contains("\"duplicates\":1")), (202, true), "{}: {answer}", path.display());
    }
    let (code, log) = host.stop();
    assert_eq!(code, 0, "{log}");
    assert_eq!(group.messages("ops").len(), distinct);
    assert!(group.refusals().is_empty(), "{:?}", group.refusals());
    assert!(!log.contains(SECRET) && !log.contains("token-of-ops"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broken_sample_of_the_docs_is_refused_with_line_and_column() {
    let group = group().await;
    let place = Place::with_connector(&group.url_of("ops").unwrap(), SECRET);
    let host = place.start();
    let broken = std::fs::read(fixture("ilert/2019-doc-sample-as-printed.txt")).unwrap();
    let (status, answer) = post(&host.url, broken).await;
    let problem: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((status, problem["status"].as_u64()), (400, Some(400)), "{answer}");
    assert_eq!((problem["line"].as_u64(), problem["column"].is_u64()), (Some(10), true), "{answer}");
}
