//! iLert's REST API: accept, resolve, comment, look, list.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::header::{AUTHORIZATION, ETAG, IF_NONE_MATCH};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::budget::{Budget, Purpose};
use crate::clock::{Clock, UnixMs};
use crate::config::Ilert;
use crate::event::Status;
use crate::secret::Secret;
use crate::telemetry::metrics::ApiMetrics;

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a page may wait for the present state.
const LOOK_TIMEOUT: Duration = Duration::from_millis(1_500);
/// The largest page of a list that iLert gives.
pub(super) const PAGE: usize = 100;
/// More of an answer is not read.
const MAX_ANSWER: usize = 8 * 1024 * 1024;
/// iLert asks for 10 to 30 seconds of quiet after a 429, and names none itself.
const QUIET_MS: std::ops::Range<i64> = 10_000..30_000;

/// Why a call has no result, in words for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// Not sent: the budget is used up. Milliseconds until there is room.
    #[error("iLert's limit of 120 calls a minute is reached; it goes on in {} s", (.0 + 999) / 1000)]
    Limited(i64),
    /// No answer; the call may have had its effect.
    #[error("iLert cannot be reached: {0}")]
    Unreachable(String),
    /// 5xx.
    #[error("iLert is having trouble (HTTP {0})")]
    Trouble(u16),
    /// 401, 403.
    #[error("iLert does not take the API key ({0}); check `ilert.api_key`, and whether its user may respond to this alert")]
    Key(String),
    /// The integration key is unknown.
    #[error("iLert does not take the integration key; check `ilert.integration_key`")]
    IntegrationKey,
    /// 404.
    #[error("iLert has no such alert, or the API key's user may not see it")]
    NotFound,
    /// 402.
    #[error("iLert's plan does not allow this: {0}")]
    Plan(String),
    /// Any other refusal.
    #[error("iLert refused: {0}")]
    Refused(String),
    /// An answer that is none of iLert's.
    #[error("iLert's answer cannot be read: {0}")]
    Unreadable(String),
}

impl ApiError {
    /// A word for metrics.
    pub fn word(&self) -> &'static str {
        match self {
            ApiError::Limited(_) => "limited",
            ApiError::Unreachable(_) => "unreachable",
            ApiError::Trouble(_) => "trouble",
            ApiError::Key(_) => "key",
            ApiError::IntegrationKey => "integration_key",
            ApiError::NotFound => "not_found",
            ApiError::Plan(_) => "plan",
            ApiError::Refused(_) => "refused",
            ApiError::Unreadable(_) => "unreadable",
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, ApiError::Limited(_) | ApiError::Unreachable(_) | ApiError::Trouble(_) | ApiError::Unreadable(_))
    }
}

/// The client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for iLert cannot be set up: {0}")]
pub struct ClientError(String);

/// What is read of an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Where it stands.
    pub status: Status,
    /// One line.
    pub summary: String,
    /// The monitoring tool's own key.
    pub alert_key: Option<String>,
    /// Who has it, as people are shown; empty if nobody.
    pub responders: Vec<String>,
    /// All of it, as iLert sent it.
    pub value: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    status: Status,
    #[serde(default)]
    summary: Option<String>,
    #[serde(default)]
    alert_key: Option<String>,
    #[serde(default)]
    responders: Option<Vec<WireResponder>>,
}

#[derive(Deserialize)]
struct WireResponder {
    #[serde(default)]
    user: Option<WireUser>,
    #[serde(default)]
    status: Option<Status>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireUser {
    username: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
}

impl Alert {
    pub(super) fn read(value: Value) -> Result<Alert, ApiError> {
        let wire = Wire::deserialize(&value).map_err(|error| ApiError::Unreadable(error.to_string()))?;
        let accepted = wire.responders.into_iter().flatten().filter(|responder| responder.status == Some(Status::Accepted));
        let responders = accepted.filter_map(|responder| name(responder.user?)).collect();
        Ok(Alert { status: wire.status, summary: wire.summary.unwrap_or_default(), alert_key: wire.alert_key, responders, value })
    }
}

fn name(user: WireUser) -> Option<String> {
    let full = [user.first_name, user.last_name].into_iter().flatten().collect::<Vec<_>>().join(" ");
    if full.trim().is_empty() { user.username } else { Some(full) }
}

/// A comment to be written under an alert.
#[derive(Clone, Debug)]
pub struct Comment<'a> {
    /// The monitoring tool's key, by which iLert finds the alert.
    pub alert_key: &'a str,
    /// The alert's own line.
    pub summary: &'a str,
    /// Who says it.
    pub who: &'a str,
    /// What is said.
    pub text: &'a str,
}

/// An API key and its calls.
struct Account {
    key: Secret,
    budget: Mutex<Budget>,
}

impl Account {
    fn new(key: &Secret) -> Account {
        Account { key: key.clone(), budget: Mutex::default() }
    }

    fn take(&self, purpose: Purpose, now: UnixMs) -> Result<(), ApiError> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner).take(purpose, now).map_err(ApiError::Limited)
    }

    fn close(&self, now: UnixMs) -> ApiError {
        let quiet = fastrand::i64(QUIET_MS);
        self.budget.lock().unwrap_or_else(PoisonError::into_inner).close(now + quiet);
        ApiError::Limited(quiet)
    }
}

/// The client. One for the host, so that the budgets are kept.
pub struct IlertClient {
    http: reqwest::Client,
    base: Url,
    clock: Clock,
    account: Account,
    people: BTreeMap<String, Account>,
    events: Option<Account>,
    metrics: ApiMetrics,
}

impl IlertClient {
    /// `None` without an API key. Connects to nothing.
    pub fn new(config: &Ilert, clock: Clock) -> Result<Option<IlertClient>, ClientError> {
        let Some(api_key) = &config.api_key else { return Ok(None) };
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // An `Err` says that another thread was quicker, which is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("incident-sink/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| ClientError(error.without_url().to_string()))?;
        let people = config.people.iter().map(|(id, person)| (id.clone(), Account::new(&person.api_key))).collect();
        let mut base = config.api_url.clone();
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        let events = config.integration_key.as_ref().map(Account::new);
        Ok(Some(IlertClient { http, base, clock, account: Account::new(api_key), people, events, metrics: ApiMetrics::default() }))
    }

    /// Counts its calls there.
    pub fn measured(mut self, metrics: ApiMetrics) -> IlertClient {
        self.metrics = metrics;
        self
    }

    /// Whether comments can be written.
    pub fn takes_comments(&self) -> bool {
        self.events.is_some()
    }

    /// Whether somebody has an API key of their own.
    pub fn knows(&self, person: &str) -> bool {
        self.people.contains_key(person)
    }

    /// Takes an alert over, as the owner of `person`'s key, else of the host's. Not cancel-safe: a dropped call may have had its effect.
    pub async fn accept(&self, id: &str, person: Option<&str>) -> Result<Alert, ApiError> {
        self.put(id, "accept", person).await
    }

    /// Closes an alert. As [`IlertClient::accept`].
    pub async fn resolve(&self, id: &str, person: Option<&str>) -> Result<Alert, ApiError> {
        self.put(id, "resolve", person).await
    }

    /// What it has counted.
    pub(super) fn metrics(&self) -> &ApiMetrics {
        &self.metrics
    }

    fn counted<T>(&self, call: &'static str, result: Result<T, ApiError>) -> Result<T, ApiError> {
        self.metrics.request(call, result.as_ref().map_or_else(ApiError::word, |_| "ok"));
        result
    }

    async fn put(&self, id: &str, verb: &'static str, person: Option<&str>) -> Result<Alert, ApiError> {
        let account = person.and_then(|person| self.people.get(person)).unwrap_or(&self.account);
        let put = async {
            let request = self.request(account, Purpose::Respond, Method::PUT, self.url(&["alerts", id, verb]))?;
            // iLert's servers want a length although there is no body.
            let (_, _, body) = self.send(account, request.body("")).await?;
            Alert::read(parse(&body)?)
        };
        self.counted(verb, put.await)
    }

    /// An alert as it is now.
    pub async fn get(&self, id: &str, purpose: Purpose) -> Result<Alert, ApiError> {
        let get = async {
            let mut request = self.request(&self.account, purpose, Method::GET, self.url(&["alerts", id]))?;
            if purpose == Purpose::Look {
                request = request.timeout(LOOK_TIMEOUT);
            }
            let (_, _, body) = self.send(&self.account, request).await?;
            Alert::read(parse(&body)?)
        };
        self.counted("get", get.await)
    }

    /// A page of the open alerts with its tag; `None` where it is still that of `known`.
    pub async fn list_open(&self, start: usize, known: Option<&str>) -> Result<Option<(Vec<Value>, Option<String>)>, ApiError> {
        self.counted("list", self.page_of_open(start, known).await)
    }

    async fn page_of_open(&self, start: usize, known: Option<&str>) -> Result<Option<(Vec<Value>, Option<String>)>, ApiError> {
        let mut url = self.url(&["alerts"]);
        url.set_query(Some(&format!("states=PENDING&states=ACCEPTED&start-index={start}&max-results={PAGE}")));
        let mut request = self.request(&self.account, Purpose::Reconcile, Method::GET, url)?;
        if let Some(tag) = known {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let (status, tag, body) = self.send(&self.account, request).await?;
        if status == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        match parse(&body)? {
            Value::Array(alerts) => Ok(Some((alerts, tag))),
            _ => Err(ApiError::Unreadable("expected a list of alerts".into())),
        }
    }

    /// Writes a comment, by the Events API: the REST API has none. 202 means queued.
    pub async fn comment(&self, comment: &Comment<'_>) -> Result<(), ApiError> {
        let Some(account) = &self.events else { return Err(ApiError::IntegrationKey) };
        account.take(Purpose::Event, self.clock.steady())?;
        let body = json!({
            "integrationKey": account.key.expose(),
            "eventType": "COMMENT",
            "alertKey": comment.alert_key,
            "summary": comment.summary,
            "comments": [{ "creator": comment.who, "content": comment.text }],
        });
        let request = self.http.post(self.url(&["events"])).header(http::header::CONTENT_TYPE, "application/json").body(body.to_string());
        let sent = match self.send(account, request).await {
            // Nothing else in an event can be absent.
            Err(ApiError::NotFound | ApiError::Key(_)) => Err(ApiError::IntegrationKey),
            sent => sent.map(|_| ()),
        };
        self.counted("comment", sent)
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn request(&self, account: &Account, purpose: Purpose, method: Method, url: Url) -> Result<reqwest::RequestBuilder, ApiError> {
        account.take(purpose, self.clock.steady())?;
        let mut bearer = http::HeaderValue::from_str(&format!("Bearer {}", account.key.expose()))
            .map_err(|_| ApiError::Key("it has characters that no key has".into()))?;
        bearer.set_sensitive(true);
        Ok(self.http.request(method, url).header(AUTHORIZATION, bearer))
    }

    async fn send(&self, account: &Account, request: reqwest::RequestBuilder) -> Result<(StatusCode, Option<String>, Vec<u8>), ApiError> {
        let unreachable = |error: reqwest::Error| ApiError::Unreachable(plain(error));
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let tag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(ApiError::Unreadable(format!("more than {MAX_ANSWER} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok((status, tag, body));
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(account.close(self.clock.steady()));
        }
        Err(refusal(status, &body))
    }
}

/// The causes alone: the client's own sentence names the URL.
fn plain(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let error = error.without_url();
    let mut text = "the connection failed".to_owned();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}

fn parse(body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::Unreadable(error.to_string()))
}

/// What an error answer means. iLert's are `{status, message, code}`; `code` decides where the status does not.
fn refusal(status: StatusCode, body: &[u8]) -> ApiError {
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    let member = |name: &str| crate::plugin::text::line(error.get(name).and_then(Value::as_str).unwrap_or_default());
    let (code, message) = (member("code"), member("message"));
    let words = match (message.is_empty(), code.is_empty()) {
        (false, false) => format!("{message} ({code})"),
        (false, true) => message,
        (true, false) => code,
        (true, true) => format!("HTTP {}", status.as_u16()),
    };
    match status.as_u16() {
        401 | 403 => ApiError::Key(words),
        402 => ApiError::Plan(words),
        404 => ApiError::NotFound,
        500.. => ApiError::Trouble(status.as_u16()),
        408 | 425 => ApiError::Unreachable(words),
        _ => ApiError::Refused(words),
    }
}

#[cfg(test)]
#[cfg(feature = "simulator")]
#[path = "ilert_tests.rs"]
mod tests;
