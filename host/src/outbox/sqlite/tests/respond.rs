//! Incidents and responses.

use proptest::prelude::*;

use super::*;
use crate::event::Person;
use crate::outbox::book::{Ask, Book, Booked, CAUGHT_UP, Progress, Step, Verb};

fn told(id: &str, incident: &str, kind: Kind, status: Status, at: i64) -> Incoming {
    let occurred_at = Timestamp::from_millisecond(T0 + at).unwrap();
    let event = Event { incident_id: incident.into(), kind, status, occurred_at, alert_key: Some("disk".into()), ..event(id) };
    Incoming { source: "test".into(), event: Arc::new(event), connectors: vec!["ops".into()] }
}

fn caught_up(mut incoming: Incoming) -> Incoming {
    Arc::make_mut(&mut incoming.event).extra.push((CAUGHT_UP.into(), "true".into()));
    incoming
}

fn ask(key: &str, verb: Verb) -> Ask {
    Ask { key: key.into(), incident: "7".into(), verb, connector: "ops".into(), who: "Li Lei".into(), person: None, text: String::new() }
}

async fn fresh() -> (tempfile::TempDir, SqliteOutbox) {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open_at(&folder.path().join("x.db")).await;
    (folder, outbox)
}

async fn accept(outbox: &SqliteOutbox, incoming: Incoming) -> Taken {
    outbox.accept(T0, vec![incoming], vec![]).await.unwrap()[0]
}

async fn last(outbox: &SqliteOutbox) -> Arc<Event> {
    outbox.waiting("ops", 100).await.unwrap().pop().unwrap().event
}

#[tokio::test]
async fn an_incident_is_known_by_its_last_event_and_open_until_it_is_resolved() {
    let (_folder, outbox) = fresh().await;
    accept(&outbox, told("a", "7", Kind::Created, Status::Pending, 0)).await;
    accept(&outbox, told("b", "7", Kind::Acknowledged, Status::Accepted, 10)).await;
    accept(&outbox, told("c", "7", Kind::AutoEscalated, Status::Pending, 5)).await;
    let known = outbox.incident("7").await.unwrap().unwrap();
    assert_eq!((known.status, known.about.alert_key.as_deref()), (Status::Accepted, Some("disk")));
    assert_eq!(outbox.open_incidents(10).await.unwrap().len(), 1);
    accept(&outbox, told("d", "7", Kind::Resolved, Status::Resolved, 2)).await;
    assert!(outbox.open_incidents(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_resolved_incident_never_shows_as_open_later() {
    let (_folder, outbox) = fresh().await;
    accept(&outbox, told("a", "7", Kind::Resolved, Status::Resolved, 0)).await;
    assert_eq!(accept(&outbox, told("b", "7", Kind::CommentAdded, Status::Accepted, 50)).await, Taken::New);
    assert_eq!((last(&outbox).await.kind.clone(), last(&outbox).await.status.clone()), (Kind::CommentAdded, Status::Resolved));
    assert_eq!(outbox.incident("7").await.unwrap().unwrap().status, Status::Resolved);
}

#[tokio::test]
async fn the_echo_of_a_response_says_who_asked_for_it() {
    let (_folder, outbox) = fresh().await;
    accept(&outbox, told("a", "7", Kind::Created, Status::Pending, 0)).await;
    outbox.ask(ask("k", Verb::Accept), T0).await.unwrap();
    let mut echo = told("b", "7", Kind::Acknowledged, Status::Accepted, 1);
    Arc::make_mut(&mut echo.event).actor = Some(Person { username: "service".into(), ..Person::default() });
    accept(&outbox, echo).await;
    assert_eq!(last(&outbox).await.actor, Some(Person { first_name: "Li Lei".into(), ..Person::default() }));
    accept(&outbox, told("c", "7", Kind::Resolved, Status::Resolved, 2)).await;
    assert_eq!(last(&outbox).await.actor, None, "nobody asked for that here");
}

#[tokio::test]
async fn news_that_were_caught_up_with_are_told_once() {
    let (_folder, outbox) = fresh().await;
    let acknowledged = |id| told(id, "7", Kind::Acknowledged, Status::Accepted, 1);
    assert_eq!(accept(&outbox, caught_up(acknowledged("a"))).await, Taken::New);
    assert_eq!(accept(&outbox, told("b", "7", Kind::Created, Status::Pending, 0)).await, Taken::Duplicate);
    assert_eq!(accept(&outbox, acknowledged("c")).await, Taken::Duplicate);
    assert_eq!(accept(&outbox, told("d", "7", Kind::Resolved, Status::Resolved, 3)).await, Taken::New);
    assert_eq!(accept(&outbox, caught_up(told("e", "7", Kind::Resolved, Status::Resolved, 3))).await, Taken::Duplicate);
    assert_eq!(outbox.waiting("ops", 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_same_is_asked_for_once_until_it_failed() {
    let (_folder, outbox) = fresh().await;
    let Booked::New(first) = outbox.ask(ask("k", Verb::Accept), T0).await.unwrap() else { panic!("not new") };
    assert!(matches!(outbox.ask(ask("k", Verb::Accept), T0).await.unwrap(), Booked::Before(_)));
    assert_eq!(outbox.ask(ask("other link", Verb::Accept), T0).await.unwrap(), Booked::Before(first.clone()));
    assert!(matches!(outbox.ask(ask("c1", Verb::Comment), T0).await.unwrap(), Booked::New(_)));
    assert!(matches!(outbox.ask(ask("c2", Verb::Comment), T0).await.unwrap(), Booked::New(_)));
    outbox.step(first.id, Step::Again { at: T0 + 9, why: "busy".into() }, T0).await.unwrap();
    outbox.step(first.id, Step::Made { stage: 1 }, T0).await.unwrap();
    let open = outbox.open_responses(10).await.unwrap();
    assert_eq!((open.len(), open[0].attempts, open[0].next_at, open[0].stage), (3, 1, T0 + 9, 1));
    outbox.step(first.id, Step::Failed("no key".into()), T0).await.unwrap();
    assert_eq!(outbox.response("k").await.unwrap().unwrap().progress, Progress::Failed("no key".into()));
    let Booked::New(again) = outbox.ask(ask("k", Verb::Accept), T0).await.unwrap() else { panic!("not taken up") };
    assert_eq!((again.id, again.attempts, again.stage), (first.id, 0, 1));
    outbox.step(first.id, Step::Done("accepted".into()), T0).await.unwrap();
    assert!(outbox.step(first.id, Step::Done("twice".into()), T0).await.is_err());
}

#[tokio::test]
async fn what_is_over_is_forgotten_with_the_history_and_what_is_open_is_not() {
    let (_folder, outbox) = fresh().await;
    accept(&outbox, told("a", "7", Kind::Resolved, Status::Resolved, 0)).await;
    accept(&outbox, told("b", "8", Kind::Created, Status::Pending, 0)).await;
    let done = outbox.ask(ask("k", Verb::Accept), T0).await.unwrap().response().id;
    outbox.ask(ask("l", Verb::Resolve), T0).await.unwrap();
    outbox.step(done, Step::Done(String::new()), T0).await.unwrap();
    outbox.prune(T0 + 1, T0 - DAY).await.unwrap();
    assert!(outbox.incident("7").await.unwrap().is_none() && outbox.response("k").await.unwrap().is_none());
    assert!(outbox.incident("8").await.unwrap().is_some() && outbox.response("l").await.unwrap().is_some());
    outbox.prune(T0 + 100 * DAY, T0).await.unwrap();
    assert!(outbox.incident("8").await.unwrap().is_none());
}

#[tokio::test]
async fn the_last_incident_of_a_connector_is_the_one_that_arrived_there() {
    let (_folder, outbox) = fresh().await;
    accept(&outbox, told("a", "7", Kind::Created, Status::Pending, 0)).await;
    let seq = outbox.waiting("ops", 1).await.unwrap()[0].seq;
    let message = outbox.open(new_message("ops", "k", &[seq])).await.unwrap();
    assert_eq!(outbox.last_told("ops").await.unwrap(), None);
    outbox.settle(message, delivered(), tried("delivered"), PaceLog::default()).await.unwrap();
    assert_eq!(outbox.last_told("ops").await.unwrap().as_deref(), Some("7"));
    assert_eq!(outbox.last_told("dev").await.unwrap(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_the_order_nothing_open_follows_the_end(events in proptest::collection::vec((0usize..4, 0i64..50), 1..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_folder, outbox) = fresh().await;
            let mut over = false;
            for (index, (kind, at)) in events.into_iter().enumerate() {
                let (kind, status) = [
                    (Kind::Created, Status::Pending),
                    (Kind::Acknowledged, Status::Accepted),
                    (Kind::CommentAdded, Status::Accepted),
                    (Kind::Resolved, Status::Resolved),
                ][kind].clone();
                over |= status == Status::Resolved;
                accept(&outbox, told(&index.to_string(), "7", kind, status, at)).await;
                let known = outbox.incident("7").await.unwrap().unwrap();
                assert_eq!(known.status == Status::Resolved, over);
                assert_eq!(last(&outbox).await.status == Status::Resolved, over);
            }
        });
    }
}
