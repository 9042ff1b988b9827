//! The one HTTP client: sends what egress admitted, bounded in time and size, and says whether a failed request may have arrived.
//!
//! No redirect is followed, no cookie kept, no body decoded. Connections are reused.

use std::convert::Infallible;
use std::error::Error as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use url::Url;

use super::egress::Outgoing;
use crate::secret::Secret;

/// What is read of an answer's body, in bytes; the rest is not read. Receivers answer in a few hundred, and a plugin's memory is small.
pub const MAX_ANSWER: usize = 64 * 1024;

/// What is kept of an answer's headers, in bytes.
const MAX_ANSWER_HEADERS: usize = 16 * 1024;

/// Connecting, TLS included, takes no longer, whatever the connector's own timeout is.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An idle connection is closed before most receivers do it, so that few requests meet a closing one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// How requests reach the network.
#[derive(Clone, Debug, Default)]
pub enum Proxy {
    /// As `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    #[default]
    Environment,
    /// Directly, whatever the environment says.
    Direct,
    /// Through this one; its URL may hold a password.
    Url(Secret),
}

/// The shared client; cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpClient {
    inner: reqwest::Client,
}

/// An answer, as far as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers whose values are text, without cookies.
    pub headers: Vec<(String, String)>,
    /// At most [`MAX_ANSWER`] bytes.
    pub body: Vec<u8>,
}

/// Why there is no answer. No text holds a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nothing of the body left this machine: the message has not arrived for sure.
    #[error("the receiver could not be reached: {0}")]
    NotSent(String),
    /// It was sent, at least in part, and nobody knows whether it arrived.
    #[error("no answer came: {0}")]
    Unknown(String),
}

/// The client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The proxy's URL is none.
    #[error("the proxy's URL cannot be used")]
    Proxy,
    /// TLS could not be set up, most often for want of root certificates.
    #[error("the HTTP client cannot be set up: {0}; are the system's root certificates installed (package ca-certificates)?")]
    Setup(String),
}

/// Installs the process's TLS provider where none is installed yet: every client needs it.
pub fn install_crypto() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An `Err` says that another thread was quicker, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

impl HttpClient {
    /// Makes the client. Installs the process's TLS provider where none is installed yet.
    pub fn new(proxy: &Proxy) -> Result<HttpClient, HttpError> {
        install_crypto();
        let builder = reqwest::Client::builder()
            .user_agent(concat!("incident-sink/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT);
        let builder = match proxy {
            Proxy::Environment => builder,
            Proxy::Direct => builder.no_proxy(),
            Proxy::Url(url) => builder.proxy(reqwest::Proxy::all(url.expose()).map_err(|_| HttpError::Proxy)?),
        };
        let inner = builder.build().map_err(|error| HttpError::Setup(causes(error)))?;
        Ok(HttpClient { inner })
    }

    /// Sends one request once and reads the answer, both within `timeout`.
    ///
    /// Not cancel-safe: a dropped request may have arrived.
    pub async fn send(&self, outgoing: &Outgoing, timeout: Duration) -> Result<Answer, SendError> {
        let handed = Arc::new(AtomicBool::new(outgoing.body.is_empty()));
        let body = Watched { data: Some(Bytes::copy_from_slice(&outgoing.body)), handed: Arc::clone(&handed) };
        let request = self
            .inner
            .request(outgoing.method.clone(), outgoing.url.clone())
            .headers(outgoing.headers.clone())
            .body(reqwest::Body::wrap(body));
        let exchange = async {
            let response = request.send().await?;
            let (status, headers) = (response.status().as_u16(), kept_headers(response.headers()));
            Ok::<_, reqwest::Error>(Answer { status, headers, body: read_body(response).await? })
        };
        let (text, connecting) = match tokio::time::timeout(timeout, exchange).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => (describe(&error), error.is_connect()),
            Err(_) => (format!("nothing within {} ms", timeout.as_millis()), false),
        };
        Err(if connecting || !handed.load(Ordering::Acquire) { SendError::NotSent(text) } else { SendError::Unknown(text) })
    }

    /// Whether something answers at the URL's host: connects, through the proxy and with TLS where they are used, and asks for `/` with HEAD.
    /// Any answer will do. The URL's path, query and user are not sent.
    pub async fn probe(&self, url: &Url, timeout: Duration) -> Result<(), SendError> {
        let mut origin = url.clone();
        origin.set_path("/");
        origin.set_query(None);
        origin.set_fragment(None);
        // Both fail on URLs that have no host, which no connector's URL is.
        let _ = origin.set_username("");
        let _ = origin.set_password(None);
        match tokio::time::timeout(timeout, self.inner.head(origin).send()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(SendError::NotSent(describe(&error))),
            Err(_) => Err(SendError::NotSent(format!("nothing within {} ms", timeout.as_millis()))),
        }
    }
}

/// A body that remembers whether the connection has asked for it: before that, nothing of the request has left.
struct Watched {
    data: Option<Bytes>,
    handed: Arc<AtomicBool>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.handed.store(true, Ordering::Release);
        Poll::Ready(self.data.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}

async fn read_body(mut response: reqwest::Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = MAX_ANSWER - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == MAX_ANSWER {
            break;
        }
    }
    Ok(body)
}

pub(super) fn kept_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut room = MAX_ANSWER_HEADERS;
    let text = headers
        .iter()
        .filter(|(name, _)| **name != http::header::SET_COOKIE)
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    text.take_while(|(name, value)| {
        let fits = name.len() + value.len() <= room;
        room = room.saturating_sub(name.len() + value.len());
        fits
    })
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

/// The causes alone: the client's own sentence would name the URL.
fn describe(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !texts.iter().any(|before| before.contains(&text)) {
            texts.push(text);
        }
        cause = inner.source();
    }
    if texts.is_empty() {
        if error.is_timeout() { "timed out".to_owned() } else { "the request failed".to_owned() }
    } else {
        texts.join(": ")
    }
}

fn causes(error: reqwest::Error) -> String {
    describe(&error.without_url())
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
