//! A connector that listens: what its chat system posts, verified and read by its plugin.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use super::answers::{self, fault, reason};
use super::plugin_sink::PluginSink;
use super::{MessageContext, request};
use crate::clock::UnixMs;
use crate::outbox::Reason;
use crate::plugin::{CallError, Plugin, wit};

/// A callback that was verified and read; it is answered by the version of the plugin that read it.
pub struct Heard {
    plugin: Plugin,
    request: wit::Incoming,
    /// What it asks for.
    pub received: wit::Received,
}

impl Heard {
    /// SHA-256 of the body, for a chat system that gives its callbacks no id.
    pub fn digest(&self) -> Vec<u8> {
        Sha256::digest(&self.request.body).to_vec()
    }
}

/// Why a callback is not heard.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    /// The plugin has no inbox.
    #[error("the connector takes no callbacks")]
    Deaf,
    /// The plugin refuses it: not signed, too old, not understood.
    #[error("{}", .0.text)]
    Refused(wit::Refusal),
    /// Something is wrong with the plugin or its config.
    #[error("{}", .0.text)]
    Fault(Reason),
}

impl PluginSink {
    /// Has the plugin verify a callback from the secrets and, in another instance, read it from the config. Quick, and without I/O.
    pub fn hear(&self, request: wit::Incoming, now: UnixMs) -> Result<Heard, Unheard> {
        let plugin = self.current().map_err(Unheard::Fault)?;
        if !plugin.has_inbox() {
            return Err(Unheard::Deaf);
        }
        let broken = |error: CallError| Unheard::Fault(fault(&error));
        let split = self.split(&plugin).map_err(Unheard::Fault)?;
        let mut secrets: Vec<(String, String)> =
            split.split.secrets.iter().map(|(pointer, secret)| (pointer.to_string(), secret.expose().to_owned())).collect();
        let verdict = plugin.inbox_verify(&secrets, &request, u64::try_from(now).unwrap_or_default());
        secrets.iter_mut().for_each(|(_, secret)| secret.zeroize());
        verdict.map_err(broken)?.map_err(Unheard::Refused)?;
        let cx = self.listening(now);
        let received = plugin.inbox_read(&split.split.config, &request, &cx).map_err(broken)?.map_err(Unheard::Refused)?;
        Ok(Heard { plugin, request, received })
    }

    /// The plugin's answer, now that the commands were carried out, one result each.
    pub fn reply(&self, heard: &Heard, results: &[Result<String, String>], now: UnixMs) -> Result<wit::Replied, Reason> {
        let split = self.split(&heard.plugin)?;
        let replied = heard.plugin.inbox_reply(&split.split.config, &heard.request, results, &self.listening(now));
        replied.map_err(|error| fault(&error))
    }

    /// Sends an answer that came too late for the callback itself, to where the operator allows it.
    pub async fn send_late(&self, late: wit::Request) -> Result<(), Reason> {
        let late = answers::request(late);
        if late.target == request::Target::Connector {
            return Err(reason("egress", "a late answer does not go to the connector's own URL", "Report it to the plugin's author."));
        }
        let answer = self.http().send(&self.admit(&late, &[])?, self.config().timeout()).await;
        match answer {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
            Ok(answer) => Err(reason("late-answer", format!("the chat system answered {}", answer.status), "")),
            Err(error) => Err(reason("late-answer", error.to_string(), "")),
        }
    }

    fn listening(&self, now: UnixMs) -> wit::Context {
        self.context(&MessageContext { now, attempt: 1, key: String::new(), memo: None, waiting: 0 })
    }
}

/// The connectors that may be written to, by name. Clones share them.
#[derive(Clone, Default)]
pub struct Listeners(Arc<ArcSwap<BTreeMap<String, Arc<PluginSink>>>>);

impl Listeners {
    /// None yet.
    pub fn new() -> Listeners {
        Listeners::default()
    }

    /// The connector of that name.
    pub fn get(&self, name: &str) -> Option<Arc<PluginSink>> {
        self.0.load().get(name).cloned()
    }

    /// Takes the place of all before.
    pub fn set(&self, connectors: BTreeMap<String, Arc<PluginSink>>) {
        self.0.store(Arc::new(connectors));
    }
}

impl From<BTreeMap<String, Arc<PluginSink>>> for Listeners {
    fn from(connectors: BTreeMap<String, Arc<PluginSink>>) -> Self {
        let listeners = Listeners::new();
        listeners.set(connectors);
        listeners
    }
}
