//! A connector's config: the host's keys, read and checked; every other key is kept for the plugin.
//!
//! There may be a hundred thousand connectors, so one is small: templates, time zones and texts that are equal are shared.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::delivery_keys::{Delivery, PaceSetting};
use super::policy::Policy;
use super::problem::Problem;
use super::redact::redact_url;
use super::template::Template;
use crate::config::{Span, hint, read_section, secret_schema};
use crate::secret::Secret;

/// The host's keys of a connector; every other one is the plugin's.
pub const HOST_KEYS: [&str; 6] = ["type", "url", "timezone", "title", "text", "delivery"];

/// The host's part of a connector's table, as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostKeys {
    /// The plugin that writes the messages.
    #[serde(rename = "type")]
    kind: String,
    /// Where the messages go. Holds a credential.
    #[schemars(schema_with = "secret_schema")]
    url: Secret,
    /// The IANA time zone of the readers, such as `Asia/Shanghai`; UTC if absent.
    #[serde(default)]
    timezone: Option<String>,
    /// A template for the title of a message about one incident, in place of the plugin's own.
    #[serde(default)]
    title: Option<String>,
    /// A template for the text of a message about one incident, in place of the plugin's own.
    #[serde(default)]
    text: Option<String>,
    /// How to deliver.
    #[serde(default)]
    delivery: Delivery,
}

/// One connector, read and checked.
pub struct ConnectorConfig {
    kind: Box<str>,
    url: Url,
    zone: TimeZone,
    title: Option<Arc<Template>>,
    text: Option<Arc<Template>>,
    delivery: Delivery,
    /// The plugin's keys, as JSON: which of them are secrets, its schema says.
    plugin: Secret,
}

impl fmt::Debug for ConnectorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectorConfig")
            .field("type", &self.kind)
            .field("url", &redact_url(self.url.as_str()))
            .field("timezone", &self.zone.iana_name())
            .field("delivery", &self.delivery)
            .finish_non_exhaustive()
    }
}

impl ConnectorConfig {
    /// Reads a connector's table, `{ env }` and `{ file }` already filled in. Pure; finds everything that is wrong with the host's keys.
    pub fn parse(table: &Value) -> Result<ConnectorConfig, Vec<Problem>> {
        let Some(table) = table.as_object() else { return Err(vec![Problem::at(&[], "a connector is a table")]) };
        let is_host = |key: &str| HOST_KEYS.contains(&key);
        let pick = |host: bool| -> Map<String, Value> {
            table.iter().filter(|(key, _)| is_host(key) == host).map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let host: HostKeys = read_section(&Value::Object(pick(true)), &|_| false).map_err(|wrong| {
            let keys: Vec<&str> = wrong.path.iter().map(String::as_str).collect();
            vec![Problem::at(&keys, wrong.text)]
        })?;
        host.check(Secret::new(Value::Object(pick(false)).to_string()))
    }

    /// The plugin's name.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Where messages go: a credential.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// The address as people may see it.
    pub fn redacted_url(&self) -> String {
        redact_url(self.url.as_str())
    }

    /// The readers' time zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The template of titles.
    pub fn title(&self) -> Option<&Template> {
        self.title.as_deref()
    }

    /// The template of texts.
    pub fn text(&self) -> Option<&Template> {
        self.text.as_deref()
    }

    /// How to deliver, as it is written.
    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// How long one request may take.
    pub fn timeout(&self) -> Duration {
        self.delivery.timeout.duration()
    }

    /// The plugin's keys.
    pub(super) fn plugin_part(&self) -> Map<String, Value> {
        serde_json::from_str(self.plugin.expose()).expect("it was written from a table")
    }

    /// What the connector's lane keeps to.
    pub fn policy(&self, name: &Arc<str>) -> Policy {
        self.delivery.policy(name, self.zone.clone())
    }

    /// What works, but most likely not as it was meant.
    pub fn warnings(&self, profile: &super::Profile) -> Vec<Problem> {
        let mut warnings = Vec::new();
        if self.url.scheme() == "http" && !is_loopback(&self.url) {
            warnings.push(Problem::at(&["url"], "messages and the credential in this URL travel unencrypted; use https"));
        }
        if let (Some(PaceSetting::Limit(limit)), Some(own)) = (self.delivery.pace, profile.pace) {
            let kept = self.policy(&"".into()).pace(profile);
            if kept.is_some_and(|kept| (kept.messages, kept.window_ms) != (limit.messages, limit.window_ms())) {
                let text = format!(
                    "this pace is higher than the receiver's {} messages in {}, which is kept; \"none\" is for a receiver without a limit",
                    own.messages,
                    Span::from_millis(own.window_ms.into())
                );
                warnings.push(Problem::at(&["delivery", "pace"], text));
            }
        }
        warnings
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl HostKeys {
    fn check(self, plugin: Secret) -> Result<ConnectorConfig, Vec<Problem>> {
        let mut problems = self.delivery.problems();
        if self.kind.is_empty() {
            problems.push(Problem::at(&["type"], "expected the name of a plugin"));
        }
        let url = read_url(&self.url);
        let zone = read_zone(self.timezone.as_deref());
        let title = read_template("title", self.title.as_deref());
        let text = read_template("text", self.text.as_deref());
        match (url, zone, title, text) {
            (Ok(url), Ok(zone), Ok(title), Ok(text)) if problems.is_empty() => {
                Ok(ConnectorConfig { kind: self.kind.into(), url, zone, title, text, delivery: self.delivery, plugin })
            }
            (url, zone, title, text) => {
                problems.extend([url.err(), zone.err(), title.err(), text.err()].into_iter().flatten());
                Err(problems)
            }
        }
    }
}

fn read_url(text: &Secret) -> Result<Url, Problem> {
    let problem = |text: &str| Problem::at(&["url"], text);
    let url = Url::parse(text.expose().trim()).map_err(|_| problem("expected an http or https URL"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(problem("expected an http or https URL"));
    }
    if url.fragment().is_some() {
        return Err(problem("a URL to deliver to has no `#`; write it as `%23`"));
    }
    Ok(url)
}

fn read_zone(name: Option<&str>) -> Result<TimeZone, Problem> {
    let Some(name) = name else { return Ok(TimeZone::UTC) };
    TimeZone::get(name).map_err(|_| {
        let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        let near = hint(name, &known.iter().map(String::as_str).collect::<Vec<_>>());
        let near = if near.starts_with("did you mean") { near } else { "expected one such as `Europe/Berlin`".to_owned() };
        Problem::at(&["timezone"], format!("`{name}` is not an IANA time zone; {near}"))
    })
}

fn read_template(key: &str, source: Option<&str>) -> Result<Option<Arc<Template>>, Problem> {
    source.map(Template::shared).transpose().map_err(|error| Problem::at(&[key], error.to_string()))
}

#[cfg(test)]
#[path = "connector_tests.rs"]
mod tests;
