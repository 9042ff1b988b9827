//! An HTTP server, with or without TLS: bounded in connections and in time, and stopped without cutting anybody off.

mod connection;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use connection::Service;
use tls::TlsError;

pub use tls::{LoadedTls, TlsFiles, TlsSlot};

use crate::telemetry::metrics::HttpMetrics;

/// The wait after a failed `accept`, most often for a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often the files of a certificate are looked at.
const TLS_CHECK: Duration = Duration::from_secs(60);

/// What one server allows its clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; more wait in the system's backlog.
    pub connections: usize,
    /// For the TLS handshake.
    pub handshake: Duration,
    /// For the head of a request, the wait for it on an idle connection included.
    pub head: Duration,
    /// From the head to the begin of the answer.
    pub request: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { connections: 1024, handshake: Duration::from_secs(10), head: Duration::from_secs(30), request: Duration::from_secs(60) }
    }
}

/// Why a server could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {addr}: {error}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// The system's words.
        error: io::Error,
    },
    /// A file of the certificate.
    #[error("{path}: {error}", path = path.display())]
    TlsFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: String,
    },
    /// The certificate and the key do not go together.
    #[error("the certificate {cert} and the key {key} cannot be used: {error}", cert = cert.display(), key = key.display())]
    TlsPair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong with them.
        error: String,
    },
}

impl From<TlsError> for ServerError {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::File { path, error } => ServerError::TlsFile { path, error },
            TlsError::Pair { cert, key, error } => ServerError::TlsPair { cert, key, error },
        }
    }
}

/// A server that listens, and serves nobody before [`Server::run`].
pub struct Server {
    listener: TcpListener,
    addr: SocketAddr,
    tls: TlsSlot,
    limits: Limits,
    measure: Option<(&'static str, HttpMetrics)>,
}

impl Server {
    /// Reads the certificate, then takes the address. Spawns nothing.
    pub async fn bind(addr: SocketAddr, tls: Option<TlsFiles>) -> Result<Server, ServerError> {
        let tls = TlsSlot::of(tls)?;
        let listener = TcpListener::bind(addr).await.map_err(|error| ServerError::Bind { addr, error })?;
        let addr = listener.local_addr().map_err(|error| ServerError::Bind { addr, error })?;
        Ok(Server { listener, addr, tls, limits: Limits::default(), measure: None })
    }

    /// Sets other limits.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Counts its answers, under this name.
    pub fn measured(mut self, name: &'static str, metrics: HttpMetrics) -> Self {
        self.measure = Some((name, metrics));
        self
    }

    /// The address, with the port that the system chose where 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its certificate, which may be replaced while it serves.
    pub fn tls(&self) -> TlsSlot {
        self.tls.clone()
    }

    /// Serves until `stop`; then takes no connection any more, lets requests in progress end for `grace`, and cuts what is left.
    pub async fn run(self, router: Router, stop: CancellationToken, grace: Duration) {
        self.run_live(Arc::new(ArcSwap::from_pointee(router)), stop, move || grace).await;
    }

    /// The same with routes that may be swapped while it serves: each request takes those of its moment. The time for what is in progress is
    /// asked for at the stop.
    pub async fn run_live(self, router: Arc<ArcSwap<Router>>, stop: CancellationToken, grace: impl FnOnce() -> Duration + Send) {
        let Server { listener, addr, tls, limits, measure } = self;
        let server = measure.as_ref().map(|(name, _)| *name);
        info!(%addr, server, tls = tls.get().is_some(), "A server listens.");
        let mut connections = JoinSet::new();
        let renewal = renew(tls.clone(), stop.clone());
        let accepting = accept(&listener, limits, &stop, |stream, peer, permit| {
            let service = Service { router: Arc::clone(&router), peer, limits, measure: measure.clone() };
            let (tls, stop) = (tls.get(), stop.clone());
            connections.spawn(async move {
                let _permit = permit;
                connection::serve(stream, tls, service, stop).await;
            });
            while connections.try_join_next().is_some() {}
        });
        tokio::join!(accepting, renewal);
        drop(listener);
        drain(connections, addr, grace()).await;
    }
}

/// Takes connections until `stop`, at most as many at once as the limits allow.
async fn accept(
    listener: &TcpListener,
    limits: Limits,
    stop: &CancellationToken,
    mut spawn: impl FnMut(TcpStream, SocketAddr, OwnedSemaphorePermit),
) {
    let free = Arc::new(Semaphore::new(limits.connections));
    loop {
        let next = async {
            let permit = Arc::clone(&free).acquire_owned().await.map_err(io::Error::other)?;
            let (stream, peer) = listener.accept().await?;
            Ok::<_, io::Error>((stream, peer, permit))
        };
        let next = tokio::select! {
            () = stop.cancelled() => return,
            next = next => next,
        };
        match next {
            Ok((stream, peer, permit)) => spawn(stream, peer, permit),
            Err(error) => {
                warn!(%error, "A connection could not be accepted.");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Reads a renewed certificate without a restart. A bad one leaves the old one in use.
async fn renew(tls: TlsSlot, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TLS_CHECK) => {}
        }
        match tls.renew() {
            Ok(true) => info!("The certificate was read anew."),
            Ok(false) => {}
            Err(error) => warn!(%error, "The changed certificate cannot be used; the old one stays."),
        }
    }
}

async fn drain(mut connections: JoinSet<()>, addr: SocketAddr, grace: Duration) {
    let all_done = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, all_done).await.is_err() {
        warn!(%addr, connections = connections.len(), "Connections were cut at the end of the grace period.");
        connections.shutdown().await;
    }
    info!(%addr, "A server has stopped.");
}

#[cfg(test)]
mod tests;
