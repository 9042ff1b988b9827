//! A simulator's socket: accepts, reads whole requests, and answers, hangs or resets as its handler says.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::SimulatorError;

/// Open connections at once; more wait in the system's backlog.
const CONNECTIONS: usize = 4096;
/// The longest body that is read; a longer one reaches the handler as [`Call::body`] `None`.
const LONGEST_BODY: usize = 4 << 20;
/// For a request's head, and again for its body.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long answers under way may take when the simulator stops.
const GRACE: Duration = Duration::from_millis(300);

/// A request, read to its end.
#[derive(Debug)]
pub(super) struct Call {
    /// Who is asking.
    pub(super) peer: SocketAddr,
    /// Method, URI and headers.
    pub(super) parts: Parts,
    /// `None` where it was longer than any real server takes.
    pub(super) body: Option<Bytes>,
}

impl Call {
    /// The query's parameters, decoded once, in order.
    pub(super) fn query(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(self.parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect()
    }
}

/// What a caller gets.
#[derive(Debug)]
pub(super) enum Reply {
    /// An answer.
    Answer(Response<Body>),
    /// A TCP reset instead of an answer.
    Reset,
    /// Nothing at all, until one side gives up.
    Hang,
}

impl Reply {
    /// A JSON answer.
    pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Self {
        Reply::body(status, "application/json;charset=utf-8", value.to_string())
    }

    /// Any other answer.
    pub(super) fn body(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Self {
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
        Reply::Answer(response)
    }
}

/// What a simulator does with a request. Called concurrently; may be dropped at any await when the caller hangs up.
pub(super) type Handler = Arc<dyn Fn(Call) -> BoxFuture<'static, Reply> + Send + Sync>;

/// A listening simulator. It stops when dropped.
#[derive(Debug)]
pub(super) struct Front {
    addr: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Front {
    /// Starts to listen.
    pub(super) async fn start(listen: SocketAddr, handler: Handler) -> Result<Self, SimulatorError> {
        if !listen.ip().is_loopback() {
            return Err(SimulatorError::NotLoopback(listen));
        }
        let bind = |error| SimulatorError::Bind { addr: listen, error };
        let listener = TcpListener::bind(listen).await.map_err(bind)?;
        let addr = listener.local_addr().map_err(bind)?;
        let front = Front { addr, stop: CancellationToken::new(), tasks: TaskTracker::new() };
        front.tasks.spawn(accept(listener, handler, front.stop.clone(), front.tasks.clone()));
        Ok(front)
    }

    /// The address that it got.
    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops listening, lets answers under way end for a moment, and returns when no task is left.
    pub(super) async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(listener: TcpListener, handler: Handler, stop: CancellationToken, tasks: TaskTracker) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let next = async {
            let place = Arc::clone(&room).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = stop.cancelled() => return,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                let serve = serve(stream, peer, Arc::clone(&handler), stop.clone());
                tasks.spawn(async move {
                    serve.await;
                    drop(place);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: the connections that are open will give some back.
                tracing::warn!(%error, "A simulator cannot accept a connection.");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Why hyper is made to give a connection up.
#[derive(Debug, thiserror::Error)]
#[error("reset on purpose")]
struct ResetWanted;

async fn serve(stream: TcpStream, peer: SocketAddr, handler: Handler, stop: CancellationToken) {
    let answers = stop.clone();
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (handler, stop) = (Arc::clone(&handler), answers.clone());
        let answer: BoxFuture<'static, Result<Response<Body>, ResetWanted>> = Box::pin(async move {
            match handler(read(request, peer).await).await {
                Reply::Answer(response) => Ok(response),
                Reply::Reset => Err(ResetWanted),
                Reply::Hang => {
                    stop.cancelled().await;
                    Err(ResetWanted)
                }
            }
        });
        answer
    });
    let mut connection =
        http1::Builder::new().timer(TokioTimer::new()).header_read_timeout(READ_TIMEOUT).serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => ended,
        () = stop.cancelled() => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            // An answer that takes longer than the grace is cut off: that is all a stopping simulator owes.
            tokio::time::timeout(GRACE, poll_fn(|cx| connection.poll_without_shutdown(cx))).await.unwrap_or(Ok(()))
        }
    };
    let stream = connection.into_parts().io.into_inner();
    if ended.is_err_and(|error| error.is_user())
        && let Err(error) = stream.set_zero_linger()
    {
        tracing::warn!(%error, "A simulator cannot reset a connection; closing it.");
    }
}

/// Reads a request to its end; one that stalls or breaks off reads as too long, which every handler refuses.
async fn read(request: http::Request<Incoming>, peer: SocketAddr) -> Call {
    let (parts, body) = request.into_parts();
    let whole = tokio::time::timeout(READ_TIMEOUT, to_bytes(Body::new(body), LONGEST_BODY)).await;
    Call { peer, parts, body: whole.ok().and_then(Result::ok) }
}

/// A body that comes in pieces, `pause` apart.
pub(super) fn in_pieces(text: String, pause: Duration) -> Body {
    let pieces: Vec<Bytes> = text.as_bytes().chunks(4).map(Bytes::copy_from_slice).collect();
    Body::from_stream(futures_util::stream::unfold(pieces.into_iter(), move |mut left| async move {
        let piece = left.next()?;
        tokio::time::sleep(pause).await;
        Some((Ok::<_, Infallible>(piece), left))
    }))
}

/// A body of `bytes` blanks, made as it is read.
pub(super) fn huge(bytes: u64) -> Body {
    const PIECE: usize = 16 << 10;
    Body::from_stream(futures_util::stream::unfold(bytes, |left| async move {
        let size = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        (size > 0).then(|| (Ok::<_, Infallible>(Bytes::from(vec![b' '; size])), left - size as u64))
    }))
}
