//! Makes the links of a message: what a reader may do about its incident.

use std::path::Path;

use url::Url;

use super::key::{Key, KeyError, Keys};
use super::token::{Token, TokenError};
use crate::clock::UnixMs;
use crate::config::Settings;
use crate::delivery::links::{Links, OpenLinks};
use crate::event::{Event, Kind, Status};
use crate::outbox::book::{Verb, is_ilert_id};
use crate::plugin::wit::{Action, ActionLink};

/// Where the pages are, below `public_url`.
pub(super) const PATH: &str = "respond";

/// Makes links, and reads them again.
#[derive(Debug)]
pub struct LinkMaker {
    base: Url,
    keys: Keys,
    ttl_ms: i64,
    comments: bool,
}

impl LinkMaker {
    /// `None` where the config has no `server.public_url` or no `ilert.api_key`: then messages link the incident's own page only. The key is read
    /// from `folder`, or made there. Blocks.
    pub fn open(settings: &Settings, folder: &Path) -> Result<Option<LinkMaker>, KeyError> {
        let Some(ilert) = settings.ilert.as_ref().filter(|ilert| ilert.api_key.is_some()) else { return Ok(None) };
        let Some(public_url) = &settings.server.public_url else { return Ok(None) };
        let keys = Keys::open(folder, ilert.link_ttl.duration())?;
        let ttl_ms = i64::try_from(ilert.link_ttl.millis()).unwrap_or(i64::MAX);
        Ok(Some(LinkMaker::new(public_url, keys, ttl_ms, ilert.integration_key.is_some())))
    }

    /// Makes links for a preview: they look like the real ones, and open nothing, for nobody keeps the key that they are signed with. `None` as
    /// with [`LinkMaker::open`].
    pub fn for_show(settings: &Settings) -> Option<LinkMaker> {
        let ilert = settings.ilert.as_ref().filter(|ilert| ilert.api_key.is_some())?;
        let keys = Keys { current: Key::new(std::array::from_fn(|_| fastrand::u8(..))), old: None };
        let ttl_ms = i64::try_from(ilert.link_ttl.millis()).unwrap_or(i64::MAX);
        Some(LinkMaker::new(settings.server.public_url.as_ref()?, keys, ttl_ms, ilert.integration_key.is_some()))
    }

    /// From its parts; `comments` where iLert takes them.
    pub fn new(public_url: &Url, keys: Keys, ttl_ms: i64, comments: bool) -> LinkMaker {
        let mut base = public_url.clone();
        let path = format!("{}/{PATH}/", base.path().trim_end_matches('/'));
        base.set_path(&path);
        LinkMaker { base, keys, ttl_ms, comments }
    }

    /// Reads the signed part of a link.
    pub(super) fn read(&self, token: &str, now: UnixMs) -> Result<Token, TokenError> {
        Token::open(token, &self.keys, now, self.ttl_ms)
    }

    /// Where the pages are, as browsers see it.
    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    fn link(&self, connector: &str, incident: u64, verb: Verb, now: UnixMs) -> String {
        let token = Token { verb, incident, connector: connector.to_owned(), expires: now.saturating_add(self.ttl_ms) };
        format!("{}{}", self.base, token.seal(&self.keys.current))
    }
}

impl Links for LinkMaker {
    fn links(&self, connector: &str, event: &Event, now: UnixMs) -> Vec<ActionLink> {
        let mut links = Vec::new();
        if event.kind != Kind::Test
            && event.status != Status::Resolved
            && is_ilert_id(&event.incident_id)
            && let Ok(incident) = event.incident_id.parse()
        {
            let accept = (event.status != Status::Accepted).then_some((Verb::Accept, Action::Accept));
            let comment = self.comments.then_some((Verb::Comment, Action::Comment));
            for (verb, action) in accept.into_iter().chain([(Verb::Resolve, Action::Resolve)]).chain(comment) {
                let href = self.link(connector, incident, verb, now);
                links.push(ActionLink { incident_id: event.incident_id.clone(), action, href });
            }
        }
        links.extend(OpenLinks.links(connector, event, now));
        links
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::Key;
    use super::*;
    use crate::delivery::testing;

    fn maker() -> LinkMaker {
        let keys = Keys { current: Key::new([1; 32]), old: None };
        LinkMaker::new(&"https://incidents.example.com/sink/".parse().unwrap(), keys, 60_000, true)
    }

    #[test]
    fn an_open_incident_can_be_accepted_resolved_and_commented_on() {
        let mut event = testing::event("7", Kind::Created);
        event.incident_url = Some("https://example.ilert.com/7".into());
        let links = maker().links("ops", &event, 1_000);
        let actions: Vec<_> = links.iter().map(|link| format!("{:?}", link.action)).collect();
        assert_eq!(actions, ["Action::Accept", "Action::Resolve", "Action::Comment", "Action::Open"]);
        let token = links[1].href.strip_prefix("https://incidents.example.com/sink/respond/").unwrap();
        let read = maker().read(token, 60_999).unwrap();
        assert_eq!((read.verb, read.incident, read.connector.as_str()), (Verb::Resolve, 7, "ops"));
        assert!(matches!(maker().read(token, 61_000), Err(TokenError::Expired(_))));
    }

    #[test]
    fn what_is_over_or_not_ilerts_can_only_be_opened() {
        let mut event = testing::event("7", Kind::Resolved);
        event.status = Status::Resolved;
        assert!(maker().links("ops", &event, 0).is_empty());
        assert!(maker().links("ops", &testing::event("7", Kind::Test), 0).is_empty());
        assert!(maker().links("ops", &testing::event("key-disk", Kind::Created), 0).is_empty());
        let mut accepted = testing::event("7", Kind::Acknowledged);
        accepted.status = Status::Accepted;
        assert_eq!(maker().links("ops", &accepted, 0).len(), 2);
    }
}
