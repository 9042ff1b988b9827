//! The certificate of a server: read, checked, renewed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::ServerError;

/// Where the certificate and its key lie, as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, with those between it and its root.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl TlsFiles {
    /// The files that a config names; relative paths lie beside it.
    pub fn beside(base: &Path, tls: &crate::config::Tls) -> Self {
        TlsFiles { cert: base.join(&tls.cert), key: base.join(&tls.key) }
    }
}

/// What is wrong with the files.
pub(super) enum TlsError {
    File { path: PathBuf, error: String },
    Pair { cert: PathBuf, key: PathBuf, error: String },
}

/// A certificate in use.
#[derive(Clone)]
pub(super) struct Tls(Arc<Inner>);

struct Inner {
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
    /// When the files that were tried last had been changed.
    seen: Mutex<Stamp>,
}

type Stamp = [Option<SystemTime>; 2];

/// A certificate that was read and checked.
#[derive(Clone)]
pub struct LoadedTls(Tls);

impl LoadedTls {
    /// Reads the files.
    pub fn load(files: TlsFiles) -> Result<LoadedTls, ServerError> {
        Ok(LoadedTls(Tls::load(files)?))
    }
}

/// The certificate of a server, or none: it may be replaced while the server runs. Clones share it.
#[derive(Clone)]
pub struct TlsSlot(Arc<ArcSwapOption<Tls>>);

impl TlsSlot {
    pub(super) fn of(files: Option<TlsFiles>) -> Result<TlsSlot, ServerError> {
        let tls = files.map(Tls::load).transpose()?;
        Ok(TlsSlot(Arc::new(ArcSwapOption::from_pointee(tls))))
    }

    /// Connections from now on use this certificate, or no TLS.
    pub fn set(&self, tls: Option<LoadedTls>) {
        self.0.store(tls.map(|LoadedTls(tls)| Arc::new(tls)));
    }

    /// Reads files that were changed since; `true` if so. A bad one leaves the old one in use.
    pub fn renew(&self) -> Result<bool, ServerError> {
        self.get().map_or(Ok(false), |tls| Ok(tls.reload_if_changed()?))
    }

    pub(super) fn get(&self) -> Option<Tls> {
        self.0.load().as_deref().cloned()
    }
}

impl Tls {
    pub(super) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let seen = Mutex::new(stamp(&files));
        let config = ArcSwap::from(read(&files)?);
        Ok(Tls(Arc::new(Inner { files, config, seen })))
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.config.load_full())
    }

    /// Reads files that were changed since; `true` if so. Each change is tried once.
    pub(super) fn reload_if_changed(&self) -> Result<bool, TlsError> {
        let now = stamp(&self.0.files);
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return Ok(false);
        }
        *seen = now;
        self.0.config.store(read(&self.0.files)?);
        Ok(true)
    }
}

fn stamp(files: &TlsFiles) -> Stamp {
    [&files.cert, &files.key].map(|path| path.metadata().and_then(|metadata| metadata.modified()).ok())
}

fn read(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let certificates = certificates(&files.cert).map_err(|error| TlsError::File { path: files.cert.clone(), error })?;
    let key = key(&files.key).map_err(|error| TlsError::File { path: files.key.clone(), error })?;
    let pair = |error: rustls::Error| TlsError::Pair { cert: files.cert.clone(), key: files.key.clone(), error: error.to_string() };
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = std::fs::read(path).map_err(unreadable)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|error| format!("no PEM certificate: {error}"))?;
    if certificates.is_empty() { Err("there is no `BEGIN CERTIFICATE` in it".to_owned()) } else { Ok(certificates) }
}

/// The parser's words are not passed on: they could quote the key.
fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let pem = zeroize::Zeroizing::new(std::fs::read(path).map_err(unreadable)?);
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| "there is no usable `BEGIN PRIVATE KEY` in it".to_owned())
}

fn unreadable(error: io::Error) -> String {
    format!("cannot be read: {error}")
}
