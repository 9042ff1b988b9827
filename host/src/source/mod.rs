//! Where events come in.

pub mod alertmanager_webhook;
pub mod auth;
mod credentials;
pub mod ilert_webhook;
#[cfg(feature = "nats")]
pub mod nats;
pub mod ndjson;
pub mod problem;
pub mod read;
#[cfg(test)]
pub(crate) mod testing;
mod webhook;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::intake::Intake;

/// What a source is checked with, before anything is built.
#[derive(Clone, Copy, Debug)]
pub struct SourceScope {
    /// Whether the public server listens on loopback only, so that a webhook may go without a password.
    pub loopback: bool,
}

/// What a source is built with.
#[derive(Clone)]
pub struct SourceContext {
    /// Its name in the config.
    pub name: Arc<str>,
    /// Where its events go.
    pub intake: Intake,
    /// The time.
    pub clock: Clock,
}

/// A source, built: nothing of it runs yet.
pub struct Source {
    /// Routes for the public server; empty for a source that does not listen there.
    pub routes: axum::Router,
    /// What runs until the token is cancelled, or until the source has no more; see [`SourceConfig::ends`].
    pub task: Option<SourceTask>,
}

/// The running part of a source. An `Err` is told to the operator and ends the host.
pub type SourceTask = Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, Result<(), String>> + Send>;

/// The config of a source: `[sources.NAME]`, by its `type`. A program that embeds the library registers its own with
/// `#[typetag::deserialize(name = "…")]`.
#[async_trait]
#[typetag::deserialize(tag = "type")]
pub trait SourceConfig: std::fmt::Debug + Send + Sync {
    /// Everything wrong with it that can be known without touching anything.
    fn validate(&self, scope: SourceScope) -> Result<(), String>;

    /// The paths that it takes on the public server: no two sources may have one in common.
    fn paths(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Whether it ends by itself, as standard input does. A host all of whose sources end delivers what waits, and ends with them.
    fn ends(&self) -> bool {
        false
    }

    /// Makes the source. May look, spawns nothing.
    async fn build(&self, cx: SourceContext) -> Result<Source, String>;
}
