//! Taking a lane, and leaving all of them.

use deadpool_postgres::{Pool, Transaction};

use super::PostgresOutbox;
use super::fault::Fault;
use super::lease::{Known, NOBODY};
use super::member::ALL;
use super::writer::LONGEST;
use crate::outbox::{Claim, OutboxError};

/// Claims a lane for this host.
pub(super) async fn claim(outbox: &PostgresOutbox, connector: &str) -> Result<Claim, OutboxError> {
    let member = &outbox.member;
    match member.known(connector) {
        Known::Held => return Ok(Claim::Held),
        Known::Elsewhere(_) => return Ok(Claim::Elsewhere),
        Known::Given => return give(outbox, connector).await,
        Known::Nothing => {}
    }
    let host = member.host().await?;
    let work = async {
        let mut client = outbox.client().await?;
        let tx = client.transaction().await?;
        let owner = take(&tx, host, connector).await?;
        tx.commit().await?;
        Ok::<_, Fault>(owner)
    };
    let owner = tokio::time::timeout(LONGEST, work).await;
    let owner = owner.map_err(|_| OutboxError::Unavailable("the database did not answer in time".into()))??;
    match owner {
        Some(other) => {
            member.lanes.see(connector, other, std::time::Instant::now());
            member.call(other, connector);
            Ok(Claim::Elsewhere)
        }
        None if member.lanes.take(host, connector) => Ok(Claim::Taken),
        None => Err(OutboxError::Conflict(format!("this host lost its lanes while it took that of connector {connector}"))),
    }
}

/// Frees a lane that others are to have, and has them look.
async fn give(outbox: &PostgresOutbox, connector: &str) -> Result<Claim, OutboxError> {
    let host = outbox.member.lanes.host();
    let work = async {
        let client = outbox.client().await?;
        let sql = client.prepare_cached("UPDATE lanes SET owner = NULL WHERE connector = $1 AND owner = $2").await?;
        client.execute(&sql, &[&connector, &host]).await?;
        Ok::<_, Fault>(())
    };
    let given = tokio::time::timeout(LONGEST, work).await;
    given.map_err(|_| OutboxError::Unavailable("the database did not answer in time".into()))??;
    outbox.member.lanes.see(connector, NOBODY, std::time::Instant::now());
    outbox.member.call(ALL, connector);
    Ok(Claim::Elsewhere)
}

/// Makes this host the owner of a lane, unless one that is alive is: then that one is answered.
///
/// The lane's row is locked before anybody looks whether its owner is alive. In one statement the two could be of different moments.
async fn take(tx: &Transaction<'_>, host: i64, connector: &str) -> Result<Option<i64>, Fault> {
    let sql = tx.prepare_cached("INSERT INTO lanes (connector) VALUES ($1) ON CONFLICT (connector) DO NOTHING").await?;
    tx.execute(&sql, &[&connector]).await?;
    let sql = tx.prepare_cached("SELECT owner FROM lanes WHERE connector = $1 FOR UPDATE").await?;
    let owner: Option<i64> = tx.query_one(&sql, &[&connector]).await?.try_get(0)?;
    if let Some(owner) = owner.filter(|owner| *owner != host) {
        let sql = tx.prepare_cached("SELECT 1 FROM hosts WHERE id = $1").await?;
        if tx.query_opt(&sql, &[&owner]).await?.is_some() {
            return Ok(Some(owner));
        }
    }
    let sql = tx.prepare_cached("UPDATE lanes SET owner = $2 WHERE connector = $1").await?;
    tx.execute(&sql, &[&connector, &host]).await?;
    // What was in flight may have arrived; it is not in flight any more.
    let sql = tx.prepare_cached("UPDATE messages SET in_flight = false WHERE connector = $1 AND state = 'open' AND in_flight").await?;
    tx.execute(&sql, &[&connector]).await?;
    Ok(None)
}

/// Leaves all lanes to the others, and tells them.
pub(super) async fn leave(pool: &Pool, host: i64, (channel, payload): &(String, String)) -> Result<(), OutboxError> {
    let work = async {
        let mut client = pool.get().await?;
        let tx = client.transaction().await?;
        tx.execute("DELETE FROM hosts WHERE id = $1", &[&host]).await?;
        tx.execute("UPDATE lanes SET owner = NULL WHERE owner = $1", &[&host]).await?;
        tx.execute("SELECT pg_notify($1, $2)", &[channel, payload]).await?;
        tx.commit().await?;
        Ok::<_, Fault>(())
    };
    match tokio::time::timeout(LONGEST, work).await {
        Ok(left) => left.map_err(OutboxError::from),
        Err(_) => Err(OutboxError::Unavailable("the database did not answer in time".into())),
    }
}
