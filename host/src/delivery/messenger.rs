//! A plugin alone, for a program that does its own HTTP: events in, a signed request out; its answer in, the outcome out.
//!
//! The same rules hold as in a host: the half of the plugin that writes sees no secret, the half that signs sees no event, and egress judges
//! every request. Pace, order and retry are the program's: [`Messenger::profile`] says how fast the receiver lets it be.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::answers::{self, fault, reason};
use super::connector::ConnectorConfig;
use super::draft::{Sending, Work};
use super::http::{Answer, HttpClient, HttpError, MAX_ANSWER, Proxy};
use super::links::{Links, OpenLinks};
use super::plugin_sink::{PluginSink, Refused};
use super::plugin_sinks::PluginSinks;
use super::problem::Problem;
use super::scrub::Scrub;
use super::{Healthcheck, IncidentSink, Item, MessageContext, Outcome, Profile, SinkContext};
use crate::outbox::Reason;
use crate::plugin::{Engine, EngineError, EngineOptions, Limits, LoadError, Plugin, Registry, wit};

/// Why a connector cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectorError {
    /// The component is no plugin.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The sandbox cannot be set up.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The HTTP client cannot be set up.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The connector's table, with everything that is wrong with it.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Config(Vec<Problem>),
}

/// A sink and its healthcheck, as [`super::SinkConfig::build`] makes them, whose messages a component writes. `table` is what a config has under
/// `[connectors.NAME]`; its `type` may be left out. Compiles the component: not for an executor's thread.
pub fn plugin_connector(component: &[u8], table: &Value, cx: &SinkContext) -> Result<(Box<dyn IncidentSink>, Healthcheck), ConnectorError> {
    let sink = load(component, table, Arc::clone(&cx.connector), Arc::new(OpenLinks))?;
    let healthcheck = sink.healthcheck();
    Ok((Box::new(sink), healthcheck))
}

fn load(component: &[u8], table: &Value, name: Arc<str>, links: Arc<dyn Links>) -> Result<PluginSink, ConnectorError> {
    let engine = Engine::new(EngineOptions::default())?;
    let plugin = Plugin::load(&engine, component, &Limits::default())?;
    let kind = plugin.descriptor().name.clone();
    let registry = Registry::default();
    registry.swap(&kind, plugin);
    let mut table = table.clone();
    if let Some(members) = table.as_object_mut() {
        members.entry("type").or_insert_with(|| kind.into());
    }
    let config = ConnectorConfig::parse(&table).map_err(ConnectorError::Config)?;
    let sinks = PluginSinks::new(registry, &BTreeMap::new(), HttpClient::new(&Proxy::Environment)?, links);
    sinks.build(name, Arc::new(config)).map_err(ConnectorError::Config)
}

/// One connector, without a network.
pub struct Messenger(PluginSink);

/// A message, begun.
#[derive(Debug)]
pub struct Begun {
    /// How many of the events, from the front, it covers.
    pub covers: usize,
    /// What is next.
    pub step: Step,
}

/// What is next.
#[derive(Debug)]
pub enum Step {
    /// Send this, once, and hand the answer to [`Messenger::resume`].
    Send(Signed, Continuation),
    /// The end.
    Done(Outcome),
}

/// A request, ready to be sent: its address and headers hold credentials, so it prints without them. A signature grows old; send it at once.
pub struct Signed(http::Request<Vec<u8>>);

impl Signed {
    /// For the HTTP client.
    pub fn into_request(self) -> http::Request<Vec<u8>> {
        self.0
    }
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({}, {} bytes)", self.0.method(), self.0.body().len())
    }
}

/// What the answer of a request is read with: of the very plugin that wrote it.
pub struct Continuation(Box<Kept>);

struct Kept {
    plugin: Plugin,
    sending: Sending,
    /// What the plugin may not see in the answer.
    scrub: Scrub,
}

impl fmt::Debug for Continuation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Continuation(step {})", self.0.sending.step)
    }
}

impl Messenger {
    /// Of a component and what a config has under `[connectors.NAME]`. Compiles the component: not for an executor's thread.
    pub fn new(component: &[u8], table: &Value, name: &str) -> Result<Messenger, ConnectorError> {
        load(component, table, name.into(), Arc::new(OpenLinks)).map(Messenger)
    }

    /// How fast the receiver lets a program be, and how many incidents fit a message.
    pub fn profile(&self) -> Profile {
        self.0.profile()
    }

    /// Has the plugin write one message for as many of the events as fit, and sign it. An `Err` is a fault of the plugin.
    pub fn begin(&self, events: &[Item], cx: &MessageContext) -> Result<Begun, Reason> {
        let plugin = self.0.current()?;
        let written = self.0.write(&plugin, events, cx)?;
        let step = match written.work {
            Work::Send(sending) => self.signed(plugin, sending, cx)?,
            Work::Decided(decided) => Step::Done(decided.into()),
        };
        Ok(Begun { covers: written.covers, step })
    }

    /// Has the plugin read an answer. Where none came, nothing is to be read: the message may be sent again, from [`Messenger::begin`], with
    /// the same [`MessageContext::key`].
    pub fn resume(&self, continuation: Continuation, answer: http::Response<Vec<u8>>, cx: &MessageContext) -> Result<Step, Reason> {
        let Kept { plugin, sending, scrub } = *continuation.0;
        let mut answer = kept(answer);
        scrub.clean(&mut answer);
        let (status, hint) = (answer.status.to_string(), answers::retry_after_ms(&answer.headers, cx.now));
        match self.0.resume(&plugin, &sending, &answers::response(answer), cx).map_err(|error| fault(&error))? {
            wit::Step::Done(outcome) => Ok(Step::Done(answers::judged(outcome, &status, hint).into())),
            wit::Step::Send(_) if sending.step >= plugin.limits().steps => {
                let text = format!("the plugin wants more than {} requests for one message", plugin.limits().steps);
                Err(reason("too-many-steps", text, "Report it to the plugin's author."))
            }
            wit::Step::Send(next) => {
                let request = answers::request(next.request);
                self.signed(plugin, Sending { step: sending.step + 1, request, continuation: next.continuation }, cx)
            }
        }
    }

    fn signed(&self, plugin: Plugin, sending: Sending, cx: &MessageContext) -> Result<Step, Reason> {
        let (outgoing, scrub) = self.0.signed(&plugin, &sending.request, cx.now).map_err(|refused| match refused {
            Refused::ByPlugin(reason) | Refused::ByEgress(reason) => reason,
        })?;
        let request = outgoing.into_http().map_err(|error| reason("egress", error.to_string(), ""))?;
        Ok(Step::Send(Signed(request), Continuation(Box::new(Kept { plugin, sending, scrub }))))
    }
}

/// As much of an answer as a plugin is shown.
fn kept(answer: http::Response<Vec<u8>>) -> Answer {
    let (parts, mut body) = answer.into_parts();
    body.truncate(MAX_ANSWER);
    Answer { status: parts.status.as_u16(), headers: super::http::kept_headers(&parts.headers), body }
}
