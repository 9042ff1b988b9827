//! What happened while the host was down.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::event::{Kind, Status};
use crate::outbox::book::CAUGHT_UP;

/// The incidents of some events, each of which must be told once.
fn once<'a>(events: impl IntoIterator<Item = &'a Arc<Event>>) -> BTreeSet<u64> {
    let mut times = BTreeMap::<u64, usize>::new();
    events.into_iter().for_each(|event| *times.entry(event.incident_id.parse().unwrap()).or_default() += 1);
    assert!(times.values().all(|times| *times == 1), "{times:?}");
    times.into_keys().collect()
}

fn is_caught_up(event: &Event) -> bool {
    event.extra.contains(&(CAUGHT_UP.to_owned(), "true".to_owned()))
}

#[tokio::test]
async fn after_an_hour_down_the_group_is_told_every_true_state_once() {
    let world = World::new(100).await;
    let host = world.host().await;
    host.until_looked().await;
    let before: Vec<u64> = (0..10).map(|_| world.alert()).collect();
    assert_eq!(host.until_told(10).await.len(), 10);
    host.end().await;

    // Thirty open, ten of them close again, one is accepted; those from before close too.
    world.ilert.set_webhook(None);
    let opened: Vec<u64> = (0..30).map(|_| world.alert()).collect();
    let (closed, open) = opened.split_at(10);
    before.iter().chain(closed).for_each(|id| world.ilert.resolve(*id).unwrap());
    world.ilert.accept(open[0], Some(&User::new(2, "Han", "Meimei"))).unwrap();
    world.ilert.advance(Duration::from_secs(3_600));

    let host = world.host().await;
    let news: Vec<_> = host.until_told(50).await.split_off(10);
    assert!(news.iter().all(|event| is_caught_up(event)));
    assert_eq!(once(&news).len(), 40);
    let of = |kind: &Kind| once(news.iter().filter(|event| event.kind == *kind));
    assert_eq!(of(&Kind::Created), open[1..].iter().copied().collect());
    assert_eq!(of(&Kind::Acknowledged), [open[0]].into());
    assert_eq!(of(&Kind::Resolved), before.iter().chain(closed).copied().collect());

    // The webhook comes late, and iLert is asked again: nobody is told twice.
    for id in &opened {
        world.ilert.post(world.ilert.alert(*id).unwrap().event("alert-created", &format!("late-{id}"), host.clock.now(), None));
    }
    host.clock.sleep(Duration::from_secs(700)).await;
    world.ilert.resolve(open[1]).unwrap();
    let told = host.until_told(51).await;
    assert_eq!((told.len(), &told[50].kind, &told[50].status), (51, &Kind::Resolved, &Status::Resolved));
    host.end().await;
}

#[tokio::test]
async fn at_the_very_first_start_old_alerts_are_noted_and_their_next_change_is_told() {
    let world = World::new(100).await;
    let old: Vec<u64> = (0..120).map(|_| world.alert()).collect();
    world.ilert.resolve(old[0]).unwrap();
    let host = world.host().await;
    host.until_looked().await;
    assert!(host.told().await.is_empty(), "a hundred old alerts are no news");
    let known = host.outbox.book().unwrap().open_incidents(1_000).await.unwrap();
    assert_eq!(known.len(), 119);

    world.ilert.accept(old[7], None).unwrap();
    assert_eq!(host.until_told(1).await[0].incident_id, old[7].to_string());
    world.ilert.set_webhook(None);
    world.ilert.resolve(old[8]).unwrap();
    let missed = world.alert();
    let told = host.until_told(3).await.split_off(1);
    assert_eq!(once(&told), [old[8], missed].into(), "what begins from then on is news");
    host.end().await;
}

#[tokio::test]
async fn many_that_ended_are_asked_for_within_ilerts_limit() {
    let world = World::start(400, true).await;
    let host = world.host().await;
    host.until_looked().await;
    let before: Vec<u64> = (0..150).map(|_| world.alert()).collect();
    host.until_told(150).await;
    host.end().await;
    world.ilert.set_webhook(None);
    before.iter().for_each(|id| world.ilert.resolve(*id).unwrap());
    // Each has to be asked for by itself: more than the calls of a minute.
    world.ilert.advance(Duration::from_secs(2 * 86_400));
    let host = world.host().await;
    let told = host.until_told(300).await.split_off(150);
    assert_eq!(once(&told), before.into_iter().collect());
    assert!(world.ilert.calls().iter().all(|call| call.status != Some(429)), "iLert never had to say no");
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
