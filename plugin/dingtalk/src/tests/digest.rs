//! Many incidents in one message.

use super::sample::{at, context, json, person, rich, sent, shown};
use crate::message::MAX_BODY;
use crate::types::{AlertSource, Event, Kind, Priority, Status};

/// A storm as monitoring makes it: two sources, three states, people and texts of usual length.
fn storm(count: usize, chinese: bool) -> Vec<Event> {
    let one = |n: usize| {
        let mut event = rich(Kind::Created);
        event.incident_id = format!("{}", 12_797_431 + n);
        event.incident_url = Some(format!("https://xyz.ilert.com/incident/view.jsf?id={}", 12_797_431 + n));
        event.status = [Status::Pending, Status::Pending, Status::Pending, Status::Accepted, Status::Resolved][n % 5].clone();
        event.priority = Some(if n < count / 2 { Priority::High } else { Priority::Low });
        let name = if n.is_multiple_of(9) { "API" } else { "Zabbix" };
        event.alert_source = Some(AlertSource { id: name.into(), name: name.into() });
        if chinese {
            event.summary = format!("生产环境数据库主库 db-{n} 连接数超过阈值，请尽快处理并确认主从延迟是否恢复正常");
            event.assigned_to = Some(person("伟", "王", "wei.wang@example.com"));
        } else {
            event.summary = format!("PROBLEM Host Alert: app-compute-{n}.eu-west.example.com is DOWN, 5 of 7 checks failed");
        }
        event.folded = u32::from(n % 7 == 3) * 2;
        event.occurred_at = at(n as i64 / 20);
        event
    };
    (0..count).map(one).collect()
}

#[test]
fn a_digest_of_a_few() {
    let mut pages = Vec::new();
    for (chinese, language) in [(false, "en"), (true, "zh-CN")] {
        for message_type in ["auto", "text", "feed_card"] {
            let batch = storm(6, chinese);
            let mut cx = context(&batch);
            cx.waiting = 31;
            let config = format!(
                r#"{{"language":"{language}","message_type":"{message_type}","picture_url":"https://x.example/p.png","at_mobiles":["13800000000"]}}"#
            );
            let (body, covers) = sent(&config, &batch, &cx);
            assert_eq!(covers, 6);
            pages.push(format!("──── {message_type} {language}\n{}", shown(&body)));
        }
    }
    insta::assert_snapshot!("few", pages.join("\n"));
}

#[test]
fn a_digest_holds_120_incidents_and_says_how_many_follow() {
    for (chinese, language) in [(false, "en"), (true, "zh-CN")] {
        let batch = storm(256, chinese);
        let mut cx = context(&batch);
        cx.waiting = 1000;
        let (body, covers) = sent(&format!(r#"{{"language":"{language}"}}"#), &batch, &cx);
        assert!(covers >= 120 && body.len() <= MAX_BODY, "{covers} incidents in {} bytes", body.len());
        let message = json(&body);
        let text = message["markdown"]["text"].as_str().expect("markdown");
        let rest = 1256 - covers;
        assert!(text.contains(&rest.to_string()), "{rest} more are not told:\n{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("- ")).count(), covers as usize);
        insta::assert_snapshot!(
            format!("storm-{language}"),
            format!("covers {covers}, {} bytes\n{}", body.len(), shown(&body).lines().take(16).collect::<Vec<_>>().join("\n"))
        );
    }
}

#[test]
fn a_digest_mentions_only_who_is_asked_to_act_and_at_most_fifty() {
    let mut batch = storm(100, false);
    let mut people = String::new();
    for (n, event) in batch.iter_mut().enumerate() {
        let email = format!("p{n}@example.com");
        people.push_str(&format!(r#"{}"{email}":{{"mobile":"138{n:08}"}}"#, if n == 0 { "" } else { "," }));
        event.assigned_to = Some(person("P", "Q", &email));
    }
    let (body, _) = sent(&format!(r#"{{"people":{{{people}}}}}"#), &batch, &context(&batch));
    let message = json(&body);
    let mobiles = message["at"]["atMobiles"].as_array().expect("mobiles");
    assert_eq!(mobiles.len(), 50);
    assert!(!mobiles.contains(&"13800000004".into()), "the fifth incident is resolved: nobody is woken for it");
    let text = message["markdown"]["text"].as_str().expect("markdown");
    assert!(mobiles.iter().all(|mobile| text.contains(&format!("@{}", mobile.as_str().expect("a string")))));
}

#[test]
fn one_incident_that_is_too_large_for_a_line_is_shortened() {
    let mut batch = storm(2, false);
    batch[0].summary = "数".repeat(60_000);
    batch[0].incident_url = Some(format!("https://x.example/{}", "a".repeat(5000)));
    let (body, covers) = sent("{}", &batch, &context(&batch));
    assert_eq!(covers, 2);
    assert!(body.len() < 2000);
}

#[test]
fn a_feed_holds_as_many_as_fit() {
    let batch = storm(256, false);
    let config = r#"{"message_type":"feed_card","pc_slide":true,"picture_url":"https://x.example/p.png"}"#;
    let (body, covers) = sent(config, &batch, &context(&batch));
    let links = json(&body)["feedCard"]["links"].as_array().expect("links").len();
    assert_eq!(links, covers as usize);
    assert!((MAX_BODY - 600..=MAX_BODY).contains(&body.len()), "{covers} links in {} bytes", body.len());
}
