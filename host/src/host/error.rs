//! Why a host does not start, or ends.

use crate::config::ConfigErrors;
use crate::outbox::OutboxError;
use crate::server::ServerError;

/// Why a host does not start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The config asks for something that cannot be.
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    /// The outbox cannot be opened or used.
    #[error("{0}")]
    Outbox(#[from] OutboxError),
    /// A server cannot listen.
    #[error("{0}")]
    Server(#[from] ServerError),
    /// Something that the host itself needs.
    #[error("{0}")]
    Start(String),
    /// A source ended with an error.
    #[error("source `{name}`: {text}")]
    Source {
        /// Its name in the config.
        name: String,
        /// What happened.
        text: String,
    },
}

impl HostError {
    /// Whether the config is at fault, or what it asks for is not there: exit code 2.
    pub fn is_config(&self) -> bool {
        matches!(self, HostError::Config(_) | HostError::Outbox(OutboxError::Locked(_)))
    }
}
