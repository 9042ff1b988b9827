//! Events and answers that a plugin would not expect.

use std::sync::Arc;

use crate::delivery::Item;
use crate::delivery::upgrade::golden;
use crate::event::{Event, Image, Kind, Link};

/// Texts that break what is careless: layouts, JSON, mentions, alignment, lengths.
const HOSTILE: [(&str, &str); 9] = [
    ("an empty text", ""),
    ("quotes and backslashes", "\"'\\\"}],{\\u0000\\"),
    ("control characters", "a\u{0}b\u{1}c\u{7f}d\u{85}e\r\n\tf"),
    ("markup", "# h\n[x](javascript:alert(1)) ![i](https://e.example/i.png) **b** `c` <script>alert(1)</script>"),
    ("mentions", "@all @everyone @here @13800000000 <@U1> <!channel>"),
    ("text from right to left", "\u{202e}gnp.exe\u{202c} \u{5e9}\u{5dc}\u{5d5}\u{5dd}"),
    ("wide and joined characters", "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} \u{4e2d}\u{6587} e\u{301}\u{301}\u{301} \u{feff}"),
    ("templates", "{{ alertSummary }} ${x} %s %n {0} <%= x %>"),
    ("line separators", "a\u{2028}b\u{2029}c"),
];

fn item(event: Event) -> Item {
    Item { event: Arc::new(event), folded: 0 }
}

/// An event whose every text is this one.
fn all(text: &str) -> Event {
    let mut event = golden::event(0, Kind::CommentAdded);
    let own = || text.to_owned();
    (event.summary, event.details, event.comment, event.alert_key) = (own(), own(), Some(own()), Some(own()));
    event.links = vec![Link { text: own(), href: own() }];
    event.images = vec![Image { alt: own(), src: own(), href: Some(own()) }];
    if let Some(source) = &mut event.alert_source {
        source.name = own();
    }
    if let Some(person) = &mut event.assigned_to {
        (person.first_name, person.last_name, person.email, person.username) = (own(), own(), own(), own());
    }
    event.incident_url = Some(own());
    event.extra = vec![(own(), own())];
    event
}

/// Every hostile text, and an event that says next to nothing.
pub(super) fn hostile() -> Vec<(&'static str, Vec<Item>)> {
    let mut batches: Vec<_> = HOSTILE.iter().map(|(what, text)| (*what, vec![item(all(text))])).collect();
    let mut bare = golden::event(0, Kind::Created);
    (bare.alert_source, bare.escalation_policy, bare.assigned_to, bare.actor) = (None, None, None, None);
    (bare.priority, bare.severity, bare.alert_key, bare.incident_url) = (None, None, None, None);
    bare.links.clear();
    batches.push(("an event that says next to nothing", vec![item(bare)]));
    batches
}

/// The largest events that the host hands over, alone and as many as the plugin takes.
pub(super) fn huge(max_batch: usize) -> Vec<(&'static str, Vec<Item>)> {
    let long = |number: usize| {
        let mut event = golden::event(number, Kind::Created);
        event.summary = "\u{4e2d}".repeat(1_000);
        event.details = "\u{1f525} & <b> \\ \" ".repeat(1_500);
        event
    };
    let digest = (0..max_batch.clamp(1, 100)).map(|number| {
        let mut event = golden::event(number, Kind::Created);
        event.summary = "\u{4e2d}\"".repeat(200);
        item(event)
    });
    vec![("a long event", vec![item(long(0))]), ("the largest digest", digest.collect())]
}

/// Bodies of answers.
pub(super) fn answers() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("no body", Vec::new()),
        ("JSON that says nothing", b"{}".to_vec()),
        ("HTML", b"<html><body>502 Bad Gateway</body></html>".to_vec()),
        ("bytes that are no text", vec![0xff, 0xfe, 0x00, 0x80]),
        ("JSON that is cut off", b"{\"code\":".to_vec()),
        ("deep JSON", [b"[".repeat(500), b"]".repeat(500)].concat()),
        ("numbers out of range", b"{\"code\":1e999,\"status\":-99999999999999999999}".to_vec()),
    ]
}
