//! Every check of a message, by a message that fails it.

use super::*;

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
