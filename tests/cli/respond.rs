//! People respond from the chat: by the links on a card, and by what they write to the robot.

use std::net::TcpListener;
use std::time::Duration;

use incident_sink::secret::Secret;
use incident_sink::simulator::dingtalk::{DingTalk, Shown, Spoken};
use incident_sink::simulator::ilert::{Ilert, NewAlert, Options, User};

use crate::harness::{Place, Running, SECRET, group};

const APP_SECRET: &str = "app-secret-of-tests";

struct World {
    group: DingTalk,
    ilert: Ilert,
    host: Running,
    url: String,
    _place: Place,
}

async fn world(extra: &str) -> World {
    let group = group().await;
    let api_keys = vec![(Secret::new("key"), User::new(1, "Service", "User"))];
    let ilert = Ilert::start(Options { api_keys, ..Options::default() }).await.unwrap();
    // Given back at once, for the links name the port before the host has it.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let place = Place::new(&format!(
        "[server]\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"{url}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [ilert]\napi_url = \"{}\"\napi_key = \"key\"\n{extra}\n[plugins.dingtalk]\npath = \"{{plugin}}\"\n\
         [sources.ilert]\ntype = \"ilert_webhook\"\n\
         [connectors.ops]\ntype = \"dingtalk\"\nurl = \"{}\"\nsecret = \"{SECRET}\"\napp_secret = \"{APP_SECRET}\"\n\
         [connectors.ops.delivery]\npace = \"none\"\n[[actions]]\nconnector = \"ops\"\n",
        ilert.api_url(),
        group.url_of("ops").unwrap(),
    ));
    let host = place.start();
    ilert.set_webhook(Some(Secret::new(host.url.clone())));
    World { group, ilert, host, url, _place: place }
}

impl World {
    async fn shown(&self, count: u64) -> Vec<Shown> {
        self.group.wait_for("ops", count, Duration::from_secs(20)).await.unwrap()
    }

    fn accepts(&self) -> u64 {
        self.ilert.counters().get("PUT /alerts/{id}/accept").copied().unwrap_or_default()
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

#[tokio::test]
async fn a_tap_on_accept_is_one_accept_and_the_group_reads_who_it_was() {
    let world = world("").await;
    world.ilert.create(NewAlert::default());
    let card = world.shown(1).await.remove(0);
    let link = card.button("Accept").unwrap_or_else(|| panic!("{:?}", card.buttons)).url.clone();
    // Chat systems may wrap an address to choose the browser that opens it.
    let link = link.split("http%3A").nth(1).map_or(link.clone(), |rest| decoded(&format!("http%3A{}", rest.split('&').next().unwrap())));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for _ in 0..10 {
        let page = client.get(&link).send().await.unwrap();
        assert_eq!(page.status(), 200);
        assert!(page.text().await.unwrap().contains("<form"));
    }
    assert_eq!(world.accepts(), 0);
    let form = format!("token={}&name=Li+Lei", link.rsplit('/').next().unwrap());
    let done = client.post(&link).body(form).send().await.unwrap().text().await.unwrap();
    assert!(done.contains("You have accepted this incident."), "{done}");
    let echo = world.shown(2).await.remove(1);
    assert!(echo.text.contains("Li Lei") && !echo.text.contains("Service User accepted"), "{}", echo.text);
    assert_eq!(world.accepts(), 1);
    let (code, log) = world.host.stop();
    assert_eq!(code, 0, "{log}");
    assert!(!log.contains(link.rsplit('/').next().unwrap()), "a link is a credential");
}

#[tokio::test]
async fn a_command_in_the_chat_is_carried_out_once_and_only_for_those_who_may() {
    let world = world("allowed_users = [\"4525\"]").await;
    let id = world.ilert.create(NewAlert::default());
    world.shown(1).await;
    let (status, _) = world.say("accept", "wrong-secret", "4525").await;
    assert_eq!(status, 401);
    let (status, said) = world.say("accept", APP_SECRET, "999").await;
    assert!(status == 200 && said.contains("may not respond"), "{said}");
    assert_eq!(world.accepts(), 0);

    let (status, said) = world.say("accept", APP_SECRET, "4525").await;
    assert!(status == 200 && said.contains(&format!("Incident {id}: You have accepted")), "{said}");
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
    assert!(said.contains("You have resolved"), "{said}");
    let (code, log) = world.host.stop();
    assert_eq!(code, 0, "{log}");
}

fn decoded(text: &str) -> String {
    url::form_urlencoded::parse(format!("x={text}").as_bytes()).next().unwrap().1.into_owned()
}
