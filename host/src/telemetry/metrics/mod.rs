//! Metrics, in the text formats of Prometheus and OpenMetrics.
//!
//! | file | does |
//! |---|---|
//! | `catalogue` | every metric: name, type, labels, meaning |
//! | `rooms` | what each room counts, where it happens: atomic counters |
//! | `names` | keeps the number of distinct label values that come from outside bounded |
//! | `page` | values that are looked up when somebody asks for them |
//! | `plain` | the older of the two formats |
//!
//! Nothing here is global: each room has its counters, and a host puts them together ([`Metrics`]). Labels are names of the config, words of
//! the program, or bounded in number; beyond that they are `other`.

mod catalogue;
mod names;
pub mod page;
mod plain;
mod rooms;

use prometheus_client::registry::Registry;

pub use catalogue::{Kind, Metric, by_name, catalogue, name};
pub use names::Names;
pub use plain::plain;
pub use rooms::{ApiMetrics, ConfigMetrics, DeliveryMetrics, HttpMetrics, IntakeMetrics, OutboxMetrics, TraceMetrics};

/// The counters of all rooms of a host. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// The door.
    pub intake: IntakeMetrics,
    /// The lanes.
    pub delivery: DeliveryMetrics,
    /// The outbox.
    pub outbox: OutboxMetrics,
    /// iLert's API, and what was asked for from the chat.
    pub ilert: ApiMetrics,
    /// The servers.
    pub http: HttpMetrics,
    /// Reading the config anew.
    pub config: ConfigMetrics,
    /// Traces.
    pub traces: TraceMetrics,
}

impl Metrics {
    /// All counters, to be written out.
    pub fn registry(&self) -> Registry {
        let mut registry = Registry::default();
        self.intake.register(&mut registry);
        self.delivery.register(&mut registry);
        self.outbox.register(&mut registry);
        self.ilert.register(&mut registry);
        self.http.register(&mut registry);
        self.config.register(&mut registry);
        self.traces.register(&mut registry);
        registry
    }
}

#[cfg(test)]
mod tests;
