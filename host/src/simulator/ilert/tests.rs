//! iLert, asked over HTTP.

use serde_json::{Value, json};

use super::*;

fn andreas() -> User {
    User::new(7, "Andreas", "Farmer")
}

async fn start() -> Ilert {
    let api_keys = vec![(Secret::new("key"), andreas())];
    let integration_keys = vec![(Secret::new("source-key"), Named { id: 1, name: "API".into() })];
    Ilert::start(Options { api_keys, integration_keys, ..Options::default() }).await.unwrap()
}

struct Answer {
    status: u16,
    etag: Option<String>,
    body: Value,
}

async fn call(ilert: &Ilert, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> reqwest::Result<Answer> {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = client(webhook::TIMEOUT).unwrap().request(method, format!("{}{path}", ilert.api_url())).body(body.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await?;
    let status = response.status().as_u16();
    let etag = response.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
    assert!(response.headers().get("retry-after").is_none());
    let body = serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null);
    Ok(Answer { status, etag, body })
}

const KEY: (&str, &str) = ("authorization", "Bearer key");

async fn ask(ilert: &Ilert, method: &str, path: &str) -> Answer {
    call(ilert, method, path, &[KEY], Value::Null).await.unwrap()
}

fn last_event(ilert: &Ilert) -> Value {
    ilert.posts().pop().unwrap().event
}

#[tokio::test]
async fn an_alert_is_accepted_and_resolved_by_the_owner_of_the_key() {
    let ilert = start().await;
    let id = ilert.create(NewAlert::default());
    assert_eq!(last_event(&ilert)["eventType"], "alert-created");
    assert_eq!(ask(&ilert, "GET", &format!("/alerts/{id}")).await.body["status"], "PENDING");
    let accepted = ask(&ilert, "PUT", &format!("/alerts/{id}/accept")).await;
    assert_eq!((accepted.status, &accepted.body["status"], &accepted.body["id"]), (200, &json!("ACCEPTED"), &json!(id)));
    let event = last_event(&ilert);
    assert_eq!((&event["eventType"], &event["id"]), (&json!("alert-acknowledged"), &json!(id.to_string())));
    assert_eq!(event["responders"][0], json!({ "user": andreas(), "status": "ACCEPTED" }));
    assert_eq!(ask(&ilert, "PUT", &format!("/alerts/{id}/resolve")).await.body["status"], "RESOLVED");
    assert_eq!(last_event(&ilert)["eventType"], "alert-resolved");
    assert_eq!(ilert.counters()["PUT /alerts/{id}/accept"], 1);
}

#[tokio::test]
async fn a_resolved_alert_is_not_reopened() {
    let ilert = start().await;
    let id = ilert.create(NewAlert::default());
    ilert.resolve(id).unwrap();
    for verb in ["accept", "resolve"] {
        let answer = ask(&ilert, "PUT", &format!("/alerts/{id}/{verb}")).await;
        assert_eq!((answer.status, &answer.body["status"], &answer.body["code"]), (400, &json!(400), &json!("BAD_REQUEST")));
    }
    assert_eq!(ilert.alert(id).unwrap().status, Status::Resolved);
    assert!(ilert.escalate(id, &andreas()).is_err());
    assert_eq!(ilert.posts().len(), 2);
}

#[tokio::test]
async fn a_call_without_a_key_is_401_and_with_an_unknown_one_403() {
    let ilert = start().await;
    let none = call(&ilert, "GET", "/alerts", &[], Value::Null).await.unwrap();
    assert_eq!(none.status, 401);
    for wrong in ["Bearer nobody", "Basic a2V5Og==", "key"] {
        let answer = call(&ilert, "GET", "/alerts", &[("authorization", wrong)], Value::Null).await.unwrap();
        assert_eq!((answer.status, &answer.body["code"]), (403, &json!("KEY_ERROR")));
    }
    assert_eq!(ask(&ilert, "GET", "/alerts/1").await.status, 404);
}

#[tokio::test]
async fn a_list_has_pages_states_and_a_tag() {
    let ilert = start().await;
    let ids: Vec<u64> = (0..5).map(|_| ilert.create(NewAlert::default())).collect();
    ilert.resolve(ids[0]).unwrap();
    ilert.accept(ids[1], Some(&andreas())).unwrap();
    let open = "/alerts?states=PENDING&states=ACCEPTED&start-index=1&max-results=2";
    let page = ask(&ilert, "GET", open).await;
    let listed: Vec<u64> = page.body.as_array().unwrap().iter().map(|alert| alert["id"].as_u64().unwrap()).collect();
    assert_eq!(listed, [ids[3], ids[2]]);
    let tag = page.etag.unwrap();
    assert_eq!(call(&ilert, "GET", open, &[KEY, ("if-none-match", &tag)], Value::Null).await.unwrap().status, 304);
    ilert.resolve(ids[2]).unwrap();
    assert_eq!(call(&ilert, "GET", open, &[KEY, ("if-none-match", &tag)], Value::Null).await.unwrap().status, 200);
    for bad in ["max-results=101", "max-results=0", "states=OPEN", "status=PENDING"] {
        assert_eq!(ask(&ilert, "GET", &format!("/alerts?{bad}")).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_key_has_120_calls_in_a_minute() {
    let ilert = start().await;
    // To the beginning of a minute, so that the calls fall into one.
    let into = ilert.desk.time.steady().rem_euclid(60_000);
    ilert.advance(Duration::from_millis(60_000 - into.unsigned_abs()));
    for _ in 0..120 {
        assert_eq!(ask(&ilert, "GET", "/alerts").await.status, 200);
    }
    assert_eq!(ask(&ilert, "GET", "/alerts").await.status, 429);
    ilert.advance(Duration::from_secs(60));
    assert_eq!(ask(&ilert, "GET", "/alerts").await.status, 200);
}

#[tokio::test]
async fn machines_speak_by_the_events_api() {
    let ilert = start().await;
    let event = async |body: Value| call(&ilert, "POST", "/events", &[], body).await.unwrap().status;
    let of = |kind: &str| json!({ "integrationKey": "source-key", "eventType": kind, "summary": "disk full", "alertKey": "Disk-1" });
    assert_eq!(event(of("ALERT")).await, 202);
    assert_eq!(event(of("ALERT")).await, 202);
    let alerts = ask(&ilert, "GET", "/alerts").await.body;
    assert_eq!((alerts.as_array().unwrap().len(), &alerts[0]["alertSource"]["name"]), (1, &json!("API")));
    let id = alerts[0]["id"].as_u64().unwrap();
    let mut comment = of("COMMENT");
    comment["alertKey"] = "disk-1 ".into();
    comment["comments"] = json!([{ "creator": "Li Lei", "content": "on it" }]);
    assert_eq!(event(comment).await, 202);
    assert_eq!(ilert.comments(id), ["Li Lei: on it"]);
    assert_eq!(last_event(&ilert)["comment"], "Li Lei: on it");
    assert_eq!((event(of("ACCEPT")).await, ilert.alert(id).unwrap().status), (202, Status::Accepted));
    assert_eq!((event(of("RESOLVE")).await, ilert.alert(id).unwrap().status), (202, Status::Resolved));
    assert_eq!(event(of("ACCEPT")).await, 202, "without effect");
    assert_eq!(event(of("REOPEN")).await, 400);
    assert_eq!(event(json!({ "integrationKey": "nobody", "eventType": "ALERT", "summary": "a" })).await, 404);
    assert_eq!(event(json!({ "integrationKey": "source-key", "eventType": "RESOLVE" })).await, 400);
}

#[tokio::test]
async fn a_reset_loses_the_call_or_only_its_answer() {
    let ilert = start().await;
    let id = ilert.create(NewAlert::default());
    let accept = format!("/alerts/{id}/accept");
    ilert.fault(Fault::Status { status: 503 }, 1).unwrap();
    assert_eq!(ask(&ilert, "PUT", &accept).await.status, 503);
    for (fault, status) in [(Fault::ResetLost, Status::Pending), (Fault::ResetDone, Status::Accepted)] {
        ilert.fault(fault, 1).unwrap();
        assert!(call(&ilert, "PUT", &accept, &[KEY], Value::Null).await.is_err());
        assert_eq!(ilert.alert(id).unwrap().status, status);
    }
    assert_eq!(ilert.calls().iter().map(|call| call.status).collect::<Vec<_>>(), [Some(503), None, None]);
}

#[tokio::test]
async fn events_reach_the_webhook_in_order() {
    // The other iLert's control plane serves as a receiver that answers 200.
    let receiver = start().await;
    let ilert = start().await;
    ilert.set_webhook(Some(Secret::new(format!("{}/_sim/events", receiver.base_url().replace("//", "//ilert:p%40ss@")))));
    let id = ilert.create(NewAlert { assigned_to: Some(andreas()), ..NewAlert::default() });
    ilert.escalate(id, &User::new(8, "Li", "Lei")).unwrap();
    ilert.raise(id).unwrap();
    ilert.comment(id, "on it").unwrap();
    ilert.resolve(id).unwrap();
    let posts = ilert.wait_for_posts(5, Duration::from_secs(5)).await.unwrap();
    assert!(posts.iter().all(|post| post.status == Some(200)), "{posts:?}");
    let kinds: Vec<_> = receiver.posts().iter().map(|post| post.event["eventType"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["alert-created", "alert-auto-escalated", "alert-raised", "alert-comment-added", "alert-resolved"]);
    let mut ids: Vec<_> = posts.iter().map(|post| post.event["eventId"].to_string()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5);
    ilert.shutdown().await;
}

#[tokio::test]
async fn another_process_can_steer_it() {
    let ilert = start().await;
    let send = async |path: &str, body: Value| -> Value {
        let call = client(webhook::TIMEOUT).unwrap().post(format!("{}{path}", ilert.base_url())).body(body.to_string());
        let response = call.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    };
    let id = send("/_sim/alerts", json!({ "summary": "from outside" })).await["id"].as_u64().unwrap();
    for verb in ["accept", "escalate", "assign", "raise", "comment", "resolve"] {
        send(&format!("/_sim/alerts/{id}"), json!({ "do": verb, "user": andreas(), "text": "a" })).await;
    }
    assert_eq!(ilert.posts().len(), 7);
    send("/_sim/faults", json!({ "fault": { "kind": "status", "status": 500 } })).await;
    assert_eq!(ask(&ilert, "GET", "/alerts").await.status, 500);
}
