//! Which spans come of what the rooms tell.

use super::*;

struct Heard {
    tracer: Tracer,
    spans: mpsc::Receiver<Span>,
}

impl Heard {
    fn new(sample: f64, room: usize) -> Heard {
        let (tracer, (queue, spans)) = (Tracer::default(), mpsc::channel(room));
        let active = Active { sample, queue, senders: Mutex::default(), _stop: CancellationToken::new().drop_guard() };
        tracer.0.active.store(Some(Arc::new(active)));
        Heard { tracer, spans }
    }

    fn receives(&self, event: &str, traceparent: Option<&str>, duplicate: bool) {
        let received = Received { source: "ilert", event, incident: "1", kind: "created", connectors: 1, duplicate };
        self.tracer.received(&received, &Arrival::now(traceparent), self.tracer.commit_begins());
    }

    fn attempts(&self, events: &[&str]) {
        let steps = self.tracer.record();
        steps.around(|| drop(step("sign")));
        let attempted = Attempted { connector: "ops", message: 7, attempt: 1, outcome: "delivered", code: "", text: "", then: "delivered" };
        self.tracer.attempted(&attempted, events.iter().copied(), &steps);
    }

    fn take(&mut self) -> Vec<Span> {
        std::iter::from_fn(|| self.spans.try_recv().ok()).collect()
    }
}

const SENDER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn an_attempt_is_in_the_trace_of_its_event_and_its_steps_are_in_the_attempt() {
    for traceparent in [None, Some(SENDER)] {
        let mut heard = Heard::new(1.0, 100);
        heard.receives("e1", traceparent, false);
        heard.attempts(&["e1"]);
        let spans = heard.take();
        let [received, committed, signed, delivered] = spans.as_slice() else { panic!("{spans:?}") };
        assert_eq!(received.trace.to_string() == "0af7651916cd43dd8448eb211c80319c", traceparent.is_some());
        assert!(spans.iter().all(|span| span.trace == received.trace && span.began <= span.ended));
        assert_eq!((committed.parent, delivered.parent, signed.parent), (Some(received.id), Some(received.id), Some(delivered.id)));
        assert_eq!(received.parent.map(|parent| parent.to_string()).as_deref(), traceparent.map(|_| "b7ad6b7169203331"));
    }
}

#[test]
fn a_digest_has_links_to_its_other_events() {
    let mut heard = Heard::new(1.0, 100);
    heard.attempts(&["e1", "e2", "e3"]);
    let spans = heard.take();
    let delivered = spans.last().unwrap();
    let of = |event| Traced::of_event(event, 1.0);
    assert_eq!((delivered.trace, delivered.parent), (of("e1").trace, Some(of("e1").span)));
    assert_eq!(delivered.links, [(of("e2").trace, of("e2").span), (of("e3").trace, of("e3").span)]);
}

#[test]
fn what_is_not_sampled_leaves_nothing_behind() {
    let mut heard = Heard::new(0.0, 100);
    heard.receives("e1", None, false);
    heard.attempts(&["e1"]);
    assert_eq!(heard.take(), []);
    let mut heard = Heard::new(1.0, 100);
    heard.receives("e1", Some(&SENDER.replace("-01", "-00")), false);
    heard.attempts(&["e1"]);
    assert_eq!(heard.take(), []);
}

#[test]
fn an_event_that_comes_again_does_not_move_to_another_trace() {
    let mut heard = Heard::new(1.0, 100);
    heard.receives("e1", None, false);
    heard.receives("e1", Some(SENDER), true);
    heard.attempts(&["e1"]);
    let spans = heard.take();
    assert_eq!(spans.last().unwrap().trace, spans[0].trace);
    assert_ne!(spans[0].id, spans[2].id);
}

#[test]
fn senders_are_forgotten_before_they_are_too_many() {
    let heard = Heard::new(1.0, 1);
    (0..KEPT + 10).for_each(|n| heard.receives(&format!("e{n}"), Some(SENDER), false));
    let active = heard.tracer.0.active.load_full().unwrap();
    let senders = active.senders.lock().unwrap();
    assert_eq!((senders.known.len(), senders.order.len()), (KEPT, KEPT));
}

#[test]
fn nobody_waits_for_a_full_queue_and_nothing_is_noted_where_traces_are_off() {
    let mut heard = Heard::new(1.0, 1);
    heard.receives("e1", None, false);
    assert_eq!(heard.take().len(), 1);
    heard.tracer.set(None);
    heard.receives("e1", None, false);
    assert!(heard.tracer.record().began().is_none() && step("begin").is_none());
    assert_eq!(heard.take(), []);
}
