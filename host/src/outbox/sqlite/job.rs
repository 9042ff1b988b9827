//! Work for the writer, and how its result comes back.

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::accept::{Answer, Delivery};
use super::desk::Desk;
use super::fault::Fault;
use crate::outbox::OutboxError;

/// Work for the writer.
pub(super) enum Job {
    /// Events to take in.
    Accept(Delivery, oneshot::Sender<Answer>),
    /// Any other change.
    Change(Box<dyn Task>),
    /// The last job; answered when the file is closed and the lock is free.
    Close(oneshot::Sender<()>),
}

/// A job with its place in the bounded queue, which is free again once the writer has taken the job.
pub(super) struct Envelope {
    pub(super) job: Job,
    pub(super) _slot: Option<OwnedSemaphorePermit>,
}

/// A change: made once that stays, then told what became of it.
pub(super) trait Task: Send {
    /// Makes the change. What it did may be undone, and it may be run again.
    fn run(&mut self, desk: &mut Desk<'_>) -> Result<(), Fault>;

    /// Answers the caller: with the result, or with why there is none.
    fn tell(self: Box<Self>, outcome: Result<(), OutboxError>);
}

struct Change<T, W> {
    work: W,
    value: Option<T>,
    caller: oneshot::Sender<Result<T, OutboxError>>,
}

impl<T: Send, W: FnMut(&mut Desk<'_>) -> Result<T, Fault> + Send> Task for Change<T, W> {
    fn run(&mut self, desk: &mut Desk<'_>) -> Result<(), Fault> {
        self.value = Some((self.work)(desk)?);
        Ok(())
    }

    fn tell(self: Box<Self>, outcome: Result<(), OutboxError>) {
        let Change { value, caller, .. } = *self;
        let answer = outcome.and_then(|()| value.ok_or_else(|| OutboxError::Broken("a change was committed without being made".into())));
        // A caller that has gone needs no answer.
        _ = caller.send(answer);
    }
}

impl Job {
    /// A change, and where its result will be.
    pub(super) fn change<T: Send + 'static>(
        work: impl FnMut(&mut Desk<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> (Job, oneshot::Receiver<Result<T, OutboxError>>) {
        let (caller, answer) = oneshot::channel();
        (Job::Change(Box::new(Change { work, value: None, caller })), answer)
    }
}

/// A job that was run or refused, and whose caller waits for the commit.
pub(super) enum Run {
    /// With its own answer.
    Accept(oneshot::Sender<Answer>, Answer),
    /// Made.
    Made(Box<dyn Task>),
    /// Undone, for this reason.
    Failed(Box<dyn Task>, OutboxError),
}

impl Run {
    /// Answers the caller, now that it is known what became of the transaction.
    fn tell(self, outcome: &Result<(), OutboxError>) {
        let outcome = outcome.clone();
        match self {
            // A caller that has gone needs no answer.
            Run::Accept(caller, answer) => _ = caller.send(outcome.and(answer)),
            Run::Made(task) => task.tell(outcome),
            Run::Failed(task, error) => task.tell(outcome.and(Err(error))),
        }
    }
}

/// As many callers are woken by the writer itself; more by a task, so that the next transaction need not wait for it.
const WOKEN_BY_THE_WRITER: usize = 2;

/// The answers to a transaction's callers. Dropped in whatever way, it tells them.
pub(super) struct Answers {
    pub(super) runs: Vec<Run>,
    pub(super) outcome: Result<(), OutboxError>,
    /// What the calls brought: needed no more, and given back with them.
    pub(super) _written: Vec<Delivery>,
}

impl Answers {
    /// Tells the callers, soon.
    pub(super) fn tell(self, runtime: &Handle) {
        if self.runs.len() > WOKEN_BY_THE_WRITER {
            // On a runtime that ends it is dropped unrun, which tells them too.
            runtime.spawn(async move { drop(self) });
        }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        for run in self.runs.drain(..) {
            run.tell(&self.outcome);
        }
    }
}
