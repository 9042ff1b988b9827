//! The server, asked over HTTP.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;

const SECRET: &str = "SEC0123456789abcdef";

async fn start(robots: Vec<Robot>) -> DingTalk {
    DingTalk::start(Options { robots, ..Options::default() }).await.unwrap()
}

fn plain() -> Robot {
    Robot::new("ops", "token-of-ops")
}

fn client() -> reqwest::Client {
    // An error only says that another test was first.
    rustls::crypto::ring::default_provider().install_default().ok();
    let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    builder.timeout(Duration::from_secs(5)).build().unwrap()
}

fn text(content: &str) -> Value {
    json!({ "msgtype": "text", "text": { "content": content } })
}

async fn post(url: &str, body: impl Into<reqwest::Body>) -> reqwest::Result<reqwest::Response> {
    client().post(url).header("content-type", "application/json; charset=utf-8").body(body).send().await
}

/// `errcode` and `errmsg` of the answer, which is HTTP 200.
async fn say_raw(url: &str, body: impl Into<reqwest::Body>) -> (i64, String) {
    let response = post(url, body).await.unwrap();
    assert_eq!(response.status(), 200);
    let answer: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    (answer["errcode"].as_i64().unwrap(), answer["errmsg"].as_str().unwrap().to_owned())
}

async fn say(url: &str, message: &Value) -> (i64, String) {
    say_raw(url, message.to_string()).await
}

fn no(code: i64, text: &str) -> (i64, String) {
    (code, text.to_owned())
}

fn signed(group: &DingTalk, at: i64, encode: impl Fn(&str) -> String) -> String {
    let sign = gate::sign_of(&at.to_string(), SECRET);
    format!("{}&timestamp={at}&sign={}", group.url_of("ops").unwrap(), encode(&sign))
}

fn once(sign: &str) -> String {
    percent_encoding::utf8_percent_encode(sign, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[tokio::test]
async fn a_good_message_is_shown() {
    let group = start(vec![plain()]).await;
    let mut told = group.subscribe();
    let card = json!({ "msgtype": "actionCard", "msgUuid": "1",
        "actionCard": { "title": "down", "text": "### down @138", "btnOrientation": "1",
            "btns": [{ "title": "Accept", "actionURL": "https://example.com/a" }] },
        "at": { "atMobiles": ["138", "139"], "isAtAll": false } });
    assert_eq!(say(&group.url_of("ops").unwrap(), &card).await, no(0, "ok"));
    let shown = group.wait_for("ops", 1, Duration::from_secs(5)).await.unwrap().remove(0);
    assert_eq!((shown.title.as_str(), shown.text.as_str(), shown.side_by_side), ("down", "### down @138", true));
    assert_eq!(shown.button("Accept").unwrap().url, "https://example.com/a");
    assert_eq!((shown.mentions.people.as_slice(), shown.mentions.unheard.as_slice()), (&["138".into()][..], &["139".into()][..]));
    assert_eq!((shown.msg_uuid.as_deref(), &shown.raw), (Some("1"), &card));
    assert_eq!(*told.recv().await.unwrap(), shown);
    assert!(group.refusals().is_empty());
}

#[tokio::test]
async fn a_get_and_another_content_type_are_refused() {
    let group = start(vec![plain()]).await;
    let url = group.url_of("ops").unwrap();
    let errcode = async |request: reqwest::RequestBuilder| {
        let answer: Value = serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap();
        answer["errcode"].as_i64().unwrap()
    };
    assert_eq!(errcode(client().get(&url)).await, 43002);
    assert_eq!(errcode(client().post(&url).body(text("a").to_string())).await, 43004);
    let form = client().post(&url).header("content-type", "application/x-www-form-urlencoded").body("msgtype=text");
    assert_eq!(errcode(form).await, 43004);
    assert!(group.messages("ops").is_empty());
}

#[tokio::test]
async fn a_missing_and_an_unknown_token_are_refused() {
    let group = start(vec![plain()]).await;
    let url = format!("{}/robot/send", group.base_url());
    assert_eq!(say(&url, &text("a")).await.0, 40035);
    assert_eq!(say(&format!("{url}?access_token=nobody"), &text("a")).await, no(300_005, "token is not exist"));
}

#[tokio::test]
async fn a_signed_robot_hears_only_what_is_signed_right() {
    let group = start(vec![plain().signed(SECRET)]).await;
    let now = group.time().now();
    assert_eq!(say(&group.url_of("ops").unwrap(), &text("a")).await, no(310_000, "invalid timestamp"));
    let unsigned = format!("{}&timestamp={now}", group.url_of("ops").unwrap());
    assert_eq!(say(&unsigned, &text("a")).await, no(310_000, "sign not match"));
    let other = format!("{unsigned}&sign={}", once(&gate::sign_of(&now.to_string(), "SECother")));
    assert_eq!(say(&other, &text("a")).await, no(310_000, "sign not match"));
    assert_eq!(say(&signed(&group, now, once), &text("a")).await, no(0, "ok"));
}

#[tokio::test]
async fn a_sign_encoded_twice_or_never_is_refused() {
    let group = start(vec![plain().signed(SECRET)]).await;
    let now = group.time().now();
    // A timestamp whose signature has a plus sign, so that it does not survive unencoded.
    let with_plus = (now..).find(|at| gate::sign_of(&at.to_string(), SECRET).contains('+')).unwrap();
    let twice = |sign: &str| once(&once(sign));
    assert_eq!(say(&signed(&group, with_plus, twice), &text("a")).await, no(310_000, "sign not match"));
    assert_eq!(say(&signed(&group, with_plus, str::to_owned), &text("a")).await, no(310_000, "sign not match"));
    assert_eq!(say(&signed(&group, with_plus, once), &text("a")).await, no(0, "ok"));
}

#[tokio::test]
async fn an_old_signature_is_refused_when_time_has_passed() {
    let group = start(vec![plain().signed(SECRET)]).await;
    let url = signed(&group, group.time().now(), once);
    assert_eq!(say(&url, &text("a")).await.0, 0);
    group.advance(Duration::from_secs(3601));
    assert_eq!(say(&url, &text("a")).await, no(310_000, "invalid timestamp"));
    group.time().skew(-3_601_000);
    assert_eq!(say(&url, &text("a")).await.0, 0);
}

#[tokio::test]
async fn a_message_without_a_keyword_is_refused() {
    let group = start(vec![plain().keyword("incident").keyword("告警")]).await;
    let url = group.url_of("ops").unwrap();
    assert_eq!(say(&url, &text("hello")).await, no(310_000, "keywords not in content"));
    assert_eq!(say(&url, &text("one 告警 more")).await.0, 0);
}

#[tokio::test]
async fn a_caller_that_is_not_on_the_list_is_refused() {
    let mut robot = plain();
    robot.ip_allowlist = vec![IpRange::try_from("192.0.2.0/24".to_owned()).unwrap()];
    let group = start(vec![robot]).await;
    assert_eq!(say(&group.url_of("ops").unwrap(), &text("a")).await, no(310_000, "ip 127.0.0.1 not in whitelist"));
}

#[tokio::test]
async fn twenty_thousand_bytes_pass_and_one_more_does_not() {
    let group = start(vec![plain()]).await;
    let url = group.url_of("ops").unwrap();
    let frame = text("").to_string().len();
    assert_eq!(say(&url, &text(&"a".repeat(20_000 - frame))).await.0, 0);
    assert_eq!(say(&url, &text(&"a".repeat(20_001 - frame))).await.0, 460_101);
    assert_eq!(say(&url, &text(&"字".repeat(7_000))).await.0, 460_101, "bytes, not characters");
    assert_eq!(say(&url, &text(&"a".repeat(5 << 20))).await.0, 460_101, "more than is read");
}

#[tokio::test]
async fn the_21st_message_in_a_minute_mutes_for_ten_minutes() {
    let group = start(vec![plain()]).await;
    let url = group.url_of("ops").unwrap();
    for _ in 0..20 {
        assert_eq!(say(&url, &text("a")).await.0, 0);
    }
    assert_eq!(say(&url, &text("a")).await.0, 130_101);
    group.advance(Duration::from_secs(590));
    assert_eq!(say(&url, &json!("not even a message")).await.0, 130_101);
    group.advance(Duration::from_secs(11));
    assert_eq!(say(&url, &text("a")).await.0, 0);
    let counters = group.counters("ops").unwrap();
    assert_eq!((counters.shown, counters.worst_minute, counters.mutes, counters.refused), (21, 21, 1, 2));
}

#[tokio::test]
async fn without_a_limit_the_pace_is_only_measured() {
    let group = DingTalk::start(Options { robots: vec![plain()], rate_limit: false, ..Options::default() }).await.unwrap();
    for _ in 0..25 {
        assert_eq!(say(&group.url_of("ops").unwrap(), &text("a")).await.0, 0);
    }
    assert_eq!(group.counters("ops").unwrap().worst_minute, 25);
}

#[tokio::test]
async fn a_repeated_key_is_answered_with_ok_and_shown_once() {
    let group = start(vec![plain()]).await;
    let url = group.url_of("ops").unwrap();
    let keyed = |content: &str| json!({ "msgtype": "text", "text": { "content": content }, "msgUuid": "k" });
    for message in [keyed("a"), keyed("a"), keyed("b")] {
        assert_eq!(say(&url, &message).await.0, 0);
    }
    let counters = group.counters("ops").unwrap();
    assert_eq!((counters.shown, counters.repeated, counters.altered), (1, 2, 1));
    group.advance(Duration::from_secs(3_601));
    say(&url, &keyed("a")).await;
    assert_eq!(group.messages("ops").len(), 2);
}

#[tokio::test]
async fn a_used_up_quota_comes_back_with_the_month() {
    let mut robot = plain();
    robot.monthly_quota = Some(2);
    let group = start(vec![robot]).await;
    let url = group.url_of("ops").unwrap();
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(say(&url, &text("a")).await.0);
    }
    assert_eq!(codes, [0, 0, 90030]);
    group.advance(Duration::from_secs(32 * 86_400));
    assert_eq!(say(&url, &text("a")).await.0, 0);
}

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
async fn what_the_documentation_does_not_name_is_refused() {
    let group = DingTalk::start(Options { robots: vec![plain()], rate_limit: false, ..Options::default() }).await.unwrap();
    let url = group.url_of("ops").unwrap();
    let link = |url: &str| json!({ "msgtype": "link", "link": { "title": "a", "text": "b", url: "https://example.com" } });
    let card = |more: Value| {
        let mut card = json!({ "msgtype": "actionCard", "actionCard": { "title": "a", "text": "b",
            "btns": [{ "title": "c", "actionURL": "https://example.com" }] } });
        card["actionCard"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        card
    };
    let feed = |url: &str| json!({ "msgtype": "feedCard", "feedCard": { "links": [{ "title": "a", url: "https://example.com", "picURL": "https://example.com/p" }] } });
    let at_all = |mut message: Value| {
        message["at"] = json!({ "isAtAll": true });
        message
    };
    for good in [
        link("messageUrl"),
        feed("messageURL"),
        card(json!({ "btnOrientation": "0", "hideAvatar": "1" })),
        card(json!({ "singleTitle": "only", "singleURL": "dingtalk://dingtalkclient/page/link?url=https%3A%2F%2Fexample.com" })),
        at_all(card(json!({}))),
    ] {
        assert_eq!(say(&url, &good).await, no(0, "ok"), "{good}");
    }
    for (code, bad) in [
        (400_105, json!({ "msgtype": "empty" })),
        (400_105, json!({ "msgtype": "image", "image": {} })),
        (400_105, json!({ "text": { "content": "a" } })),
        (400_403, json!({ "msgtype": "markdown", "markdown": { "title": "a" } })),
        (40035, json!({ "msgtype": "markdown", "markdown": { "text": "a" } })),
        (40035, json!({ "msgtype": "text" })),
        (40035, json!({ "msgtype": "text", "text": "a" })),
        (40035, json!({ "msgtype": "text", "text": { "content": 1 } })),
        (40035, json!({ "msgtype": "text", "text": { "content": " " } })),
        (40035, json!({ "msgtype": "text", "text": { "content": "a", "more": 1 } })),
        (40035, json!({ "msgtype": "text", "text": { "content": "a" }, "markdown": {} })),
        (40035, json!({ "msgtype": "text", "text": { "content": "a" }, "at": { "mobiles": [] } })),
        (40035, json!({ "msgtype": "text", "text": { "content": "a" }, "at": { "isAtAll": "true" } })),
        (40035, json!({ "msgtype": "text", "text": { "content": "a" }, "msgUuid": 1 })),
        (40035, link("messageURL")),
        (40035, feed("messageUrl")),
        (40035, at_all(link("messageUrl"))),
        (40035, at_all(feed("messageURL"))),
        (40035, json!({ "msgtype": "feedCard", "feedCard": { "links": [] } })),
        (40035, card(json!({ "btnOrientation": 0 }))),
        (40035, card(json!({ "hideAvatar": "yes" }))),
        (40035, card(json!({ "btns": [{ "title": "c", "actionUrl": "https://example.com" }] }))),
        (40035, card(json!({ "btns": [{ "title": "c", "actionURL": "/relative" }] }))),
        (40035, card(json!({ "btns": [{ "title": "c", "actionURL": "javascript:alert(1)" }] }))),
        (40035, card(json!({ "singleTitle": "only" }))),
        (40035, json!([text("a")])),
    ] {
        assert_eq!(say(&url, &bad).await.0, code, "{bad}");
    }
    assert_eq!(say_raw(&url, r#"{"msgtype":"text","text":{"content":"a"}"#).await.0, 40035);
    assert_eq!(group.messages("ops").len(), 5);
    assert_eq!(group.refusals().len(), 27);
}

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
    group.fault("ops", Fault::HangShown, 1).unwrap();
    group.fault("ops", Fault::HangLost, 1).unwrap();
    for _ in 0..2 {
        let call = client().post(&url).header("content-type", "application/json").body(text("a").to_string());
        assert!(call.timeout(Duration::from_millis(100)).send().await.unwrap_err().is_timeout());
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
