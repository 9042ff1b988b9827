//! The senders: each has connectors of its own, and sends the next batch when the one before was answered with 202, by whichever host.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

/// Events in a batch: so many incidents of three connectors, with five events in a row each.
const PARTS: [usize; 3] = [6, 3, 1];
/// Events in a row.
const ROW: usize = 5;
/// All events of a batch.
pub(crate) const BATCH: usize = (PARTS[0] + PARTS[1] + PARTS[2]) * ROW;
/// Senders.
const SENDERS: usize = 10;
/// A sender that gets no answer asks another host,
const TIMEOUT: Duration = Duration::from_secs(2);
/// and leaves that one alone for a while.
const AVOID: Duration = Duration::from_secs(2);

/// An incident's connector and its number among them.
pub(crate) type Incident = (usize, usize);

/// What was answered so far.
#[derive(Default)]
pub(crate) struct Tally {
    /// Events that were answered with 202.
    pub(crate) accepted: AtomicU64,
    /// Answers with 503 that say when to come again.
    pub(crate) unavailable: AtomicU64,
    /// Requests that no whole answer came to.
    pub(crate) silent: AtomicU64,
}

/// The senders at work.
pub(crate) struct Load {
    ended: Arc<OnceLock<Instant>>,
    pub(crate) tally: Arc<Tally>,
    senders: JoinSet<HashMap<Incident, usize>>,
    begun: Instant,
}

impl Load {
    /// Begins to send so many events a second to these hosts.
    pub(crate) fn start(connectors: usize, rate: usize, hosts: &[SocketAddr]) -> Load {
        let (ended, tally) = (Arc::<OnceLock<Instant>>::default(), Arc::<Tally>::default());
        let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().unwrap();
        let pause = Duration::from_secs_f64((BATCH * SENDERS) as f64 / rate as f64);
        let mut senders = JoinSet::new();
        for first in 0..SENDERS {
            let sender = Sender {
                own: (first..connectors).step_by(SENDERS).collect(),
                hosts: hosts.iter().map(|host| (*host, Instant::now())).collect(),
                turn: first,
                client: client.clone(),
                tally: Arc::clone(&tally),
                told: HashMap::new(),
            };
            senders.spawn(sender.run(pause, Arc::clone(&ended)));
        }
        Load { ended, tally, senders, begun: Instant::now() }
    }

    /// Ends it, when all that was to be sent until now is accepted: how many events of each incident there are, and how many a second there were.
    pub(crate) async fn end(self) -> (HashMap<Incident, usize>, f64) {
        self.ended.get_or_init(Instant::now);
        let told = self.senders.join_all().await.into_iter().flatten().collect();
        (told, self.tally.accepted.load(Ordering::Relaxed) as f64 / self.begun.elapsed().as_secs_f64())
    }
}

struct Sender {
    own: Vec<usize>,
    /// Each with the time until when it is left alone.
    hosts: Vec<(SocketAddr, Instant)>,
    turn: usize,
    client: reqwest::Client,
    tally: Arc<Tally>,
    told: HashMap<Incident, usize>,
}

impl Sender {
    async fn run(mut self, pause: Duration, ended: Arc<OnceLock<Instant>>) -> HashMap<Incident, usize> {
        let begun = Instant::now();
        for batch in 0.. {
            let due = begun + pause * batch as u32;
            // Behind its time it goes on at once, so that the rate is kept on the whole.
            tokio::time::sleep_until(due.into()).await;
            if ended.get().is_some_and(|ended| due > *ended) {
                break;
            }
            let events = self.events(batch);
            self.hand_over(&format!("[{}]", events.join(","))).await;
            self.tally.accepted.fetch_add(events.len() as u64, Ordering::Relaxed);
        }
        self.told
    }

    /// The next batch. An incident goes on in the connector's next batches, until there are new ones.
    fn events(&mut self, batch: usize) -> Vec<String> {
        let mut events = Vec::with_capacity(BATCH);
        for (part, incidents) in PARTS.into_iter().enumerate() {
            let connector = self.own[(batch + part * 7) % self.own.len()];
            let age = batch / self.own.len();
            for incident in 0..incidents {
                let number = age / 2 * 10 + incident;
                let told = self.told.entry((connector, number)).or_default();
                events.extend((*told..*told + ROW).map(|n| event(connector, number, n)));
                *told += ROW;
            }
        }
        events
    }

    /// Until a host has taken it.
    async fn hand_over(&mut self, body: &str) {
        loop {
            let which = self.next_host();
            let url = format!("http://{}/webhooks/ilert", self.hosts[which].0);
            let answer = self.client.post(url).header("content-type", "application/json").body(body.to_owned()).send().await;
            match answer {
                Ok(answer) if answer.status() == 202 => return,
                Ok(answer) => {
                    assert_eq!(answer.status(), 503, "{:?}", answer.text().await);
                    assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
                    self.tally.unavailable.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => {
                    self.tally.silent.fetch_add(1, Ordering::Relaxed);
                    self.hosts[which].1 = Instant::now() + AVOID;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// One after the other, but for those that gave no answer.
    fn next_host(&mut self) -> usize {
        self.turn += 1;
        let all = self.hosts.len();
        let in_turn = (0..all).map(|n| (self.turn + n) % all);
        in_turn.min_by_key(|which| self.hosts[*which].1.saturating_duration_since(Instant::now())).unwrap()
    }
}

/// The `n`-th event of an incident. What it is called is found again in what the group reads.
pub(crate) fn event(connector: usize, number: usize, n: usize) -> String {
    let (id, mark) = (1_000_000 + connector * 10_000 + number, mark(connector, number, n));
    format!(
        r#"{{"id":{id},"eventId":"{mark}","eventType":"alert-created","status":"PENDING","summary":"{mark}","alertSource":{{"id":{connector},"name":"s{connector}"}}}}"#
    )
}

/// What the `n`-th event of an incident is called.
pub(crate) fn mark(connector: usize, number: usize, n: usize) -> String {
    format!("zz-{connector}-{number}-{n}")
}

/// The events that a text names, each once: connector, number of the incident, number of the event.
pub(crate) fn marks(text: &str) -> Vec<(usize, usize, usize)> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let read = |word: &str| {
        let mut numbers = word.strip_prefix("zz-")?.split('-').map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.next()??, numbers.next()??))
    };
    let mut seen = HashSet::new();
    words.filter_map(read).filter(|event| seen.insert(*event)).collect()
}
