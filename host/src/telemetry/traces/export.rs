//! Hands spans to a collector, by OTLP over HTTP. Nobody waits for it: what does not fit the queue is dropped and counted.
//!
//! A batch that the collector cannot take now is handed over again until it can; one that it refuses is lost. One warning tells that it does
//! not take them, one line that it does again; between them the metric counts.

use std::error::Error as _;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::StatusCode;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

use super::span::Span;
use super::wire;
use crate::config::Otlp;
use crate::telemetry::Redactor;
use crate::telemetry::metrics::TraceMetrics;

/// Spans of one request.
const BATCH: usize = 512;
/// How long a batch is gathered.
const GATHER: Duration = Duration::from_secs(1);
/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A batch that was not taken is handed over again after this long, and after twice as long the next time.
const PAUSE: Duration = Duration::from_secs(1);
/// At the most.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// What is read of an answer.
const MOST_OF_ANSWER: usize = 16 * 1024;

/// Why traces cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExporterError {
    /// The client cannot be made.
    #[error("the HTTP client for traces cannot be set up: {0}")]
    Client(String),
    /// A header is none.
    #[error("`{0}` under `otlp.headers` is no header that can be sent")]
    Header(String),
}

/// To one collector.
pub struct Exporter {
    http: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    sample: f64,
    redactor: Redactor,
}

/// Why a batch was not taken.
enum Refused {
    /// For now.
    Later(String),
    /// For good.
    Never(String),
}

impl Exporter {
    /// As the config has it; no secret that the redactor knows leaves the process.
    pub fn new(config: &Otlp, redactor: Redactor) -> Result<Exporter, ExporterError> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("incident-sink/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT);
        let http = client.build().map_err(|error| ExporterError::Client(causes(error)))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, secret) in &config.headers {
            let header = HeaderName::try_from(name).ok().zip(HeaderValue::from_str(secret.expose().trim_end()).ok());
            let (key, mut value) = header.ok_or_else(|| ExporterError::Header(name.clone()))?;
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        Ok(Exporter { http, url: config.traces_url(), headers, sample: config.sample, redactor })
    }

    pub(super) fn sample(&self) -> f64 {
        self.sample
    }

    /// Until all who could send a span are gone. `stop` says that it is time to come to an end.
    pub(super) async fn run(self, mut spans: mpsc::Receiver<Span>, stop: CancellationToken, metrics: TraceMetrics) {
        let mut down = false;
        loop {
            let mut batch = Vec::new();
            if spans.recv_many(&mut batch, BATCH).await == 0 {
                return;
            }
            let gather = async {
                while let Some(room) = BATCH.checked_sub(batch.len()).filter(|room| *room > 0) {
                    if spans.recv_many(&mut batch, room).await == 0 {
                        break;
                    }
                }
            };
            // Nothing is lost where the time is over first: what was received is in the batch.
            let _ = tokio::time::timeout(GATHER, stop.run_until_cancelled(gather)).await;
            self.hand_over(&batch, &stop, &metrics, &mut down).await;
        }
    }

    /// Hands a batch over, as often as it takes; at a stop once.
    async fn hand_over(&self, batch: &[Span], stop: &CancellationToken, metrics: &TraceMetrics, down: &mut bool) {
        let body = wire::request(batch, &self.redactor).to_string();
        let mut pause = PAUSE;
        loop {
            let (again, error) = match self.post(body.clone()).await {
                Ok(rejected) => {
                    metrics.exported(batch.len().saturating_sub(rejected));
                    metrics.failed(rejected);
                    if std::mem::take(down) {
                        info!("The collector takes traces again.");
                    }
                    return;
                }
                Err(Refused::Later(error)) => (!stop.is_cancelled(), error),
                Err(Refused::Never(error)) => (false, error),
            };
            if !std::mem::replace(down, true) {
                warn!(%error, "The collector does not take traces; events are delivered as ever.");
            }
            if !again {
                metrics.failed(batch.len());
                return;
            }
            // Also over when it is to stop: then the last try follows at once.
            let _ = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Posts a batch. Answers how many spans the collector did not want.
    async fn post(&self, body: String) -> Result<usize, Refused> {
        let sent = self.http.post(self.url.clone()).headers(self.headers.clone()).body(body).send().await;
        let mut response = sent.map_err(|error| Refused::Later(causes(error)))?;
        let status = response.status();
        if !status.is_success() {
            let text = format!("it answers {status}");
            let later = status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
            return Err(if later { Refused::Later(text) } else { Refused::Never(text) });
        }
        let mut answer = Vec::new();
        // It has the batch: an answer that breaks off takes nothing back.
        while let Ok(Some(chunk)) = response.chunk().await {
            answer.extend_from_slice(&chunk);
            if answer.len() > MOST_OF_ANSWER {
                break;
            }
        }
        Ok(rejected(&answer))
    }
}

/// What an answer says of spans that were not taken; a number may be a text.
fn rejected(answer: &[u8]) -> usize {
    let answer: serde_json::Value = serde_json::from_slice(answer).unwrap_or_default();
    let count = &answer["partialSuccess"]["rejectedSpans"];
    let count = count.as_u64().or_else(|| count.as_str()?.parse().ok());
    count.and_then(|count| usize::try_from(count).ok()).unwrap_or_default()
}

/// The causes, without the address.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(inner) = cause {
        texts.push(inner.to_string());
        cause = inner.source();
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_how_many_spans_were_not_wanted() {
        assert_eq!(rejected(b""), 0);
        assert_eq!(rejected(b"{\"partialSuccess\":{}}"), 0);
        assert_eq!(rejected(b"{\"partialSuccess\":{\"rejectedSpans\":\"3\",\"errorMessage\":\"no\"}}"), 3);
        assert_eq!(rejected(b"{\"partialSuccess\":{\"rejectedSpans\":2}}"), 2);
    }
}
