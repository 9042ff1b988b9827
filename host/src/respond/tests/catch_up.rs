//! What happened while the host was down.

use std::collections::BTreeSet;

use super::*;
use crate::event::{Kind, Status};
use crate::outbox::book::CAUGHT_UP;

#[tokio::test]
async fn after_an_hour_down_the_group_is_told_every_true_state_once() {
    let world = World::new(100).await;
    let host = world.host().await;
    let before: Vec<u64> = (0..10).map(|_| world.alert()).collect();
    assert_eq!(host.until_told(10).await.len(), 10);
    host.end().await;

    world.ilert.set_webhook(None);
    let opened: Vec<u64> = (0..30).map(|_| world.alert()).collect();
    before.iter().for_each(|id| world.ilert.resolve(*id).unwrap());
    world.ilert.accept(opened[0], Some(&User::new(2, "Han", "Meimei"))).unwrap();
    world.ilert.advance(Duration::from_secs(3_600));

    let host = world.host().await;
    let news: Vec<_> = host.until_told(50).await.split_off(10);
    assert!(news.iter().all(|event| event.extra.contains(&(CAUGHT_UP.to_owned(), "true".to_owned()))));
    let of = |kind: &Kind| news.iter().filter(|event| event.kind == *kind).map(|event| event.incident_id.parse().unwrap()).collect();
    let (created, accepted, resolved): (BTreeSet<u64>, BTreeSet<u64>, BTreeSet<u64>) =
        (of(&Kind::Created), of(&Kind::Acknowledged), of(&Kind::Resolved));
    assert_eq!(created, opened[1..].iter().copied().collect());
    assert_eq!(accepted, [opened[0]].into());
    assert_eq!(resolved, before.into_iter().collect());

    // The webhook comes late, and iLert is asked again: nobody is told twice.
    for id in &opened {
        world.ilert.post(world.ilert.alert(*id).unwrap().event("alert-created", &format!("late-{id}"), host.clock.now(), None));
    }
    world.ilert.resolve(opened[1]).unwrap();
    let told = host.until_told(51).await;
    assert_eq!((told.len(), &told[50].kind, &told[50].status), (51, &Kind::Resolved, &Status::Resolved));
    host.end().await;
}

#[tokio::test]
async fn a_webhook_that_arrives_in_time_is_not_told_a_second_time() {
    let world = World::new(100).await;
    let host = world.host().await;
    let id = world.alert();
    host.until_told(1).await;
    world.ilert.accept(id, None).unwrap();
    host.until_told(2).await;
    // More than two intervals.
    host.clock.sleep(Duration::from_secs(700)).await;
    assert_eq!(host.told().await.len(), 2);
    host.end().await;
}
