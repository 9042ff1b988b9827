//! A connection to NATS, and the consumer that messages are pulled from.

use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::consumer::pull::{self, Batch};
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer};
use async_nats::{Client, ConnectOptions, Event, ServerAddr, jetstream};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::NatsConfig;
use crate::secret::Secret;

/// Connecting, TLS included, takes no longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A pull request that brings nothing for so long is made anew.
const EXPIRES: Duration = Duration::from_secs(30);
/// How often the server has to show that it lives; three times silent, it is taken for lost.
const PING_EVERY: Duration = Duration::from_secs(10);
/// How often is looked whether the connection is there again.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why nothing can be pulled. No text holds the URL.
#[derive(Debug, thiserror::Error)]
pub(super) enum NatsError {
    #[error("the credentials cannot be read: {0}")]
    Credentials(std::io::Error),
    #[error("no server could be reached, or none lets this host in: {0}")]
    Connect(async_nats::ConnectError),
    #[error("the stream `{0}` cannot be used: {1}; does it exist, and is JetStream on (`nats-server -js`)?")]
    Stream(String, jetstream::context::GetStreamError),
    #[error("the consumer `{0}` cannot be used: {1}")]
    Consumer(String, String),
    #[error("the consumer `{0}` does not ask for explicit acknowledgements, so events could be lost; delete it, or name another")]
    AckPolicy(String),
    #[error("pulling failed: {0}")]
    Pull(String),
}

/// The servers of a config.
pub(super) fn addresses(url: &Secret) -> Result<Vec<ServerAddr>, String> {
    let parts = url.expose().split(',').map(str::trim).filter(|part| !part.is_empty());
    let wrong = "`url` must be the address of a server, such as nats://127.0.0.1:4222; several are separated by commas".to_owned();
    let found: Vec<ServerAddr> = parts.map(|part| part.parse().map_err(|_| wrong.clone())).collect::<Result<_, _>>()?;
    let known = |address: &ServerAddr| matches!(address.scheme(), "nats" | "tls");
    if found.is_empty() || !found.iter().all(known) { Err(wrong) } else { Ok(found) }
}

/// A consumer, and the connection that it is asked over.
pub(super) struct Connection {
    consumer: PullConsumer,
    client: Client,
    /// Changes when the connection is lost, and requests with it.
    pub(super) lost: watch::Receiver<()>,
    batch: usize,
}

impl Connection {
    /// Connects, and makes the consumer where there is none.
    pub(super) async fn begin(config: &NatsConfig, source: &str) -> Result<Connection, NatsError> {
        let (losses, lost) = watch::channel(());
        let client = connect(config, source, losses).await?;
        Ok(Connection { consumer: consumer(&client, config).await?, client, lost, batch: config.batch })
    }

    /// Waits until it is connected. Cancel-safe.
    pub(super) async fn connected(&mut self) {
        while self.client.connection_state() != State::Connected {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.lost.mark_unchanged();
    }

    /// Asks for messages: as many as are there, up to a batch; where there are none, for a while. One request at a time, and no message
    /// unasked, so that none is left on its way when its request has ended.
    pub(super) async fn pull(&self) -> Result<Batch, NatsError> {
        let request = self.consumer.batch().max_messages(self.batch).expires(EXPIRES).messages();
        request.await.map_err(|error| NatsError::Pull(error.to_string()))
    }

    /// Sends what is still in memory.
    pub(super) async fn flush(&self) -> Result<(), NatsError> {
        self.client.flush().await.map_err(|error| NatsError::Pull(error.to_string()))
    }
}

/// Connects. The client connects again by itself while it lives.
async fn connect(config: &NatsConfig, source: &str, losses: watch::Sender<()>) -> Result<Client, NatsError> {
    let mut options = ConnectOptions::new().name("incident-sink").connection_timeout(CONNECT_TIMEOUT).ping_interval(PING_EVERY);
    if let Some(credentials) = &config.credentials {
        options = options.credentials(credentials.expose()).map_err(NatsError::Credentials)?;
    }
    if let Some(token) = &config.token {
        options = options.token(token.expose().trim().to_owned());
    }
    let addresses = addresses(&config.url).map_err(NatsError::Pull)?;
    options = match addresses.iter().find_map(login) {
        Some((user, Some(password))) => options.user_and_password(user, password),
        Some((token, None)) => options.token(token),
        None => options,
    };
    let source = source.to_owned();
    options = options.event_callback(move |event| {
        tell(&source, &event);
        if matches!(event, Event::Disconnected) {
            losses.send_replace(());
        }
        async {}
    });
    options.connect(addresses).await.map_err(NatsError::Connect)
}

/// User and password of an address, or a token alone, as people write them into a URL: the client does not take them from there.
fn login(address: &ServerAddr) -> Option<(String, Option<String>)> {
    let plain = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some((plain(address.username()?), address.password().map(plain)))
}

fn tell(source: &str, event: &Event) {
    match event {
        Event::Connected => info!(source, "Connected to NATS."),
        Event::Disconnected => warn!(source, "Lost the connection to NATS; connecting again."),
        Event::ServerError(error) => warn!(source, %error, "NATS reports an error."),
        Event::ClientError(error) => warn!(source, %error, "The connection to NATS has an error."),
        other => debug!(source, event = %other, "The connection to NATS changed."),
    }
}

async fn consumer(client: &Client, config: &NatsConfig) -> Result<PullConsumer, NatsError> {
    let stream = jetstream::new(client.clone()).get_stream(&config.stream).await;
    let stream = stream.map_err(|error| NatsError::Stream(config.stream.clone(), error))?;
    let wanted = pull::Config {
        durable_name: Some(config.consumer.clone()),
        description: Some("incident-sink".to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: config.ack_wait.duration(),
        filter_subject: config.subject.clone().unwrap_or_default(),
        ..pull::Config::default()
    };
    let failed = |error: String| NatsError::Consumer(config.consumer.clone(), error);
    let mut consumer: PullConsumer =
        stream.get_or_create_consumer(&config.consumer, wanted).await.map_err(|error| failed(error.to_string()))?;
    let made = consumer.info().await.map_err(|error| failed(error.to_string()))?;
    if made.config.ack_policy != AckPolicy::Explicit {
        return Err(NatsError::AckPolicy(config.consumer.clone()));
    }
    Ok(consumer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_come_from_the_address() {
        let login_of = |url: &str| addresses(&Secret::new(url)).unwrap().iter().find_map(login);
        assert_eq!(login_of("nats://u:p%40ss@h:4222"), Some(("u".to_owned(), Some("p@ss".to_owned()))));
        assert_eq!(login_of("nats://a, nats://t0ken@b"), Some(("t0ken".to_owned(), None)));
        assert_eq!(login_of("nats://h"), None);
    }
}
