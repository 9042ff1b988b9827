//! Takes events in: the calls that wait share a transaction, and are answered after its commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use tokio::sync::{mpsc, oneshot};

use super::accept::{self, Answer, Delivery};
use super::fault::Fault;
use super::health::Health;
use crate::outbox::OutboxError;

/// The most calls that wait; further callers wait in turn.
pub(super) const QUEUE: usize = 1_024;
/// The most calls in one transaction.
const GROUP: usize = 256;
/// Transactions that stand in each other's way are tried again so often.
pub(super) const TRIES: u32 = 5;
/// How long one transaction may take in all.
pub(super) const LONGEST: Duration = Duration::from_secs(20);

/// A call of `accept`, and whom to answer.
pub(super) struct Call {
    pub(super) delivery: Delivery,
    pub(super) answer: oneshot::Sender<Result<Answer, OutboxError>>,
}

/// Works until nobody can call any more.
pub(super) async fn run(pool: Pool, window_ms: i64, health: Arc<Health>, added: Arc<AtomicU64>, mut calls: mpsc::Receiver<Call>) {
    let mut group = Vec::with_capacity(GROUP);
    while calls.recv_many(&mut group, GROUP).await > 0 {
        let (deliveries, answers): (Vec<Delivery>, Vec<_>) = group.drain(..).map(|call| (call.delivery, call.answer)).unzip();
        let all: Vec<&Delivery> = deliveries.iter().collect();
        let results = match commit(&pool, &all, window_ms, &health).await {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            // Each alone, so that one that cannot be written takes no other with it.
            Err(fault) if fault.is_of_the_data() && all.len() > 1 => {
                let mut results = Vec::with_capacity(all.len());
                for delivery in all {
                    let alone = commit(&pool, &[delivery], window_ms, &health).await;
                    results.push(alone.map(|mut answers| answers.pop().unwrap_or_default()).map_err(OutboxError::from));
                }
                results
            }
            Err(fault) => {
                let error = OutboxError::from(fault);
                tracing::error!(message = "Outbox not written.", %error);
                vec![Err(error); answers.len()]
            }
        };
        for ((answer, result), delivery) in answers.into_iter().zip(results).zip(&deliveries) {
            if result.is_ok() {
                added.fetch_add(delivery.items() as u64, Ordering::Relaxed);
            }
            // Whoever asked may have gone.
            _ = answer.send(result);
        }
    }
}

async fn commit(pool: &Pool, calls: &[&Delivery], window_ms: i64, health: &Health) -> Result<Vec<Answer>, Fault> {
    let began = Instant::now();
    let mut tries = 0;
    let result = loop {
        let once = async {
            let mut client = pool.get().await?;
            let tx = client.transaction().await?;
            let answers = accept::take(&tx, calls, window_ms).await?;
            tx.commit().await?;
            Ok(answers)
        };
        tries += 1;
        match tokio::time::timeout(LONGEST, once).await {
            Ok(Err(fault)) if Fault::is_collision(&fault) && tries < TRIES => {}
            Ok(result) => break result,
            Err(_) => break Err(OutboxError::Unavailable("the database did not answer in time".into()).into()),
        }
    };
    health.ended(calls.len(), began.elapsed(), result.is_ok());
    result
}
