//! Makes the links of a message: what a reader may do about its incident.

use std::path::Path;
use std::time::Duration;

use url::Url;

use super::by_source::BySource;
use super::key::{KeyError, Keys};
use super::token::{Token, TokenError};
use crate::clock::UnixMs;
use crate::config::{AlertUrl, Settings};
use crate::delivery::links::{Links, OpenLinks};
use crate::event::{Event, Kind, Status};
use crate::outbox::Outbox;
use crate::outbox::book::{Verb, is_ilert_id};
use crate::plugin::wit::{Action, ActionLink};

/// Where the pages are, below `public_url`.
pub(super) const PATH: &str = "respond";

/// Makes links, and reads them again.
#[derive(Debug)]
pub struct LinkMaker {
    shape: Shape,
    keys: Keys,
}

/// The links as they look, without what makes them work: for a preview, which needs no key.
#[derive(Debug)]
pub struct ShownLinks(Shape);

/// What links have but their signatures.
#[derive(Debug)]
struct Shape {
    base: Url,
    ttl_ms: i64,
    /// The sources whose alerts take comments.
    comments: BySource<()>,
    /// `ilert.alert_url`
    alert_url: Option<AlertUrl>,
}

impl LinkMaker {
    /// `None` where the config has no `server.public_url` or no `ilert.api_key`: then messages link the incident's own page only. The key is read
    /// from `folder`, or made there. Blocks.
    pub fn open(settings: &Settings, folder: &Path) -> Result<Option<LinkMaker>, KeyError> {
        let Some((shape, ttl)) = Shape::read(settings) else { return Ok(None) };
        Ok(Some(LinkMaker { shape, keys: Keys::open(folder, ttl)? }))
    }

    /// As [`LinkMaker::open`], with the key that all hosts of a shared outbox have. `None`, too, where the outbox is none.
    pub async fn shared(settings: &Settings, outbox: &dyn Outbox) -> Result<Option<LinkMaker>, KeyError> {
        let Some((shape, _)) = Shape::read(settings) else { return Ok(None) };
        Ok(Keys::shared(outbox).await?.map(|keys| LinkMaker { shape, keys }))
    }

    /// From its parts; comments are taken from all sources.
    #[cfg(test)]
    pub(super) fn new(public_url: &Url, keys: Keys, ttl_ms: i64) -> LinkMaker {
        LinkMaker { shape: Shape { base: below(public_url), ttl_ms, comments: BySource::all(()), alert_url: None }, keys }
    }

    /// Reads the signed part of a link.
    pub(super) fn read(&self, token: &str, now: UnixMs) -> Result<Token, TokenError> {
        Token::open(token, &self.keys, now, self.shape.ttl_ms)
    }

    /// Where the pages are, as browsers see it.
    pub(super) fn base(&self) -> &Url {
        &self.shape.base
    }
}

impl Links for LinkMaker {
    fn links(&self, connector: &str, event: &Event, now: UnixMs) -> Vec<ActionLink> {
        self.shape.links(connector, event, now, |token| token.seal(&self.keys.current))
    }

    fn shown(&self, connector: &str, event: &Event, now: UnixMs) -> Vec<ActionLink> {
        self.shape.links(connector, event, now, hidden)
    }
}

impl ShownLinks {
    /// `None` where the config has no links to respond.
    pub fn new(settings: &Settings) -> Option<ShownLinks> {
        Shape::read(settings).map(|(shape, _)| ShownLinks(shape))
    }
}

impl Links for ShownLinks {
    fn links(&self, connector: &str, event: &Event, now: UnixMs) -> Vec<ActionLink> {
        self.0.links(connector, event, now, hidden)
    }
}

/// In the place of a token, and as long.
fn hidden(token: Token) -> String {
    format!("{:-<width$}", "hidden", width = token.sealed_len())
}

fn below(public_url: &Url) -> Url {
    let mut base = public_url.clone();
    base.set_path(&format!("{}/{PATH}/", public_url.path().trim_end_matches('/')));
    base
}

impl Shape {
    fn read(settings: &Settings) -> Option<(Shape, Duration)> {
        let ilert = settings.ilert.as_ref().filter(|ilert| ilert.api_key.is_some())?;
        let base = below(settings.server.public_url.as_ref()?);
        let ttl = ilert.link_ttl.duration();
        let ttl_ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        let comments = BySource::of_keys(ilert, |_| ());
        Some((Shape { base, ttl_ms, comments, alert_url: ilert.alert_url.clone() }, ttl))
    }

    fn links(&self, connector: &str, event: &Event, now: UnixMs, seal: impl Fn(Token) -> String) -> Vec<ActionLink> {
        let mut links = Vec::new();
        if event.kind != Kind::Test
            && event.status != Status::Resolved
            && is_ilert_id(&event.incident_id)
            && let Ok(incident) = event.incident_id.parse()
        {
            let accept = (event.status != Status::Accepted).then_some((Verb::Accept, Action::Accept));
            let comment = self.comments.get(event.alert_source.as_ref()).map(|()| (Verb::Comment, Action::Comment));
            for (verb, action) in accept.into_iter().chain([(Verb::Resolve, Action::Resolve)]).chain(comment) {
                let token = Token { verb, incident, connector: connector.to_owned(), expires: now.saturating_add(self.ttl_ms) };
                let href = format!("{}{}", self.base, seal(token));
                links.push(ActionLink { incident_id: event.incident_id.clone(), action, href });
            }
        }
        links.extend(self.open(connector, event, now));
        links
    }

    /// The incident's own page: as the event says, else as the config does.
    fn open(&self, connector: &str, event: &Event, now: UnixMs) -> Vec<ActionLink> {
        let named = OpenLinks.links(connector, event, now);
        let page = || {
            self.alert_url
                .as_ref()
                .filter(|_| is_ilert_id(&event.incident_id) && event.kind != Kind::Test)
                .map(|url| url.page_of(&event.incident_id))
        };
        if !named.is_empty() {
            return named;
        }
        page().map(|href| ActionLink { incident_id: event.incident_id.clone(), action: Action::Open, href }).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::Key;
    use super::*;
    use crate::delivery::testing;

    fn maker() -> LinkMaker {
        let keys = Keys { current: Key::new([1; 32]), old: None };
        LinkMaker::new(&"https://incidents.example.com/sink/".parse().unwrap(), keys, 60_000)
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
    fn a_preview_shows_links_as_long_that_do_not_work() {
        let event = testing::event("7", Kind::Created);
        let (real, shown) = (maker().links("ops", &event, 1_000), maker().shown("ops", &event, 1_000));
        for (real, shown) in real.iter().zip(&shown) {
            assert_eq!((&real.action, real.href.len()), (&shown.action, shown.href.len()));
            let token = shown.href.strip_prefix("https://incidents.example.com/sink/respond/").unwrap();
            assert!(token.starts_with("hidden-") && matches!(maker().read(token, 1_000), Err(TokenError::Forged)));
        }
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
