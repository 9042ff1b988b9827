//! Random lives of an outbox, with crashes, against plain maps.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::clock::UnixMs;
use crate::outbox::{ConnectorName, Filter, MessageId, PaceLog, Waiting};

const CONNECTORS: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
enum Act {
    Accept { id: u8, to: u8 },
    Open { to: usize, count: usize },
    Attempt { to: usize },
    Settle { to: usize, how: u8 },
    Bury { to: usize, count: usize },
    Replay { nth: usize },
    Discard { nth: usize },
    Prune,
    Wait,
    Crash,
    Reopen,
}

fn act() -> impl Strategy<Value = Act> {
    let to = 0..CONNECTORS.len();
    prop_oneof![
        8 => (0u8..24, 0u8..8).prop_map(|(id, to)| Act::Accept { id, to }),
        5 => (to.clone(), 1usize..4).prop_map(|(to, count)| Act::Open { to, count }),
        3 => to.clone().prop_map(|to| Act::Attempt { to }),
        6 => (to.clone(), 0u8..5).prop_map(|(to, how)| Act::Settle { to, how }),
        1 => (to, 1usize..3).prop_map(|(to, count)| Act::Bury { to, count }),
        2 => (0usize..8).prop_map(|nth| Act::Replay { nth }),
        1 => (0usize..8).prop_map(|nth| Act::Discard { nth }),
        1 => Just(Act::Prune),
        1 => Just(Act::Wait),
        2 => Just(Act::Crash),
        1 => Just(Act::Reopen),
    ]
}

#[derive(Clone, Debug)]
struct Message {
    to: usize,
    state: &'static str,
    covers: Vec<String>,
    key: String,
    base: String,
    replays: u32,
    attempts: u32,
    in_flight: bool,
    unknown: bool,
    turn: u64,
}

#[derive(Default)]
struct Model {
    queues: [Vec<String>; 3],
    seen: BTreeMap<String, UnixMs>,
    messages: BTreeMap<MessageId, Message>,
    turns: u64,
    now: UnixMs,
}

impl Model {
    fn head(&self, to: usize) -> Option<(MessageId, &Message)> {
        let open = self.messages.iter().filter(|(_, message)| message.to == to && message.state == "open");
        open.min_by_key(|(_, message)| message.turn).map(|(id, message)| (*id, message))
    }

    fn dead(&self, nth: usize) -> Option<MessageId> {
        let dead: Vec<_> = self.messages.iter().filter(|(_, message)| message.state == "dead").map(|(id, _)| *id).collect();
        if dead.is_empty() { None } else { Some(dead[nth % dead.len()]) }
    }

    fn take(&mut self, to: usize, count: usize, key: String, state: &'static str) -> Message {
        self.turns += 1;
        let sent = state == "open";
        let count = count.min(self.queues[to].len());
        Message {
            to,
            state,
            covers: self.queues[to].drain(..count).collect(),
            base: key.clone(),
            key,
            replays: 0,
            attempts: u32::from(sent),
            in_flight: sent,
            unknown: sent,
            turn: self.turns,
        }
    }
}

struct World<S> {
    stage: Stage<S>,
    /// Another host that takes events in and is asked, where there can be one.
    other: Option<Arc<dyn Outbox>>,
    model: Model,
}

impl<S: Store> World<S> {
    async fn new() -> Option<World<S>> {
        let stage = Stage::<S>::new().await?;
        stage.hold(&CONNECTORS).await;
        let other = if S::SHARED { Some(stage.another().await) } else { None };
        Some(World { stage, other, model: Model { now: T0, ..Model::default() } })
    }

    /// Any of the hosts: whatever is no lane's business is the same at all of them.
    fn any(&self, n: usize) -> &dyn Outbox {
        self.other.as_deref().filter(|_| n.is_multiple_of(2)).unwrap_or(&*self.stage)
    }

    async fn play(&mut self, act: &Act) {
        match *act {
            Act::Accept { id, to } => self.accept(&format!("e{id}"), to).await,
            Act::Open { to, count } => self.open(to, count).await,
            Act::Attempt { to } => self.attempt(to).await,
            Act::Settle { to, how } => self.settle(to, how).await,
            Act::Bury { to, count } => self.bury(to, count).await,
            Act::Replay { nth } => self.replay(nth).await,
            Act::Discard { nth } => {
                if let Some(id) = self.model.dead(nth) {
                    self.any(nth).discard(id).await.unwrap();
                    self.model.messages.remove(&id);
                }
            }
            Act::Prune => self.prune().await,
            Act::Wait => self.model.now += DAY / 2,
            Act::Crash => {
                self.stage.crash().await;
                self.restarted().await;
            }
            Act::Reopen => {
                self.stage.reopen().await;
                self.restarted().await;
            }
        }
    }

    async fn accept(&mut self, id: &str, to: u8) {
        let picked: Vec<usize> = (0..3).filter(|n| to & (1 << n) != 0).collect();
        let names: Vec<&str> = picked.iter().map(|n| CONNECTORS[*n]).collect();
        let now = self.model.now;
        let fresh = self.model.seen.get(id).is_none_or(|at| now - at >= DAY);
        let answer = self.any(id.len() + usize::from(to)).accept(now, vec![incoming(id, &names)], vec![]).await.unwrap();
        assert_eq!(answer, [if fresh { Taken::New } else { Taken::Duplicate }]);
        if fresh {
            self.model.seen.insert(id.to_owned(), now);
            picked.into_iter().for_each(|n| self.model.queues[n].push(id.to_owned()));
        }
    }

    async fn seqs(&self, to: usize, count: usize) -> Vec<i64> {
        self.stage.waiting(CONNECTORS[to], count).await.unwrap().iter().map(|waiting| waiting.seq).collect()
    }

    async fn open(&mut self, to: usize, count: usize) {
        let seqs = self.seqs(to, count).await;
        let key = format!("k{}", self.model.turns);
        let opened = self.stage.open(new_message(CONNECTORS[to], &key, &seqs)).await;
        if self.model.head(to).is_some() || self.model.queues[to].is_empty() {
            assert!(matches!(opened, Err(OutboxError::Conflict(_))), "{opened:?}");
        } else {
            let message = self.model.take(to, count, key, "open");
            self.model.messages.insert(opened.unwrap(), message);
        }
    }

    async fn attempt(&mut self, to: usize) {
        let Some((id, _)) = self.model.head(to) else { return };
        self.stage.attempt(id, draft("again"), PaceLog::default(), self.model.now).await.unwrap();
        let message = self.model.messages.get_mut(&id).unwrap();
        message.attempts += u32::from(!message.in_flight);
        (message.in_flight, message.unknown) = (true, true);
    }

    async fn settle(&mut self, to: usize, how: u8) {
        let Some((id, _)) = self.model.head(to) else { return };
        let (settle, state) = match how {
            0 | 1 => (delivered(), "delivered"),
            2 => (dead("no"), "dead"),
            3 => (again(self.model.now, true, true), "open"),
            _ => (again(self.model.now, false, false), "open"),
        };
        let mut record = tried("x");
        record.at = self.model.now;
        self.stage.settle(id, settle, record, PaceLog::default()).await.unwrap();
        let message = self.model.messages.get_mut(&id).unwrap();
        if state == "open" {
            message.attempts = message.attempts - u32::from(message.in_flight) + u32::from(how == 3);
        }
        (message.state, message.in_flight, message.unknown) = (state, false, how == 3);
    }

    async fn bury(&mut self, to: usize, count: usize) {
        let seqs = self.seqs(to, count).await;
        if seqs.is_empty() {
            return;
        }
        let id = self.stage.bury(CONNECTORS[to], seqs, why("old"), self.model.now).await.unwrap();
        let key = self.stage.message(id).await.unwrap().summary.key;
        let message = self.model.take(to, count, key, "dead");
        self.model.messages.insert(id, message);
    }

    async fn replay(&mut self, nth: usize) {
        let Some(id) = self.model.dead(nth) else { return };
        let to = self.any(nth).replay(id, self.model.now).await.unwrap();
        self.model.turns += 1;
        let turn = self.model.turns;
        let message = self.model.messages.get_mut(&id).unwrap();
        assert_eq!(&*to, CONNECTORS[message.to]);
        message.replays += 1;
        message.key = format!("{}-r{}", message.base, message.replays);
        (message.state, message.attempts, message.unknown, message.turn) = ("open", 0, false, turn);
    }

    async fn prune(&mut self) {
        let now = self.model.now;
        while self.stage.prune(now + 1_000, now - DAY / 4).await.unwrap() {}
        self.model.messages.retain(|_, message| message.state != "delivered");
        self.model.seen.retain(|_, at| *at >= now - DAY / 4);
    }

    async fn restarted(&mut self) {
        self.stage.hold(&CONNECTORS).await;
        self.model.messages.values_mut().for_each(|message| message.in_flight = false);
    }

    async fn compare(&self) {
        let mut busy = Vec::new();
        for (to, name) in CONNECTORS.into_iter().enumerate() {
            let host = self.any(to);
            let lane = host.lane(name).await.unwrap();
            let ids = |waiting: &[Waiting]| waiting.iter().map(|waiting| waiting.event.id.clone()).collect::<Vec<_>>();
            assert_eq!(ids(&host.waiting(name, 1_000).await.unwrap()), self.model.queues[to]);
            assert_eq!(lane.waiting, self.model.queues[to].len() as u64);
            let found = lane.open.map(|open| (open.id, open.key, open.attempts, open.unknown, ids(&open.events)));
            let wanted = self.model.head(to).map(|(id, m)| (id, m.key.clone(), m.attempts, m.unknown, m.covers.clone()));
            assert_eq!(found, wanted);
            if lane.waiting > 0 || wanted.is_some() {
                busy.push(ConnectorName::from(name));
            }
        }
        let mut found = self.any(0).busy_connectors().await.unwrap();
        found.sort();
        assert_eq!(found, busy);
        let listed = self.stage.messages(Filter { limit: 1_000, ..Filter::default() }).await.unwrap();
        let listed: Vec<_> = listed.into_iter().rev().map(|message| (message.id, message.state, message.events)).collect();
        let wanted: Vec<_> = self.model.messages.iter().map(|(id, m)| (*id, m.state.to_owned(), m.covers.len() as u64)).collect();
        assert_eq!(listed, wanted);
        let needed =
            self.model.queues.iter().map(Vec::len).sum::<usize>() + self.model.messages.values().map(|m| m.covers.len()).sum::<usize>();
        assert_eq!(self.stage.needed().await, needed as i64, "no event is kept or lost that something needs");
    }
}

pub(in crate::outbox) fn every_life_of_an_outbox_is_that_of_a_few_plain_maps<S: Store>() {
    let config = ProptestConfig { cases: S::LIVES, max_shrink_iters: 200, ..ProptestConfig::default() };
    proptest!(config, |(acts in proptest::collection::vec(act(), 1..70))| {
        block_on(async {
            let Some(mut world) = World::<S>::new().await else { return };
            for act in &acts {
                world.play(act).await;
                world.compare().await;
            }
        });
    });
}
