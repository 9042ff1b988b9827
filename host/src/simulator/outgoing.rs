//! The HTTP client with which a simulator calls the host.

use std::time::Duration;

use super::SimulatorError;

/// A client for loopback: no proxy, no redirects.
pub(super) fn client(timeout: Duration) -> Result<reqwest::Client, SimulatorError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error only says that somebody else was first, which is as good.
        rustls::crypto::ring::default_provider().install_default().ok();
    }
    let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(timeout);
    builder.build().map_err(|error| SimulatorError::Client(error.to_string()))
}
