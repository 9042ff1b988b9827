//! The conformance suite: what an author runs on a component, `incident-sink plugin test FILE`.
