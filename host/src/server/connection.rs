//! One connection: handshake, requests, a polite end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::debug;

use super::Limits;
use super::tls::Tls;
use crate::source::problem::Problem;
use crate::telemetry::metrics::HttpMetrics;

/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// What answers the requests of one connection.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) router: Arc<ArcSwap<Router>>,
    pub(super) peer: SocketAddr,
    pub(super) limits: Limits,
    pub(super) measure: Option<(&'static str, HttpMetrics)>,
}

impl Service {
    async fn answer(self, request: hyper::Request<Incoming>) -> Result<Response, Infallible> {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(self.peer));
        let (router, begun) = (Router::clone(&self.router.load()), Instant::now());
        let response = match tokio::time::timeout(self.limits.request, router.oneshot(request)).await {
            Ok(Ok(response)) => response,
            Err(_) => Problem::come_again("the request took too long", 10).into_response(),
        };
        if let Some((server, metrics)) = &self.measure {
            metrics.answered(server, response.status().as_u16(), begun.elapsed());
        }
        Ok(response)
    }
}

/// Serves one connection until it ends; after `stop`, until its request in progress is answered.
pub(super) async fn serve(stream: TcpStream, tls: Option<Tls>, service: Service, stop: CancellationToken) {
    // Answers are small: they shall not wait for more to come. A socket that refuses this works all the same.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "TCP_NODELAY could not be set.");
    }
    let Some(tls) = tls else { return serve_http(stream, service, stop).await };
    let handshake = tokio::time::timeout(service.limits.handshake, tls.acceptor().accept(stream));
    match handshake.await {
        Ok(Ok(stream)) => serve_http(stream, service, stop).await,
        Ok(Err(error)) => debug!(peer = %service.peer, %error, "A TLS handshake failed."),
        Err(_) => debug!(peer = %service.peer, "A TLS handshake took too long."),
    }
}

async fn serve_http(io: impl AsyncRead + AsyncWrite + Unpin + Send, service: Service, stop: CancellationToken) {
    let (head, peer) = (service.limits.head, service.peer);
    let answer = hyper::service::service_fn(move |request| service.clone().answer(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(io), answer);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        // First the stop, so that an answer that is ready at the same moment says `connection: close`.
        biased;
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        ended = connection.as_mut() => ended,
    };
    if let Err(error) = ended {
        debug!(%peer, %error, "A connection broke off.");
    }
}
