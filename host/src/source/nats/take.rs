//! Takes messages in, one commit a batch, and answers the broker after it.

use std::time::{Duration, Instant};

use async_nats::jetstream::{AckKind, Message};
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::NatsConfig;
use super::connect::{Connection, NatsError};
use crate::event::Event;
use crate::event::body::{self, MAX_BODY};
use crate::event::ilert::EdgeHeaders;
use crate::outbox::Unreadable;
use crate::source::SourceContext;
use crate::source::read::{read_items, unreadable};

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long messages are held while the outbox is unavailable.
const HOLD: Duration = Duration::from_secs(30);
/// The broker is told this often that held messages are still worked on: less than any `ack_wait`.
const PROGRESS_EVERY: Duration = Duration::from_secs(4);
/// How long nothing has to come until nothing is on its way any more.
const ON_ITS_WAY: Duration = Duration::from_millis(250);
/// A message that is given back is handed out again after this: not at once to the host that gives it back because it stops.
const GIVE_BACK: AckKind = AckKind::Nak(Some(Duration::from_secs(1)));
/// How long the last answers may take on their way.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The header by which publishers keep JetStream from taking a message twice.
const MESSAGE_ID: &str = "Nats-Msg-Id";

/// The running source.
pub(super) struct Taker {
    pub(super) config: NatsConfig,
    pub(super) cx: SourceContext,
}

/// What the broker is told of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Its events are on disk.
    Taken,
    /// Nothing in it can be read; it is kept as a dead letter, and must not come again.
    Unreadable,
}

type Items = Vec<Result<Event, Unreadable>>;

impl Taker {
    /// Until `stop`. No trouble ends it: a broker that is away now comes back.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut wait = FIRST_WAIT;
        while !stop.is_cancelled() {
            let mut pulled = 0;
            let Err(error) = self.consume(&stop, &mut pulled).await else { return };
            if pulled > 0 {
                wait = FIRST_WAIT;
            }
            warn!(source = %self.cx.name, %error, wait_seconds = wait.as_secs(), "Messages of NATS cannot be pulled; trying again.");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Over one connection; `Ok` when it was told to stop.
    async fn consume(&self, stop: &CancellationToken, pulled: &mut usize) -> Result<(), NatsError> {
        let Some(begun) = stop.run_until_cancelled(Connection::begin(&self.config, &self.cx.name)).await else { return Ok(()) };
        let mut connection = begun?;
        info!(source = %self.cx.name, stream = self.config.stream, consumer = self.config.consumer, "Pulling messages of NATS.");
        let mut ended = Ok(());
        while ended.is_ok() && !stop.is_cancelled() {
            ended = self.pull(&mut connection, stop, pulled).await;
        }
        // What does not get through in time comes again, and its events are recognised.
        if !matches!(tokio::time::timeout(FLUSH_TIMEOUT, connection.flush()).await, Ok(Ok(()))) {
            warn!(source = %self.cx.name, "The last answers may not have reached NATS; their messages come again as duplicates.");
        }
        ended
    }

    /// One request to its end. When it is to stop, or the connection was lost, what the broker has handed out already is taken in first: it
    /// would come again only after `ack_wait`, behind newer messages.
    async fn pull(&self, connection: &mut Connection, stop: &CancellationToken, pulled: &mut usize) -> Result<(), NatsError> {
        let Some(()) = stop.run_until_cancelled(connection.connected()).await else { return Ok(()) };
        let mut chunks = connection.pull().await?.ready_chunks(self.config.batch);
        let mut ending = false;
        loop {
            let chunk = tokio::select! {
                chunk = chunks.next() => chunk,
                () = tokio::time::sleep(ON_ITS_WAY), if ending => None,
                () = stop.cancelled(), if !ending => { ending = true; continue }
                _ = connection.lost.changed(), if !ending => { ending = true; continue }
            };
            let Some(chunk) = chunk else { return Ok(()) };
            let mut failed = Ok(());
            let messages: Vec<Message> = chunk
                .into_iter()
                .filter_map(|message| message.map_err(|error| failed = Err(NatsError::Pull(error.to_string()))).ok())
                .collect();
            *pulled += messages.len();
            if !messages.is_empty() {
                self.take(messages, stop).await;
            }
            failed?;
        }
    }

    /// One commit, then the answers.
    async fn take(&self, messages: Vec<Message>, stop: &CancellationToken) {
        let (mut items, mut verdicts) = (Items::new(), Vec::with_capacity(messages.len()));
        for message in &messages {
            let read = self.read(message);
            let useless = read.iter().all(Result::is_err);
            verdicts.push(if useless { Verdict::Unreadable } else { Verdict::Taken });
            items.extend(read);
        }
        let taken = self.accept(&messages, &items, stop).await;
        for (message, verdict) in messages.iter().zip(&verdicts) {
            let kind = match (taken, verdict) {
                (true, Verdict::Taken) => AckKind::Ack,
                (true, Verdict::Unreadable) => AckKind::Term,
                (false, _) => GIVE_BACK,
            };
            self.answer(message, kind).await;
        }
    }

    /// Whether the items are on disk. While the outbox is unavailable the messages are held, so that their order stays; not for ever, since
    /// another host may be better off.
    async fn accept(&self, messages: &[Message], items: &Items, stop: &CancellationToken) -> bool {
        let (begun, mut wait) = (Instant::now(), FIRST_WAIT);
        loop {
            let Err(error) = self.cx.intake.accept(&self.cx.name, items.clone()).await else { return true };
            let (source, messages_held) = (&self.cx.name, messages.len());
            if begun.elapsed() > HOLD || stop.is_cancelled() {
                warn!(%source, messages = messages_held, %error, "Messages of NATS were given back: they could not be taken in.");
                return false;
            }
            warn!(%source, messages = messages_held, %error, wait_seconds = wait.as_secs(), "Messages of NATS wait for the outbox.");
            for message in messages {
                self.answer(message, AckKind::Progress).await;
            }
            let _ = stop.run_until_cancelled(tokio::time::sleep(wait)).await;
            wait = (wait * 2).min(PROGRESS_EVERY);
        }
    }

    async fn answer(&self, message: &Message, kind: AckKind) {
        if let Err(error) = message.ack_with(kind).await {
            warn!(source = %self.cx.name, %error, "NATS could not be answered; the message comes again as a duplicate.");
        }
    }

    /// The events of a message: one, an array, or one a line, compressed where its header says so.
    fn read(&self, message: &Message) -> Items {
        let header = |name: &str| message.headers.as_ref()?.get(name).map(ToString::to_string);
        let headers = EdgeHeaders { message_id: header(MESSAGE_ID), ..EdgeHeaders::default() };
        match body::split(&message.payload, header("Content-Encoding").as_deref(), MAX_BODY) {
            Ok(items) => read_items(&self.cx.name, items, &headers, &self.cx.clock),
            Err(error) => vec![Err(unreadable(&self.cx.name, &message.payload, &format!("subject {}: {error}", message.subject)))],
        }
    }
}
