//! Callbacks as a chat system sends them: late, repeated, and in floods that are none of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use incident_sink::simulator::ilert::Fault;
use serde_json::Value;

use super::*;

/// A callback as the group posts it, with an id and a session of our own.
async fn call(client: &reqwest::Client, host: &str, id: &str, text: &str, session: &str) -> (u16, String) {
    let timestamp = Clock::system().now().to_string();
    let body = json!({
        "msgId": id, "msgtype": "text", "text": { "content": text }, "senderStaffId": "4525", "senderNick": "Han Meimei",
        "sessionWebhook": session, "sessionWebhookExpiredTime": Clock::system().now() + 3_600_000,
    });
    let request =
        client.post(format!("{host}/webhooks/inbox/ops")).header("sign", sign(&timestamp, APP_SECRET)).header("timestamp", timestamp);
    let answer = request.body(body.to_string()).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_takes_long_is_answered_later_and_once() {
    let mut world = World::start(Extra { plugin: "allow = [\"{session}\"]", ..Extra::default() }).await;
    let id = world.ilert.create(NewAlert::default());
    world.shown(1).await;
    let accept = format!("accept {id}");
    let session = world.group.open_session("ops", Duration::from_secs(3_600)).unwrap();
    world.ilert.fault_on("PUT /alerts/{id}/accept", Fault::Slow { ms: 4_000 }, 1).unwrap();
    // Repeated, as if the first answer had been lost.
    let (first, second) =
        tokio::join!(call(&world.client, &world.url, "m1", &accept, &session), call(&world.client, &world.url, "m1", &accept, &session));
    for (status, answer) in [first, second] {
        assert_eq!((status, serde_json::from_str::<Value>(&answer).unwrap()["msgtype"].as_str()), (200, Some("empty")), "{answer}");
    }
    let shown = world.shown(3).await; // the card, the echo, the answer
    let answers: Vec<_> = shown.iter().filter(|message| message.text.contains("Han Meimei has accepted this incident")).collect();
    assert_eq!((answers.len(), world.accepts()), (1, 1), "{shown:?}");
    // Repeated an hour later, it says the same again and does nothing.
    let (_, again) = call(&world.client, &world.url, "m1", &accept, &session).await;
    assert!(again.contains("Han Meimei has accepted this incident"), "{again}");
    world.kill_and_start();
    let (_, again) = call(&world.client, &world.url, "m1", &accept, &session).await;
    assert!(again.contains("Han Meimei has accepted this incident"), "after a restart too: {again}");
    assert_eq!(world.accepts(), 1);
    world.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_answer_goes_only_where_the_operator_allows() {
    let mut world = world("").await;
    let id = world.ilert.create(NewAlert::default());
    world.shown(1).await;
    let accept = format!("accept {id}");
    let session = world.group.open_session("ops", Duration::from_secs(3_600)).unwrap();
    world.ilert.fault_on("PUT /alerts/{id}/accept", Fault::Slow { ms: 3_000 }, 1).unwrap();
    let (status, answer) = call(&world.client, &world.url, "m1", &accept, &session).await;
    assert!(status == 200 && answer.contains("empty"), "{answer}");
    until("the note under the alert", || world.ilert.comments(id).len() == 1).await;
    let (_, help) = call(&world.client, &world.url, "m2", "help", &session).await;
    assert!(help.contains("accept"), "{help}");
    let shown = world.shown(2).await;
    assert_eq!(shown.len(), 2, "the card and the echo: {shown:?}");
    let (log, token) = (world.stop(), session.rsplit('=').next().unwrap().to_owned());
    assert!(log.contains("The late answer to a command was not sent.") && log.contains("`allow` prefix") && !log.contains(&token), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_go_on_while_bad_callbacks_flood_in() {
    const ALERTS: u64 = 150;
    let mut world = world("").await;
    let (over, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let flood: Vec<_> = (0..16)
        .map(|n| {
            let (client, url) = (world.client.clone(), format!("{}/webhooks/inbox/ops", world.url));
            let (over, refused) = (Arc::clone(&over), Arc::clone(&refused));
            tokio::spawn(async move {
                let body = json!({ "msgId": "m", "text": { "content": "resolve" }, "pad": "x".repeat(60_000) }).to_string();
                while !over.load(Ordering::SeqCst) {
                    let timestamp = Clock::system().now().to_string();
                    let request = client.post(&url).header("sign", sign(&timestamp, &format!("wrong-{n}"))).header("timestamp", timestamp);
                    let status = request.body(body.clone()).send().await.unwrap().status().as_u16();
                    assert!(matches!(status, 401 | 503), "{status}");
                    refused.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    until("the flood", || refused.load(Ordering::SeqCst) > 50).await;
    let before = refused.load(Ordering::SeqCst);
    for _ in 0..ALERTS {
        world.ilert.create(NewAlert::default());
    }
    let shown = world.shown(ALERTS).await;
    let during = refused.load(Ordering::SeqCst) - before;
    over.store(true, Ordering::SeqCst);
    for one in flood {
        one.await.unwrap();
    }
    assert!(shown.len() as u64 == ALERTS && during > 0, "{during} bad callbacks came during {} deliveries", shown.len());
    assert_eq!(world.ilert.counters().get("PUT /alerts/{id}/resolve"), None);
    // One that is too large does not reach the plugin.
    let large = world.client.post(format!("{}/webhooks/inbox/ops", world.url)).body(vec![b'x'; 100_000]).send().await.unwrap();
    assert_eq!(large.status(), 400);
    world.stop();
}
