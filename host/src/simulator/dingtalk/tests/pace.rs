//! The limits that count: pace, keys, quota.

use super::*;

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
