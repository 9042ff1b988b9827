//! Incidents, and what people asked to be done about them.

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::event::{Event, Kind, Person, Status};
use crate::outbox::book::{Ask, Booked, CAUGHT_UP, Progress, Step, Verb};
use crate::outbox::{Incoming, PaceLog};

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

async fn accept<S: Store>(stage: &Stage<S>, incoming: Incoming) -> Taken {
    stage.accept(T0, vec![incoming], vec![]).await.unwrap()[0]
}

async fn last<S: Store>(stage: &Stage<S>) -> Arc<Event> {
    stage.waiting("ops", 100).await.unwrap().pop().unwrap().event
}

pub(in crate::outbox) async fn an_incident_is_known_by_its_last_event_and_open_until_it_is_resolved<S: Store>(mut stage: Stage<S>) {
    accept(&stage, told("a", "7", Kind::Created, Status::Pending, 0)).await;
    accept(&stage, told("b", "7", Kind::Acknowledged, Status::Accepted, 10)).await;
    accept(&stage, told("c", "7", Kind::AutoEscalated, Status::Pending, 5)).await;
    let together = [told("x", "8", Kind::Created, Status::Pending, 0), told("y", "8", Kind::Acknowledged, Status::Accepted, 1)];
    assert_eq!(stage.accept(T0, together.to_vec(), vec![]).await.unwrap(), [Taken::New, Taken::New]);
    stage.crash().await;
    let known = stage.records().incident("7").await.unwrap().unwrap();
    assert_eq!((known.status, known.about.alert_key.as_deref(), known.occurred_at), (Status::Accepted, Some("disk"), T0 + 10));
    assert_eq!(stage.records().incident("8").await.unwrap().unwrap().status, Status::Accepted, "two events in one call");
    let open = stage.records().open_incidents(10).await.unwrap();
    assert_eq!(open.iter().map(|incident| incident.id.as_str()).collect::<Vec<_>>(), ["7", "8"]);
    accept(&stage, told("d", "7", Kind::Resolved, Status::Resolved, 2)).await;
    assert_eq!(stage.records().open_incidents(10).await.unwrap().len(), 1);
    stage.records().forget_incident("8").await.unwrap();
    assert!(stage.records().open_incidents(10).await.unwrap().is_empty());
    assert!(stage.records().incident("8").await.unwrap().is_none() && stage.records().incident("no number").await.unwrap().is_none());
}

pub(in crate::outbox) async fn a_resolved_incident_never_shows_as_open_later<S: Store>(mut stage: Stage<S>) {
    accept(&stage, told("a", "7", Kind::Resolved, Status::Resolved, 0)).await;
    stage.crash().await;
    assert_eq!(accept(&stage, told("b", "7", Kind::CommentAdded, Status::Accepted, 50)).await, Taken::New);
    assert_eq!((last(&stage).await.kind.clone(), last(&stage).await.status.clone()), (Kind::CommentAdded, Status::Resolved));
    assert_eq!(stage.records().incident("7").await.unwrap().unwrap().status, Status::Resolved);
}

pub(in crate::outbox) async fn the_echo_of_a_response_says_who_asked_for_it<S: Store>(stage: Stage<S>) {
    accept(&stage, told("a", "7", Kind::Created, Status::Pending, 0)).await;
    stage.records().ask(ask("k", Verb::Accept), T0).await.unwrap();
    let mut echo = told("b", "7", Kind::Acknowledged, Status::Accepted, 1);
    Arc::make_mut(&mut echo.event).actor = Some(Person { username: "service".into(), ..Person::default() });
    accept(&stage, echo).await;
    assert_eq!(last(&stage).await.actor, Some(Person { first_name: "Li Lei".into(), ..Person::default() }));
    accept(&stage, told("again", "7", Kind::Acknowledged, Status::Accepted, 2)).await;
    assert_eq!(last(&stage).await.actor, None, "it has had its echo");
    accept(&stage, told("c", "7", Kind::Resolved, Status::Resolved, 2)).await;
    assert_eq!(last(&stage).await.actor, None, "nobody asked for that here");
}

pub(in crate::outbox) async fn the_note_of_who_responded_is_not_told_to_those_who_know<S: Store>(stage: Stage<S>) {
    accept(&stage, told("a", "7", Kind::Created, Status::Pending, 0)).await;
    stage.records().ask(ask("k", Verb::Accept), T0).await.unwrap();
    let comment = |id: &str, text: &str| {
        let mut incoming = told(id, "7", Kind::CommentAdded, Status::Accepted, 1);
        Arc::make_mut(&mut incoming.event).comment = Some(text.to_owned());
        incoming
    };
    assert_eq!(accept(&stage, comment("b", "Accepted by Li Lei (ops).")).await, Taken::Duplicate);
    assert_eq!(accept(&stage, comment("c", "on my way")).await, Taken::New);
    assert_eq!(stage.queue("ops").await, ["a", "c"]);
}

pub(in crate::outbox) async fn news_that_were_caught_up_with_are_told_once<S: Store>(mut stage: Stage<S>) {
    let acknowledged = |id| told(id, "7", Kind::Acknowledged, Status::Accepted, 1);
    assert_eq!(accept(&stage, caught_up(acknowledged("a"))).await, Taken::New);
    stage.crash().await;
    assert_eq!(accept(&stage, told("b", "7", Kind::Created, Status::Pending, 0)).await, Taken::Duplicate);
    assert_eq!(accept(&stage, acknowledged("c")).await, Taken::Duplicate);
    assert_eq!(accept(&stage, told("d", "7", Kind::Resolved, Status::Resolved, 3)).await, Taken::New);
    assert_eq!(accept(&stage, caught_up(told("e", "7", Kind::Resolved, Status::Resolved, 3))).await, Taken::Duplicate);
    assert_eq!(stage.queue("ops").await, ["a", "d"]);
}

pub(in crate::outbox) async fn the_same_is_asked_for_once_until_it_failed<S: Store>(stage: Stage<S>) {
    let book = stage.records();
    let Booked::New(first) = book.ask(ask("k", Verb::Accept), T0).await.unwrap() else { panic!("not new") };
    assert!(matches!(book.ask(ask("k", Verb::Accept), T0).await.unwrap(), Booked::Before(_)));
    assert_eq!(book.ask(ask("other link", Verb::Accept), T0).await.unwrap(), Booked::Before(first.clone()));
    assert!(matches!(book.ask(ask("c1", Verb::Comment), T0).await.unwrap(), Booked::New(_)));
    assert!(matches!(book.ask(ask("c2", Verb::Comment), T0).await.unwrap(), Booked::New(_)));
    book.step(first.id, Step::Again { at: T0 + 9, why: "busy".into() }, T0).await.unwrap();
    book.step(first.id, Step::Made { stage: 1 }, T0).await.unwrap();
    let open = book.open_responses(10).await.unwrap();
    assert_eq!((open.len(), open[0].attempts, open[0].next_at, open[0].stage), (3, 1, T0 + 9, 1));
    assert_eq!(book.open_responses(2).await.unwrap().len(), 2);
    book.step(first.id, Step::Failed("no key".into()), T0).await.unwrap();
    assert_eq!(book.response("k").await.unwrap().unwrap().progress, Progress::Failed("no key".into()));
    let Booked::New(again) = book.ask(ask("k", Verb::Accept), T0).await.unwrap() else { panic!("not taken up") };
    assert_eq!((again.id, again.attempts, again.stage), (first.id, 0, 1));
    book.step(first.id, Step::Done("accepted".into()), T0).await.unwrap();
    assert!(book.step(first.id, Step::Done("twice".into()), T0).await.is_err());
}

pub(in crate::outbox) async fn what_is_over_is_forgotten_with_the_history_and_what_is_open_is_not<S: Store>(stage: Stage<S>) {
    accept(&stage, told("a", "7", Kind::Resolved, Status::Resolved, 0)).await;
    accept(&stage, told("b", "8", Kind::Created, Status::Pending, 0)).await;
    let book = stage.records();
    let done = book.ask(ask("k", Verb::Accept), T0).await.unwrap().response().id;
    book.ask(ask("l", Verb::Resolve), T0).await.unwrap();
    book.step(done, Step::Done(String::new()), T0).await.unwrap();
    while stage.prune(T0 + 1, T0 - DAY).await.unwrap() {}
    assert!(book.incident("7").await.unwrap().is_none() && book.response("k").await.unwrap().is_none());
    assert!(book.incident("8").await.unwrap().is_some() && book.response("l").await.unwrap().is_some());
    while stage.prune(T0 + 100 * DAY, T0).await.unwrap() {}
    assert!(book.incident("8").await.unwrap().is_none());
}

pub(in crate::outbox) async fn the_last_incident_of_a_connector_is_the_one_that_arrived_there<S: Store>(stage: Stage<S>) {
    accept(&stage, told("a", "7", Kind::Created, Status::Pending, 0)).await;
    stage.hold(&["ops"]).await;
    let seq = stage.waiting("ops", 1).await.unwrap()[0].seq;
    let message = stage.open(new_message("ops", "k", &[seq])).await.unwrap();
    assert_eq!(stage.records().last_told("ops").await.unwrap(), None);
    stage.settle(message, delivered(), tried("delivered"), PaceLog::default()).await.unwrap();
    assert_eq!(stage.records().last_told("ops").await.unwrap().as_deref(), Some("7"));
    assert_eq!(stage.records().last_told("dev").await.unwrap(), None);
}

pub(in crate::outbox) async fn a_note_is_kept_over_a_crash_and_replaced_by_the_next<S: Store>(mut stage: Stage<S>) {
    assert_eq!(stage.records().note("mark").await.unwrap(), None);
    stage.records().keep_note("mark", "1").await.unwrap();
    stage.records().keep_note("other", "x").await.unwrap();
    stage.records().keep_note("mark", "2").await.unwrap();
    stage.crash().await;
    assert_eq!(stage.records().note("mark").await.unwrap().as_deref(), Some("2"));
    assert_eq!(stage.records().note("other").await.unwrap().as_deref(), Some("x"));
}

pub(in crate::outbox) async fn what_was_asked_for_is_still_to_be_done_after_a_crash<S: Store>(mut stage: Stage<S>) {
    let asked = Ask { person: Some("li".into()), text: "on it: 'now'".into(), ..ask("k", Verb::Comment) };
    let Booked::New(first) = stage.records().ask(asked.clone(), T0 + 5).await.unwrap() else { panic!("not new") };
    stage.records().step(first.id, Step::Made { stage: 2 }, T0).await.unwrap();
    stage.crash().await;
    let open = stage.records().open_responses(10).await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!((&open[0].ask, open[0].stage, open[0].created_at, &open[0].progress), (&asked, 2, T0 + 5, &Progress::Open));
    assert_eq!(stage.records().response("k").await.unwrap().as_ref(), open.first());
    assert!(stage.records().response("nobody's").await.unwrap().is_none());
}

pub(in crate::outbox) fn whatever_the_order_nothing_open_follows_the_end<S: Store>() {
    proptest!(ProptestConfig::with_cases(S::LIVES), |(events in proptest::collection::vec((0usize..4, 0i64..50), 1..20))| {
        block_on(async {
            let Some(stage) = Stage::<S>::new().await else { return };
            let mut over = false;
            for (index, (kind, at)) in events.into_iter().enumerate() {
                let (kind, status) = [
                    (Kind::Created, Status::Pending),
                    (Kind::Acknowledged, Status::Accepted),
                    (Kind::CommentAdded, Status::Accepted),
                    (Kind::Resolved, Status::Resolved),
                ][kind].clone();
                over |= status == Status::Resolved;
                accept(&stage, told(&index.to_string(), "7", kind, status, at)).await;
                let known = stage.records().incident("7").await.unwrap().unwrap();
                assert_eq!(known.status == Status::Resolved, over);
                assert_eq!(last(&stage).await.status == Status::Resolved, over);
            }
        });
    });
}
