//! The host is killed while it carries something out: nothing is lost, nothing is done twice.

use incident_sink::simulator::ilert::{Called, Fault, Status};

use super::*;

/// The calls about one alert, in their order.
fn calls(world: &World, id: u64) -> Vec<String> {
    let about = format!("/api/alerts/{id}");
    let name = |call: Called| format!("{} {}", call.method, call.path.trim_start_matches("/api/alerts/"));
    world.ilert.calls().into_iter().filter(|call| call.path.starts_with(&about)).map(name).collect()
}

#[tokio::test]
async fn an_accept_whose_answer_never_came_is_looked_at_and_not_repeated() {
    let mut world = world("").await;
    let id = world.ilert.create(NewAlert::default());
    world.shown(1).await;
    let link = world.link("Accept").await;
    world.ilert.fault_on("PUT /alerts/{id}/accept", Fault::HangDone, 1).unwrap();
    assert_eq!(world.post(&link, &[("name", "Li Lei")]).await.status(), 303);
    until("the accept", || world.ilert.alert(id).unwrap().status == Status::Accepted).await;
    world.kill_and_start();
    until("the name under the alert", || world.ilert.comments(id) == ["Li Lei: Accepted by Li Lei (ops)."]).await;
    assert_eq!(world.accepts(), 1);
    let calls = calls(&world, id);
    let put = calls.iter().position(|call| call.starts_with("PUT")).unwrap();
    assert_eq!(calls[put + 1], format!("GET {id}"), "{calls:?}");
    assert!(world.get(&link, &[]).await.1.contains("Li Lei has accepted this incident."));
    world.stop();
    assert_eq!(world.ilert.comments(id).len(), 1);
}

#[tokio::test]
async fn an_accept_that_never_arrived_is_sent_after_the_restart() {
    let mut world = world("").await;
    let id = world.ilert.create(NewAlert::default());
    world.shown(1).await;
    let link = world.link("Accept").await;
    world.ilert.fault_on("PUT /alerts/{id}/accept", Fault::HangLost, 1).unwrap();
    assert_eq!(world.post(&link, &[("name", "Li Lei")]).await.status(), 303);
    until("the call", || world.ilert.calls().iter().any(|call| call.method == "PUT")).await;
    assert!(world.get(&link, &[]).await.1.contains("It is being carried out."));
    world.kill_and_start();
    let echo = world.shown(2).await.remove(1);
    assert!(echo.text.contains("Li Lei"), "{}", echo.text);
    assert_eq!((world.accepts(), world.ilert.alert(id).unwrap().status), (1, Status::Accepted), "the first one never arrived");
    world.stop();
}

#[tokio::test]
async fn a_comment_whose_answer_was_lost_is_written_once() {
    let mut world = world("").await;
    let id = world.ilert.create(NewAlert::default());
    world.shown(1).await;
    let link = world.link("Comment").await;
    world.ilert.fault_on("POST /events", Fault::HangDone, 1).unwrap();
    assert_eq!(world.post(&link, &[("name", "Li Lei"), ("text", "the disk is replaced")]).await.status(), 303);
    until("the comment", || world.ilert.comments(id).len() == 1).await;
    let told = world.shown(2).await.remove(1);
    assert!(told.text.contains("the disk is replaced") && told.text.contains("Li Lei"), "{}", told.text);
    world.kill_and_start();
    let read = || world.ilert.counters().contains_key("GET /alerts/{id}/log-entries");
    until("a look at the timeline", read).await;
    // Another one shows that the first is over.
    assert_eq!(world.post(&link, &[("name", "Li Lei"), ("text", "second")]).await.status(), 303);
    until("the second comment", || world.ilert.comments(id).len() >= 2).await;
    assert_eq!(world.ilert.comments(id), ["Li Lei: the disk is replaced", "Li Lei: second"]);
    world.stop();
}
