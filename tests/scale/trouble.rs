//! What happens to the hosts and to the database, and how soon others take over.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use incident_sink::clock::{Clock, UnixMs};

use crate::host::{Host, LEASE};
use crate::postgres::{Postgres, Stop};

/// How long anything here may take: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

const LEASE_MS: i64 = LEASE.as_millis() as i64;

/// A time in which a host could not know what it had sent, or whether its lanes were still its own.
#[derive(Clone, Debug)]
pub(crate) struct Interruption {
    /// `None` for all of them.
    pub(crate) host: Option<usize>,
    pub(crate) from: UnixMs,
    pub(crate) until: UnixMs,
}

/// How long the lanes of a host were without one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Takeover {
    pub(crate) lanes: usize,
    pub(crate) took: Duration,
    /// Of that, how long nothing at all went on: a busy machine is not the hosts' fault.
    pub(crate) stalled: Duration,
}

impl fmt::Display for Takeover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} lanes in {:.1} s (of which the machine stood still for {:.1})",
            self.lanes,
            self.took.as_secs_f64(),
            self.stalled.as_secs_f64()
        )
    }
}

/// Everything that happened.
#[derive(Default)]
pub(crate) struct Trouble {
    pub(crate) interruptions: Vec<Interruption>,
    pub(crate) takeovers: Vec<Takeover>,
    pub(crate) killed: usize,
    pub(crate) frozen: usize,
}

/// Who has which lane, and whether it has something to do.
struct Lane {
    owner: Option<u32>,
    works: bool,
}

/// A look at the lanes costs the database little beside what the hosts do.
const LOOK: &str = "SELECT l.connector, split_part(h.name, ' ', -1),
    EXISTS (SELECT FROM incident_sink.queue q WHERE q.connector = l.connector)
    OR EXISTS (SELECT FROM incident_sink.messages m WHERE m.connector = l.connector AND m.state = 'open')
    FROM incident_sink.lanes l LEFT JOIN incident_sink.hosts h ON h.id = l.owner";

fn now() -> UnixMs {
    Clock::system().now()
}

impl Trouble {
    /// One host is killed; when others have its lanes, it is started again.
    pub(crate) async fn kill(&mut self, hosts: &mut [Host], which: usize, database: &Postgres) {
        let (before, id) = (lanes(database), hosts[which].id());
        let from = now();
        hosts[which].kill();
        self.interruptions.push(Interruption { host: Some(which), from, until: now() });
        self.taken_over(id, &before, database).await;
        hosts[which].start().await;
        self.killed += 1;
    }

    /// One host is frozen past its lease; when others have its lanes, it goes on.
    pub(crate) async fn freeze(&mut self, hosts: &[Host], which: usize, database: &Postgres) {
        let (before, id) = (lanes(database), hosts[which].id());
        let (from, begun) = (now(), Instant::now());
        hosts[which].freeze();
        self.taken_over(id, &before, database).await;
        tokio::time::sleep((LEASE + Duration::from_secs(1)).saturating_sub(begun.elapsed())).await;
        self.interruptions.push(Interruption { host: Some(which), from, until: now() });
        hosts[which].wake();
        self.frozen += 1;
    }

    /// The database crashes, is away until hosts have said so, and comes back.
    pub(crate) async fn restart(&mut self, database: &Postgres, refused: impl Fn() -> bool) {
        let (from, begun) = (now(), Instant::now());
        tokio::task::block_in_place(|| database.stop(Stop::Immediate));
        while !refused() {
            assert!(begun.elapsed() < PATIENCE, "no host says that it cannot take anything in");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::task::block_in_place(|| database.start());
        self.interruptions.push(Interruption { host: None, from, until: now() + LEASE_MS });
    }

    /// On a machine that is busy enough a host can be too slow to give a sign of life in time. That is as if it had been frozen.
    pub(crate) fn add_slowness(&mut self, hosts: &[Host]) {
        for (which, host) in hosts.iter().enumerate() {
            let slow = |at: UnixMs| Interruption { host: Some(which), from: at - 2 * LEASE_MS, until: at };
            self.interruptions.extend(host.doubts().into_iter().map(slow));
        }
    }

    /// Waits until others have every lane of that process that has something to do.
    async fn taken_over(&mut self, id: u32, before: &HashMap<String, Lane>, database: &Postgres) {
        let mut left: Vec<&String> = before.iter().filter(|(_, lane)| lane.owner == Some(id)).map(|(name, _)| name).collect();
        let (lanes_of_it, begun, mut stalled) = (left.len(), Instant::now(), Duration::ZERO);
        while !left.is_empty() {
            assert!(begun.elapsed() < PATIENCE, "nobody takes over {left:?}");
            let looked = Instant::now();
            let found = lanes(database);
            left.retain(|name| match found.get(*name) {
                Some(lane) => lane.owner == Some(id) || (lane.owner.is_none() && lane.works),
                None => true,
            });
            tokio::time::sleep(Duration::from_millis(50)).await;
            stalled += looked.elapsed().saturating_sub(Duration::from_millis(150));
        }
        self.takeovers.push(Takeover { lanes: lanes_of_it, took: begun.elapsed(), stalled });
    }
}

fn lanes(database: &Postgres) -> HashMap<String, Lane> {
    let found = tokio::task::block_in_place(|| database.execute(LOOK));
    let lane = |line: &str| {
        let mut columns = line.split('|');
        let (name, owner, works) = (columns.next()?, columns.next()?, columns.next()?);
        Some((name.to_owned(), Lane { owner: owner.parse().ok(), works: works == "t" }))
    };
    found.lines().filter_map(lane).collect()
}
