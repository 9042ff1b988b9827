//! The webhook that iLert posts to.
