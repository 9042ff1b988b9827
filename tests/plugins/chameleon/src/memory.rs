//! What a plugin could keep from one call to the next, if its host let it.

use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

const ROOM: usize = 128;

static CALLS: AtomicU32 = AtomicU32::new(0);
static KEPT: [AtomicU8; ROOM] = [const { AtomicU8::new(0) }; ROOM];

/// Counts a call; the first one in an instance is 1.
pub(crate) fn count() {
    CALLS.fetch_add(1, Relaxed);
}

/// How many calls this instance has seen.
pub(crate) fn calls() -> u32 {
    CALLS.load(Relaxed)
}

/// Keeps a text for a later call.
pub(crate) fn keep(text: &str) {
    for (place, byte) in KEPT.iter().zip(text.bytes().chain(core::iter::repeat(0))) {
        place.store(byte, Relaxed);
    }
}

/// What an earlier call kept.
pub(crate) fn kept() -> String {
    let bytes: Vec<u8> = KEPT.iter().map(|place| place.load(Relaxed)).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
