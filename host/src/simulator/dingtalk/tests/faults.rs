//! Every way to fail, as a client sees it.

use super::*;

#[tokio::test]
async fn faults_come_in_their_order_and_then_the_robot_is_well() {
    let group = start(vec![plain()]).await;
    let url = group.url_of("ops").unwrap();
    let fault = |fault, times| group.fault("ops", fault, times).unwrap();
    fault(Fault::Status { status: 503, retry_after: None }, 2);
    fault(Fault::Status { status: 429, retry_after: Some("7".into()) }, 1);
    fault(Fault::Redirect { location: "http://127.0.0.2:1/".into() }, 1);
    fault(Fault::Html, 1);
    fault(Fault::Empty, 1);
    fault(Fault::IpBlocked, 1);
    fault(Fault::Errcode { code: -1, text: None }, 1);
    fault(Fault::Huge { bytes: 100_000 }, 1);
    fault(Fault::TruncatedJson, 1);
    fault(Fault::StringErrcode, 1);
    let mut answers = Vec::new();
    for _ in 0..12 {
        let response = post(&url, text("a").to_string()).await.unwrap();
        let (status, retry) = (response.status().as_u16(), response.headers().get("retry-after").cloned());
        let body = response.bytes().await.unwrap();
        let start = String::from_utf8_lossy(&body).chars().take(14).collect::<String>();
        answers.push((status, retry.map_or(0, |value| value.to_str().unwrap().parse::<u32>().unwrap()), start, body.len()));
    }
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.0).collect();
    assert_eq!(statuses, [503, 503, 429, 302, 200, 200, 200, 200, 200, 200, 200, 200]);
    assert_eq!(answers[2].1, 7);
    let starts: Vec<&str> = answers[4..].iter().map(|answer| answer.2.trim()).collect();
    let last = "{\"errcode\":0,\"";
    assert_eq!(starts, ["<!doctype html", "", "{\"status\":1111", "{\"errcode\":-1,", "", last, "{\"errcode\":\"0\"", last]);
    assert_eq!((answers[8].3, answers[9].3), (100_000, 14));
    let counters = group.counters("ops").unwrap();
    assert_eq!((counters.requests, counters.faulted, counters.shown), (12, 11, 3));
}

#[tokio::test]
async fn a_reset_loses_the_message_or_only_the_answer() {
    let group = start(vec![plain()]).await;
    let url = group.url_of("ops").unwrap();
    for (fault, shown) in [(Fault::ResetLost, 0), (Fault::ResetShown, 1)] {
        group.fault("ops", fault, 1).unwrap();
        let error = post(&url, text("a").to_string()).await.unwrap_err();
        assert!(!error.is_timeout() && !error.is_connect(), "{error:?}");
        assert!(format!("{error:?}").contains("reset"), "{error:?}");
        assert_eq!(group.messages("ops").len(), shown);
    }
}

#[tokio::test]
async fn a_hanging_robot_answers_never_and_a_slow_one_late() {
    let group = start(vec![plain()]).await;
    let url = group.url_of("ops").unwrap();
    for (fault, calls) in [(Fault::HangShown, 1), (Fault::HangLost, 2)] {
        group.fault("ops", fault, 1).unwrap();
        let (url, message) = (url.clone(), text("a").to_string());
        let hanging = tokio::spawn(async move { post(&url, message).await });
        let arrived = async {
            while group.counters("ops").unwrap().requests < calls {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(4), arrived).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!hanging.is_finished());
        hanging.abort();
    }
    assert_eq!(group.messages("ops").len(), 1);
    group.fault("ops", Fault::SlowBody { pause_ms: 10 }, 1).unwrap();
    let begun = Instant::now();
    assert_eq!(say(&url, &text("a")).await.0, 0);
    assert!(begun.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_callers_that_hang() {
    let group = start(vec![plain()]).await;
    let url = group.url_of("ops").unwrap();
    group.fault("ops", Fault::HangShown, 1).unwrap();
    let hanging = tokio::spawn(async move { post(&url, text("a").to_string()).await });
    group.wait_for("ops", 1, Duration::from_secs(5)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(3), group.shutdown()).await.unwrap();
    assert!(hanging.await.unwrap().is_err());
}
