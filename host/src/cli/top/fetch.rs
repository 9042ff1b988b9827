//! What the running host says of its lanes, by its admin API.

use std::collections::HashMap;

use serde::Deserialize;

use super::lane::Lane;
use crate::cli::Failure;
use crate::cli::client::Store;
use crate::clock::{Clock, UnixMs};
use crate::outbox::ConnectorStatus;

/// One look.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// When.
    pub(super) now: UnixMs,
    /// Every connector.
    pub(super) lanes: Vec<Lane>,
    /// Why this look failed; then the lanes are those of the look before.
    pub(super) trouble: Option<String>,
}

/// A connector, as `GET /api/connectors` tells it; other members are for others.
#[derive(Debug, Deserialize)]
struct Connector {
    name: String,
    pace: Option<Pace>,
    monthly_budget: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct Pace {
    messages: u32,
    window_ms: u32,
}

/// Asks once.
pub(super) async fn look(store: &Store) -> Result<Seen, Failure> {
    let connectors: Vec<Connector> = store.get("/api/connectors").await?;
    let lines: Vec<ConnectorStatus> = store.get("/api/outbox").await?;
    let now = Clock::system().now();
    Ok(Seen { now, lanes: join(connectors, lines, now), trouble: None })
}

/// Every connector with its line in the outbox; a line without a connector is of one that the config had once, and waits for it.
fn join(connectors: Vec<Connector>, lines: Vec<ConnectorStatus>, now: UnixMs) -> Vec<Lane> {
    let mut known: HashMap<String, Connector> = connectors.into_iter().map(|one| (one.name.clone(), one)).collect();
    let lane = |line: ConnectorStatus, connector: Option<Connector>| {
        let pace = connector.as_ref().and_then(|connector| connector.pace.as_ref());
        let window = pace.map_or(60_000, |pace| i64::from(pace.window_ms));
        Lane {
            waiting: line.waiting,
            oldest: line.oldest,
            in_flight: line.in_flight,
            sent: line.pace.sends.iter().filter(|at| **at > now - window).count(),
            pace: pace.map(|pace| pace.messages),
            closed_until: (line.pace.closed_until > now).then_some(line.pace.closed_until),
            month: line.pace.month_count,
            budget: connector.as_ref().and_then(|connector| connector.monthly_budget),
            dead: line.dead,
            configured: connector.is_some(),
            name: line.connector,
        }
    };
    let mut lanes: Vec<Lane> = Vec::with_capacity(lines.len());
    for line in lines {
        let connector = known.remove(&line.connector);
        lanes.push(lane(line, connector));
    }
    for (name, connector) in known {
        lanes.push(lane(ConnectorStatus { connector: name, ..ConnectorStatus::default() }, Some(connector)));
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connector_without_a_line_is_idle_and_a_line_without_a_connector_is_shown() {
        let connectors: Vec<Connector> = serde_json::from_value(serde_json::json!([
            { "name": "ops", "pace": { "messages": 20, "window_ms": 60_000, "penalty_ms": 600_000 }, "monthly_budget": 3000, "url": "https://x" },
            { "name": "quiet", "pace": null, "monthly_budget": null }
        ]))
        .unwrap();
        let mut line = ConnectorStatus { connector: "ops".to_owned(), waiting: 3, ..ConnectorStatus::default() };
        line.pace.sends = vec![0, 90_000, 100_000];
        let gone = ConnectorStatus { connector: "gone".to_owned(), waiting: 1, ..ConnectorStatus::default() };
        let mut lanes = join(connectors, vec![line, gone], 120_000);
        lanes.sort_by(|a, b| a.name.cmp(&b.name));
        let told: Vec<_> = lanes.iter().map(|lane| (lane.name.as_str(), lane.waiting, lane.sent, lane.configured)).collect();
        assert_eq!(told, [("gone", 1, 0, false), ("ops", 3, 2, true), ("quiet", 0, 0, true)]);
    }
}
