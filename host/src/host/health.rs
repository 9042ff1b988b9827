//! How the host is: whether it takes events in, why not, and what else is out of order.
//!
//! Only what keeps events out makes a host unready. Something else that is out of order (a plugin that is missing) is told and no more: the
//! outbox keeps the events meanwhile, and a load balancer that took the webhook away for it would lose them.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::Control;
use crate::outbox::OutboxError;

/// How long the outbox may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a host is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Why no events can be taken in; empty if they can.
    pub reasons: Vec<Trouble>,
    /// What is out of order besides.
    pub troubles: Vec<Trouble>,
    /// Only a restart helps.
    #[serde(skip)]
    pub is_broken: bool,
}

/// Something out of order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// `host`, `outbox`, `plugin NAME` or `config`.
    pub part: String,
    /// What is wrong with it.
    pub text: String,
}

impl Trouble {
    fn new(part: impl Into<String>, text: impl Into<String>) -> Trouble {
        Trouble { part: part.into(), text: text.into() }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.part, self.text)
    }
}

impl Health {
    /// Whether events can be taken in.
    pub fn is_ready(&self) -> bool {
        self.reasons.is_empty()
    }
}

impl Control {
    /// Looks. Takes a write to the outbox where nothing was written lately.
    pub async fn health(&self) -> Health {
        let mut health = Health { troubles: self.missing_plugins(), ..Health::default() };
        if self.config_state().last_read.is_some_and(|last| last.error.is_some()) {
            health.troubles.push(Trouble::new("config", "the changed config cannot be used; the one before is in use"));
        }
        if let Some(why) = self.0.stopping.get() {
            health.reasons.push(Trouble::new("host", why.clone()));
        } else if self.0.intake.is_closed() {
            health.reasons.push(Trouble::new("host", "it is stopping"));
        }
        let ready = tokio::time::timeout(PATIENCE, self.0.outbox.ready()).await;
        let ready = ready.unwrap_or_else(|_| Err(OutboxError::Unavailable(format!("it has not answered for {} s", PATIENCE.as_secs()))));
        if let Err(error) = ready {
            health.is_broken = health.is_ready() && matches!(error, OutboxError::Broken(_) | OutboxError::Closed);
            health.reasons.push(Trouble::new("outbox", error.to_string()));
        }
        health
    }

    /// The plugins that connectors need and that are not there.
    fn missing_plugins(&self) -> Vec<Trouble> {
        let sinks = self.sinks();
        let kinds = sinks.connectors.values().filter_map(|built| Some(built.plugin.as_ref()?.config().kind()));
        let kinds: BTreeSet<&str> = kinds.collect();
        let missing = kinds.into_iter().filter(|kind| sinks.registry.current(kind).is_none());
        missing.map(|kind| Trouble::new(format!("plugin {kind}"), "it is not there; the events of its connectors wait")).collect()
    }
}
