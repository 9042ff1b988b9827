//! Values of columns: JSON as text, and text without what PostgreSQL cannot keep.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::fault::Fault;
use crate::outbox::{OutboxError, Reason};

/// Text from outside: PostgreSQL knows no NUL character, which becomes the sign for what cannot be shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a>(pub(super) &'a str);

impl ToSql for Text<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let text: &str = &clean(self.0);
        text.to_sql(kind, out)
    }

    fn accepts(kind: &Type) -> bool {
        <&str as ToSql>::accepts(kind)
    }

    to_sql_checked!();
}

/// As [`Text`], for values that are collected first.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{FFFD}")) } else { Cow::Borrowed(text) }
}

/// A value as JSON. What JSON writes of a NUL is six characters, which can be kept.
pub(super) fn write_json<T: Serialize>(value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| OutboxError::Broken(format!("a value cannot be written as JSON: {error}")).into())
}

/// A reason as JSON that the database can search.
pub(super) fn write_reason(reason: &Reason) -> Result<String, Fault> {
    Ok(write_json(reason)?.replace("\\u0000", "\\ufffd"))
}

/// A value from JSON.
pub(super) fn json<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|error| {
        OutboxError::Broken(format!("a value in the outbox cannot be read ({error}); it may be of another version of incident-sink")).into()
    })
}
