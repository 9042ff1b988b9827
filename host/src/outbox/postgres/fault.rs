//! What an error of PostgreSQL means for the outbox.

use std::error::Error as _;

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

use crate::outbox::OutboxError;

/// Why a job failed: the database's words, or ours.
#[derive(Debug)]
pub(super) enum Fault {
    Sql(tokio_postgres::Error),
    Outbox(OutboxError),
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Fault::Sql(error)
    }
}

impl From<OutboxError> for Fault {
    fn from(error: OutboxError) -> Self {
        Fault::Outbox(error)
    }
}

impl From<PoolError> for Fault {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Fault::Sql(error),
            PoolError::Timeout(_) => OutboxError::Unavailable(
                "the database gave no connection in time; see whether it can be reached, or raise `outbox.connections`".into(),
            )
            .into(),
            PoolError::Closed => OutboxError::Closed.into(),
            other => OutboxError::Broken(format!("the connections to the database are set up wrongly, please report this: {other}")).into(),
        }
    }
}

impl Fault {
    /// Two transactions stood in each other's way: the same work again is likely to succeed.
    pub(super) fn is_collision(&self) -> bool {
        let Fault::Sql(error) = self else { return false };
        error.code().is_some_and(|code| [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE].contains(code))
    }

    /// The work itself is at fault, not the database: another part of the same transaction may still succeed.
    pub(super) fn is_of_the_data(&self) -> bool {
        match self {
            Fault::Sql(error) => error.code().is_some_and(|code| matches!(code.code().get(..2), Some("22" | "23"))),
            Fault::Outbox(error) => !matches!(error, OutboxError::Unavailable(_) | OutboxError::Closed),
        }
    }
}

impl From<Fault> for OutboxError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Outbox(error) => error,
            Fault::Sql(error) => judge(&error),
        }
    }
}

/// What the caller is told. The texts of the driver name no password.
fn judge(error: &tokio_postgres::Error) -> OutboxError {
    let words = words(error);
    let Some(code) = error.code() else {
        // No answer of the server's: the connection.
        let hint = if words.contains("TLS") || words.contains("certificate") {
            "; `outbox.ca` names the authority of its certificate, `?sslmode=disable` in `outbox.url` goes without TLS on a network that you trust"
        } else {
            ""
        };
        return OutboxError::Unavailable(format!("the database cannot be reached ({words}){hint}"));
    };
    match code.code().get(..2) {
        Some("08" | "53" | "55" | "57" | "58" | "40") => {
            OutboxError::Unavailable(format!("the database does not take it at the moment ({words})"))
        }
        _ if *code == SqlState::READ_ONLY_SQL_TRANSACTION => OutboxError::Unavailable(format!(
            "the database takes no changes, as a standby does ({words}); let `outbox.url` name the primary"
        )),
        Some("28") => OutboxError::Broken(format!("the database refuses `outbox.url`'s user ({words}); check the user and the password")),
        _ if *code == SqlState::INVALID_CATALOG_NAME => {
            OutboxError::Broken(format!("{words}; create it (`createdb`), or name another in `outbox.url`"))
        }
        Some("42") if *code == SqlState::INSUFFICIENT_PRIVILEGE => OutboxError::Broken(format!(
            "{words}; the user of `outbox.url` has to own the schema `outbox.schema`, or be allowed to create it"
        )),
        _ => OutboxError::Broken(format!("the database refuses a statement of the outbox ({words})")),
    }
}

/// What the server or the system said.
fn words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{}: {}", db.code().code(), db.message()),
        None => match error.source() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
    }
}
