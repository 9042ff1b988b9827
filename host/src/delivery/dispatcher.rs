//! Owns the lanes: one task for each connector that has something to do, none for the others.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use super::backoff;
use super::budget::{self, Budgets};
use super::lane::{Connector, Lane, Memory, Next, Shared};
use super::policy::Policy;
use crate::clock::Clock;
use crate::outbox::{Claim, ConnectorName, Outbox, OutboxError, RESPONDER, Reason};
use crate::telemetry::metrics::DeliveryMetrics;
use crate::telemetry::traces::Tracer;

/// Every connector, by name.
pub type Connectors = HashMap<ConnectorName, Arc<Connector>>;

/// After the outbox failed, or a lane panicked, it is tried again at the latest after this long, in milliseconds.
const LONGEST_TROUBLE_MS: u64 = 30_000;

/// How often is counted what other hosts send for the same accounts.
const RECOUNT: Duration = Duration::from_secs(10);

/// What waits for a connector that no config has becomes a dead letter after this time, where hosts share an outbox.
const ROLL_OUT_MS: i64 = 600_000;

/// The lanes of all connectors; cheap to clone.
#[derive(Clone)]
pub struct Dispatcher(Arc<Inner>);

struct Inner {
    shared: Shared,
    connectors: ArcSwap<Connectors>,
    lanes: Mutex<HashMap<ConnectorName, Arc<Running>>>,
    tasks: TaskTracker,
    /// Cancelled when even what is in flight must end.
    abort: CancellationToken,
    idle: Notify,
}

/// A lane that has a task.
#[derive(Default)]
struct Running {
    wake: Notify,
    /// Its connector is another since the lane looked last.
    changed: Notify,
    /// Something came in since the lane looked last.
    news: AtomicBool,
}

impl Dispatcher {
    /// Owns nothing yet that runs.
    pub fn new(clock: Clock, outbox: Arc<dyn Outbox>, connectors: Connectors) -> Self {
        let (started, metrics) = (clock.steady(), DeliveryMetrics::default());
        let (budgets, traces, stop) = (Budgets::default(), Tracer::default(), CancellationToken::new());
        Dispatcher(Arc::new(Inner {
            shared: Shared { clock, outbox, budgets, metrics, traces, stop, started },
            connectors: ArcSwap::from_pointee(connectors),
            lanes: Mutex::default(),
            tasks: TaskTracker::new(),
            abort: CancellationToken::new(),
            idle: Notify::new(),
        }))
    }

    /// Takes up what an earlier run left, and this month's budgets.
    pub async fn start(&self) -> Result<(), OutboxError> {
        self.count_budgets().await?;
        self.join_others();
        let busy = self.0.shared.outbox.busy_connectors().await?;
        if !busy.is_empty() {
            info!(connectors = busy.len(), "Taking up what an earlier run left.");
        }
        self.wake(&busy);
        Ok(())
    }

    /// Takes over what the outbox knows of this month's messages, where it is more than is known here.
    async fn count_budgets(&self) -> Result<(), OutboxError> {
        let (connectors, counted) = (self.connectors(), Budgets::default());
        for line in self.0.shared.outbox.status().await? {
            if let Some(connector) = connectors.get(line.connector.as_str()) {
                counted.load(&connector.policy.payer, &line.pace.month, line.pace.month_count);
            }
        }
        self.0.shared.budgets.raise(counted);
        Ok(())
    }

    /// Where hosts share the outbox: listens to them, and counts what they send for the same accounts.
    fn join_others(&self) {
        let weak = Arc::downgrade(&self.0);
        self.0.shared.outbox.on_wake(Arc::new(move |names| {
            if let Some(inner) = weak.upgrade() {
                Dispatcher(inner).wake(names);
            }
        }));
        if !self.0.shared.outbox.is_shared() {
            return;
        }
        let dispatcher = self.clone();
        self.0.tasks.spawn(async move {
            let stop = dispatcher.0.shared.stop.clone();
            while stop.run_until_cancelled(tokio::time::sleep(RECOUNT)).await.is_some() {
                let paid = dispatcher.connectors().values().any(|connector| connector.policy.monthly_budget.is_some());
                if paid && let Err(error) = dispatcher.count_budgets().await {
                    debug!(%error, "Monthly budgets could not be counted anew.");
                }
            }
        });
    }

    /// Tells lanes that something waits for them. Never blocks.
    pub fn wake(&self, names: &[ConnectorName]) {
        if self.0.shared.stop.is_cancelled() {
            return;
        }
        let mut lanes = self.0.lanes();
        for name in names.iter().filter(|name| &***name != RESPONDER) {
            if let Some(running) = lanes.get(name) {
                running.news.store(true, Ordering::Release);
                running.wake.notify_one();
                continue;
            }
            let running = Arc::new(Running::default());
            lanes.insert(name.clone(), running.clone());
            let (inner, name) = (self.0.clone(), name.clone());
            self.0.tasks.spawn(async move {
                let abort = inner.abort.clone();
                tokio::select! {
                    () = abort.cancelled() => inner.forget(&name),
                    () = inner.live(&name, &running) => {}
                }
                inner.idle.notify_waiters();
            });
        }
    }

    /// Replaces the connectors. A lane sees it at its next turn; a message in flight ends on the sink that it began on.
    pub fn set_connectors(&self, connectors: Connectors) {
        self.0.connectors.store(Arc::new(connectors));
    }

    /// Replaces the connectors by those of a config that was read anew. The lanes of those that are `changed`, added or gone look again at once,
    /// whatever they wait for; all others go on as they are.
    pub async fn replace(&self, connectors: Connectors, changed: &[ConnectorName]) {
        self.set_connectors(connectors);
        // Who pays for a connector may be another: nobody's count becomes smaller by it.
        if let Err(error) = self.count_budgets().await {
            warn!(%error, "Monthly budgets could not be counted anew.");
        }
        let running: Vec<Arc<Running>> = {
            let lanes = self.0.lanes();
            changed.iter().filter_map(|name| lanes.get(name).cloned()).collect()
        };
        running.iter().for_each(|running| running.changed.notify_one());
        self.wake(changed);
    }

    /// The connectors as they are now.
    pub fn connectors(&self) -> Arc<Connectors> {
        self.0.connectors.load_full()
    }

    /// Who is told of attempts.
    pub fn traces(&self) -> &Tracer {
        &self.0.shared.traces
    }

    /// What the lanes have counted.
    pub fn metrics(&self) -> &DeliveryMetrics {
        &self.0.shared.metrics
    }

    /// The month that a connector is in, and what whoever pays for it has used of that month's budget.
    pub fn used(&self, policy: &Policy) -> (String, u32) {
        let month = budget::month(self.0.shared.clock.now(), &policy.zone);
        let used = self.0.shared.budgets.used(&policy.payer, &month);
        (month, used)
    }

    /// How many lanes have something to do.
    pub fn busy(&self) -> usize {
        self.0.lanes().len()
    }

    /// Waits until no lane has anything to do. Cancel-safe.
    pub async fn drained(&self) {
        loop {
            let idle = self.0.idle.notified();
            if self.busy() == 0 {
                return;
            }
            tokio::select! {
                () = idle => {}
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
        }
    }

    /// Begins no new message, lets those in flight end within `grace` (real time), and leaves the rest in the outbox. `true` if all ended.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.0.shared.stop.cancel();
        self.0.tasks.close();
        let in_time = tokio::time::timeout(grace, self.0.tasks.wait()).await.is_ok();
        if !in_time {
            warn!(lanes = self.busy(), "Grace is over: what is in flight is left for the next start.");
            self.abort().await;
        }
        in_time
    }

    /// Ends everything at once. What was in flight has an unknown outcome and is tried again at the next start.
    pub async fn abort(&self) {
        self.0.shared.stop.cancel();
        self.0.abort.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl Dispatcher {
    /// As [`Dispatcher::abort`], without waiting for the end.
    pub(crate) fn abandon(&self) {
        self.0.shared.stop.cancel();
        self.0.abort.cancel();
        self.0.tasks.close();
    }
}

impl Inner {
    /// A lane from its first turn to its last.
    async fn live(self: &Arc<Self>, name: &ConnectorName, running: &Arc<Running>) {
        let (mut memory, mut troubles) = (Memory::default(), 0);
        loop {
            running.news.store(false, Ordering::Release);
            let turn = AssertUnwindSafe(self.turn(name, running, &mut memory)).catch_unwind().await;
            match turn {
                Ok(Ok(Next::Again)) => {
                    troubles = 0;
                    continue;
                }
                Ok(Ok(Next::Idle)) => {
                    let mut lanes = self.lanes();
                    // Under the lock that wake() takes: either we see its news here, or it sees no lane and makes a new one.
                    if running.news.load(Ordering::Acquire) {
                        continue;
                    }
                    lanes.remove(name);
                    drop(lanes);
                    self.shared.outbox.release(name);
                    return;
                }
                Ok(Ok(Next::Stopped) | Err(OutboxError::Closed)) => return self.forget(name),
                Ok(Err(error @ (OutboxError::Conflict(_) | OutboxError::NotFound(_)))) => {
                    // A replay, a discard or another change came between the look and the act.
                    debug!(connector = &**name, %error, "Lane met a change of the outbox; looking again.");
                }
                Ok(Err(error)) => {
                    self.shared.metrics.failed(false);
                    error!(connector = &**name, %error, "Lane cannot use the outbox; trying again.");
                }
                Err(_) => {
                    self.shared.metrics.failed(true);
                    error!(connector = &**name, "Lane panicked; starting it again.");
                }
            }
            memory.interrupted = true;
            troubles += 1;
            let wait = Duration::from_millis(backoff::wait_ms(troubles, fastrand::f64(), 0).min(LONGEST_TROUBLE_MS));
            tokio::select! {
                () = self.shared.stop.cancelled() => {}
                () = self.shared.clock.sleep(wait) => {}
            }
        }
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<ConnectorName, Arc<Running>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, name: &ConnectorName) {
        self.lanes().remove(name);
    }

    async fn turn(&self, name: &ConnectorName, running: &Running, memory: &mut Memory) -> Result<Next, OutboxError> {
        if self.shared.stop.is_cancelled() {
            return Ok(Next::Stopped);
        }
        let found = self.connectors.load().get(name).cloned();
        if found.is_none() && self.may_be_known_elsewhere(name).await? {
            return Ok(Next::Idle);
        }
        match self.shared.outbox.claim(name).await? {
            Claim::Held => {}
            Claim::Taken => memory.interrupted = true,
            Claim::Elsewhere => return Ok(Next::Idle),
        }
        match found {
            Some(connector) => {
                Lane { shared: &self.shared, connector, wake: &running.wake, changed: &running.changed, memory }.turn().await
            }
            None => self.orphaned(name).await,
        }
    }

    /// Whether another host may have a connector that this one does not: while configs are rolled out, they differ for a time.
    async fn may_be_known_elsewhere(&self, name: &ConnectorName) -> Result<bool, OutboxError> {
        if !self.shared.outbox.is_shared() {
            return Ok(false);
        }
        let state = self.shared.outbox.lane(name).await?;
        let since = state.oldest.or(state.open.as_ref().map(|open| open.created_at));
        Ok(since.is_none_or(|since| self.shared.clock.steady().saturating_sub(since) < ROLL_OUT_MS))
    }

    /// Events for a connector that the config no longer has: dead letters, so that somebody is told and can replay them.
    async fn orphaned(&self, name: &ConnectorName) -> Result<Next, OutboxError> {
        let now = self.shared.clock.steady();
        let reason = Reason {
            code: "no_connector".to_owned(),
            text: format!("the config has no connector {name:?}"),
            advice: "add it again and replay the dead letter, or discard it".to_owned(),
        };
        let waiting = self.shared.outbox.waiting(name, 1_000).await?;
        if !waiting.is_empty() {
            error!(connector = &**name, events = waiting.len(), "Events became a dead letter: the config has no such connector.");
            self.shared.metrics.dead(name, &reason.code);
            self.shared.outbox.bury(name, waiting.iter().map(|entry| entry.seq).collect(), reason, now).await?;
            return Ok(Next::Again);
        }
        let state = self.shared.outbox.lane(name).await?;
        let Some(open) = state.open else { return Ok(Next::Idle) };
        self.shared.metrics.dead(name, &reason.code);
        error!(connector = &**name, message_id = open.id.0, "Message became a dead letter: the config has no such connector.");
        let attempt = crate::outbox::AttemptRecord { at: now, took_ms: 0, outcome: "rejected".to_owned(), reason: reason.clone() };
        self.shared.outbox.settle(open.id, crate::outbox::Settle::Dead { reason }, attempt, state.pace).await?;
        Ok(Next::Again)
    }
}
