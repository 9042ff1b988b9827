//! The API key is another one while the real program runs.

use incident_sink::simulator::ilert::Status;

use super::*;

/// Puts another key into the config, and waits until the host has it.
async fn with_key(world: &World, old: &str, new: &str, reloads: usize) {
    world.place.rewrite(|config| config.replace(&format!("api_key = \"{old}\""), &format!("api_key = \"{new}\"")));
    let host = world.host.as_ref().unwrap();
    host.signal("HUP");
    until("the other key is in use", || {
        let log = host.log();
        log.lines().filter(|line| line.contains("The changed config is in use.") && line.contains("settings=\"ilert\"")).count() == reloads
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_replaced_is_taken_up_and_links_on_cards_go_on_working() {
    let mut world = world("").await;
    let id = world.ilert.create(NewAlert::default());
    world.shown(1).await;
    let link = world.link("Accept").await;
    with_key(&world, API_KEY, "api-key-of-nobody", 1).await;
    world.post(&link, &[("name", "Li Lei")]).await;
    assert_eq!(world.ilert.alert(id).unwrap().status, Status::Pending, "iLert does not know that key");
    with_key(&world, "api-key-of-nobody", API_KEY, 2).await;
    world.post(&link, &[("name", "Li Lei")]).await;
    until("it is accepted", || world.ilert.alert(id).unwrap().status == Status::Accepted).await;
    world.stop();
}
