//! Config documents end to end.
