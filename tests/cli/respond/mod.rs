//! People respond from the chat: by the links on a card, and by what they write to the robot.

mod callbacks;
mod gap;
mod key;
mod killed;
mod pages;

use std::time::{Duration, Instant};

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use incident_sink::clock::Clock;
use incident_sink::secret::Secret;
use incident_sink::simulator::dingtalk::{DingTalk, Shown, Spoken};
use incident_sink::simulator::ilert::{Ilert, Named, NewAlert, Options, User};
use serde_json::json;

use crate::harness::{Place, Running, SECRET, fixture, group, worked};
use crate::port::free_port;

const APP_SECRET: &str = "app-secret-of-tests";
const API_KEY: &str = "api-key-of-tests";
const HER_KEY: &str = "api-key-of-han-mei";
const INTEGRATION_KEY: &str = "integration-key-of-tests";

/// Further lines of the config.
#[derive(Default)]
struct Extra<'a> {
    ilert: &'a str,
    plugin: &'a str,
    connector: &'a str,
}

struct World {
    group: DingTalk,
    ilert: Ilert,
    host: Option<Running>,
    url: String,
    place: Place,
    client: reqwest::Client,
}

async fn world(ilert: &str) -> World {
    World::start(Extra { ilert, ..Extra::default() }).await
}

impl World {
    async fn start(extra: Extra<'_>) -> World {
        let group = group().await;
        let api_keys = vec![(Secret::new(API_KEY), User::new(1, "Service", "User")), (Secret::new(HER_KEY), User::new(2, "Meimei", "Han"))];
        let integration_keys = vec![(Secret::new(INTEGRATION_KEY), Named { id: 2_101_194, name: "Nagios".into() })];
        let ilert = Ilert::start(Options { api_keys, integration_keys, ..Options::default() }).await.unwrap();
        // The links name the port before the host has it.
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let session = format!("{}/robot/sendBySession", group.base_url());
        let place = Place::new(&format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"{url}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [ilert]\napi_url = \"{}\"\napi_key = \"{API_KEY}\"\nintegration_key = \"{INTEGRATION_KEY}\"\n{}\n\
             [plugins.dingtalk]\npath = \"{{plugin}}\"\n{}\n[sources.ilert]\ntype = \"ilert_webhook\"\n\
             [connectors.ops]\ntype = \"dingtalk\"\nurl = \"{}\"\nsecret = \"{SECRET}\"\napp_secret = \"{APP_SECRET}\"\n{}\n\
             [connectors.ops.delivery]\npace = \"none\"\n[[actions]]\nconnector = \"ops\"\n",
            ilert.api_url(),
            extra.ilert,
            extra.plugin.replace("{session}", &session),
            group.url_of("ops").unwrap(),
            extra.connector,
        ));
        let host = place.start();
        ilert.set_webhook(Some(Secret::new(host.url.clone())));
        // Without kept connections, which a restart would break.
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).pool_max_idle_per_host(0);
        let client = client.build().unwrap();
        World { group, ilert, host: Some(host), url, place, client }
    }

    /// As a power failure leaves it; then it runs again.
    fn kill_and_start(&mut self) {
        drop(self.host.take());
        self.host = Some(self.place.start());
    }

    /// Stops it; what it wrote.
    fn stop(&mut self) -> String {
        let (code, log) = self.host.take().unwrap().stop();
        assert_eq!(code, 0, "{log}");
        log
    }

    async fn shown(&self, count: u64) -> Vec<Shown> {
        self.group.wait_for("ops", count, Duration::from_secs(60)).await.unwrap()
    }

    /// The page behind a button of the last card that has it.
    async fn link(&self, button: &str) -> String {
        let cards = self.group.messages("ops");
        let found = cards.iter().rev().find_map(|card| card.button(button));
        found.and_then(|button| button.page()).unwrap_or_else(|| panic!("no card has {button}"))
    }

    fn accepts(&self) -> u64 {
        self.ilert.counters().get("PUT /alerts/{id}/accept").copied().unwrap_or_default()
    }

    async fn get(&self, link: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let request = headers.iter().fold(self.client.get(link), |request, (name, value)| request.header(*name, *value));
        let page = request.send().await.unwrap();
        (page.status().as_u16(), page.text().await.unwrap())
    }

    async fn post(&self, link: &str, fields: &[(&str, &str)]) -> reqwest::Response {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", link.rsplit('/').next().unwrap()).extend_pairs(fields);
        self.client.post(link).body(form.finish()).send().await.unwrap()
    }

    async fn say(&self, text: &str, app_secret: &str, staff_id: &str) -> (u16, String) {
        let spoken = Spoken {
            robot: "ops".into(),
            url: Secret::new(format!("{}/webhooks/inbox/ops", self.url)),
            app_secret: Secret::new(app_secret),
            text: text.into(),
            sender: "Han Meimei".into(),
            staff_id: Some(staff_id.into()),
        };
        let heard = self.group.say_to(&spoken).await.unwrap();
        (heard.status, heard.body)
    }
}

/// Waits, a minute at the most.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// DingTalk's signature of a callback.
fn sign(timestamp: &str, secret: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{timestamp}\n{secret}").as_bytes());
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}

#[tokio::test]
async fn a_tap_on_accept_is_one_accept_and_the_group_reads_who_it_was() {
    let mut world = world("").await;
    let id = world.ilert.create(NewAlert::default());
    world.shown(1).await;
    let link = world.link("Accept").await;
    for _ in 0..10 {
        let (status, page) = world.get(&link, &[]).await;
        assert!(status == 200 && page.contains("<form"), "{page}");
    }
    assert_eq!(world.accepts(), 0);
    let done = world.post(&link, &[("name", "Li Lei")]).await;
    assert_eq!(done.status(), 303);
    let cookie = done.headers()["set-cookie"].to_str().unwrap().to_owned();
    for part in ["Path=/respond/;", "HttpOnly", "SameSite=Lax", "Max-Age="] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let name = cookie.split(';').next().unwrap();
    assert!(world.get(&link, &[("cookie", name)]).await.1.contains("You have accepted this incident."));
    let echo = world.shown(2).await.remove(1);
    assert!(echo.text.contains("Li Lei") && !echo.text.contains("Service User accepted"), "{}", echo.text);
    until("the note under the alert", || world.ilert.comments(id) == ["Li Lei: Accepted by Li Lei (ops)."]).await;
    // The name is remembered for the next link.
    let resolve = world.link("Resolve").await;
    assert!(world.get(&resolve, &[("cookie", name)]).await.1.contains("value=\"Li Lei\""));
    assert_eq!(world.post(&resolve, &[("name", "Li Lei")]).await.status(), 303);
    let shown = world.shown(3).await;
    assert!(shown[2].text.contains("Resolved by") && shown.len() == 3, "nobody is told twice who it was: {shown:?}");
    assert_eq!(world.accepts(), 1);
    let log = world.stop();
    for link in [link, resolve] {
        assert!(!log.contains(link.rsplit('/').next().unwrap()), "a link is a credential");
    }
}

#[tokio::test]
async fn a_button_that_speaks_accepts_as_the_one_who_taps_it() {
    let mut world = World::start(Extra { connector: "buttons = \"dtmd\"", ..Extra::default() }).await;
    let id = world.ilert.create(NewAlert::default());
    let card = world.shown(1).await.remove(0);
    let said = card.button("Accept").and_then(|button| button.says()).unwrap_or_else(|| panic!("{:?}", card.buttons));
    assert_eq!(said, format!("accept {id}"));
    assert!(card.button("Comment").unwrap().page().is_some(), "a comment needs a page");
    let (status, answer) = world.say(&said, APP_SECRET, "4525").await;
    assert!(status == 200 && answer.contains("Han Meimei has accepted"), "{answer}");
    let echo = world.shown(3).await;
    assert!(
        echo.iter().any(|message| message.text.contains("Accepted by **Han Meimei") || message.text.contains("Accepted by Han Meimei")),
        "{echo:?}"
    );
    assert_eq!(world.accepts(), 1);
    world.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_shows_the_links_without_what_makes_them_work() {
    let world = world("alert_url = \"https://example.ilert.com/alert/view.jsf?id={id}\"").await;
    let other = Place::new(&std::fs::read_to_string(world.place.config()).unwrap());
    let text = worked(&other.run(&["preview", "--connector", "ops", fixture("ilert/2021-created.json").to_str().unwrap()]));
    assert!(text.contains(&format!("{}/respond/hidden-", world.url)) && text.contains("Accept"), "{text}");
    assert!(text.contains("https://example.ilert.com/alert/view.jsf?id="), "{text}");
    assert!(!other.0.path().join("respond.key").exists(), "a preview makes no key");
}

#[tokio::test]
async fn a_command_in_the_chat_is_carried_out_once_and_only_for_those_who_may() {
    let mut world = world("allowed_users = [\"4525\"]").await;
    let id = world.ilert.create(NewAlert::default());
    world.shown(1).await;
    let (status, _) = world.say("accept", "wrong-secret", "4525").await;
    assert_eq!(status, 401);
    let (status, said) = world.say("accept", APP_SECRET, "999").await;
    assert!(status == 200 && said.contains("may not respond"), "{said}");
    assert_eq!(world.accepts(), 0);

    let (status, said) = world.say(&format!("accept {id}"), APP_SECRET, "4525").await;
    assert!(status == 200 && said.contains(&format!("Incident {id}: Han Meimei has accepted")), "{said}");
    let (_, said) = world.say(&format!("accept {id}"), APP_SECRET, "4525").await;
    assert!(said.contains("accepted"), "{said}");
    world.shown(3).await; // the card, the answer, the echo
    let (_, said) = world.say(&format!("accept {id}"), APP_SECRET, "4525").await;
    assert!(said.contains("has been accepted already"), "{said}");
    let (_, said) = world.say("status", APP_SECRET, "4525").await;
    assert!(said.contains("Accepted") && said.contains("app.compute is DOWN"), "{said}");
    let (_, said) = world.say("help", APP_SECRET, "4525").await;
    assert!(said.contains("resolve"), "{said}");
    let (_, said) = world.say(&format!("resolve {id}"), APP_SECRET, "4525").await;
    assert!(said.contains("Han Meimei has resolved"), "{said}");
    world.stop();
}

#[tokio::test]
async fn a_person_with_an_api_key_of_their_own_accepts_as_themselves() {
    let mut world = world(&format!("[ilert.people.\"4525\"]\napi_key = \"{HER_KEY}\"")).await;
    let (hers, others) = (world.ilert.create(NewAlert::default()), world.ilert.create(NewAlert::default()));
    world.shown(2).await;
    for (staff, id) in [("4525", hers), ("999", others)] {
        let (status, said) = world.say(&format!("accept {id}"), APP_SECRET, staff).await;
        assert!(status == 200 && said.contains("has accepted"), "{said}");
    }
    let by = |id| world.ilert.alert(id).unwrap().rest()["responders"].to_string();
    assert!(by(hers).contains("Meimei") && !by(hers).contains("Service"), "{}", by(hers));
    assert!(by(others).contains("Service"), "{}", by(others));
    assert!(!world.stop().contains(HER_KEY), "the log shows a key");
}
