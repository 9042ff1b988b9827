//! Traces, for an OpenTelemetry collector: an event from its source to the receiver's answer. Off unless `[otlp]` asks for them.
//!
//! | file | does |
//! |---|---|
//! | `context` | ids of traces, and the `traceparent` of a sender |
//! | `span` | what a span is |
//! | `steps` | what happens within one attempt, noted where it happens |
//! | `wire` | spans as OTLP's JSON |
//! | `export` | hands them over: bounded, in batches, never in anybody's way |
//!
//! An event's trace is its sender's, where the request had a `traceparent`; else its id follows from the event's id. So an attempt after a
//! restart, or by another host of the same outbox, belongs to the same trace although nobody wrote one down.

mod context;
mod export;
mod span;
mod steps;
mod wire;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::warn;

use self::context::{SpanId, Traced};
use self::span::{Kind, Span};
use super::metrics::TraceMetrics;

pub use context::TraceParent;
pub use export::{Exporter, ExporterError};
pub use span::Value;
pub use steps::{OpenStep, Steps, step};

/// Spans that wait for the collector; further ones are dropped and counted.
const QUEUE: usize = 8_192;
/// Events whose sender's trace is kept in mind; of older ones the id follows from the event.
const KEPT: usize = 16_384;
/// Links of one span.
const LINKS: usize = 128;
/// How long the last spans may take at a stop.
const FLUSH: Duration = Duration::from_secs(5);

/// Nanoseconds since 1970-01-01T00:00:00Z.
pub(super) type UnixNs = u64;

/// The time of day.
pub(super) fn now() -> UnixNs {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX))
}

/// Where the rooms tell what they do; cheap to clone. Tells nobody until it is given an [`Exporter`].
#[derive(Clone, Default)]
pub struct Tracer(Arc<Shared>);

#[derive(Default)]
struct Shared {
    active: ArcSwapOption<Active>,
    metrics: TraceMetrics,
    tasks: TaskTracker,
}

/// Traces that are on.
struct Active {
    sample: f64,
    queue: mpsc::Sender<Span>,
    senders: Mutex<Senders>,
    /// Ends the exporter, once it has handed over what waits.
    _stop: DropGuard,
}

/// The traces of senders, the newest last.
#[derive(Default)]
struct Senders {
    known: HashMap<Box<str>, TraceParent>,
    order: VecDeque<Box<str>>,
}

/// How a batch came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    began: UnixNs,
    sender: Option<TraceParent>,
}

impl Arrival {
    /// Now, by a request with this `traceparent`.
    pub fn now(traceparent: Option<&str>) -> Arrival {
        Arrival { began: now(), sender: traceparent.and_then(TraceParent::parse) }
    }
}

/// An event that came in.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Its source's name.
    pub source: &'a str,
    /// Its id.
    pub event: &'a str,
    /// Its incident's.
    pub incident: &'a str,
    /// What happened.
    pub kind: &'a str,
    /// To how many connectors it goes.
    pub connectors: usize,
    /// It had come before.
    pub duplicate: bool,
}

/// An attempt to deliver a message.
#[derive(Clone, Copy, Debug)]
pub struct Attempted<'a> {
    /// The connector's name.
    pub connector: &'a str,
    /// The message's id.
    pub message: i64,
    /// 1 for the first.
    pub attempt: u32,
    /// What came of it.
    pub outcome: &'a str,
    /// The receiver's code, or a word of the host; empty where it was delivered.
    pub code: &'a str,
    /// The receiver's words.
    pub text: &'a str,
    /// What becomes of the message: delivered, again, dead.
    pub then: &'a str,
}

impl Tracer {
    /// What it has counted.
    pub fn metrics(&self) -> &TraceMetrics {
        &self.0.metrics
    }

    /// Hands spans to this exporter from now on, or to none. The one before hands over what it has, and ends. Within a runtime.
    pub fn set(&self, exporter: Option<Exporter>) {
        let active = exporter.map(|exporter| {
            let ((queue, spans), stop) = (mpsc::channel(QUEUE), CancellationToken::new());
            let sample = exporter.sample();
            self.0.tasks.spawn(exporter.run(spans, stop.clone(), self.0.metrics.clone()));
            Arc::new(Active { sample, queue, senders: Mutex::default(), _stop: stop.drop_guard() })
        });
        self.0.active.store(active);
    }

    /// Hands over what waits, and ends. Takes some seconds at the most.
    pub async fn stop(&self) {
        self.set(None);
        self.0.tasks.close();
        if tokio::time::timeout(FLUSH, self.0.tasks.wait()).await.is_err() {
            warn!("The last traces could not be handed over.");
        }
    }

    /// Whether anybody wants spans.
    pub fn is_on(&self) -> bool {
        self.0.active.load().is_some()
    }

    /// Notes what happens in an attempt; nothing where traces are off.
    pub fn record(&self) -> Steps {
        if self.is_on() { Steps::on() } else { Steps::default() }
    }

    /// The time for [`Tracer::received`].
    pub fn commit_begins(&self) -> u64 {
        if self.is_on() { now() } else { 0 }
    }

    /// Tells of an event that came in and was written down since `committing`.
    pub fn received(&self, event: &Received<'_>, arrival: &Arrival, committing: u64) {
        let active = self.0.active.load();
        let Some(active) = &*active else { return };
        if let (Some(sender), false) = (arrival.sender, event.duplicate) {
            active.keep(event.event, sender);
        }
        // One that came again is in its own sender's trace.
        let of_sender = arrival.sender.map(|sender| Traced::of_sender(event.event, sender));
        let traced = of_sender.unwrap_or_else(|| active.traced(event.event));
        if !traced.sampled {
            return;
        }
        let (root, ended) = (if event.duplicate { SpanId::random() } else { traced.span }, now());
        let parent = arrival.sender.map(|sender| sender.span);
        let mut received = Span::new(traced.trace, root, parent, "receive event", Kind::Server, arrival.began, ended);
        received.note("incident_sink.source", event.source);
        received.note("incident_sink.event.id", event.event);
        received.note("incident_sink.incident.id", event.incident);
        received.note("incident_sink.event.kind", event.kind);
        received.note("incident_sink.connectors", i64::try_from(event.connectors).unwrap_or(i64::MAX));
        received.note("incident_sink.duplicate", event.duplicate);
        let mut committed =
            Span::new(traced.trace, SpanId::random(), Some(root), "commit to outbox", Kind::Internal, committing.max(arrival.began), ended);
        committed.note("incident_sink.event.id", event.event);
        self.send(active, received);
        self.send(active, committed);
    }

    /// Tells of an attempt for these events, by their ids, and of the steps in it. It is in the trace of the first; to the others it has links.
    pub fn attempted<'e>(&self, attempt: &Attempted<'_>, events: impl Iterator<Item = &'e str> + Clone, steps: &Steps) {
        let active = self.0.active.load();
        let Some(active) = &*active else { return };
        let mut sampled = events.clone().map(|event| active.traced(event)).filter(|traced| traced.sampled);
        let Some(first) = sampled.next() else { return };
        let (id, ended) = (SpanId::random(), now());
        let mut span =
            Span::new(first.trace, id, Some(first.span), "deliver message", Kind::Internal, steps.began().unwrap_or(ended), ended);
        span.note("incident_sink.connector", attempt.connector);
        span.note("incident_sink.message.id", attempt.message);
        span.note("incident_sink.attempt", i64::from(attempt.attempt));
        span.note("incident_sink.outcome", attempt.outcome);
        span.note("incident_sink.then", attempt.then);
        let mut ids: Vec<String> = events.take(LINKS).map(str::to_owned).collect();
        match (ids.len(), ids.pop()) {
            (1, Some(only)) => span.note("incident_sink.event.id", only),
            (_, last) => span.note("incident_sink.event.ids", Value::List(ids.into_iter().chain(last).collect())),
        }
        if !attempt.code.is_empty() {
            span.note("incident_sink.code", attempt.code);
        }
        if attempt.outcome != "delivered" {
            span.fail(attempt.text);
        }
        span.links = sampled.take(LINKS).map(|other| (other.trace, other.span)).collect();
        for step in steps.take() {
            self.send(active, step.within(first.trace, id));
        }
        self.send(active, span);
    }

    fn send(&self, active: &Active, span: Span) {
        if active.queue.try_send(span).is_err() {
            self.0.metrics.dropped(1);
        }
    }
}

impl Active {
    fn traced(&self, event: &str) -> Traced {
        let senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        match senders.known.get(event) {
            Some(sender) => Traced::of_sender(event, *sender),
            None => Traced::of_event(event, self.sample),
        }
    }

    fn keep(&self, event: &str, sender: TraceParent) {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        if senders.known.insert(event.into(), sender).is_none() {
            senders.order.push_back(event.into());
        }
        if senders.order.len() > KEPT
            && let Some(oldest) = senders.order.pop_front()
        {
            senders.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests;
