//! The host's own sections: `[server]`, `[admin]`, `[ilert]`, `[log]`, `[otlp]`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::document::Document;
use super::error::{ConfigError, ConfigErrors};
use super::otlp::Otlp;
use super::schema::{secret_schema, secrets_schema};
use super::span::Span;
use crate::secret::Secret;

/// Every section that a config may have. `$schema` is for editors.
const SECTIONS: [&str; 11] =
    ["server", "admin", "outbox", "ilert", "plugins", "sources", "connectors", "actions", "log", "otlp", "$schema"];

/// The host's own sections, read and checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[server]`
    pub server: Server,
    /// `[admin]`
    pub admin: Admin,
    /// `[ilert]`; without it the host receives only.
    pub ilert: Option<Ilert>,
    /// `[log]`
    pub log: Log,
    /// `[otlp]`; without it there are no traces.
    pub otlp: Option<Otlp>,
}

/// The public server: webhooks and the links on cards.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// The address to listen on.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// How browsers reach this server, for the links on cards; without it cards have no Accept and Resolve.
    #[schemars(with = "Option<String>")]
    pub public_url: Option<Url>,
    /// TLS, where no proxy in front does it.
    pub tls: Option<Tls>,
    /// How long work in flight may take when the host is asked to end: 0s to 1h.
    pub grace: Span,
}

/// A certificate and its key, PEM files. Relative paths lie beside the config; a changed file is read anew.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate, with those between it and its root.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The admin server: console, JSON API, metrics, health.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// The address to listen on.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// What callers must show; needed where others than this machine can connect.
    #[schemars(schema_with = "secret_schema")]
    pub token: Option<Secret>,
}

/// iLert's REST API, for responding and reconciling.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ilert {
    /// Where it is.
    #[schemars(with = "String")]
    pub api_url: Url,
    /// An API key, to read alerts, accept and resolve them.
    #[schemars(schema_with = "secret_schema")]
    pub api_key: Option<Secret>,
    /// An alert source's integration key, to write comments. iLert takes it for the alerts of that source only.
    #[schemars(schema_with = "secret_schema")]
    pub integration_key: Option<Secret>,
    /// Integration keys by alert source, its id or its name, where alerts come from several; `integration_key` is for all others.
    #[schemars(schema_with = "secrets_schema")]
    pub integration_keys: BTreeMap<String, Secret>,
    /// An alert's page in iLert, with `{id}` in the place of its number: for payloads that carry no address.
    #[schemars(with = "Option<String>")]
    pub alert_url: Option<AlertUrl>,
    /// How often to look for alerts that no webhook told of: 10s to 1d.
    pub reconcile_interval: Span,
    /// How long a link on a card works: 1m to 30d.
    pub link_ttl: Span,
    /// Who may give commands in a chat, by the chat system's user id; everybody in it if absent.
    pub allowed_users: Option<Vec<String>>,
    /// People with an API key of their own, by the chat system's user id: what they ask for in a chat, iLert shows as done by them.
    pub people: BTreeMap<String, ChatPerson>,
}

/// The address of an alert's page, with `{id}` in the place of the alert's number.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AlertUrl(String);

impl AlertUrl {
    /// The page of one alert.
    pub fn page_of(&self, id: &str) -> String {
        self.0.replace("{id}", id)
    }
}

impl TryFrom<String> for AlertUrl {
    type Error = String;

    fn try_from(text: String) -> Result<AlertUrl, String> {
        let is_page = Url::parse(&text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if is_page && text.contains("{id}") {
            return Ok(AlertUrl(text));
        }
        Err("expected an address with `{id}` in it, as https://example.ilert.com/alert/view.jsf?id={id}".to_owned())
    }
}

/// Somebody who responds from a chat.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatPerson {
    /// An API key of this person's own.
    #[schemars(schema_with = "secret_schema")]
    pub api_key: Secret,
}

/// What the host writes about itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// What is written: `error`, `warn`, `info`, `debug`, `trace`, or directives as `info,incident_sink::delivery=debug`. The
    /// environment variable `RUST_LOG` has precedence.
    pub level: String,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Server {
    fn default() -> Self {
        Server { listen: (Ipv4Addr::LOCALHOST, 8740).into(), public_url: None, tls: None, grace: Span::from_secs(30) }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Admin { listen: (Ipv4Addr::LOCALHOST, 8741).into(), token: None }
    }
}

impl Default for Ilert {
    fn default() -> Self {
        let api_url = Url::parse("https://api.ilert.com/api").expect("the text is a URL");
        let (reconcile_interval, link_ttl) = (Span::from_secs(300), Span::from_secs(86_400));
        Ilert {
            api_url,
            api_key: None,
            integration_key: None,
            integration_keys: BTreeMap::new(),
            alert_url: None,
            reconcile_interval,
            link_ttl,
            allowed_users: None,
            people: BTreeMap::new(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Log { format: LogFormat::Text, level: "info".to_owned() }
    }
}

/// A fault of a section: its key, and what is wrong with it.
pub(super) type Fault = (&'static str, String);

impl Server {
    /// Everything wrong with it that can be known without touching anything: each key with its text.
    pub fn validate(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if let Some(url) = &self.public_url {
            faults.extend(web_address(url).err().map(|text| ("public_url", text)));
        }
        faults.extend(self.grace.within(Span::from_secs(0), Span::from_secs(3600)).err().map(|text| ("grace", text)));
        faults
    }
}

impl Admin {
    /// As [`Server::validate`].
    pub fn validate(&self) -> Vec<Fault> {
        match &self.token {
            None if !self.listen.ip().is_loopback() => {
                vec![("listen", format!("`token` is needed, because others than this machine can connect to {}", self.listen))]
            }
            // An empty one would let everybody in who shows nothing.
            Some(token) if token.expose().trim().is_empty() => vec![("token", "is empty".to_owned())],
            _ => Vec::new(),
        }
    }
}

impl Ilert {
    /// As [`Server::validate`].
    pub fn validate(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        match web_address(&self.api_url) {
            Err(text) => faults.push(("api_url", text)),
            Ok(()) if self.api_url.scheme() == "http" && !is_local(&self.api_url) => {
                faults.push(("api_url", "expected https: the key would cross the network in clear".to_owned()));
            }
            Ok(()) => {}
        }
        for (name, key) in [("api_key", &self.api_key), ("integration_key", &self.integration_key)] {
            if key.as_ref().is_some_and(|key| key.expose().trim().is_empty()) {
                faults.push((name, "is empty".to_owned()));
            }
        }
        if self.integration_keys.values().any(|key| key.expose().trim().is_empty()) {
            faults.push(("integration_keys", "a key is empty".to_owned()));
        }
        if self.people.values().any(|person| person.api_key.expose().trim().is_empty()) {
            faults.push(("people", "an `api_key` is empty".to_owned()));
        }
        let interval = self.reconcile_interval.within(Span::from_secs(10), Span::from_secs(86_400));
        faults.extend(interval.err().map(|text| ("reconcile_interval", text)));
        let ttl = self.link_ttl.within(Span::from_secs(60), Span::from_secs(30 * 86_400));
        faults.extend(ttl.err().map(|text| ("link_ttl", text)));
        faults
    }
}

impl Log {
    /// As [`Server::validate`].
    pub fn validate(&self) -> Vec<Fault> {
        let filter = tracing_subscriber::EnvFilter::builder().parse(&self.level);
        filter.err().map(|error| ("level", format!("no log level: {error}"))).into_iter().collect()
    }
}

pub(super) fn web_address(url: &Url) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("expected an address that begins with https:// or http://".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("expected an address without `?` and `#`".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("expected an address without user name and password".to_owned());
    }
    Ok(())
}

pub(super) fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

impl Settings {
    /// Reads and checks the host's own sections, and that there is no section that nobody knows. All errors, sorted by place.
    pub fn read(document: &Document) -> Result<Settings, ConfigErrors> {
        let mut errors = document.deny_unknown(&[], &SECTIONS);
        let server = section(document, "server", &mut errors, Server::validate);
        let admin = section(document, "admin", &mut errors, Admin::validate);
        let ilert = section(document, "ilert", &mut errors, Ilert::validate);
        let log = section(document, "log", &mut errors, Log::validate);
        let otlp = section(document, "otlp", &mut errors, Otlp::validate);
        ConfigErrors::check(errors)?;
        Ok(Settings { server: server.unwrap_or_default(), admin: admin.unwrap_or_default(), ilert, log: log.unwrap_or_default(), otlp })
    }
}

fn section<T: serde::de::DeserializeOwned>(
    document: &Document,
    name: &str,
    errors: &mut Vec<ConfigError>,
    validate: fn(&T) -> Vec<Fault>,
) -> Option<T> {
    match document.get::<T>(&[name]) {
        Ok(section) => {
            let faults = section.as_ref().map(validate).unwrap_or_default();
            errors.extend(faults.into_iter().map(|(key, text)| document.error(&[name, key], text)));
            section
        }
        Err(error) => {
            errors.push(error);
            None
        }
    }
}
