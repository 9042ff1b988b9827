//! A sink that does as it is told, and a host's delivery around it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use incident_sink::clock::{Clock, UnixMs};
use incident_sink::delivery::budget::Payer;
use incident_sink::delivery::policy::{PaceRule, Policy};
use incident_sink::delivery::{
    Attempt, Connector, Connectors, Dispatcher, IncidentSink, Item, MessageContext, Outcome, Pace, Prepared, Profile,
};
use incident_sink::event::{Event, Kind, Priority, Status};
use incident_sink::outbox::sqlite::{SqliteConfig, SqliteOutbox};
use incident_sink::outbox::{Draft, Filter, Incoming, MessageSummary, Outbox, Reason, Taken};
use tempfile::TempDir;

/// DingTalk's.
pub(crate) const ROBOT: Pace = Pace { messages: 20, window_ms: 60_000, penalty_ms: 600_000 };

/// What an attempt does.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Deliver,
    /// Arrives, and nobody learns of it.
    Vanish,
    /// Does not arrive, and nobody learns of it.
    Lose,
    Retry,
    Throttle(u64),
    Reject,
    /// A further request, then whatever comes next.
    Step,
    Panic,
    /// Never ends.
    Hang,
}

/// An attempt, as the receiver would see it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) at: UnixMs,
    pub(crate) key: String,
    pub(crate) attempt: u32,
    pub(crate) body: String,
    pub(crate) act: Act,
}

/// A sink that plays a script, then delivers.
pub(crate) struct Fake {
    clock: Clock,
    pub(crate) pace: Option<Pace>,
    pub(crate) max_batch: usize,
    pub(crate) script: Mutex<VecDeque<Act>>,
    pub(crate) sent: Mutex<Vec<Sent>>,
    /// The sink as a whole cannot write.
    pub(crate) away: AtomicBool,
    /// Drafts of before cannot be sent any more.
    pub(crate) forgetful: AtomicBool,
}

impl Fake {
    pub(crate) fn new(clock: &Clock) -> Fake {
        Fake {
            clock: clock.clone(),
            pace: Some(ROBOT),
            max_batch: 50,
            script: Mutex::default(),
            sent: Mutex::default(),
            away: AtomicBool::new(false),
            forgetful: AtomicBool::new(false),
        }
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    pub(crate) fn will(&self, acts: impl IntoIterator<Item = Act>) {
        self.script.lock().unwrap().extend(acts);
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    /// What people saw: `incident:event`, in order; a key that was heard is not shown again.
    pub(crate) fn shown(&self) -> Vec<String> {
        let mut heard = std::collections::HashSet::new();
        let arrived = |sent: &Sent| matches!(sent.act, Act::Deliver | Act::Vanish);
        let sent = self.sent();
        let new = sent.iter().filter(|sent| arrived(sent) && heard.insert(sent.key.clone()));
        new.flat_map(|sent| sent.body.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect()
    }
}

pub(crate) fn reason(code: &str) -> Reason {
    Reason { code: code.into(), text: format!("it is {code}"), advice: String::new() }
}

#[async_trait]
impl IncidentSink for Fake {
    fn profile(&self) -> Profile {
        Profile { pace: self.pace, max_batch: self.max_batch }
    }

    /// A body is a list of `incident:event`; ten fit.
    fn prepare(&self, batch: &[Item], _cx: &MessageContext) -> Result<Prepared, Reason> {
        assert!(batch.len() <= self.max_batch);
        if self.away.load(Ordering::Relaxed) {
            return Err(reason("away"));
        }
        let fits = batch.len().min(10);
        if batch[..fits].iter().any(|item| item.event.summary == "poison") {
            return Err(reason("poisoned"));
        }
        assert!(!batch.iter().any(|item| item.event.summary == "panic"), "the sink was told to panic");
        let words: Vec<String> = batch[..fits].iter().map(|item| format!("{}:{}", item.event.incident_id, item.event.id)).collect();
        Ok(Prepared { draft: Draft { prepared: words.join(" ").into_bytes(), author: "fake".into() }, covers: fits })
    }

    fn blames_event(&self, reason: &Reason) -> bool {
        reason.code != "away"
    }

    fn can_attempt(&self, _draft: &Draft) -> bool {
        !self.forgetful.load(Ordering::Relaxed)
    }

    async fn attempt(&self, draft: &Draft, cx: &MessageContext) -> Attempt {
        let act = self.script.lock().unwrap().pop_front().unwrap_or(Act::Deliver);
        let body = String::from_utf8(draft.prepared.clone()).unwrap();
        let sent = Sent { at: self.clock.steady(), key: cx.key.clone(), attempt: cx.attempt, body, act: act.clone() };
        self.sent.lock().unwrap().push(sent);
        Attempt::Done(match act {
            Act::Deliver => Outcome::Delivered { receipt: None, memo: None },
            Act::Vanish | Act::Lose => Outcome::Unknown { reason: reason("silent") },
            Act::Retry => Outcome::Retry { after_ms: 0, reason: reason("busy") },
            Act::Throttle(after_ms) => Outcome::Throttled { after_ms, reason: reason("throttled") },
            Act::Reject => Outcome::Rejected { reason: reason("rejected") },
            Act::Step => {
                let mut draft = draft.clone();
                draft.prepared.extend_from_slice(b"+");
                return Attempt::Next { draft, paced: true };
            }
            Act::Panic => panic!("the sink was told to panic"),
            Act::Hang => return std::future::pending().await,
        })
    }
}

pub(crate) fn policy(name: &str) -> Policy {
    let payer = Payer::Connector(name.into());
    Policy { pace: PaceRule::Sink, max_age_ms: 86_400_000, monthly_budget: None, payer, zone: jiff::tz::TimeZone::UTC }
}

/// The `n`-th event of an incident.
pub(crate) fn event(incident: &str, n: usize, status: Status) -> Event {
    Event {
        id: n.to_string(),
        kind: Kind::Created,
        incident_id: incident.into(),
        status,
        priority: Some(Priority::High),
        severity: None,
        summary: format!("summary of {incident}"),
        details: String::new(),
        alert_key: None,
        alert_source: None,
        escalation_policy: None,
        assigned_to: None,
        responders: vec![],
        actor: None,
        comment: None,
        links: vec![],
        images: vec![],
        reported_at: jiff::Timestamp::UNIX_EPOCH,
        occurred_at: jiff::Timestamp::UNIX_EPOCH,
        incident_url: None,
        extra: vec![],
    }
}

pub(crate) fn open(incident: &str, n: usize) -> Event {
    event(incident, n, Status::Pending)
}

/// One run of a host's delivery.
pub(crate) struct Host {
    pub(crate) clock: Clock,
    pub(crate) outbox: Arc<SqliteOutbox>,
    pub(crate) dispatcher: Dispatcher,
}

impl Host {
    /// Opens the outbox in `folder` and starts the lanes.
    pub(crate) async fn start(folder: &TempDir, clock: &Clock, connectors: Vec<Connector>) -> Host {
        Host::with(folder, clock, connectors, |outbox| outbox).await
    }

    /// As [`Host::start`]; the lanes get the outbox as `wrap` makes it.
    pub(crate) async fn with(
        folder: &TempDir,
        clock: &Clock,
        connectors: Vec<Connector>,
        wrap: impl FnOnce(Arc<SqliteOutbox>) -> Arc<dyn Outbox>,
    ) -> Host {
        let outbox = Arc::new(SqliteOutbox::open(folder.path(), &SqliteConfig::default(), clock.clone()).await.unwrap());
        let dispatcher = Dispatcher::new(clock.clone(), wrap(outbox.clone()), by_name(connectors));
        dispatcher.start().await.unwrap();
        Host { clock: clock.clone(), outbox, dispatcher }
    }

    /// One connector, `ops`.
    pub(crate) async fn of(folder: &TempDir, sink: &Arc<Fake>) -> Host {
        Host::start(folder, &sink.clock, vec![ops(sink)]).await
    }

    /// Takes events in without waking anybody.
    pub(crate) async fn put(&self, connector: &str, events: impl IntoIterator<Item = Event>) {
        let incoming = |event| Incoming { source: "test".into(), event: Arc::new(event), connectors: vec![connector.into()] };
        let events: Vec<Incoming> = events.into_iter().map(incoming).collect();
        let taken = self.outbox.accept(self.clock.steady(), events, vec![]).await.unwrap();
        assert!(taken.iter().all(|taken| *taken == Taken::New));
    }

    pub(crate) async fn accept(&self, connector: &str, events: impl IntoIterator<Item = Event>) {
        self.put(connector, events).await;
        self.dispatcher.wake(&[connector.into()]);
    }

    /// Waits until nothing is left to do.
    pub(crate) async fn drained(&self) {
        tokio::time::timeout(Duration::from_secs(60), self.dispatcher.drained()).await.expect("a lane is stuck");
    }

    pub(crate) async fn list(&self, state: &str) -> Vec<MessageSummary> {
        self.outbox.messages(Filter { state: Some(state.into()), limit: 10_000, ..Filter::default() }).await.unwrap()
    }

    pub(crate) async fn replay_all(&self) {
        for dead in self.list("dead").await.iter().rev() {
            let connector = self.outbox.replay(dead.id, self.clock.steady()).await.unwrap();
            self.dispatcher.wake(&[connector]);
        }
    }

    /// Ends as a crash would: nothing is written down any more.
    pub(crate) async fn crash(self) {
        self.dispatcher.abort().await;
        self.outbox.close().await;
    }
}

pub(crate) fn ops(sink: &Arc<Fake>) -> Connector {
    Connector { name: "ops".into(), sink: sink.clone(), policy: policy("ops") }
}

pub(crate) fn by_name(connectors: Vec<Connector>) -> Connectors {
    connectors.into_iter().map(|connector| (connector.name.clone(), Arc::new(connector))).collect()
}

/// Waits until something is so.
pub(crate) async fn until(what: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited for a minute");
}

/// The most in any closed window.
pub(crate) fn worst(times: &[UnixMs], window: i64) -> usize {
    times.iter().map(|start| times.iter().filter(|at| **at >= *start && **at < *start + window).count()).max().unwrap_or(0)
}
