//! Events from a NATS JetStream consumer.
//!
//! A durable pull consumer with explicit acknowledgements: the broker is told of a message only after its events are on disk, so a crash at
//! any point means that it comes again, and its events are recognised. What cannot be read is kept as a dead letter and terminated at the
//! broker; while the outbox is unavailable, messages are held for a while, then given back. Several hosts may share one consumer.
//!
//! Messages are taken in as the broker hands them out. What one host had and did not answer, because it or the broker was killed, comes
//! again after `ack_wait`, behind newer messages: who needs the order kept even then makes the consumer with `max_ack_pending = 1`.

mod connect;
mod take;

use async_trait::async_trait;
use axum::Router;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Source, SourceConfig, SourceContext, SourceScope};
use crate::config::{Span, secret_schema};
use crate::secret::Secret;

/// `[sources.NAME]` with `type = "nats"`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NatsConfig {
    /// Where the servers are: `nats://host:4222`, or `tls://…`; several of one cluster are separated by commas. May hold user and password.
    #[schemars(schema_with = "secret_schema")]
    pub url: Secret,
    /// The JetStream stream; it is not made here.
    pub stream: String,
    /// The durable consumer; made where the stream has none of that name. Hosts with the same one share its messages.
    #[serde(default = "default_consumer")]
    pub consumer: String,
    /// Only messages of this subject, wildcards allowed; used when the consumer is made.
    #[serde(default)]
    pub subject: Option<String>,
    /// The text of a credentials file (JWT and seed), as `{ file = "…" }`.
    #[serde(default)]
    #[schemars(schema_with = "secret_schema")]
    pub credentials: Option<Secret>,
    /// A token, where the server asks for one.
    #[serde(default)]
    #[schemars(schema_with = "secret_schema")]
    pub token: Option<Secret>,
    /// How many messages are taken in by one commit: 1 to 1000.
    #[serde(default = "default_batch")]
    pub batch: usize,
    /// After so long without an answer the broker hands a message out again: 5s to 1h; used when the consumer is made.
    #[serde(default = "default_ack_wait")]
    pub ack_wait: Span,
}

fn default_consumer() -> String {
    "incident-sink".to_owned()
}

fn default_batch() -> usize {
    256
}

fn default_ack_wait() -> Span {
    Span::from_secs(30)
}

/// JetStream puts the names of streams and consumers into subjects and file names.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 255 && !text.contains(|c: char| c.is_whitespace() || c.is_control() || ".*>/\\".contains(c))
}

#[async_trait]
#[typetag::deserialize(name = "nats")]
impl SourceConfig for NatsConfig {
    fn validate(&self, _scope: SourceScope) -> Result<(), String> {
        connect::addresses(&self.url)?;
        for (key, name) in [("stream", &self.stream), ("consumer", &self.consumer)] {
            if !is_name(name) {
                return Err(format!("`{key}` must be a name without spaces and without . * > / \\: `{name}`"));
            }
        }
        if self.subject.as_ref().is_some_and(|subject| subject.is_empty() || subject.contains(char::is_whitespace)) {
            return Err("`subject` must not be empty, nor have spaces in it".to_owned());
        }
        if self.credentials.is_some() && self.token.is_some() {
            return Err("set `credentials` or `token`, not both".to_owned());
        }
        if !(1..=1000).contains(&self.batch) {
            return Err(format!("`batch` must be 1 to 1000, found {}", self.batch));
        }
        self.ack_wait.within(Span::from_secs(5), Span::from_secs(3600)).map_err(|text| format!("`ack_wait`: {text}"))
    }

    async fn build(&self, cx: SourceContext) -> Result<Source, String> {
        let taker = take::Taker { config: self.clone(), cx };
        let task = move |stop| -> BoxFuture<'static, Result<(), String>> {
            Box::pin(async move {
                taker.run(stop).await;
                Ok(())
            })
        };
        Ok(Source { routes: Router::new(), task: Some(Box::new(task)) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(mut settings: Value) -> Result<(), String> {
        settings["type"] = json!("nats");
        let config: Box<dyn SourceConfig> = serde_json::from_value(settings).map_err(|error| error.to_string())?;
        assert!(!format!("{config:?}").contains("hidden"));
        config.validate(SourceScope { loopback: true })
    }

    #[test]
    fn configs_that_cannot_work_say_what_to_change() {
        for (settings, expected) in [
            (json!({"stream": "S"}), "missing field `url`"),
            (json!({"url": "nats://h:4222"}), "missing field `stream`"),
            (json!({"url": "http://h:hidden", "stream": "S"}), "`url`"),
            (json!({"url": "", "stream": "S"}), "`url`"),
            (json!({"url": "nats://h", "stream": "a.b"}), "`stream` must be a name"),
            (json!({"url": "nats://h", "stream": "S", "consumer": ""}), "`consumer` must be a name"),
            (json!({"url": "nats://h", "stream": "S", "subject": "a b"}), "`subject`"),
            (json!({"url": "nats://h", "stream": "S", "batch": 0}), "`batch` must be 1 to 1000"),
            (json!({"url": "nats://h", "stream": "S", "ack_wait": "1s"}), "`ack_wait`"),
            (json!({"url": "nats://h", "stream": "S", "token": "a", "credentials": "b"}), "not both"),
        ] {
            let error = check(settings).unwrap_err();
            assert!(error.contains(expected) && !error.contains("hidden"), "{error}");
        }
        assert_eq!(check(json!({"url": "nats://u:hidden@a:4222, tls://b", "stream": "ILERT", "subject": "ilert.>"})), Ok(()));
    }
}
