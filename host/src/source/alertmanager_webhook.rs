//! The webhook that Prometheus' Alertmanager posts to: the `webhook_config` of a receiver.

use std::time::Duration;

use async_trait::async_trait;
use axum::http::header::{CONTENT_ENCODING, HeaderMap};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use tracing::warn;

use super::credentials::{Credentials, default_token_header};
use super::read::unreadable;
use super::webhook::{Events, Webhook};
use super::{Source, SourceConfig, SourceContext, SourceScope};
use crate::config::{Span, secret_schema};
use crate::event::alertmanager::{self, Reading};
use crate::event::body::{BodyError, MAX_BODY};
use crate::secret::Secret;

/// `[sources.NAME]` with `type = "alertmanager_webhook"`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertmanagerWebhookConfig {
    /// Where Alertmanager posts to, on the public server.
    #[serde(default = "default_path")]
    pub path: String,
    /// With `password`: HTTP Basic, as in `http_config.basic_auth` of the receiver.
    pub username: Option<String>,
    /// See `username`.
    #[serde(default)]
    #[schemars(schema_with = "secret_schema")]
    pub password: Option<Secret>,
    /// A token, as in `http_config.authorization` of the receiver, or in `token_header`.
    #[serde(default)]
    #[schemars(schema_with = "secret_schema")]
    pub token: Option<Secret>,
    /// The header that the token comes in.
    #[serde(default = "default_token_header")]
    pub token_header: String,
    /// An alert that fires for so long, and is still repeated, is told of again as not resolved: 5m to 24h.
    #[serde(default = "default_remind_every")]
    pub remind_every: Span,
}

fn default_path() -> String {
    "/webhooks/alertmanager".to_owned()
}

fn default_remind_every() -> Span {
    Span::from_secs(86_400)
}

impl AlertmanagerWebhookConfig {
    fn credentials(&self) -> Credentials<'_> {
        Credentials {
            username: self.username.as_deref(),
            password: self.password.as_ref(),
            token: self.token.as_ref(),
            token_header: &self.token_header,
        }
    }
}

#[async_trait]
#[typetag::deserialize(name = "alertmanager_webhook")]
impl SourceConfig for AlertmanagerWebhookConfig {
    fn validate(&self, scope: SourceScope) -> Result<(), String> {
        // No longer than ids are remembered: a repeat must not be taken for news.
        self.remind_every.within(Span::from_secs(300), Span::from_secs(86_400)).map_err(|text| format!("`remind_every`: {text}"))?;
        self.credentials().check(&self.path, scope)
    }

    fn paths(&self) -> Vec<&str> {
        vec![&self.path]
    }

    async fn build(&self, cx: SourceContext) -> Result<Source, String> {
        let greeting = "incident-sink takes Alertmanager's notifications here, by POST.\n";
        let every = self.remind_every.duration();
        let read = move |cx: &SourceContext, headers: &HeaderMap, body: &[u8]| read_alerts(cx, headers, body, every);
        Ok(Webhook::new(cx, self.credentials().guard()?, greeting, Box::new(read)).source(&self.path))
    }
}

fn read_alerts(cx: &SourceContext, headers: &HeaderMap, body: &[u8], remind_every: Duration) -> Result<Events, BodyError> {
    let encoding = headers.get(CONTENT_ENCODING).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let received_at = Timestamp::from_millisecond(cx.clock.now()).unwrap_or(Timestamp::UNIX_EPOCH);
    let found = alertmanager::read(body, encoding.as_deref(), Reading { remind_every, received_at, limit: MAX_BODY })?;
    if found.left_out > 0 {
        warn!(source = %cx.name, alerts = found.left_out, "Alertmanager left alerts out of a notification; set `max_alerts: 0` in its receiver.");
    }
    let keep =
        |(raw, event): (bytes::Bytes, Result<_, alertmanager::AlertError>)| event.map_err(|error| unreadable(&cx.name, &raw, &error));
    Ok(found.alerts.into_iter().map(keep).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::server::Server;
    use crate::source::testing::Door;

    fn config(mut value: Value) -> Result<Box<dyn SourceConfig>, serde_json::Error> {
        value["type"] = json!("alertmanager_webhook");
        serde_json::from_value(value)
    }

    #[tokio::test]
    async fn a_notification_is_taken_in_once_and_a_bad_alert_is_kept() {
        let door = Door::new();
        let source = config(json!({"token": "t0ken"})).unwrap().build(door.context()).await.unwrap();
        let server = Server::bind(([127, 0, 0, 1], 0).into(), None).await.unwrap();
        let (url, stop) = (format!("http://{}/webhooks/alertmanager", server.local_addr()), CancellationToken::new());
        let _stop = stop.clone().drop_guard();
        tokio::spawn(server.run(source.routes, stop, Duration::from_secs(1)));
        crate::delivery::http::install_crypto();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let body = json!({"receiver": "ops", "alerts": [
            {"status": "firing", "fingerprint": "a1", "labels": {"alertname": "Up"}, "startsAt": "2026-03-01T09:58:00Z"},
            {"status": "odd"},
        ]});
        let post = |token: &str| client.post(&url).bearer_auth(token).body(body.to_string());
        assert_eq!(post("wrong").send().await.unwrap().status(), 401);
        let answers = [post("t0ken").send().await.unwrap(), post("t0ken").send().await.unwrap()];
        let mut reports: Vec<Value> = Vec::new();
        for answer in answers {
            assert_eq!(answer.status(), 202);
            reports.push(serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap());
        }
        assert_eq!((&reports[0]["accepted"], &reports[1]["duplicates"]), (&json!(1), &json!(1)));
        assert_eq!(reports[0]["rejected"][0]["index"], 1);
        assert_eq!(door.outbox.summaries(), ["Up", "Up"]);
        assert_eq!(door.outbox.unreadable().len(), 2);
    }

    #[test]
    fn configs_that_cannot_work_say_what_to_change() {
        for (settings, expected) in [
            (json!({}), "set `username` and `password`, or `token`"),
            (json!({"token": "t", "remind_every": "2d"}), "`remind_every`"),
            (json!({"token": "t", "path": "x"}), "`path` must begin"),
        ] {
            let error = config(settings).unwrap().validate(SourceScope { loopback: false }).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(config(json!({})).unwrap().validate(SourceScope { loopback: true }), Ok(()));
    }
}
