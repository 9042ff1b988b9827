//! What happens within one attempt, noted where it happens: a lane listens, and a sink says what it does without knowing who listens.

use std::sync::{Arc, Mutex, PoisonError};

use super::context::{SpanId, TraceId};
use super::span::{Kind, Span, Value};
use super::{UnixNs, now};

/// Steps of one attempt that are kept.
const MOST: usize = 64;

tokio::task_local! {
    static LISTENER: Arc<Mutex<Vec<Step>>>;
}

/// The steps of an attempt; by default nobody listens.
#[derive(Clone, Debug, Default)]
pub struct Steps(Option<On>);

#[derive(Clone, Debug)]
struct On {
    began: UnixNs,
    noted: Arc<Mutex<Vec<Step>>>,
}

/// A step that has ended.
#[derive(Clone, Debug)]
pub(super) struct Step {
    name: &'static str,
    kind: Kind,
    began: UnixNs,
    ended: UnixNs,
    attributes: Vec<(&'static str, Value)>,
    error: Option<String>,
}

impl Steps {
    pub(super) fn on() -> Steps {
        Steps(Some(On { began: now(), noted: Arc::default() }))
    }

    pub(super) fn began(&self) -> Option<UnixNs> {
        self.0.as_ref().map(|on| on.began)
    }

    /// Listens to what happens in `work`.
    pub fn around<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(on) => LISTENER.sync_scope(Arc::clone(&on.noted), work),
            None => work(),
        }
    }

    /// Listens to what happens in `work`. As cancel-safe as that is.
    pub async fn during<F: Future>(&self, work: F) -> F::Output {
        match &self.0 {
            Some(on) => LISTENER.scope(Arc::clone(&on.noted), work).await,
            None => work.await,
        }
    }

    /// What was noted; afterwards it is empty.
    pub(super) fn take(&self) -> Vec<Step> {
        let noted = self.0.as_ref().map(|on| std::mem::take(&mut *on.noted.lock().unwrap_or_else(PoisonError::into_inner)));
        noted.unwrap_or_default()
    }
}

/// Begins a step; it ends when it is dropped. `None` where nobody listens.
pub fn step(name: &'static str) -> Option<OpenStep> {
    let noted = LISTENER.try_with(Arc::clone).ok()?;
    let began = now();
    Some(OpenStep { noted, step: Step { name, kind: Kind::Internal, began, ended: began, attributes: Vec::new(), error: None } })
}

/// A step that has begun.
#[derive(Debug)]
pub struct OpenStep {
    noted: Arc<Mutex<Vec<Step>>>,
    step: Step,
}

impl OpenStep {
    /// It is a request to somebody else.
    pub fn outward(mut self) -> Self {
        self.step.kind = Kind::Client;
        self
    }

    /// Notes something about it.
    pub fn note(&mut self, key: &'static str, value: impl Into<Value>) {
        self.step.attributes.push((key, value.into()));
    }

    /// It failed, for this reason.
    pub fn fail(&mut self, why: &str) {
        self.step.error = Some(why.to_owned());
    }
}

impl Drop for OpenStep {
    fn drop(&mut self) {
        self.step.ended = now();
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() < MOST {
            noted.push(self.step.clone());
        }
    }
}

impl Step {
    pub(super) fn within(self, trace: TraceId, parent: SpanId) -> Span {
        let mut span = Span::new(trace, SpanId::random(), Some(parent), self.name, self.kind, self.began, self.ended);
        span.attributes = self.attributes;
        if let Some(error) = self.error {
            span.fail(&error);
        }
        span
    }
}
