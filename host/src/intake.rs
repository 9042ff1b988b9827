//! The door: routes events, writes them down, wakes the lanes.

/// A handle for sources; cheap to clone.
#[derive(Clone)]
pub struct Intake;
