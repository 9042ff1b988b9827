//! The webhook that iLert posts to, and whatever else speaks HTTP: Vector, Fluent Bit, the OpenTelemetry collector, curl.

use async_trait::async_trait;
use axum::http::header::{CONTENT_ENCODING, HeaderMap};
use schemars::JsonSchema;
use serde::Deserialize;

use super::credentials::{Credentials, default_token_header};
use super::read::read_items;
use super::webhook::{Events, Webhook};
use super::{Source, SourceConfig, SourceContext, SourceScope};
use crate::config::secret_schema;
use crate::event::body::{self, BodyError, MAX_BODY};
use crate::event::ilert::EdgeHeaders;
use crate::secret::Secret;

/// `[sources.NAME]` with `type = "ilert_webhook"`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IlertWebhookConfig {
    /// Where iLert posts to, on the public server.
    #[serde(default = "default_path")]
    pub path: String,
    /// With `password`: HTTP Basic, as in the URL that iLert is given.
    pub username: Option<String>,
    /// See `username`.
    #[serde(default)]
    #[schemars(schema_with = "secret_schema")]
    pub password: Option<Secret>,
    /// A token, in `token_header` or as `Authorization: Bearer`.
    #[serde(default)]
    #[schemars(schema_with = "secret_schema")]
    pub token: Option<Secret>,
    /// The header that the token comes in.
    #[serde(default = "default_token_header")]
    pub token_header: String,
}

fn default_path() -> String {
    "/webhooks/ilert".to_owned()
}

impl IlertWebhookConfig {
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
#[typetag::deserialize(name = "ilert_webhook")]
impl SourceConfig for IlertWebhookConfig {
    fn validate(&self, scope: SourceScope) -> Result<(), String> {
        self.credentials().check(&self.path, scope)
    }

    fn paths(&self) -> Vec<&str> {
        vec![&self.path]
    }

    async fn build(&self, cx: SourceContext) -> Result<Source, String> {
        let greeting = "incident-sink takes iLert's events here, by POST.\n";
        Ok(Webhook::new(cx, self.credentials().guard()?, greeting, Box::new(read_events)).source(&self.path))
    }
}

fn read_events(cx: &SourceContext, headers: &HeaderMap, body: &[u8]) -> Result<Events, BodyError> {
    let encoding = headers.get(CONTENT_ENCODING).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let items = body::split(body, encoding.as_deref(), MAX_BODY)?;
    Ok(read_items(&cx.name, items, &edge_headers(headers), &cx.clock))
}

fn edge_headers(headers: &HeaderMap) -> EdgeHeaders {
    let text = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?.trim();
        (!value.is_empty()).then(|| value.to_owned())
    };
    EdgeHeaders {
        event_type: text("x-ilert-event-type"),
        alert_id: text("x-ilert-alert-id"),
        item_id: text("x-ilert-edge-item-id"),
        ..EdgeHeaders::default()
    }
}

#[cfg(test)]
#[path = "ilert_webhook_tests.rs"]
mod tests;
