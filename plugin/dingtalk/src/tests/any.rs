//! Any event, config and context that the host could hand over.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::sample::{context, rich};
use crate::types::*;

/// Text with all that could break a message in it.
pub(crate) fn text(max: usize) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => any::<String>(),
        2 => "[a-zA-Z0-9 ]{0,20}",
        2 => "[#>*_`~\\[\\]()!|+=@＠<&/:.\\\\ \n-]{0,12}",
        1 => "[\\p{Han}，。]{0,40}",
        1 => prop::sample::select(vec!["](https://evil.example)", "<font color=#ff0000>", "\u{202e}", "@all", "@13800000000", "\"\\\u{8}", "😀", "dtmd://x", "1. x"]).prop_map(String::from),
    ];
    (vec(piece, 0..6), 1..=max.max(1)).prop_map(|(pieces, times)| {
        let text = pieces.concat();
        text.repeat(times.min(1 + 16_384 / text.len().max(1)))
    })
}

fn short() -> impl Strategy<Value = String> {
    text(1)
}

fn href() -> impl Strategy<Value = String> {
    prop_oneof![
        "https://[a-z]{1,10}\\.example/[a-z0-9?=&()%\"]{0,30}",
        (1usize..3000).prop_map(|n| format!("https://x.example/{}", "(".repeat(n))),
        text(1),
    ]
}

fn person() -> impl Strategy<Value = Person> {
    let email = prop_oneof![prop::sample::select(vec!["a@b.example", "c@d.example"]).prop_map(String::from), short()];
    (short(), short(), short(), email).prop_map(|(username, first_name, last_name, email)| Person {
        id: "1".into(),
        username,
        first_name,
        last_name,
        email,
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        9 => prop::sample::select(super::sample::KINDS.to_vec()),
        1 => short().prop_map(Kind::Other),
    ]
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Pending), Just(Status::Accepted), Just(Status::Resolved), short().prop_map(Status::Other)]
}

fn priority() -> impl Strategy<Value = Priority> {
    prop_oneof![Just(Priority::High), Just(Priority::Low), short().prop_map(Priority::Other)]
}

fn moment() -> impl Strategy<Value = Timestamp> {
    (any::<i64>(), any::<i16>()).prop_map(|(unix_ms, offset_minutes)| Timestamp { unix_ms, offset_minutes })
}

/// Any event.
pub(crate) fn event() -> impl Strategy<Value = Event> {
    let words = (text(40), text(400), option::of(text(40)), short(), option::of(short()), option::of(short()));
    let people = (option::of(person()), vec((person(), any::<bool>()), 0..12), option::of(person()));
    let more = (vec((short(), href()), 0..12), vec((short(), href()), 0..6), option::of(href()), any::<u32>(), option::of(any::<u8>()));
    (kind(), status(), option::of(priority()), words, people, more, (moment(), moment())).prop_map(
        |(kind, status, priority, words, people, more, times)| Event {
            status,
            priority,
            severity: more.4,
            summary: words.0,
            details: words.1,
            comment: words.2,
            incident_id: words.3,
            alert_source: words.4.map(|name| AlertSource { id: "1".into(), name }),
            escalation_policy: words.5,
            assigned_to: people.0,
            responders: people.1.into_iter().map(|(person, accepted)| Responder { person, accepted }).collect(),
            actor: people.2,
            links: more.0.into_iter().map(|(text, href)| Link { text, href }).collect(),
            images: more.1.into_iter().map(|(alt, src)| Image { alt, src, href: None }).collect(),
            incident_url: more.2,
            folded: more.3,
            reported_at: times.0,
            occurred_at: times.1,
            ..rich(kind)
        },
    )
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    vec(prop_oneof![text(100).prop_map(Part::Markup), text(100).prop_map(Part::Text)], 0..6)
}

/// A context for these events.
pub(crate) fn around(events: Vec<Event>) -> impl Strategy<Value = (Vec<Event>, Context)> {
    (Just(events), option::of(parts()), option::of(parts()), any::<u32>(), short(), href()).prop_map(
        |(events, title, text, waiting, connector, odd)| {
            let mut cx = context(&events);
            if let Some(first) = events.first() {
                cx.links.push(ActionLink { incident_id: first.incident_id.clone(), action: Action::Other(connector.clone()), href: odd });
            }
            let cx = Context { title, text, waiting, connector, ..cx };
            (events, cx)
        },
    )
}

/// Any config that the schema allows.
pub(crate) fn config() -> impl Strategy<Value = String> {
    let types = prop::sample::select(vec!["auto", "action_card", "markdown", "text", "link", "feed_card"]);
    let language = prop::sample::select(vec!["en", "zh-CN"]);
    let buttons = prop::sample::select(vec!["links", "dtmd"]);
    let ids = vec("[a-z0-9]{1,64}", 0..60);
    let flags = (any::<bool>(), any::<bool>(), option::of(any::<bool>()));
    let words = (vec("[\\p{Han}\"]{1,60}", 0..3), option::of("https://p\\.example/[a-z]{0,9}"));
    (types, language, buttons, ids, flags, words).prop_map(|(kind, language, buttons, ids, flags, words)| {
        let mut config = serde_json::json!({
            "message_type": kind, "language": language, "buttons": buttons, "colours": flags.0, "is_at_all": flags.1,
            "at_user_ids": ids, "keywords": words.0,
            "people": { "a@b.example": { "mobile": "13800000000" }, "c@d.example": { "user_id": "cd" } },
        });
        if let Some(slide) = flags.2 {
            config["pc_slide"] = slide.into();
        }
        if let Some(picture) = words.1 {
            config["picture_url"] = picture.into();
        }
        config.to_string()
    })
}
