//! Makes the links of a message: what a reader may do about its incident.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
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
    /// Empty as long as a first key cannot be written.
    keys: OnceLock<Keys>,
    /// Where the key is.
    folder: PathBuf,
    ttl: Duration,
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
    /// `None` where the config has no `server.public_url` or no `ilert.api_key`: then messages link the incident's own page only. `folder` is
    /// where [`LinkMaker::take_key`] looks.
    pub fn new(settings: &Settings, folder: &Path) -> Option<LinkMaker> {
        let (shape, ttl) = Shape::read(settings)?;
        Some(LinkMaker { shape, keys: OnceLock::new(), folder: folder.to_owned(), ttl })
    }

    /// Reads the key, or makes one; without it, links lead nowhere but to the incident's own page. Once it is there, it stays. Blocks.
    pub fn take_key(&self) -> Result<(), KeyError> {
        if self.keys.get().is_none() {
            // Of two who take it at once, both find the same.
            let _ = self.keys.set(Keys::open(&self.folder, self.ttl)?);
        }
        Ok(())
    }

    /// As [`LinkMaker::take_key`], with the key that all hosts of a shared outbox have.
    pub async fn take_shared_key(&self, outbox: &dyn Outbox) -> Result<(), KeyError> {
        if self.keys.get().is_none()
            && let Some(keys) = Keys::shared(outbox).await?
        {
            let _ = self.keys.set(keys);
        }
        Ok(())
    }

    /// From its parts; comments are taken from all sources.
    #[cfg(test)]
    pub(super) fn of(public_url: &Url, keys: Keys, ttl_ms: i64) -> LinkMaker {
        let shape = Shape { base: below(public_url), ttl_ms, comments: BySource::all(()), alert_url: None };
        LinkMaker { shape, keys: OnceLock::from(keys), folder: PathBuf::new(), ttl: Duration::ZERO }
    }

    /// Reads the signed part of a link. `None` as long as there is no key.
    pub(super) fn read(&self, token: &str, now: UnixMs) -> Option<Result<Token, TokenError>> {
        Some(Token::open(token, self.keys.get()?, now, self.shape.ttl_ms))
    }

    /// Where the pages are, as browsers see it.
    pub(super) fn base(&self) -> &Url {
        &self.shape.base
    }
}

impl Links for LinkMaker {
    fn links(&self, connector: &str, event: &Event, now: UnixMs) -> Vec<ActionLink> {
        match self.keys.get() {
            Some(keys) => self.shape.links(connector, event, now, |token| token.seal(&keys.current)),
            None => self.shape.open(connector, event, now),
        }
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
        LinkMaker::of(&"https://incidents.example.com/sink/".parse().unwrap(), keys, 60_000)
    }

    #[test]
    fn an_open_incident_can_be_accepted_resolved_and_commented_on() {
        let mut event = testing::event("7", Kind::Created);
        event.incident_url = Some("https://example.ilert.com/7".into());
        let links = maker().links("ops", &event, 1_000);
        let actions: Vec<_> = links.iter().map(|link| format!("{:?}", link.action)).collect();
        assert_eq!(actions, ["Action::Accept", "Action::Resolve", "Action::Comment", "Action::Open"]);
        let token = links[1].href.strip_prefix("https://incidents.example.com/sink/respond/").unwrap();
        let read = maker().read(token, 60_999).unwrap().unwrap();
        assert_eq!((read.verb, read.incident, read.connector.as_str()), (Verb::Resolve, 7, "ops"));
        assert!(matches!(maker().read(token, 61_000), Some(Err(TokenError::Expired(_)))));
    }

    #[test]
    fn without_a_key_there_is_only_the_incidents_page_and_no_link_is_judged() {
        let maker = LinkMaker { keys: OnceLock::new(), ..maker() };
        let mut event = testing::event("7", Kind::Created);
        event.incident_url = Some("https://example.ilert.com/7".into());
        assert_eq!(maker.links("ops", &event, 0), OpenLinks.links("ops", &event, 0));
        assert!(maker.read("anything", 0).is_none());
    }

    #[test]
    fn a_preview_shows_links_as_long_that_do_not_work() {
        let event = testing::event("7", Kind::Created);
        let (real, shown) = (maker().links("ops", &event, 1_000), maker().shown("ops", &event, 1_000));
        for (real, shown) in real.iter().zip(&shown) {
            assert_eq!((&real.action, real.href.len()), (&shown.action, shown.href.len()));
            let token = shown.href.strip_prefix("https://incidents.example.com/sink/respond/").unwrap();
            assert!(token.starts_with("hidden-") && matches!(maker().read(token, 1_000), Some(Err(TokenError::Forged))));
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
