//! "Test this connection": one message that says it is a test, sent at once and past the outbox.

use jiff::Timestamp;

use crate::clock::Clock;
use crate::delivery::{Attempt, IncidentSink, Item, MessageContext, Outcome};
use crate::event::{Event, Kind, Status};
use crate::outbox::Reason;

/// A sink that wants more requests than this for one message is at fault.
const STEPS: usize = 8;

/// The event of a test.
pub fn test_event(now: Timestamp) -> Event {
    Event {
        id: format!("test:{:032x}", fastrand::u128(..)),
        kind: Kind::Test,
        incident_id: "test".to_owned(),
        status: Status::Other("TEST".to_owned()),
        priority: None,
        severity: None,
        summary: "Test".to_owned(),
        details: String::new(),
        alert_key: None,
        alert_source: None,
        escalation_policy: None,
        assigned_to: None,
        responders: Vec::new(),
        actor: None,
        comment: None,
        links: Vec::new(),
        images: Vec::new(),
        reported_at: now,
        occurred_at: now,
        incident_url: None,
        extra: Vec::new(),
    }
}

/// Sends a test message through a sink and tells what came of it. An `Err` is a fault of the sink itself.
///
/// It does not pass the lane, so that it answers at once; the receiver counts it all the same.
pub async fn test_connection(sink: &dyn IncidentSink, clock: &Clock) -> Result<Outcome, Reason> {
    let now = clock.now();
    let event = test_event(Timestamp::from_millisecond(now).unwrap_or(Timestamp::UNIX_EPOCH));
    let cx = MessageContext { now, attempt: 1, key: format!("{:032x}", fastrand::u128(..)), memo: None, waiting: 0 };
    let prepared = sink.prepare(&[Item { event: event.into(), folded: 0 }], &cx)?;
    let mut draft = prepared.draft;
    for _ in 0..STEPS {
        match sink.attempt(&draft, &cx).await {
            Attempt::Done(outcome) => return Ok(outcome),
            Attempt::Next { draft: next, .. } => draft = next,
        }
    }
    Err(Reason {
        code: "steps".to_owned(),
        text: format!("the sink wants more than {STEPS} requests for one message"),
        advice: String::new(),
    })
}
