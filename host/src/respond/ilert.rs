//! iLert's REST API: accept, resolve, comment, look, list.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::header::{AUTHORIZATION, ETAG, IF_NONE_MATCH};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::alert::LogEntry;
use super::api_error::{refusal, unanswered};
use super::budget::{Budget, Purpose};
use super::by_source::BySource;
use crate::clock::{Clock, UnixMs};
use crate::config::Ilert;
use crate::event::Named;
use crate::secret::Secret;
use crate::telemetry::metrics::ApiMetrics;

pub use super::alert::Alert;
pub use super::api_error::ApiError;

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

/// The client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for iLert cannot be set up: {0}")]
pub struct ClientError(String);

/// A comment to be written under an alert.
#[derive(Clone, Debug)]
pub struct Comment<'a> {
    /// Where the alert came from: iLert takes a comment only with that source's key.
    pub alert_source: Option<&'a Named>,
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
    events: BySource<Account>,
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
        let events = BySource::of_keys(config, Account::new);
        Ok(Some(IlertClient { http, base, clock, account: Account::new(api_key), people, events, metrics: ApiMetrics::default() }))
    }

    /// Counts its calls there.
    pub fn measured(mut self, metrics: ApiMetrics) -> IlertClient {
        self.metrics = metrics;
        self
    }

    /// What it has counted.
    pub(super) fn metrics(&self) -> &ApiMetrics {
        &self.metrics
    }

    fn counted<T>(&self, call: &'static str, result: Result<T, ApiError>) -> Result<T, ApiError> {
        self.metrics.request(call, result.as_ref().map_or_else(ApiError::word, |_| "ok"));
        result
    }

    /// Whether comments can be written under the alerts of a source.
    pub fn takes_comments(&self, source: Option<&Named>) -> bool {
        self.events.get(source).is_some()
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

    /// Whether a text stands in an alert's timeline, written there not before `since`.
    pub async fn has_said(&self, id: &str, words: &str, since: UnixMs) -> Result<bool, ApiError> {
        let read = async {
            let request = self.request(&self.account, Purpose::Respond, Method::GET, self.url(&["alerts", id, "log-entries"]))?;
            let (_, _, body) = self.send(&self.account, request).await?;
            let entries: Vec<LogEntry> = serde_json::from_slice(&body).map_err(|error| ApiError::Unreadable(error.to_string()))?;
            Ok(entries.iter().any(|entry| entry.says(words, since)))
        };
        self.counted("log", read.await)
    }

    /// A page of the open alerts with its tag; `None` where it is still that of `known`.
    pub async fn list_open(&self, start: usize, known: Option<&str>) -> Result<Option<(Vec<Value>, Option<String>)>, ApiError> {
        self.list("states=PENDING&states=ACCEPTED", start, known).await
    }

    /// A page of the alerts that were reported since then and are over already.
    pub async fn list_over(&self, since: jiff::Timestamp, start: usize) -> Result<Vec<Value>, ApiError> {
        let page = self.list(&format!("states=RESOLVED&from={since:.3}"), start, None).await?;
        Ok(page.map(|(alerts, _)| alerts).unwrap_or_default())
    }

    async fn list(&self, filter: &str, start: usize, known: Option<&str>) -> Result<Option<(Vec<Value>, Option<String>)>, ApiError> {
        self.counted("list", self.page_of(filter, start, known).await)
    }

    async fn page_of(&self, filter: &str, start: usize, known: Option<&str>) -> Result<Option<(Vec<Value>, Option<String>)>, ApiError> {
        let mut url = self.url(&["alerts"]);
        url.set_query(Some(&format!("{filter}&start-index={start}&max-results={PAGE}")));
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
        let account = self.events.get(comment.alert_source).ok_or(ApiError::NoIntegrationKey)?;
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
        let mut response = request.send().await.map_err(unanswered)?;
        let status = response.status();
        let tag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
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

fn parse(body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::Unreadable(error.to_string()))
}

#[cfg(test)]
#[cfg(feature = "simulator")]
#[path = "ilert_tests.rs"]
mod tests;
