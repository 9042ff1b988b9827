//! What is done from time to time: forgetting what is over, counting what is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use deadpool_postgres::Pool;

use super::config::Limits;
use super::fault::Fault;
use super::prune::{self, Borders};
use crate::clock::Clock;
use crate::outbox::OutboxError;

/// How often what counts towards the quota is counted, unless that takes long.
const COUNT: Duration = Duration::from_secs(10);
/// How often is looked for what is over. Each host adds a share of its own, so that they do not all look at once.
const PRUNE: Duration = Duration::from_secs(60);
/// How soon to go on where there was more.
const MORE: Duration = Duration::from_millis(100);

/// What counts towards the quota: everything that no pruning will take away.
const ITEMS: &str = "SELECT (SELECT count(*) FROM queue) + (SELECT coalesce(sum(events), 0) FROM messages WHERE state = 'open')::bigint
    + (SELECT count(*) FROM messages WHERE state = 'dead') + (SELECT count(*) FROM unreadable)";

/// Does it until it is dropped.
pub(super) async fn run(pool: Pool, limits: Limits, clock: Clock, items: Arc<AtomicU64>) {
    let mut prune_at = Instant::now() + PRUNE.mul_f64(0.5 + fastrand::f64());
    let mut wait = COUNT;
    loop {
        tokio::time::sleep(wait.min(prune_at.saturating_duration_since(Instant::now()))).await;
        let began = Instant::now();
        if began >= prune_at {
            let more = once(&pool, &limits, &clock).await.unwrap_or_else(|fault| {
                tracing::warn!(message = "What is over could not be forgotten; tried again.", error = %OutboxError::from(fault));
                false
            });
            prune_at = Instant::now() + if more { MORE } else { PRUNE.mul_f64(0.5 + fastrand::f64()) };
            continue;
        }
        match count(&pool).await {
            Ok(found) => items.store(found, Ordering::Relaxed),
            Err(fault) => tracing::debug!(message = "The outbox could not be counted.", error = %OutboxError::from(fault)),
        }
        wait = COUNT.max(began.elapsed() * 20);
    }
}

/// What counts towards the quota now.
pub(super) async fn count(pool: &Pool) -> Result<u64, Fault> {
    let client = pool.get().await?;
    let sql = client.prepare_cached(ITEMS).await?;
    Ok(client.query_one(&sql, &[]).await?.try_get::<_, i64>(0)?.unsigned_abs())
}

async fn once(pool: &Pool, limits: &Limits, clock: &Clock) -> Result<bool, Fault> {
    let now = clock.steady();
    let borders = Borders {
        delivered_before: now.saturating_sub(limits.history_ms),
        seen_before: now.saturating_sub(limits.dedup_ms),
        history_ms: limits.history_ms,
    };
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let more = prune::prune(&tx, &borders).await?;
    tx.commit().await?;
    Ok(more)
}
