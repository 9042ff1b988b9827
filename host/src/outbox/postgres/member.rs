//! This host among the others: its signs of life, the calls between hosts, and the lanes that nobody has.
//!
//! One connection of its own carries all of it, so that no burst of work can hold a sign of life up. Five times within a lease the host gives
//! one, buries hosts that gave none, frees lanes that rest, and looks for work in lanes without a host. `LISTEN` tells at once what this
//! look would find later: a notification that is lost costs a fifth of a lease, nothing else.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::AbortHandle;
use tokio_postgres::{AsyncMessage, Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::fault::Fault;
use super::lease::{Known, Lanes, NOBODY};
use super::read::BUSY;
use crate::clock::Clock;
use crate::outbox::{ConnectorName, OutboxError, Wake};

/// Signs of life within a lease. The fewer, the longer it takes until a dead host's lanes are found.
const BEATS: u32 = 5;
/// How long to wait for the first sign of life.
const JOIN: Duration = Duration::from_secs(10);
/// How long to wait before the connection is made anew.
const AGAIN: Duration = Duration::from_millis(250);
/// Notifications that wait to be read; what comes beyond is found by looking.
const HEARD: usize = 1_024;
/// Calls for other hosts are gathered so long.
const GATHER: Duration = Duration::from_millis(10);
/// The most calls that wait; what is beyond is found by looking.
const CALLS: usize = 100_000;
/// The most bytes of a notification; PostgreSQL takes fewer than 8000.
const PAYLOAD: usize = 7_000;
/// The most resting lanes that are freed at once.
const FREED: usize = 1_000;
/// In the place of a host's number: all of them.
pub(super) const ALL: i64 = NOBODY;
/// How often is looked whether this host has more than its share of the lanes.
const SHARE: Duration = Duration::from_secs(5);

/// This host among the others.
pub(super) struct Member {
    settings: Config,
    tls: MakeRustlsConnect,
    channel: String,
    lease: Duration,
    clock: Clock,
    pub(super) lanes: Lanes,
    wake: Mutex<Option<Wake>>,
    calls: Mutex<BTreeSet<(i64, ConnectorName)>>,
    called: Notify,
    /// When was looked last whether it has more than its share.
    shared: Mutex<Option<Instant>>,
    /// The number of this host's row.
    joined: watch::Sender<Option<i64>>,
    task: Mutex<Option<AbortHandle>>,
}

impl Member {
    pub(super) fn new(settings: Config, tls: MakeRustlsConnect, schema: &str, lease: Duration, clock: Clock) -> Arc<Member> {
        Arc::new(Member {
            settings,
            tls,
            channel: format!("incident_sink_{schema}"),
            lease,
            clock,
            lanes: Lanes::default(),
            wake: Mutex::default(),
            calls: Mutex::default(),
            called: Notify::new(),
            shared: Mutex::default(),
            joined: watch::Sender::new(None),
            task: Mutex::default(),
        })
    }

    /// Whom to tell of lanes that have something to do; from then on this host is a member.
    pub(super) fn on_wake(self: &Arc<Self>, wake: Wake) {
        *self.wake.lock().unwrap_or_else(PoisonError::into_inner) = Some(wake);
        self.begin();
    }

    fn begin(self: &Arc<Self>) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.is_none() {
            *task = Some(tokio::spawn(Arc::clone(self).live()).abort_handle());
        }
    }

    /// The number of this host's row. The first call makes it a member.
    pub(super) async fn host(self: &Arc<Self>) -> Result<i64, OutboxError> {
        if let Some(host) = self.lanes.host() {
            return Ok(host);
        }
        self.begin();
        let mut joined = self.joined.subscribe();
        let host = tokio::time::timeout(JOIN, joined.wait_for(Option::is_some)).await;
        let host = host.ok().and_then(Result::ok).and_then(|host| *host);
        host.ok_or_else(|| OutboxError::Unavailable("the database cannot be reached for a sign of life; see the log".into()))
    }

    /// Has another host look at a lane of its own.
    pub(super) fn call(&self, host: i64, connector: &str) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() < CALLS {
            calls.insert((host, Arc::from(connector)));
        }
        drop(calls);
        self.called.notify_one();
    }

    /// What is known of a lane without asking; another host that has it is called.
    pub(super) fn known(&self, connector: &str) -> Known {
        let known = self.lanes.known(connector, Instant::now());
        if let Known::Elsewhere(host) = known {
            self.call(host, connector);
        }
        known
    }

    /// No sign of life is given any more. Answers the row that is left.
    pub(super) fn end(&self) -> Option<i64> {
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
        *self.wake.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let host = self.lanes.host();
        self.lanes.end();
        host
    }

    /// What tells all hosts to look for lanes without one.
    pub(super) fn look_all(&self) -> (String, String) {
        (self.channel.clone(), format!("{ALL} "))
    }

    async fn live(self: Arc<Self>) {
        let mut troubled = false;
        loop {
            let Err(fault) = self.session(&mut troubled).await;
            if !std::mem::replace(&mut troubled, true) {
                tracing::warn!(message = "No sign of life can be given to the database; tried again.", error = %OutboxError::from(fault));
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// As long as one connection lives.
    async fn session(&self, troubled: &mut bool) -> Result<std::convert::Infallible, Fault> {
        let (client, mut connection) = self.settings.connect(self.tls.clone()).await?;
        let (heard, mut notifications) = mpsc::channel(HEARD);
        let driver = tokio::spawn(async move {
            while let Some(message) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                match message {
                    Ok(AsyncMessage::Notification(notification)) => _ = heard.try_send(notification.payload().to_owned()),
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
        });
        let _driver = AbortOnDrop(driver.abort_handle());
        // The name was checked to be letters, digits and underscores.
        client.batch_execute(&format!("LISTEN \"{}\"", self.channel)).await?;
        loop {
            self.beat(&client).await?;
            if std::mem::take(troubled) {
                tracing::info!(message = "Signs of life reach the database again.");
            }
            let next = tokio::time::sleep(self.lease / BEATS);
            tokio::pin!(next);
            loop {
                tokio::select! {
                    () = &mut next => break,
                    payload = notifications.recv() => match payload {
                        Some(payload) => if self.hear(&payload) { break },
                        // The connection is gone: the next statement says why.
                        None => break,
                    },
                    () = self.called.notified() => {
                        tokio::time::sleep(GATHER).await;
                        self.send_calls(&client).await?;
                    }
                }
            }
        }
    }

    /// A sign of life, and what is done with it.
    async fn beat(&self, client: &Client) -> Result<(), Fault> {
        let before = Instant::now();
        // From before it left: the database's own end of the lease comes later.
        let until = before + self.lease / 10 * 9;
        let lease = self.lease.as_secs_f64();
        let found = match self.lanes.host() {
            None => None,
            Some(host) => {
                let sql = "UPDATE hosts SET alive_until = clock_timestamp() + make_interval(secs => $2) WHERE id = $1
                           RETURNING id, (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
                client.query_opt(sql, &[&host, &lease]).await?
            }
        };
        let (host, now) = match found {
            Some(row) => {
                let host = row.try_get(0)?;
                self.lanes.alive(host, until);
                (host, row.try_get(1)?)
            }
            None => self.join(client, until).await?,
        };
        self.follow(now, before);
        self.bury(client, host).await?;
        self.free(client, host).await?;
        self.share(client).await?;
        self.look(client, host).await
    }

    /// Leaves lanes to hosts that have fewer.
    async fn share(&self, client: &Client) -> Result<(), Fault> {
        {
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            if shared.is_some_and(|at| at.elapsed() < SHARE) {
                return Ok(());
            }
            *shared = Some(Instant::now());
        }
        let sql = "SELECT (SELECT count(*) FROM lanes WHERE owner IN (SELECT id FROM hosts)), (SELECT count(*) FROM hosts)";
        let row = client.query_one(sql, &[]).await?;
        let count = |n: i64| usize::try_from(n).unwrap_or_default();
        self.lanes.share(count(row.try_get(0)?), count(row.try_get(1)?));
        Ok(())
    }

    /// Becomes a member, for the first time or anew.
    async fn join(&self, client: &Client, until: Instant) -> Result<(i64, i64), Fault> {
        if self.lanes.host().is_some() {
            tracing::warn!(message = "This host gave no sign of life for longer than `outbox.lease`; others have taken its lanes over.");
        }
        let name = format!("{} {}", hostname(), std::process::id());
        let sql = "INSERT INTO hosts (name, alive_until) VALUES ($1, clock_timestamp() + make_interval(secs => $2))
                   RETURNING id, (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        let row = client.query_one(sql, &[&name, &self.lease.as_secs_f64()]).await?;
        let host = row.try_get(0)?;
        self.lanes.begin(host, until);
        self.joined.send_replace(Some(host));
        tracing::info!(message = "Joined the hosts that share the outbox.", host);
        Ok((host, row.try_get(1)?))
    }

    /// All hosts count in the database's time.
    fn follow(&self, now: i64, asked: Instant) {
        let half = i64::try_from(asked.elapsed().as_millis() / 2).unwrap_or_default();
        if let Some(by) = self.clock.follow(now.saturating_add(half)) {
            tracing::warn!(message = "The database's clock is another than before; waits and paces follow it.", by_ms = by);
        }
    }

    /// Hosts that gave no sign of life within their lease have no lanes any more. After the database was down, all get the time to give one.
    async fn bury(&self, client: &Client, host: i64) -> Result<(), Fault> {
        let sql = "DELETE FROM hosts WHERE alive_until < clock_timestamp() AND id <> $1
                   AND pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => $2) RETURNING name";
        for row in client.query(sql, &[&host, &(2.0 * self.lease.as_secs_f64())]).await? {
            let name: &str = row.try_get(0)?;
            tracing::warn!(message = "A host gives no sign of life; its lanes are taken over.", host = name);
        }
        Ok(())
    }

    async fn free(&self, client: &Client, host: i64) -> Result<(), Fault> {
        let free = self.lanes.let_go(Instant::now(), FREED);
        if !free.is_empty() {
            let names: Vec<&str> = free.iter().map(|name| &**name).collect();
            client.execute("UPDATE lanes SET owner = NULL WHERE owner = $1 AND connector = ANY($2)", &[&host, &names]).await?;
        }
        Ok(())
    }

    /// Wakes lanes that have something to do and are this host's, or nobody's.
    async fn look(&self, client: &Client, host: i64) -> Result<(), Fault> {
        if self.wake.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            return Ok(());
        }
        let sql = format!(
            "{BUSY} SELECT busy.connector FROM busy LEFT JOIN lanes l ON l.connector = busy.connector LEFT JOIN hosts h ON h.id = l.owner
             WHERE h.id IS NULL OR h.id = $1"
        );
        let mut names = Vec::new();
        for row in client.query(&sql, &[&host]).await? {
            names.push(ConnectorName::from(row.try_get::<_, &str>(0)?));
        }
        // What was asked for a moment ago may have been told that another host has it, which has gone since.
        self.lanes.see_none(&names);
        self.rouse(&names);
        Ok(())
    }

    fn rouse(&self, names: &[ConnectorName]) {
        let wake = self.wake.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(wake) = wake.filter(|_| !names.is_empty()) {
            wake(names);
        }
    }

    /// Reads a notification: `HOST CONNECTOR` a line. `true` if this host is to look for lanes without one.
    fn hear(&self, payload: &str) -> bool {
        let host = self.lanes.host();
        let calls = payload.lines().filter_map(|line| line.split_once(' ')).filter_map(|(to, name)| Some((to.parse::<i64>().ok()?, name)));
        let (mut names, mut look) = (Vec::new(), false);
        for (to, name) in calls {
            match to {
                ALL => look = true,
                to if Some(to) == host => names.push(ConnectorName::from(name)),
                _ => {}
            }
        }
        self.rouse(&names);
        look
    }

    async fn send_calls(&self, client: &Client) -> Result<(), Fault> {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner));
        for payload in payloads(&calls) {
            client.execute("SELECT pg_notify($1, $2)", &[&self.channel, &payload]).await?;
        }
        Ok(())
    }
}

/// Ends a task with its owner.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// As few notifications as these calls fit into. A name that cannot be in one is left to the look.
fn payloads(calls: &BTreeSet<(i64, ConnectorName)>) -> Vec<String> {
    let mut all = vec![String::new()];
    for (host, name) in calls {
        let line = format!("{host} {name}\n");
        if line.len() > PAYLOAD || name.contains(['\n', '\r', '\0']) {
            continue;
        }
        if all.last().is_some_and(|last| last.len() + line.len() > PAYLOAD) {
            all.push(String::new());
        }
        if let Some(last) = all.last_mut() {
            last.push_str(&line);
        }
    }
    all.retain(|payload| !payload.is_empty());
    all
}

/// The machine's name, for people.
fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned()).unwrap_or_else(|_| "host".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_share_notifications_within_the_limit() {
        let calls: BTreeSet<(i64, ConnectorName)> = (0..1_000).map(|n| (1, ConnectorName::from(format!("connector {n:04}")))).collect();
        let all = payloads(&calls);
        assert!(all.len() > 1 && all.iter().all(|payload| payload.len() <= PAYLOAD));
        assert_eq!(all.iter().flat_map(|payload| payload.lines()).count(), 1_000);
        assert!(payloads(&BTreeSet::from([(1, "a\nb".into())])).is_empty());
    }
}
