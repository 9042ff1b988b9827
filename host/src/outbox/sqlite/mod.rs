//! The embedded outbox: one SQLite file.
