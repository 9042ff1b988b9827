//! The life of a message: opened, attempted, settled, replayed.
//!
//! The row of a lane is the lock of its messages: each change takes it first. Those that only the lane's owner may make look at the owner under
//! that lock, so that a host that lost the lane without knowing changes nothing any more.

use deadpool_postgres::Transaction;

use super::fault::Fault;
use super::rows::{Text, json, write_json, write_reason};
use crate::clock::UnixMs;
use crate::outbox::keys::{fresh_key, replayed_key};
use crate::outbox::{AttemptRecord, ConnectorName, Draft, MessageId, NewMessage, OutboxError, PaceLog, Reason, Settle};

/// The most attempts of one message that are kept for people; the oldest go first.
const MAX_ATTEMPTS: i64 = 200;

/// What the changes need to know of a message.
pub(super) struct Known {
    pub(super) connector: String,
    state: String,
    key: String,
    replays: i64,
    events: i64,
    turn: i64,
    created_at: UnixMs,
}

impl Known {
    fn must_be(self, id: MessageId, state: &str) -> Result<Known, Fault> {
        if self.state == state {
            return Ok(self);
        }
        Err(OutboxError::Conflict(format!("message {} is {}, not {state}", id.0, self.state)).into())
    }
}

/// Takes the lock of a lane that has to be this host's.
pub(super) async fn hold(tx: &Transaction<'_>, host: Option<i64>, connector: &str) -> Result<(), Fault> {
    let sql = tx.prepare_cached("SELECT owner FROM lanes WHERE connector = $1 FOR UPDATE").await?;
    let owner: Option<i64> = tx.query_opt(&sql, &[&connector]).await?.map_or(Ok(None), |row| row.try_get(0))?;
    if owner.is_some() && owner == host {
        return Ok(());
    }
    Err(OutboxError::Conflict(format!("another host delivers for connector {connector} by now")).into())
}

/// Takes the lock of a lane, whosever it is.
async fn lock(tx: &Transaction<'_>, connector: &str) -> Result<(), Fault> {
    let sql = tx
        .prepare_cached("INSERT INTO lanes (connector) VALUES ($1) ON CONFLICT (connector) DO UPDATE SET connector = EXCLUDED.connector")
        .await?;
    tx.execute(&sql, &[&connector]).await?;
    Ok(())
}

/// The connector of a message.
pub(super) async fn connector_of(tx: &Transaction<'_>, id: MessageId) -> Result<String, Fault> {
    let sql = tx.prepare_cached("SELECT connector FROM messages WHERE id = $1").await?;
    let row = tx.query_opt(&sql, &[&id.0]).await?.ok_or(OutboxError::NotFound(id))?;
    Ok(row.try_get(0)?)
}

/// What is known of a message whose lane is locked.
async fn known(tx: &Transaction<'_>, id: MessageId) -> Result<Known, Fault> {
    let sql = tx.prepare_cached("SELECT connector, state, key, replays, events, turn, created_at FROM messages WHERE id = $1").await?;
    let row = tx.query_opt(&sql, &[&id.0]).await?.ok_or(OutboxError::NotFound(id))?;
    Ok(Known {
        connector: row.try_get(0)?,
        state: row.try_get(1)?,
        key: row.try_get(2)?,
        replays: row.try_get(3)?,
        events: row.try_get(4)?,
        turn: row.try_get(5)?,
        created_at: row.try_get(6)?,
    })
}

/// An open message of a lane that has to be this host's.
async fn held(tx: &Transaction<'_>, host: Option<i64>, id: MessageId) -> Result<Known, Fault> {
    let connector = connector_of(tx, id).await?;
    hold(tx, host, &connector).await?;
    known(tx, id).await?.must_be(id, "open")
}

/// Opens a message.
pub(super) async fn open(tx: &Transaction<'_>, host: Option<i64>, message: &NewMessage) -> Result<MessageId, Fault> {
    let connector = &*message.connector;
    hold(tx, host, connector).await?;
    let sql = tx.prepare_cached("SELECT id FROM messages WHERE connector = $1 AND state = 'open' LIMIT 1").await?;
    if let Some(row) = tx.query_opt(&sql, &[&connector]).await? {
        let id: i64 = row.try_get(0)?;
        return Err(OutboxError::Conflict(format!("connector {connector} has message {id} open already")).into());
    }
    let sql = tx
        .prepare_cached(
            "INSERT INTO messages (connector, state, key, turn, events, attempts, in_flight, unknown, created_at, next_at, reason)
             VALUES ($1, 'open', $2, 1, $3, 1, true, true, $4, $4, $5) RETURNING id",
        )
        .await?;
    let (events, reason) = (message.covers.len() as i64, write_reason(&Reason::default())?);
    let row = tx.query_one(&sql, &[&connector, &message.key, &events, &message.at, &reason]).await?;
    let id = MessageId(row.try_get(0)?);
    cover(tx, id, connector, &message.covers).await?;
    write_draft(tx, id, &message.draft).await?;
    store_pace(tx, connector, &message.pace, None).await?;
    Ok(id)
}

/// Moves waiting events into a message.
async fn cover(tx: &Transaction<'_>, id: MessageId, connector: &str, covers: &[i64]) -> Result<(), Fault> {
    if covers.is_empty() {
        return Err(OutboxError::Conflict("a message must cover at least one event".into()).into());
    }
    let sql = tx
        .prepare_cached(
            "WITH gone AS (DELETE FROM queue WHERE connector = $2 AND seq = ANY($3) RETURNING seq)
             INSERT INTO message_events (message, seq) SELECT $1, seq FROM gone",
        )
        .await?;
    let moved = tx.execute(&sql, &[&id.0, &connector, &covers]).await?;
    if moved != covers.len() as u64 {
        return Err(OutboxError::Conflict(format!("not all of these events wait for connector {connector}")).into());
    }
    Ok(())
}

async fn write_draft(tx: &Transaction<'_>, id: MessageId, draft: &Draft) -> Result<(), Fault> {
    let sql = tx
        .prepare_cached(
            "INSERT INTO drafts (message, author, prepared) VALUES ($1, $2, $3)
             ON CONFLICT (message) DO UPDATE SET author = EXCLUDED.author, prepared = EXCLUDED.prepared",
        )
        .await?;
    tx.execute(&sql, &[&id.0, &Text(&draft.author), &draft.prepared]).await?;
    Ok(())
}

/// Notes that a message is about to be sent. A further step of an attempt in progress is no attempt of its own.
pub(super) async fn attempt(
    tx: &Transaction<'_>,
    host: Option<i64>,
    id: MessageId,
    (draft, pace, at): (&Draft, &PaceLog, UnixMs),
) -> Result<(), Fault> {
    let known = held(tx, host, id).await?;
    let sql =
        tx.prepare_cached("SELECT id FROM messages WHERE connector = $1 AND state = 'open' AND in_flight AND id <> $2 LIMIT 1").await?;
    if let Some(row) = tx.query_opt(&sql, &[&known.connector, &id.0]).await? {
        let other: i64 = row.try_get(0)?;
        return Err(OutboxError::Conflict(format!("message {other} of connector {} is in flight", known.connector)).into());
    }
    let sql = tx
        .prepare_cached(
            "UPDATE messages SET attempts = attempts + (CASE WHEN in_flight THEN 0 ELSE 1 END), in_flight = true, unknown = true, next_at = $2
             WHERE id = $1",
        )
        .await?;
    tx.execute(&sql, &[&id.0, &at]).await?;
    write_draft(tx, id, draft).await?;
    store_pace(tx, &known.connector, pace, None).await
}

/// Notes what became of an attempt.
pub(super) async fn settle(
    tx: &Transaction<'_>,
    host: Option<i64>,
    id: MessageId,
    (settle, attempt, pace): (&Settle, &AttemptRecord, &PaceLog),
) -> Result<(), Fault> {
    let known = held(tx, host, id).await?;
    let over = attempt.at.saturating_add_unsigned(attempt.took_ms);
    let memo = match settle {
        Settle::Delivered { receipt, memo } => {
            end(tx, id, "delivered", over, (receipt.as_deref(), &attempt.reason)).await?;
            memo.as_deref()
        }
        Settle::Dead { reason } => {
            end(tx, id, "dead", over, (None, reason)).await?;
            None
        }
        Settle::Again { at, unknown, counts, reason } => {
            let sql = tx
                .prepare_cached(
                    "UPDATE messages SET attempts = attempts - (CASE WHEN in_flight THEN 1 ELSE 0 END) + $2, in_flight = false, unknown = $3,
                     next_at = $4, reason = $5 WHERE id = $1",
                )
                .await?;
            tx.execute(&sql, &[&id.0, &i64::from(*counts), unknown, at, &write_reason(reason)?]).await?;
            None
        }
    };
    record(tx, id, attempt).await?;
    store_pace(tx, &known.connector, pace, memo).await
}

async fn end(
    tx: &Transaction<'_>,
    id: MessageId,
    state: &str,
    at: UnixMs,
    (receipt, reason): (Option<&str>, &Reason),
) -> Result<(), Fault> {
    let sql = tx
        .prepare_cached(
            "UPDATE messages SET state = $2, in_flight = false, unknown = false, settled_at = $3, receipt = $4, reason = $5 WHERE id = $1",
        )
        .await?;
    tx.execute(&sql, &[&id.0, &state, &at, &receipt.map(Text), &write_reason(reason)?]).await?;
    Ok(())
}

async fn record(tx: &Transaction<'_>, id: MessageId, attempt: &AttemptRecord) -> Result<(), Fault> {
    let sql = tx
        .prepare_cached(
            "INSERT INTO attempts (message, n, record) SELECT $1, coalesce(max(n), 0) + 1, $2 FROM attempts WHERE message = $1 RETURNING n",
        )
        .await?;
    let n: i64 = tx.query_one(&sql, &[&id.0, &write_json(attempt)?]).await?.try_get(0)?;
    if n > MAX_ATTEMPTS {
        let sql = tx.prepare_cached("DELETE FROM attempts WHERE message = $1 AND n <= $2").await?;
        tx.execute(&sql, &[&id.0, &(n - MAX_ATTEMPTS)]).await?;
    }
    Ok(())
}

/// Stores a pace; a memo only where there is one.
pub(super) async fn store_pace(tx: &Transaction<'_>, connector: &str, pace: &PaceLog, memo: Option<&str>) -> Result<(), Fault> {
    let sql = tx.prepare_cached("UPDATE lanes SET pace = $2, memo = coalesce($3, memo) WHERE connector = $1").await?;
    tx.execute(&sql, &[&connector, &write_json(pace)?, &memo.map(Text)]).await?;
    Ok(())
}

/// Turns waiting events into a dead letter.
pub(super) async fn bury(
    tx: &Transaction<'_>,
    host: Option<i64>,
    connector: &str,
    (covers, reason, now): (&[i64], &Reason, UnixMs),
) -> Result<MessageId, Fault> {
    hold(tx, host, connector).await?;
    let sql = tx
        .prepare_cached(
            "INSERT INTO messages (connector, state, key, turn, events, attempts, in_flight, unknown, created_at, next_at, settled_at, reason)
             VALUES ($1, 'dead', $2, 0, $3, 0, false, false, $4, $4, $4, $5) RETURNING id",
        )
        .await?;
    let (events, key) = (covers.len() as i64, fresh_key(connector, covers, now));
    let row = tx.query_one(&sql, &[&connector, &key, &events, &now, &write_reason(reason)?]).await?;
    let id = MessageId(row.try_get(0)?);
    cover(tx, id, connector, covers).await?;
    Ok(id)
}

/// Makes a dead letter an open message again, behind those that are open.
pub(super) async fn replay(tx: &Transaction<'_>, id: MessageId, now: UnixMs) -> Result<ConnectorName, Fault> {
    let connector = connector_of(tx, id).await?;
    lock(tx, &connector).await?;
    let known = known(tx, id).await?.must_be(id, "dead")?;
    let sql = tx
        .prepare_cached(
            "UPDATE messages
             SET state = 'open', key = $2, replays = replays + 1, attempts = 0, in_flight = false, unknown = false, created_at = $3,
                 next_at = $3, settled_at = NULL, receipt = NULL,
                 turn = 1 + (SELECT coalesce(max(o.turn), 0) FROM messages o WHERE o.connector = $4 AND o.state = 'open')
             WHERE id = $1",
        )
        .await?;
    tx.execute(&sql, &[&id.0, &replayed_key(&known.key, known.replays), &now, &connector]).await?;
    let sql = tx.prepare_cached("DELETE FROM drafts WHERE message = $1").await?;
    tx.execute(&sql, &[&id.0]).await?;
    Ok(connector.into())
}

/// Leaves only these of its events to an open message; the others become the next one.
pub(super) async fn split(tx: &Transaction<'_>, host: Option<i64>, id: MessageId, keep: &[i64]) -> Result<MessageId, Fault> {
    let known = held(tx, host, id).await?;
    let connector = &known.connector;
    let sql = tx.prepare_cached("UPDATE messages SET turn = turn + 1 WHERE connector = $1 AND state = 'open' AND turn > $2").await?;
    tx.execute(&sql, &[connector, &known.turn]).await?;
    let sql = tx
        .prepare_cached(
            "INSERT INTO messages (connector, state, key, turn, events, attempts, in_flight, unknown, created_at, next_at, reason)
             SELECT connector, 'open', $2, turn + 1, $3, 0, false, false, created_at, created_at, reason FROM messages WHERE id = $1
             RETURNING id",
        )
        .await?;
    let (kept, rest) = (keep.len() as i64, known.events - keep.len() as i64);
    let key = fresh_key(connector, &[keep, &[id.0]].concat(), known.created_at);
    let other = MessageId(tx.query_one(&sql, &[&id.0, &key, &rest]).await?.try_get(0)?);
    let sql = tx.prepare_cached("UPDATE message_events SET message = $2 WHERE message = $1 AND seq <> ALL($3)").await?;
    let moved = tx.execute(&sql, &[&id.0, &other.0, &keep]).await? as i64;
    if kept == 0 || rest <= 0 || moved != rest {
        return Err(OutboxError::Conflict("both halves of a message must cover at least one of its events".into()).into());
    }
    let sql = tx.prepare_cached("UPDATE messages SET events = $2 WHERE id = $1").await?;
    tx.execute(&sql, &[&id.0, &kept]).await?;
    Ok(other)
}

/// Forgets a dead letter.
pub(super) async fn discard(tx: &Transaction<'_>, id: MessageId) -> Result<(), Fault> {
    let connector = connector_of(tx, id).await?;
    lock(tx, &connector).await?;
    known(tx, id).await?.must_be(id, "dead")?;
    delete(tx, &[id.0]).await
}

/// Deletes messages with all that only they need. One at a time over all hosts: two that go for the last messages of one event would each
/// leave it to the other.
pub(super) async fn delete(tx: &Transaction<'_>, ids: &[i64]) -> Result<(), Fault> {
    let sql = tx.prepare_cached("SELECT pg_advisory_xact_lock(hashtextextended('incident-sink delete ' || current_schema(), 0))").await?;
    tx.execute(&sql, &[]).await?;
    let sql = tx
        .prepare_cached(
            "WITH gone AS (DELETE FROM message_events WHERE message = ANY($1) RETURNING seq),
                  counted AS (SELECT seq, count(*) AS n FROM gone GROUP BY seq),
                  fewer AS (UPDATE events e SET refs = e.refs - c.n FROM counted c WHERE e.seq = c.seq AND e.refs > c.n),
                  none AS (DELETE FROM events e USING counted c WHERE e.seq = c.seq AND e.refs <= c.n)
             DELETE FROM messages WHERE id = ANY($1)",
        )
        .await?;
    tx.execute(&sql, &[&ids]).await?;
    Ok(())
}

/// The pace of a lane that has to be this host's, stored alone.
pub(super) async fn store_held_pace(tx: &Transaction<'_>, host: Option<i64>, connector: &str, pace: &PaceLog) -> Result<(), Fault> {
    hold(tx, host, connector).await?;
    store_pace(tx, connector, pace, None).await
}

/// A pace as it is stored; the default of a lane that sent nothing yet.
pub(super) fn read_pace(text: Option<&str>) -> Result<PaceLog, Fault> {
    text.map_or_else(|| Ok(PaceLog::default()), json)
}
