//! What each room counts. Clones share their counters; to count is an atomic addition and a look into a small table.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric as Registered, Registry};

use super::catalogue::{Metric, name};
use super::names::Names;

/// Different codes of receivers that are told apart.
const MOST_CODES: usize = 64;
/// Different kinds of events that are told apart.
const MOST_KINDS: usize = 32;

fn register(registry: &mut Registry, metric: &Metric, counted: impl Registered) {
    registry.register(metric.family(), metric.help, counted);
}

macro_rules! labels {
    ($($name:ident { $($label:ident: $type:ty),* })*) => {$(
        #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct $name { $($label: $type),* }
    )*};
}

labels! {
    OfEvent { source: Arc<str>, kind: Arc<str>, result: &'static str }
    OfSource { source: Arc<str> }
    OfRefusal { source: Arc<str>, reason: &'static str }
    OfConnector { connector: Arc<str> }
    OfOutcome { connector: Arc<str>, outcome: &'static str }
    OfCode { connector: Arc<str>, code: Arc<str> }
    OfReason { reason: &'static str }
    OfCall { call: &'static str, result: &'static str }
    OfAction { action: &'static str, result: &'static str }
    OfResult { result: &'static str }
    OfAnswer { server: &'static str, code: u16 }
    OfServer { server: &'static str }
}

/// From half a millisecond to half a minute.
fn seconds() -> Histogram {
    Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}

/// The door.
#[derive(Clone, Debug)]
pub struct IntakeMetrics {
    events: Family<OfEvent, Counter>,
    unrouted: Family<OfSource, Counter>,
    refused: Family<OfRefusal, Counter>,
    kinds: Names,
}

impl Default for IntakeMetrics {
    fn default() -> Self {
        IntakeMetrics {
            events: Family::default(),
            unrouted: Family::default(),
            refused: Family::default(),
            kinds: Names::at_most(MOST_KINDS),
        }
    }
}

impl IntakeMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        register(registry, &name::EVENTS, self.events.clone());
        register(registry, &name::UNROUTED, self.unrouted.clone());
        register(registry, &name::REFUSED_BATCHES, self.refused.clone());
    }

    /// Counts an event that was read.
    pub fn event(&self, source: &Arc<str>, kind: &str, is_new: bool, is_routed: bool) {
        let result = if is_new { "accepted" } else { "duplicate" };
        self.events.get_or_create(&OfEvent { source: Arc::clone(source), kind: self.kinds.label(kind), result }).inc();
        if is_new && !is_routed {
            self.unrouted.get_or_create(&OfSource { source: Arc::clone(source) }).inc();
        }
    }

    /// Counts items that could not be read.
    pub fn rejected(&self, source: &Arc<str>, items: usize) {
        if items > 0 {
            let labels = OfEvent { source: Arc::clone(source), kind: "unreadable".into(), result: "rejected" };
            self.events.get_or_create(&labels).inc_by(items as u64);
        }
    }

    /// Counts a batch that was not taken in.
    pub fn refused(&self, source: &Arc<str>, is_stopping: bool) {
        let reason = if is_stopping { "stopping" } else { "outbox" };
        self.refused.get_or_create(&OfRefusal { source: Arc::clone(source), reason }).inc();
    }
}

/// What an attempt can come to.
const OUTCOMES: [&str; 6] = ["delivered", "retry", "throttled", "rejected", "unknown", "fault"];
/// What a message can come to.
const ENDS: [&str; 2] = ["delivered", "dead"];

/// The lanes.
#[derive(Clone, Debug)]
pub struct DeliveryMetrics {
    messages: Family<OfOutcome, Counter>,
    events: Family<OfConnector, Counter>,
    attempts: Family<OfOutcome, Counter>,
    errors: Family<OfCode, Counter>,
    dead: Family<OfCode, Counter>,
    took: Histogram,
    delay: Histogram,
    failures: Family<OfReason, Counter>,
    codes: Names,
}

impl Default for DeliveryMetrics {
    fn default() -> Self {
        DeliveryMetrics {
            messages: Family::default(),
            events: Family::default(),
            attempts: Family::default(),
            errors: Family::default(),
            dead: Family::default(),
            took: seconds(),
            delay: Histogram::new([0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0]),
            failures: Family::default(),
            codes: Names::at_most(MOST_CODES),
        }
    }
}

impl DeliveryMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        register(registry, &name::MESSAGES, self.messages.clone());
        register(registry, &name::DELIVERED_EVENTS, self.events.clone());
        register(registry, &name::ATTEMPTS, self.attempts.clone());
        register(registry, &name::ATTEMPT_ERRORS, self.errors.clone());
        register(registry, &name::DEAD_TOTAL, self.dead.clone());
        register(registry, &name::ATTEMPT_SECONDS, self.took.clone());
        register(registry, &name::DELAY, self.delay.clone());
        register(registry, &name::LANE_FAILURES, self.failures.clone());
    }

    /// Counts an attempt. `code` is empty for one that delivered.
    pub fn attempt(&self, connector: &Arc<str>, outcome: &str, took: Duration, code: &str) {
        let outcome = OUTCOMES.into_iter().find(|known| *known == outcome).unwrap_or("unknown");
        self.attempts.get_or_create(&OfOutcome { connector: Arc::clone(connector), outcome }).inc();
        if outcome != "fault" {
            self.took.observe(took.as_secs_f64());
        }
        if outcome != "delivered" {
            self.errors.get_or_create(&self.of_code(connector, code)).inc();
        }
    }

    /// Counts a message that was delivered, and says how long its oldest event took.
    pub fn delivered(&self, connector: &Arc<str>, events: usize, delay: Duration) {
        self.messages.get_or_create(&OfOutcome { connector: Arc::clone(connector), outcome: "delivered" }).inc();
        self.events.get_or_create(&OfConnector { connector: Arc::clone(connector) }).inc_by(events as u64);
        self.delay.observe(delay.as_secs_f64());
    }

    /// Counts a message that became a dead letter.
    pub fn dead(&self, connector: &Arc<str>, code: &str) {
        self.messages.get_or_create(&OfOutcome { connector: Arc::clone(connector), outcome: "dead" }).inc();
        self.dead.get_or_create(&self.of_code(connector, code)).inc();
    }

    /// Counts a turn of a lane that failed.
    pub fn failed(&self, by_panic: bool) {
        self.failures.get_or_create(&OfReason { reason: if by_panic { "panic" } else { "outbox" } }).inc();
    }

    /// Forgets a connector that the config no longer has.
    pub fn forget(&self, connector: &Arc<str>) {
        let of = |outcome| OfOutcome { connector: Arc::clone(connector), outcome };
        OUTCOMES.into_iter().for_each(|outcome| _ = self.attempts.remove(&of(outcome)));
        ENDS.into_iter().for_each(|end| _ = self.messages.remove(&of(end)));
        self.events.remove(&OfConnector { connector: Arc::clone(connector) });
        for code in self.codes.all() {
            let labels = OfCode { connector: Arc::clone(connector), code };
            self.errors.remove(&labels);
            self.dead.remove(&labels);
        }
    }

    fn of_code(&self, connector: &Arc<str>, code: &str) -> OfCode {
        OfCode { connector: Arc::clone(connector), code: self.codes.label(code) }
    }
}

/// The outbox.
#[derive(Clone, Debug)]
pub struct OutboxMetrics {
    commit: Histogram,
    group: Histogram,
    failures: Counter,
}

impl Default for OutboxMetrics {
    fn default() -> Self {
        let group = Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]);
        OutboxMetrics { commit: seconds(), group, failures: Counter::default() }
    }
}

impl OutboxMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        register(registry, &name::OUTBOX_COMMIT, self.commit.clone());
        register(registry, &name::OUTBOX_GROUP, self.group.clone());
        register(registry, &name::OUTBOX_FAILURES, self.failures.clone());
    }

    /// Counts a transaction of so many jobs.
    pub fn transaction(&self, jobs: usize, took: Duration, committed: bool) {
        self.group.observe(jobs as f64);
        self.commit.observe(took.as_secs_f64());
        if !committed {
            self.failures.inc();
        }
    }
}

/// iLert's API, and what was asked for from the chat.
#[derive(Clone, Debug, Default)]
pub struct ApiMetrics {
    requests: Family<OfCall, Counter>,
    responses: Family<OfAction, Counter>,
    reconciles: Family<OfResult, Counter>,
    caught_up: Counter,
}

impl ApiMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        register(registry, &name::API_REQUESTS, self.requests.clone());
        register(registry, &name::RESPONSES, self.responses.clone());
        register(registry, &name::RECONCILES, self.reconciles.clone());
        register(registry, &name::CAUGHT_UP, self.caught_up.clone());
    }

    /// Counts a call.
    pub fn request(&self, call: &'static str, result: &'static str) {
        self.requests.get_or_create(&OfCall { call, result }).inc();
    }

    /// Counts an attempt to carry out what somebody asked for.
    pub fn response(&self, action: &'static str, result: &'static str) {
        self.responses.get_or_create(&OfAction { action, result }).inc();
    }

    /// Counts a comparison with iLert, and what it found; `None` if it failed.
    pub fn reconciled(&self, caught_up: Option<usize>) {
        let result = if caught_up.is_some() { "ok" } else { "failed" };
        self.reconciles.get_or_create(&OfResult { result }).inc();
        self.caught_up.inc_by(caught_up.unwrap_or_default() as u64);
    }
}

/// The servers.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    requests: Family<OfAnswer, Counter>,
    took: Family<OfServer, Histogram>,
}

impl Default for HttpMetrics {
    fn default() -> Self {
        HttpMetrics { requests: Family::default(), took: Family::new_with_constructor(seconds) }
    }
}

impl HttpMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        register(registry, &name::HTTP_REQUESTS, self.requests.clone());
        register(registry, &name::HTTP_SECONDS, self.took.clone());
    }

    /// Counts an answer.
    pub fn answered(&self, server: &'static str, code: u16, took: Duration) {
        self.requests.get_or_create(&OfAnswer { server, code }).inc();
        self.took.get_or_create(&OfServer { server }).observe(took.as_secs_f64());
    }
}

/// Reading the config anew.
#[derive(Clone, Debug, Default)]
pub struct ConfigMetrics {
    reloads: Family<OfResult, Counter>,
    successful: Gauge,
    at: Gauge,
    restart: Gauge,
}

impl ConfigMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        register(registry, &name::RELOADS, self.reloads.clone());
        register(registry, &name::RELOAD_OK, self.successful.clone());
        register(registry, &name::RELOAD_AT, self.at.clone());
        register(registry, &name::RESTART_WANTED, self.restart.clone());
    }

    /// Notes the config that the host starts with.
    pub fn started(&self, now_ms: i64) {
        self.successful.set(1);
        self.at.set(now_ms / 1_000);
    }

    /// Counts a config that was taken up, with so many settings that wait for a restart.
    pub fn taken(&self, changed: bool, restart: usize, now_ms: i64) {
        self.reloads.get_or_create(&OfResult { result: if changed { "changed" } else { "unchanged" } }).inc();
        self.started(now_ms);
        self.restart.set(i64::try_from(restart).unwrap_or(i64::MAX));
    }

    /// Counts a config that has errors.
    pub fn failed(&self) {
        self.reloads.get_or_create(&OfResult { result: "failed" }).inc();
        self.successful.set(0);
    }
}

/// Traces.
#[derive(Clone, Debug, Default)]
pub struct TraceMetrics {
    spans: Family<OfResult, Counter>,
}

impl TraceMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        register(registry, &name::TRACE_SPANS, self.spans.clone());
    }

    /// Counts spans that the collector took.
    pub fn exported(&self, spans: usize) {
        self.count("exported", spans);
    }

    /// Counts spans that the collector did not take, and that are lost.
    pub fn failed(&self, spans: usize) {
        self.count("failed", spans);
    }

    /// Counts spans that found no room.
    pub fn dropped(&self, spans: usize) {
        self.count("dropped", spans);
    }

    fn count(&self, result: &'static str, spans: usize) {
        if spans > 0 {
            self.spans.get_or_create(&OfResult { result }).inc_by(spans as u64);
        }
    }
}
