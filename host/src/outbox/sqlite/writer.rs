//! The one thread that writes: takes what waits, up to 256 jobs, into one transaction, and answers after its commit.
//!
//! A job that fails leaves no trace and does not disturb the others: then all of them are run again, each in a savepoint of its own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::accept::{self, Answer, Delivery};
use super::desk::{Desk, Limits};
use super::fault::{Fault, Judge};
use super::health::Health;
use super::job::{Answers, Envelope, Job, Run, Task};
use super::ledger::{Ledger, Mark};
use super::lock::Lock;
use super::mover::{Mode, Mover, checkpoint};
use super::prune;
use crate::clock::Clock;
use crate::outbox::OutboxError;

/// The most jobs in one transaction.
const GROUP: usize = 256;
/// How soon the writer goes on forgetting where there was more.
const MORE_CHORES: Duration = Duration::from_millis(100);

/// The writer's belongings.
pub(super) struct Writer {
    pub(super) db: Connection,
    pub(super) ledger: Ledger,
    pub(super) limits: Limits,
    pub(super) judge: Judge,
    pub(super) health: Arc<Health>,
    pub(super) mover: Mover,
    pub(super) clock: Clock,
    pub(super) lock: Lock,
    /// Where callers are woken.
    pub(super) runtime: Handle,
}

impl Writer {
    /// Works until it is closed or nobody can send it anything any more.
    pub(super) fn run(mut self, inbox: &Receiver<Envelope>) {
        let mut chores_at = Instant::now() + self.limits.chores_every;
        loop {
            match inbox.recv_timeout(chores_at.saturating_duration_since(Instant::now())) {
                Ok(first) => {
                    if let Some(closed) = self.group(first.job, inbox) {
                        return self.close(closed);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if Instant::now() >= chores_at {
                chores_at = Instant::now() + if self.chores() { MORE_CHORES } else { self.limits.chores_every };
            }
        }
    }

    /// One transaction of what waits. Returns whom to tell when closed, if that was the last of it.
    fn group(&mut self, first: Job, inbox: &Receiver<Envelope>) -> Option<oneshot::Sender<()>> {
        let mut jobs = vec![first];
        while jobs.len() < GROUP
            && !matches!(jobs.last(), Some(Job::Close(_)))
            && let Ok(next) = inbox.try_recv()
        {
            jobs.push(next.job);
        }
        let closed = match jobs.pop_if(|job| matches!(job, Job::Close(_))) {
            Some(Job::Close(closed)) => Some(closed),
            _ => None,
        };
        if !jobs.is_empty() {
            let count = jobs.len();
            self.health.begun();
            let committed = self.transact(jobs);
            self.health.ended(count, committed);
            self.mover.mind(&self.db, &self.judge);
        }
        closed
    }

    /// Runs jobs in one transaction and answers them. Whether it was committed.
    fn transact(&mut self, jobs: Vec<Job>) -> bool {
        let begin = self.ledger.mark();
        let mut group = Group::of(jobs);
        let outcome = self.execute("BEGIN IMMEDIATE").and_then(|()| self.run_group(&mut group)).and_then(|()| self.execute("COMMIT"));
        match &outcome {
            Ok(()) => self.ledger.commit(),
            Err(error) => {
                self.roll_back(begin);
                tracing::error!(message = "Outbox not written.", error = %error);
                // Those that the failure came before.
                group.runs.extend(group.calls.drain(..).map(|(_, caller)| Run::Accept(caller, Err(error.clone()))));
                group.runs.extend(group.tasks.drain(..).map(Run::Made));
            }
        }
        let committed = outcome.is_ok();
        Answers { runs: group.runs, outcome, _written: group.written }.tell(&self.runtime);
        committed
    }

    /// Runs all jobs one after the other. Should one fail, which is rare, everything is undone, and each is run in a savepoint of its own: SQLite copies
    /// every page that a savepoint changes. On an `Err` those that were not run stay where they are.
    fn run_group(&mut self, group: &mut Group) -> Result<(), OutboxError> {
        let (calls, tasks) = (&group.calls, &mut group.tasks);
        let all = |desk: &mut Desk<'_>| {
            let deliveries: Vec<&Delivery> = calls.iter().map(|(delivery, _)| delivery).collect();
            let answers = if deliveries.is_empty() { Vec::new() } else { accept::accept(desk, &deliveries)? };
            tasks.iter_mut().try_for_each(|task| task.run(desk))?;
            Ok(answers)
        };
        if let Ok(answers) = self.in_transaction(all)? {
            for ((delivery, caller), answer) in group.calls.drain(..).zip(answers) {
                group.written.push(delivery);
                group.runs.push(Run::Accept(caller, answer));
            }
            group.runs.extend(group.tasks.drain(..).map(Run::Made));
            return Ok(());
        }
        while let Some((delivery, caller)) = group.calls.pop_front() {
            let answer = match self.in_savepoint(|desk| accept::accept(desk, &[&delivery])) {
                Ok(Ok(mut answers)) => answers.pop().unwrap_or_else(|| Ok(Vec::new())),
                Ok(Err(fault)) => Err(self.judge.fault(fault)),
                Err(error) => {
                    group.calls.push_front((delivery, caller));
                    return Err(error);
                }
            };
            group.runs.push(Run::Accept(caller, answer));
        }
        while let Some(mut task) = group.tasks.pop_front() {
            match self.in_savepoint(|desk| task.run(desk)) {
                Ok(Ok(())) => group.runs.push(Run::Made(task)),
                Ok(Err(fault)) => group.runs.push(Run::Failed(task, self.judge.fault(fault))),
                Err(error) => {
                    group.tasks.push_front(task);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Runs `work`; what it did before it failed is undone. The outer error means that the whole transaction is lost.
    fn in_savepoint<T>(&mut self, work: impl FnOnce(&mut Desk<'_>) -> Result<T, Fault>) -> Result<Result<T, Fault>, OutboxError> {
        self.execute("SAVEPOINT job")?;
        let result = self.run_work(work)?;
        if result.is_err() {
            self.execute("ROLLBACK TO job")?;
        }
        self.execute("RELEASE job")?;
        Ok(result)
    }

    /// As [`Writer::in_savepoint`], for all that there is in the transaction: that is begun anew, for less than a savepoint costs.
    fn in_transaction<T>(&mut self, work: impl FnOnce(&mut Desk<'_>) -> Result<T, Fault>) -> Result<Result<T, Fault>, OutboxError> {
        let result = self.run_work(work)?;
        if result.is_err() {
            self.execute("ROLLBACK")?;
            self.execute("BEGIN IMMEDIATE")?;
        }
        Ok(result)
    }

    /// Runs `work`, and undoes in the ledger what it did before it failed. The outer error means that the whole transaction is lost.
    fn run_work<T>(&mut self, work: impl FnOnce(&mut Desk<'_>) -> Result<T, Fault>) -> Result<Result<T, Fault>, OutboxError> {
        let mark = self.ledger.mark();
        let result = work(&mut Desk { db: &self.db, ledger: &mut self.ledger, limits: &self.limits });
        let Err(fault) = &result else { return Ok(result) };
        self.ledger.undo(mark);
        // A full disk and the like end the transaction by themselves.
        if !self.db.is_autocommit() {
            return Ok(result);
        }
        Err(match fault {
            Fault::Sql(error) => self.judge.sql(error),
            Fault::Outbox(error) => error.clone(),
        })
    }

    fn execute(&self, sql: &str) -> Result<(), OutboxError> {
        self.db.prepare_cached(sql).and_then(|mut statement| statement.execute([])).map_err(|error| self.judge.sql(&error))?;
        Ok(())
    }

    fn roll_back(&mut self, begin: Mark) {
        self.ledger.undo(begin);
        if !self.db.is_autocommit()
            && let Err(error) = self.execute("ROLLBACK")
        {
            tracing::error!(message = "Outbox transaction not rolled back.", error = %error);
        }
    }

    /// Forgets what is over; `true` while there is more.
    fn chores(&mut self) -> bool {
        let now = self.clock.steady();
        let (delivered_before, seen_before) = (now.saturating_sub(self.limits.history_ms), now.saturating_sub(self.limits.dedup_ms));
        let more = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let told = Arc::clone(&more);
        let (job, _) = Job::change(move |desk| {
            let pruned = prune::prune(desk, delivered_before, seen_before)?;
            let shrunk = prune::shrink(desk)?;
            told.store(pruned || shrunk, Ordering::Relaxed);
            Ok(())
        });
        // A failure is logged with the transaction, and tried again with the next chores.
        let committed = self.transact(vec![job]);
        self.mover.mind(&self.db, &self.judge);
        committed && more.load(Ordering::Relaxed)
    }

    /// Puts everything into the file and lets go of it.
    fn close(self, closed: oneshot::Sender<()>) {
        let Writer { db, lock, mover, judge, .. } = self;
        drop(mover);
        if let Err(error) = checkpoint(&db, Mode::Truncate).map_err(|error| judge.sql(&error)) {
            tracing::warn!(message = "Outbox's write-ahead log left for the next start.", error = %error);
        }
        if let Err((_, error)) = db.close() {
            tracing::warn!(message = "Outbox not closed cleanly.", error = %error);
        }
        drop(lock);
        // Whoever asked may have gone.
        _ = closed.send(());
    }
}

type Call = (Delivery, oneshot::Sender<Answer>);

/// The jobs of a transaction. None of their callers has an answer yet, so none can mind in which order they are run: calls of `accept` together.
#[derive(Default)]
struct Group {
    calls: VecDeque<Call>,
    tasks: VecDeque<Box<dyn Task>>,
    /// Those that were run.
    runs: Vec<Run>,
    /// What the calls brought.
    written: Vec<Delivery>,
}

impl Group {
    fn of(jobs: Vec<Job>) -> Group {
        let mut group = Group { runs: Vec::with_capacity(jobs.len()), ..Group::default() };
        for job in jobs {
            match job {
                Job::Accept(delivery, caller) => group.calls.push_back((delivery, caller)),
                Job::Change(task) => group.tasks.push_back(task),
                Job::Close(_) => unreachable!("a group ends before it closes"),
            }
        }
        group
    }
}
