//! What an outbox that several hosts share has to do besides.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::*;
use crate::event::{Kind, Status};
use crate::outbox::{Claim, ConnectorName, Event, Filter, Incoming, PaceLog};
use crate::secret::Secret;

/// A store that several hosts can be on at once.
#[async_trait]
pub(in crate::outbox) trait Shared: Store {
    /// From now on hosts have a lease that is longer than any test, and as long a time between two looks for what they were not told of.
    fn be_patient(&mut self);

    /// Has the store believe that every host is dead, although they live: as one that wakes after its lease finds it.
    async fn bury_everybody(&self);
}

/// How long anything here may take: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What a host was woken for.
#[derive(Clone, Default)]
struct Woken(Arc<Mutex<BTreeSet<ConnectorName>>>);

impl Woken {
    fn of(outbox: &dyn Outbox) -> Woken {
        let woken = Woken::default();
        let names = Arc::clone(&woken.0);
        outbox.on_wake(Arc::new(move |connectors| names.lock().unwrap().extend(connectors.iter().cloned())));
        woken
    }

    async fn until(&self, connector: &str) {
        until(&format!("{connector} is woken"), async || self.0.lock().unwrap().contains(connector)).await;
    }
}

/// A message of one event in flight on this host.
async fn in_flight<S: Store>(stage: &Stage<S>) -> crate::outbox::MessageId {
    let seq = stage.take("e1", &["ops"]).await;
    let pace = PaceLog { sends: vec![T0, T0 + 1], closed_until: T0 + 9, month: "2026-11".into(), month_count: 2 };
    stage.open(crate::outbox::NewMessage { pace, ..new_message("ops", "k", &[seq]) }).await.unwrap()
}

pub(in crate::outbox) async fn what_one_host_took_in_is_seen_by_the_other_and_known_there<S: Shared>(stage: Stage<S>) {
    let other = stage.another().await;
    assert!(stage.is_shared() && other.is_shared());
    assert_eq!(stage.accept(T0, vec![incoming("e1", &["ops"])], vec![]).await.unwrap(), [Taken::New]);
    assert_eq!(
        other.accept(T0 + 1, vec![incoming("e1", &["ops"]), incoming("e2", &["ops"])], vec![]).await.unwrap(),
        [Taken::Duplicate, Taken::New]
    );
    assert_eq!(stage.queue("ops").await, ["e1", "e2"]);
    assert_eq!(other.waiting("ops", 9).await.unwrap().len(), 2);
    let told = |id: &str, kind, status| {
        let event = Event { incident_id: "7".into(), kind, status, ..event(id) };
        vec![Incoming { source: "test".into(), event: Arc::new(event), connectors: vec!["dev".into()] }]
    };
    stage.accept(T0, told("a", Kind::Resolved, Status::Resolved), vec![]).await.unwrap();
    other.accept(T0, told("b", Kind::CommentAdded, Status::Accepted), vec![]).await.unwrap();
    let waiting = stage.waiting("dev", 9).await.unwrap();
    assert_eq!(waiting[1].event.status, Status::Resolved, "what is over on one host is so on all");
}

pub(in crate::outbox) async fn an_event_that_two_hosts_take_in_at_once_is_new_to_one<S: Shared>(stage: Stage<S>) {
    const EVENTS: usize = 120;
    let mut hosts = JoinSet::new();
    for of_a_call in [2, 5] {
        let outbox = stage.another().await;
        hosts.spawn(async move {
            let mut new = 0;
            // In turned order, too: two hosts that wait for each other's keys have to get out of it.
            let mut ids: Vec<usize> = (0..EVENTS).collect();
            if of_a_call == 5 {
                ids.chunks_mut(10).for_each(<[usize]>::reverse);
            }
            for ids in ids.chunks(of_a_call) {
                let events = ids.iter().map(|n| incoming(&format!("e{n}"), &["ops"])).collect();
                let taken = outbox.accept(T0, events, vec![]).await.unwrap();
                new += taken.into_iter().filter(|taken| *taken == Taken::New).count();
            }
            outbox.close().await;
            new
        });
    }
    let new: usize = hosts.join_all().await.into_iter().sum();
    let waiting: BTreeSet<String> = stage.queue("ops").await.into_iter().collect();
    assert_eq!((new, waiting.len()), (EVENTS, EVENTS));
}

pub(in crate::outbox) async fn a_lane_is_held_by_one_host_and_the_other_can_change_nothing_of_it<S: Shared>(stage: Stage<S>) {
    let (a, b) = (stage.share(), stage.another().await);
    assert!(!a.holds("ops"));
    let seqs = [stage.take("e1", &["ops"]).await, stage.take("e2", &["ops"]).await, stage.take("e3", &["ops"]).await];
    assert_eq!((a.claim("ops").await.unwrap(), b.claim("ops").await.unwrap()), (Claim::Held, Claim::Elsewhere));
    assert!(a.holds("ops") && !b.holds("ops"));
    assert!(is_conflict(b.open(new_message("ops", "k", &seqs)).await));
    assert!(is_conflict(b.bury("ops", vec![seqs[0]], why("x"), T0).await));
    assert!(is_conflict(b.store_pace("ops", PaceLog { month_count: 9, ..PaceLog::default() }).await));
    let letter = a.bury("ops", vec![seqs[0]], why("old"), T0).await.unwrap();
    let id = a.open(new_message("ops", "k", &seqs[1..])).await.unwrap();
    assert!(is_conflict(b.attempt(id, draft("x"), PaceLog::default(), T0).await));
    assert!(is_conflict(b.split(id, vec![seqs[1]]).await));
    for settle in [delivered(), dead("no"), again(T0, true, true)] {
        assert!(is_conflict(b.settle(id, settle, tried("x"), PaceLog::default()).await));
    }
    let open = a.lane("ops").await.unwrap().open.unwrap();
    assert_eq!((open.id, open.events.len(), open.attempts, open.draft), (id, 2, 1, Some(draft("k"))));
    assert!(a.holds("ops"), "what another may not do changes nothing for the one who may");
    // Dead letters are everybody's.
    b.replay(letter, T0).await.unwrap();
    a.settle(id, delivered(), tried("delivered"), PaceLog::default()).await.unwrap();
    a.settle(letter, dead("no"), tried("rejected"), PaceLog::default()).await.unwrap();
    b.discard(letter).await.unwrap();
    b.close().await;
}

pub(in crate::outbox) async fn a_host_that_ends_leaves_its_lanes_to_the_others_at_once<S: Shared>(mut stage: Stage<S>) {
    stage.store.be_patient();
    stage.reopen().await;
    let id = in_flight(&stage).await;
    let other = stage.another().await;
    let woken = Woken::of(&*other);
    assert_eq!(other.claim("elsewhere").await.unwrap(), Claim::Taken, "a lane that nobody has");
    assert_eq!(other.claim("ops").await.unwrap(), Claim::Elsewhere);
    stage.close().await;
    woken.until("ops").await;
    assert_eq!(other.claim("ops").await.unwrap(), Claim::Taken, "what it was told a moment before is not believed any more");
    let lane = other.lane("ops").await.unwrap();
    let open = lane.open.unwrap();
    assert_eq!((open.id, open.key.as_str(), open.unknown, open.draft), (id, "k", true, Some(draft("k"))));
    assert_eq!((lane.pace.sends.len(), lane.pace.closed_until, lane.pace.month_count), (2, T0 + 9, 2), "the pace goes with the lane");
    assert!(other.holds("ops"));
    other.attempt(id, draft("k"), PaceLog::default(), T0).await.unwrap();
    assert_eq!(other.lane("ops").await.unwrap().open.unwrap().attempts, 2);
    other.close().await;
    stage.reopen().await;
}

pub(in crate::outbox) async fn the_lanes_of_a_host_that_crashed_are_others_when_its_lease_is_over<S: Shared>(mut stage: Stage<S>) {
    let id = in_flight(&stage).await;
    let other = stage.another().await;
    let woken = Woken::of(&*other);
    assert_eq!(other.claim("ops").await.unwrap(), Claim::Elsewhere);
    drop(stage.outbox.take());
    woken.until("ops").await;
    until("the lane is free", async || other.claim("ops").await.unwrap() != Claim::Elsewhere).await;
    assert_eq!(other.lane("ops").await.unwrap().open.map(|open| (open.id, open.unknown)), Some((id, true)));
    other.settle(id, delivered(), tried("delivered"), PaceLog::default()).await.unwrap();
    other.close().await;
    stage.reopen().await;
    assert!(stage.busy_connectors().await.unwrap().is_empty());
}

pub(in crate::outbox) async fn a_host_that_was_taken_for_dead_can_change_nothing_any_more<S: Shared>(stage: Stage<S>) {
    let id = in_flight(&stage).await;
    stage.store.bury_everybody().await;
    let other = stage.another().await;
    until("the lane is free", async || other.claim("ops").await.unwrap() != Claim::Elsewhere).await;
    assert!(is_conflict(stage.settle(id, delivered(), tried("delivered"), PaceLog::default()).await));
    assert!(!stage.holds("ops"), "it knows by now");
    assert!(is_conflict(stage.attempt(id, draft("again"), PaceLog::default(), T0).await));
    let open = other.lane("ops").await.unwrap().open.unwrap();
    assert_eq!((open.id, open.attempts, open.draft), (id, 1, Some(draft("k"))));
    // It is a host among others again, and gets the lane when that is free.
    until("it is told where the lane is", async || stage.claim("ops").await.is_ok_and(|claim| claim == Claim::Elsewhere)).await;
    other.settle(id, delivered(), tried("delivered"), PaceLog::default()).await.unwrap();
    other.close().await;
    until("the lane is free", async || stage.claim("ops").await.unwrap() == Claim::Taken).await;
    assert!(stage.holds("ops"));
}

pub(in crate::outbox) async fn a_host_is_told_of_what_others_take_in_for_its_lanes<S: Shared>(mut stage: Stage<S>) {
    stage.store.be_patient();
    stage.reopen().await;
    let other = stage.another().await;
    let woken = Woken::of(&*other);
    assert_eq!(other.claim("ops").await.unwrap(), Claim::Taken);
    assert_eq!(stage.accept(T0, vec![incoming("e1", &["ops"])], vec![]).await.unwrap(), [Taken::New]);
    assert_eq!(stage.claim("ops").await.unwrap(), Claim::Elsewhere);
    woken.until("ops").await;
    other.close().await;
}

pub(in crate::outbox) async fn a_lane_without_a_host_is_found_by_looking<S: Shared>(stage: Stage<S>) {
    // The event is there before anybody is, and nobody calls.
    assert_eq!(stage.accept(T0, vec![incoming("e1", &["ops"])], vec![]).await.unwrap(), [Taken::New]);
    let other = stage.another().await;
    let woken = Woken::of(&*other);
    assert_eq!(other.claim("elsewhere").await.unwrap(), Claim::Taken);
    woken.until("ops").await;
    other.close().await;
}

pub(in crate::outbox) async fn of_two_hosts_that_want_a_lane_one_gets_it<S: Shared>(stage: Stage<S>) {
    let (a, b) = (stage.share(), stage.another().await);
    let names: Vec<String> = (0..40).map(|n| format!("lane{n}")).collect();
    let claims = async |host: Arc<dyn Outbox>| {
        let mut won = BTreeSet::new();
        for name in &names {
            if host.claim(name).await.unwrap() == Claim::Taken {
                won.insert(name.clone());
            }
        }
        won
    };
    let (of_a, of_b) = tokio::join!(claims(Arc::clone(&a)), claims(Arc::clone(&b)));
    assert!(of_a.is_disjoint(&of_b) && of_a.len() + of_b.len() == names.len(), "{of_a:?} {of_b:?}");
    assert!(names.iter().all(|name| a.holds(name) == of_a.contains(name) && b.holds(name) == of_b.contains(name)));
    b.close().await;
}

pub(in crate::outbox) async fn a_secret_is_the_same_on_all_hosts<S: Shared>(mut stage: Stage<S>) {
    let other = stage.another().await;
    let [one, two, three] = ["one", "two", "three"].map(Secret::new);
    let (first, second) = tokio::join!(stage.shared_secret("links", &one), other.shared_secret("links", &two));
    let (first, second) = (first.unwrap().unwrap(), second.unwrap().unwrap());
    assert_eq!(first.expose(), second.expose());
    other.close().await;
    stage.crash().await;
    assert_eq!(stage.shared_secret("links", &three).await.unwrap().unwrap().expose(), first.expose());
    assert_eq!(stage.shared_secret("other", &three).await.unwrap().unwrap().expose(), "three");
}

pub(in crate::outbox) async fn what_is_over_is_forgotten_by_several_at_once_without_harm<S: Shared>(stage: Stage<S>) {
    for n in 0..60 {
        let seq = stage.take(&format!("e{n}"), &["ops", "dev"]).await;
        let id = stage.open(new_message("ops", &format!("k{n}"), &[seq])).await.unwrap();
        stage.settle(id, delivered(), tried("delivered"), PaceLog::default()).await.unwrap();
    }
    let mut hosts = JoinSet::new();
    for _ in 0..3 {
        let host = stage.another().await;
        hosts.spawn(async move {
            while host.prune(T0 + DAY, T0 + DAY).await.unwrap() {}
            host.close().await;
        });
    }
    hosts.join_all().await;
    assert!(stage.messages(Filter::default()).await.unwrap().is_empty());
    assert_eq!((stage.needed().await, stage.queue("dev").await.len()), (60, 60));
}
