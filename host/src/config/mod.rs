//! Config: read, filled in, checked.
