//! Rows that are inserted many at a time: a statement costs more than the row that it writes.

use rusqlite::types::ToSql;
use rusqlite::{Connection, Statement};

use super::fault::Fault;

/// How many rows one statement takes, the most first.
const SIZES: [usize; 3] = [16, 4, 1];

/// The statements for rows of one table.
pub(super) struct Table {
    /// For each of [`SIZES`].
    inserts: [String; SIZES.len()],
    columns: usize,
}

impl Table {
    /// `columns` as SQL knows them, separated by commas. A row that breaks a rule fails the statement but leaves those before it: whoever
    /// inserts undoes all of its work then, so that SQLite need not be able to.
    pub(super) fn new(name: &str, columns: &str) -> Table {
        let count = columns.split(',').count();
        let row = format!("({})", vec!["?"; count].join(", "));
        let inserts = SIZES.map(|rows| format!("INSERT OR FAIL INTO {name} ({columns}) VALUES {}", vec![row.as_str(); rows].join(", ")));
        Table { inserts, columns: count }
    }

    /// Inserts them all, in their order.
    pub(super) fn insert<R>(
        &self,
        db: &Connection,
        rows: &[R],
        mut bind: impl FnMut(&mut Row<'_, '_>, &R) -> rusqlite::Result<()>,
    ) -> Result<(), Fault> {
        let mut rest = rows;
        for (size, sql) in SIZES.into_iter().zip(&self.inserts) {
            if rest.len() < size {
                continue;
            }
            let mut statement = db.prepare_cached(sql)?;
            while let Some((rows, after)) = rest.split_at_checked(size) {
                let mut values = Row { statement: &mut statement, bound: 0 };
                for row in rows {
                    bind(&mut values, row)?;
                }
                debug_assert_eq!(values.bound, size * self.columns);
                statement.raw_execute()?;
                rest = after;
            }
        }
        Ok(())
    }
}

/// Takes the values of a row, column by column.
pub(super) struct Row<'s, 'd> {
    statement: &'s mut Statement<'d>,
    bound: usize,
}

impl Row<'_, '_> {
    /// The next column's.
    pub(super) fn put(&mut self, value: impl ToSql) -> rusqlite::Result<()> {
        self.bound += 1;
        self.statement.raw_bind_parameter(self.bound, value)
    }
}
