//! Tests of pipes, on a sink that does as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{SinkExt, StreamExt, stream};
use tower::{Service, ServiceExt};

use super::*;
use crate::delivery::testing::event;
use crate::event::Kind;

/// Answers what it is told to, then delivers; notes what it delivered.
#[derive(Clone, Default)]
struct Fake {
    answers: Arc<Mutex<VecDeque<Outcome>>>,
    delivered: Arc<Mutex<Vec<String>>>,
    hangs: bool,
}

fn reason() -> Reason {
    Reason { code: "no".into(), text: "not this one".into(), advice: String::new() }
}

#[async_trait]
impl IncidentSink for Fake {
    fn profile(&self) -> Profile {
        Profile { pace: None, max_batch: 1 }
    }

    fn prepare(&self, batch: &[Item], _cx: &MessageContext) -> Result<Prepared, Reason> {
        let prepared = batch[0].event.incident_id.clone().into_bytes();
        Ok(Prepared { draft: Draft { prepared, author: "fake".into() }, covers: 1 })
    }

    fn can_attempt(&self, _draft: &Draft) -> bool {
        true
    }

    async fn attempt(&self, draft: &Draft, _cx: &MessageContext) -> Attempt {
        if self.hangs {
            return std::future::pending().await;
        }
        let id = String::from_utf8(draft.prepared.clone()).unwrap();
        let answer = self.answers.lock().unwrap().pop_front();
        Attempt::Done(answer.unwrap_or_else(|| {
            self.delivered.lock().unwrap().push(id.clone());
            Outcome::Delivered { receipt: Some(id), memo: None }
        }))
    }
}

fn pipe(fake: &Fake, capacity: usize) -> SinkPipe {
    SinkPipe::new(Box::new(fake.clone()), PipeOptions { capacity, clock: Clock::scaled(100), ..PipeOptions::default() })
}

fn events(count: usize) -> Vec<Event> {
    (0..count).map(|n| event(&n.to_string(), Kind::Created)).collect()
}

#[tokio::test]
async fn a_stream_is_acknowledged_in_order_and_a_refusal_is_told() {
    let fake = Fake::default();
    fake.answers.lock().unwrap().extend([Outcome::Retry { after_ms: 1, reason: reason() }, Outcome::Rejected { reason: reason() }]);
    let told = Arc::new(Mutex::new(Vec::new()));
    let tracked = events(5).into_iter().map(|event| {
        let (told, id) = (Arc::clone(&told), event.incident_id.clone());
        Tracked::new(event, move |status| told.lock().unwrap().push((id, status)))
    });
    // Less room than events: the stream waits for ends.
    pipe(&fake, 2).run(stream::iter(tracked)).await;
    let told = told.lock().unwrap();
    assert_eq!(told.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["0", "1", "2", "3", "4"]);
    assert_eq!(told[0].1, EventStatus::Rejected(reason()));
    assert_eq!(told[1].1, EventStatus::Delivered(Receipt { id: Some("1".into()) }));
    assert_eq!(*fake.delivered.lock().unwrap(), ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn a_service_answers_when_its_event_is_delivered() {
    let mut service = pipe(&Fake::default(), 1);
    for event in events(3) {
        let id = event.incident_id.clone();
        assert_eq!(service.ready().await.unwrap().call(event).await, Ok(Receipt { id: Some(id) }));
    }
    // Without asking whether it is ready, and from a clone.
    assert!(service.clone().call(event("9", Kind::Created)).await.is_ok());
}

#[tokio::test]
async fn a_sink_is_flushed_when_everything_is_delivered() {
    let fake = Fake::default();
    let mut sink = pipe(&fake, 2).into_sink();
    sink.send_all(&mut stream::iter(events(7)).map(Ok)).await.unwrap();
    assert_eq!(fake.delivered.lock().unwrap().len(), 7);
    fake.answers.lock().unwrap().push_back(Outcome::Rejected { reason: reason() });
    assert_eq!(sink.send(event("8", Kind::Created)).await, Err(Undelivered::Rejected(reason())));
    sink.send(event("9", Kind::Created)).await.unwrap();
    sink.close().await.unwrap();
}

#[tokio::test]
async fn what_was_not_delivered_at_the_end_is_the_senders_again() {
    let fake = Fake { hangs: true, ..Fake::default() };
    let hanging = pipe(&fake, 10);
    let waits = tokio::spawn({
        let pipe = hanging.clone();
        async move { pipe.deliver(event("1", Kind::Created)).await }
    });
    while hanging.inner_is_empty().await {
        tokio::task::yield_now().await;
    }
    hanging.close(Duration::from_millis(1)).await;
    assert_eq!(waits.await.unwrap(), Err(Undelivered::Stopped));
    assert_eq!(hanging.deliver(event("2", Kind::Created)).await, Err(Undelivered::Stopped));

    let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let dropped = pipe(&fake, 10);
    dropped.hand_over(Tracked::new(event("3", Kind::Created), move |status| told.send(status).unwrap())).await;
    drop(dropped);
    assert_eq!(tokio::time::timeout(Duration::from_secs(30), hears.recv()).await.unwrap(), Some(EventStatus::Errored));
}
