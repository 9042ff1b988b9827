//! Every kind of event in every type of message and both languages, to be read as a person would.

use super::sample::{KINDS, bare, context, rich, sent, shown};
use crate::types::{Action, Kind, Part, Priority, Status};

const PEOPLE: &str = r#""people":{"andreas.farmer@example.com":{"mobile":"13800000000"},"lei.li":{"user_id":"manager7675"}}"#;

/// All kinds, one after the other.
fn album(config: &str) -> String {
    let kinds = KINDS.into_iter().chain([Kind::Other("postmortem-created".into())]);
    let page = |kind: Kind| {
        let event = rich(kind);
        let (body, covers) = sent(config, std::slice::from_ref(&event), &context(std::slice::from_ref(&event)));
        assert_eq!(covers, 1);
        format!("──── {:?}\n{}", event.kind, shown(&body))
    };
    kinds.map(page).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_kind_in_every_type_and_language() {
    for language in ["en", "zh-CN"] {
        for message_type in ["auto", "markdown", "text"] {
            let config = format!(r#"{{"language":"{language}","message_type":"{message_type}",{PEOPLE}}}"#);
            insta::assert_snapshot!(format!("{message_type}-{language}"), album(&config));
        }
        for message_type in ["link", "feed_card"] {
            let config = format!(r#"{{"language":"{language}","message_type":"{message_type}","picture_url":"https://x.example/p.png"}}"#);
            insta::assert_snapshot!(format!("{message_type}-{language}"), album(&config));
        }
    }
}

#[test]
fn the_settings_that_change_the_look() {
    let event = rich(Kind::Created);
    let batch = std::slice::from_ref(&event);
    let mut pages = Vec::new();
    for config in [
        r#"{"colours":false,"pc_slide":false}"#,
        r#"{"buttons":"dtmd"}"#,
        r#"{"keywords":["iLert","值班"]}"#,
        r#"{"is_at_all":true,"at_mobiles":["13900000000"],"at_user_ids":["u-1"]}"#,
        r#"{"message_type":"feed_card"}"#,
    ] {
        pages.push(format!("──── {config}\n{}", shown(&sent(config, batch, &context(batch)).0)));
    }
    insta::assert_snapshot!("settings", pages.join("\n"));
}

#[test]
fn an_incident_of_which_little_is_known() {
    let mut odd = bare();
    odd.status = Status::Other("SNOOZED".into());
    odd.priority = Some(Priority::Other("*P3*".into()));
    let mut cx = context(&[]);
    cx.links.clear();
    let pages = [bare(), odd].map(|event| shown(&sent("{}", &[event], &cx).0));
    insta::assert_snapshot!("bare", pages.join("\n"));
}

#[test]
fn text_that_wants_to_be_more_stays_text() {
    let mut event = rich(Kind::Created);
    event.summary = "[click](https://evil.example) @all ＠13800000000 <font color=#ff0000>x</font> ![p](https://evil.example/p.png)".into();
    event.details = "# heading\n> quote\n- item\n1. item\n```\ncode\n```\n***\nkey: value\n| a | b |\n|---|---|\ndtmd://dingtalkclient/sendMessage?content=x\n\
        \u{202e}reversed\u{202c} a\u{0}b [ref]: https://evil.example\nTitle\n===\nhttps://evil.example/plain &lt;b&gt; \\[x\\](y)"
        .into();
    event.links = vec![
        crate::types::Link { text: "js](https://evil.example)".into(), href: "javascript:alert(1)".into() },
        crate::types::Link { text: "a\nb".into(), href: "https://x.example/a) [b](https://evil.example".into() },
    ];
    let mut cx = context(std::slice::from_ref(&event));
    cx.links.push(crate::types::ActionLink {
        incident_id: event.incident_id.clone(),
        action: Action::Other(String::new()),
        href: "https://x.example".into(),
    });
    let pages = ["markdown", "text", "auto"].map(|kind| {
        let config = format!(r#"{{"message_type":"{kind}"}}"#);
        format!("──── {kind}\n{}", shown(&sent(&config, std::slice::from_ref(&event), &cx).0))
    });
    insta::assert_snapshot!("hostile", pages.join("\n"));
}

#[test]
fn news_that_the_host_had_to_ask_for_say_so() {
    let mut event = rich(Kind::Resolved);
    let text = |event: &crate::types::Event, config: &str| {
        let batch = std::slice::from_ref(event);
        shown(&sent(config, batch, &context(batch)).0)
    };
    assert!(!text(&event, "{}").contains("told late"));
    event.extra.push(("caught_up".into(), "true".into()));
    assert!(text(&event, "{}").contains(" · told late, no notice had come from iLert"));
    assert!(text(&event, r#"{"language":"zh-CN"}"#).contains(" · 补发，未收到 iLert 的通知"));
}

#[test]
fn a_template_takes_the_place_of_the_card_and_keeps_its_buttons_and_mentions() {
    let event = rich(Kind::Created);
    let mut cx = context(std::slice::from_ref(&event));
    cx.title = Some(vec![Part::Markup("[db] ".into()), Part::Text("a *b* @c".into())]);
    cx.text = Some(vec![Part::Markup("## ".into()), Part::Text("a *b*\n# c".into()), Part::Markup("\n\n> policy".into())]);
    let config = format!("{{{PEOPLE}}}");
    insta::assert_snapshot!("template", shown(&sent(&config, std::slice::from_ref(&event), &cx).0));
}

#[test]
fn a_template_that_comes_out_empty_leaves_the_default_in_place() {
    let event = rich(Kind::Created);
    let batch = std::slice::from_ref(&event);
    let plain = context(batch);
    let mut cx = context(batch);
    cx.title = Some(vec![Part::Markup("\u{200b} ".into())]);
    cx.text = Some(vec![Part::Text(" \n\u{202e}".into())]);
    for message_type in ["markdown", "text", "link", "auto"] {
        let config = format!(r#"{{"message_type":"{message_type}"}}"#);
        assert_eq!(sent(&config, batch, &cx), sent(&config, batch, &plain), "{message_type}");
    }
}
