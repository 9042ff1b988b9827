//! Responding, end to end in one process: the simulated iLert, a webhook, the outbox on disk, the pages over HTTP.

mod catch_up;
mod click;
mod forged;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::key::{Key, Keys};
use super::*;
use crate::delivery::links::Links;
use crate::event::Event;
use crate::outbox::book::Verb;
use crate::outbox::sqlite::{SqliteConfig, SqliteOutbox};
use crate::plugin::wit::Action;
use crate::route::Routes;
use crate::secret::Secret;
use crate::simulator::ilert::{Ilert as Sim, Named, NewAlert, Options, User};
use crate::source::ilert_webhook::IlertWebhookConfig;
use crate::source::{SourceConfig, SourceContext};

const TTL_MS: i64 = 86_400_000;

/// iLert, which outlives hosts.
struct World {
    clock: Clock,
    folder: tempfile::TempDir,
    ilert: Sim,
}

/// One life of a host, without lanes: what would be delivered stays in the outbox.
struct Host {
    clock: Clock,
    outbox: Arc<SqliteOutbox>,
    links: Arc<LinkMaker>,
    http: reqwest::Client,
    stop: CancellationToken,
    running: JoinHandle<()>,
    server: JoinHandle<()>,
}

impl World {
    async fn new(rate: u32) -> World {
        World::start(rate, false).await
    }

    /// With iLert's own limit of calls, if `limited`.
    async fn start(rate: u32, limited: bool) -> World {
        let clock = Clock::scaled(rate);
        let options = Options {
            clock: clock.clone(),
            api_keys: vec![(Secret::new("key"), User::new(1, "Service", "User"))],
            integration_keys: vec![(Secret::new("source"), Named { id: 1, name: "API".into() })],
            rate_limit: limited,
            ..Options::default()
        };
        World { clock, folder: tempfile::tempdir().unwrap(), ilert: Sim::start(options).await.unwrap() }
    }

    /// An alert that takes comments.
    fn alert(&self) -> u64 {
        self.ilert.create(NewAlert {
            summary: "disk <full>".into(),
            alert_source: Named { id: 1, name: "API".into() },
            ..NewAlert::default()
        })
    }

    /// Starts a host that iLert's webhook reaches.
    async fn host(&self) -> Host {
        let outbox = Arc::new(SqliteOutbox::open(self.folder.path(), &SqliteConfig::default(), self.clock.clone()).await.unwrap());
        let routes = Routes::new(serde_json::from_value(json!([{"connector": "ops"}])).unwrap());
        let shared: Arc<dyn Outbox> = outbox.clone();
        let intake = Intake::new(self.clock.clone(), shared.clone(), Arc::new(ArcSwap::from_pointee(routes)), Arc::new(|_| {}));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let keys = Keys { current: Key::new([7; 32]), old: None };
        let links = Arc::new(LinkMaker::of(&url.parse().unwrap(), keys, TTL_MS));
        let config = Ilert {
            api_url: self.ilert.api_url().parse().unwrap(),
            api_key: Some(Secret::new("key")),
            integration_key: Some(Secret::new("source")),
            ..Ilert::default()
        };
        let languages = [("team".to_owned(), "zh-CN".to_owned())].into();
        let needs = Needs {
            clock: self.clock.clone(),
            outbox: shared,
            intake: intake.clone(),
            links: Some(links.clone()),
            languages,
            listeners: Listeners::new(),
            metrics: Default::default(),
        };
        let responder = Responder::build(&config, needs).unwrap().unwrap();
        let webhook: IlertWebhookConfig = serde_json::from_value(json!({})).unwrap();
        let source = webhook.build(SourceContext { name: "ilert".into(), intake, clock: self.clock.clone() }).await.unwrap();
        let app = responder.routes().merge(source.routes);
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let stop = CancellationToken::new();
        let running = tokio::spawn(responder.run(stop.clone()));
        self.ilert.set_webhook(Some(Secret::new(format!("{url}/webhooks/ilert"))));
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Host { clock: self.clock.clone(), outbox, links, http, stop, running, server }
    }

    /// Waits until so much is written under an alert.
    async fn until_said(&self, id: u64, count: usize) {
        for _ in 0..500 {
            if self.ilert.comments(id).len() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("only {:?} was said", self.ilert.comments(id));
    }

    fn accepts(&self) -> u64 {
        self.ilert.counters().get("PUT /alerts/{id}/accept").copied().unwrap_or_default()
    }
}

impl Host {
    async fn end(self) {
        self.stop.cancel();
        self.running.await.unwrap();
        self.server.abort();
        _ = self.server.await;
        self.outbox.close().await;
    }

    async fn told(&self) -> Vec<Arc<Event>> {
        self.outbox.waiting("ops", 10_000).await.unwrap().into_iter().map(|waiting| waiting.event).collect()
    }

    /// Waits until iLert's alerts have been compared once.
    async fn until_looked(&self) {
        for _ in 0..1_500 {
            if self.outbox.book().unwrap().note("reconcile last look").await.unwrap().is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("iLert was not asked");
    }

    /// Waits until the group would have been told so much.
    async fn until_told(&self, count: usize) -> Vec<Arc<Event>> {
        for _ in 0..1_500 {
            let told = self.told().await;
            if told.len() >= count {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("only {:?} were told", self.told().await.len());
    }

    /// The link on the card of an event.
    fn link(&self, event: &Event, verb: Verb) -> String {
        let links = self.links.links("ops", event, self.clock.now());
        let wanted = |action: &Action| match verb {
            Verb::Accept => matches!(action, Action::Accept),
            Verb::Resolve => matches!(action, Action::Resolve),
            Verb::Comment => matches!(action, Action::Comment),
        };
        links.into_iter().find(|link| wanted(&link.action)).unwrap().href
    }

    async fn get(&self, link: &str) -> (u16, String) {
        let answer = self.http.get(link).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn post(&self, link: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> reqwest::Response {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", link.rsplit('/').next().unwrap()).extend_pairs(fields);
        let mut request = self.http.post(link).header("content-type", "application/x-www-form-urlencoded").body(form.finish());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }
}
