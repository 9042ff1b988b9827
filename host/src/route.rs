//! Which events go to which connectors.
