//! Moving an outbox: what it holds, but for the history of what was delivered, as rows that every type of outbox can write and read.
//!
//! [`move_all`] takes from one [`Mover::export`] and gives to another [`Mover::import`], which writes all rows in one transaction and keeps
//! them only after [`Row::End`]. After that the source is put aside ([`Mover::retire`]). A mark in both tells, after a crash between the two,
//! that only the last step is left.

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::OutboxError;

/// The note that both sides of a move have in common.
pub const MARK: &str = "move";

/// Rows on their way.
const ON_THE_WAY: usize = 256;

/// One side of a move. No host can use the outbox as long as it lives.
#[async_trait]
pub trait Mover: Send + Sync {
    /// The mark of this outbox's move; this fresh one from now on, where it has none.
    async fn mark(&self, fresh: &str) -> Result<String, OutboxError>;

    /// Hands over all rows, then [`Row::End`].
    async fn export(&self, rows: mpsc::Sender<Row>) -> Result<(), OutboxError>;

    /// Takes all rows in, in one transaction; how many. `None` where the move with this mark was made before. An outbox that holds anything
    /// refuses.
    async fn import(&self, mark: &str, rows: mpsc::Receiver<Row>) -> Result<Option<u64>, OutboxError>;

    /// Puts the outbox aside, so that no host uses it any more. Where it is then.
    async fn retire(&self) -> Result<String, OutboxError>;
}

/// What a move came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Rows; `None` where an earlier try had moved them.
    pub rows: Option<u64>,
    /// Where the source is now.
    pub aside: String,
}

/// Moves what an outbox holds to another one, which has to be empty, and puts the first one aside. After a crash it is to be called again.
pub async fn move_all(from: &dyn Mover, to: &dyn Mover) -> Result<Moved, OutboxError> {
    let mark = from.mark(&format!("{:032x}", fastrand::u128(..))).await?;
    let (sender, receiver) = mpsc::channel(ON_THE_WAY);
    let (exported, imported) = tokio::join!(from.export(sender), to.import(&mark, receiver));
    let rows = match (exported, imported) {
        // The target ended the move, and says why.
        (_, Err(error)) if !matches!(error, OutboxError::Unavailable(_)) => return Err(error),
        // What was moved before is not taken again, so that nobody took what was handed over.
        (_, Ok(None)) => None,
        (Err(error), _) | (Ok(()), Err(error)) => return Err(error),
        (Ok(()), Ok(rows)) => rows,
    };
    Ok(Moved { rows, aside: from.retire().await? })
}

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// None.
    Null,
    /// A number.
    Int(i64),
    /// Yes or no.
    Bool(bool),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// What is handed over, in the order of [`TABLES`].
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// A row of the table with this place in [`TABLES`].
    Of(usize, Vec<Value>),
    /// That was all.
    End,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Int,
    /// Yes or no.
    Bool,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
}

/// A table of an outbox.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns.
    pub columns: &'static [(&'static str, Kind)],
    /// Which of its rows are moved, as SQL; empty for all.
    pub only: &'static str,
}

const OPEN_OR_DEAD: &str = "WHERE message IN (SELECT id FROM messages WHERE state <> 'delivered')";

/// What is moved. Each table comes after those that its rows name.
pub const TABLES: &[Table] = &[
    Table { name: "notes", columns: &[("name", Kind::Text), ("value", Kind::Text)], only: "WHERE name NOT IN ('move', 'probe')" },
    Table {
        name: "incidents",
        columns: &[
            ("id", Kind::Int),
            ("status", Kind::Text),
            ("occurred_at", Kind::Int),
            ("seen_at", Kind::Int),
            ("caught_up", Kind::Int),
            ("about", Kind::Text),
        ],
        only: "",
    },
    Table {
        name: "responses",
        columns: &[
            ("id", Kind::Int),
            ("key", Kind::Text),
            ("incident", Kind::Text),
            ("verb", Kind::Text),
            ("connector", Kind::Text),
            ("who", Kind::Text),
            ("person", Kind::Text),
            ("text", Kind::Text),
            ("state", Kind::Text),
            ("result", Kind::Text),
            ("stage", Kind::Int),
            ("attempts", Kind::Int),
            ("created_at", Kind::Int),
            ("next_at", Kind::Int),
            ("settled_at", Kind::Int),
            ("echoed", Kind::Bool),
        ],
        only: "",
    },
    // The keys of several events may stand in one row, one after the other.
    Table { name: "seen", columns: &[("seen_at", Kind::Int), (SEEN_KEYS, Kind::Bytes)], only: "" },
    Table {
        name: "unreadable",
        columns: &[("id", Kind::Int), ("at", Kind::Int), ("source", Kind::Text), ("error", Kind::Text), ("body", Kind::Bytes)],
        only: "",
    },
    Table {
        name: "lanes",
        columns: &[("connector", Kind::Text), ("pace", Kind::Text), ("memo", Kind::Text)],
        only: "WHERE pace IS NOT NULL",
    },
    Table {
        name: "events",
        columns: &[("seq", Kind::Int), ("accepted_at", Kind::Int), ("payload", Kind::Text)],
        only: "WHERE seq IN (SELECT seq FROM queue UNION SELECT seq FROM message_events WHERE message IN (SELECT id FROM messages WHERE \
               state <> 'delivered'))",
    },
    Table { name: "queue", columns: &[("connector", Kind::Text), ("seq", Kind::Int)], only: "" },
    Table {
        name: "messages",
        columns: &[
            ("id", Kind::Int),
            ("connector", Kind::Text),
            ("state", Kind::Text),
            ("key", Kind::Text),
            ("turn", Kind::Int),
            ("replays", Kind::Int),
            ("events", Kind::Int),
            ("attempts", Kind::Int),
            ("in_flight", Kind::Bool),
            ("unknown", Kind::Bool),
            ("created_at", Kind::Int),
            ("next_at", Kind::Int),
            ("settled_at", Kind::Int),
            ("receipt", Kind::Text),
            ("reason", Kind::Text),
        ],
        only: "WHERE state <> 'delivered'",
    },
    Table { name: "drafts", columns: &[("message", Kind::Int), ("author", Kind::Text), ("prepared", Kind::Bytes)], only: OPEN_OR_DEAD },
    Table { name: "message_events", columns: &[("message", Kind::Int), ("seq", Kind::Int)], only: OPEN_OR_DEAD },
    Table { name: "attempts", columns: &[("message", Kind::Int), ("n", Kind::Int), ("record", Kind::Text)], only: OPEN_OR_DEAD },
];

/// The column of `seen` that is named differently by type of outbox.
pub const SEEN_KEYS: &str = "keys";

/// How often an event is needed, counted anew where rows were moved: the history that needed it too was not.
pub(super) const COUNT_REFS: &str = "UPDATE events SET refs = counted.n
    FROM (SELECT seq, count(*) AS n FROM (SELECT seq FROM queue UNION ALL SELECT seq FROM message_events) needed GROUP BY seq) counted
    WHERE counted.seq = events.seq";

/// The place of a table.
pub(super) fn table(name: &str) -> usize {
    TABLES.iter().position(|table| table.name == name).unwrap_or(usize::MAX)
}

/// The columns of a table as SQL, with the name that this type of outbox has for [`SEEN_KEYS`].
pub(super) fn columns(table: &Table, seen_keys: &str) -> String {
    let names: Vec<&str> = table.columns.iter().map(|(name, _)| if *name == SEEN_KEYS { seen_keys } else { name }).collect();
    names.join(", ")
}

#[cfg(test)]
#[path = "moving_tests.rs"]
pub(super) mod moved;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_stands_behind_those_that_its_rows_name() {
        for (first, then) in [("events", "queue"), ("events", "message_events"), ("messages", "drafts"), ("messages", "attempts")] {
            assert!(table(first) < table(then), "{then}");
        }
    }
}
