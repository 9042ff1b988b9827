//! What the upgrade room promises, with real components.
