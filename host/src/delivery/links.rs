//! The links of a message: what a reader may do about an incident. The host makes them, the plugin only places them.

use crate::clock::UnixMs;
use crate::event::Event;
use crate::plugin::wit::{Action, ActionLink};

/// Makes the links for an event in a message.
pub trait Links: Send + Sync + 'static {
    /// The links, in the order in which they are to be shown. Quick, and without I/O.
    fn links(&self, connector: &str, event: &Event, now: UnixMs) -> Vec<ActionLink>;

    /// The same for somebody who only looks at the message: as long, and without what makes them work.
    fn shown(&self, connector: &str, event: &Event, now: UnixMs) -> Vec<ActionLink> {
        self.links(connector, event, now)
    }
}

/// Only the way to the incident's own page.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenLinks;

impl Links for OpenLinks {
    fn links(&self, _connector: &str, event: &Event, _now: UnixMs) -> Vec<ActionLink> {
        let open = |href: &String| ActionLink { incident_id: event.incident_id.clone(), action: Action::Open, href: href.clone() };
        event.incident_url.iter().filter(|url| is_web(url)).map(open).collect()
    }
}

/// Whether an address that came with an event is one of the web: a link of another scheme could make a reader's phone do things.
pub fn is_web(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::event::Kind;

    #[test]
    fn the_incidents_page_is_linked_where_it_is_a_web_page() {
        let mut event = testing::event("7", Kind::Created);
        assert!(OpenLinks.links("ops", &event, 0).is_empty());
        event.incident_url = Some("https://example.ilert.com/alert/view.jsf?id=7".into());
        let links = OpenLinks.links("ops", &event, 0);
        assert_eq!((links[0].incident_id.as_str(), links[0].href.as_str()), ("7", "https://example.ilert.com/alert/view.jsf?id=7"));
        event.incident_url = Some("javascript:alert(1)".into());
        assert!(OpenLinks.links("ops", &event, 0).is_empty());
    }
}
