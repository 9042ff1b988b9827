//! iLert's payloads, every generation, read into an event.
