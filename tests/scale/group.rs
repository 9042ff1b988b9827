//! The group that everything is delivered to, and the end of a delivery.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use incident_sink::clock::Clock;
use incident_sink::outbox::Outbox;
use incident_sink::outbox::postgres::{PostgresConfig, PostgresOutbox};
use incident_sink::simulator::dingtalk::{DingTalk, Options, Robot};

use crate::host::{SECRET, robot};
use crate::postgres::Postgres;

/// How long what waits in the end may take: the machine may be busy, and the pace is twenty a minute.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// A group with a robot for each connector, as strict as DingTalk.
pub(crate) async fn group(connectors: usize) -> DingTalk {
    let robots = (0..connectors).map(|n| Robot::new(robot(n), format!("token-{n}")).signed(SECRET)).collect();
    DingTalk::start(Options { robots, keep: 10_000_000, ..Options::default() }).await.unwrap()
}

/// What the hosts share, for a look.
pub(crate) async fn outbox_of(database: &Postgres) -> Arc<dyn Outbox> {
    Arc::new(PostgresOutbox::open(Path::new("."), &PostgresConfig::new(database.url()), Clock::system()).await.unwrap())
}

/// Waits until nothing waits and nothing is under way.
pub(crate) async fn drained(outbox: &dyn Outbox) {
    let begun = Instant::now();
    while let busy = outbox.busy_connectors().await.unwrap()
        && !busy.is_empty()
    {
        assert!(begun.elapsed() < PATIENCE, "still something to do for {busy:?}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
