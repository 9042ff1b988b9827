//! Items of a body, read into events for the intake.

use std::sync::Arc;

use jiff::Timestamp;

use crate::clock::Clock;
use crate::event::Event;
use crate::event::body::RawItem;
use crate::event::ilert::{self, EdgeHeaders};
use crate::outbox::Unreadable;

/// How much of something unreadable is kept, in bytes.
pub const MAX_UNREADABLE: usize = 64 * 1024;

/// Reads every item: an event, or something to keep for people to look at. The headers of iLert's edge connector tell of one event; beside
/// several they are left alone.
pub fn read_items(source: &Arc<str>, items: Vec<RawItem>, headers: &EdgeHeaders, clock: &Clock) -> Vec<Result<Event, Unreadable>> {
    let none = EdgeHeaders::default();
    let headers = if items.len() == 1 { headers } else { &none };
    let received_at = Timestamp::from_millisecond(clock.now()).unwrap_or(Timestamp::UNIX_EPOCH);
    let read = |item: RawItem| {
        let value = item.value.map_err(|error| unreadable(source, &item.raw, &error))?;
        ilert::parse(&value, headers, received_at).map_err(|error| unreadable(source, &item.raw, &error))
    };
    items.into_iter().map(read).collect()
}

/// What came and why it could not be read.
pub fn unreadable(source: &Arc<str>, body: &[u8], error: &impl ToString) -> Unreadable {
    Unreadable { source: Arc::clone(source), body: body[..body.len().min(MAX_UNREADABLE)].to_vec(), error: error.to_string() }
}
