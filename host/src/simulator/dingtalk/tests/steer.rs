//! Sessions, and the handle for another process.

use super::*;

#[tokio::test]
async fn a_session_speaks_until_it_expires() {
    let group = start(vec![plain().signed(SECRET)]).await;
    let url = group.open_session("ops", Duration::from_secs(60)).unwrap();
    assert_eq!(say(&url, &text("a")).await.0, 0);
    group.advance(Duration::from_secs(61));
    assert_eq!(say(&url, &text("a")).await.0, 300_001);
    let nobodys = format!("{}/robot/sendBySession?session=x", group.base_url());
    assert_eq!(say(&nobodys, &text("a")).await.0, 300_001);
}

#[tokio::test]
async fn another_process_can_steer_it() {
    let group = start(vec![]).await;
    let base = group.base_url();
    let send = async |method: reqwest::Method, path: &str, body: Value| -> Value {
        let call = client().request(method, format!("{base}{path}")).body(body.to_string());
        let response = call.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    };
    let (post, get) = (reqwest::Method::POST, reqwest::Method::GET);
    send(post.clone(), "/_sim/robots", json!({ "name": "ops", "access_token": "t", "ip_allowlist": ["127.0.0.0/8"] })).await;
    send(post.clone(), "/_sim/faults", json!({ "robot": "ops", "fault": { "kind": "errcode", "code": -1 } })).await;
    let url = group.url_of("ops").unwrap();
    assert_eq!((say(&url, &text("a")).await.0, say(&url, &text("b")).await.0), (-1, 0));
    let shown = send(get.clone(), "/_sim/messages?robot=ops&wait_for=1&timeout_ms=5000", Value::Null).await;
    assert_eq!(serde_json::from_value::<Vec<Shown>>(shown).unwrap(), group.messages("ops"));
    send(post.clone(), "/_sim/mute", json!({ "robot": "ops", "ms": 60_000 })).await;
    assert_eq!(say(&url, &text("a")).await.0, 130_101);
    send(post.clone(), "/_sim/advance", json!({ "ms": 60_000 })).await;
    let session = send(post.clone(), "/_sim/sessions", json!({ "robot": "ops", "ms": 1_000 })).await;
    assert_eq!(say(&format!("{base}{}", session["path"].as_str().unwrap()), &text("c")).await.0, 0);
    let counters = send(get.clone(), "/_sim/counters?robot=ops", Value::Null).await;
    assert_eq!(serde_json::from_value::<Counters>(counters).unwrap(), group.counters("ops").unwrap());
    assert_eq!(send(get, "/_sim/refusals", Value::Null).await[0]["answer"]["errcode"], 130_101);
    let unknown = client().post(format!("{base}/_sim/mute")).body(r#"{"robot":"x","ms":1}"#).send().await.unwrap();
    assert_eq!(unknown.status(), 400);
}

#[tokio::test]
async fn only_this_machine_is_served() {
    let everywhere = Options { listen: "0.0.0.0:0".parse().unwrap(), ..Options::default() };
    assert!(matches!(DingTalk::start(everywhere).await, Err(SimulatorError::NotLoopback(_))));
}
