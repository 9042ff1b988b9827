//! A preview: the exact message that would be sent, signed, with nothing sent and no secret shown.

use serde::Serialize;

use super::draft::{Decided, Work};
use super::plugin_sink::{PluginSink, Readers};
use super::request::{Place, Stamp};
use super::{Item, MessageContext, Outcome};
use crate::outbox::Reason;
use crate::plugin::Plugin;

/// What takes the place of a signature.
const HIDDEN: &str = "…";

/// What a connector would do with a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// The plugin's name.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// How many items of the batch the message covers.
    pub covers: usize,
    /// What would happen.
    #[serde(flatten)]
    pub plan: Plan,
}

/// What would happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Plan {
    /// A request would be sent.
    Request(Box<PreviewRequest>),
    /// Nothing would be sent: the plugin decides so by itself.
    Decided(Decided),
}

/// The first request of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PreviewRequest {
    /// `POST` or `PUT`.
    pub method: String,
    /// The signed address, its credentials and values left out.
    pub url: String,
    /// The headers; a signature is left out.
    pub headers: Vec<(String, String)>,
    /// The body; the value of a signature in it is left out. Text that is none is shown as well as it can be.
    pub body: String,
    /// How many bytes the body has.
    pub body_bytes: usize,
}

impl Preview {
    /// The outcome that the plugin decided on without sending, if it did.
    pub fn decided(&self) -> Option<Outcome> {
        match &self.plan {
            Plan::Decided(decided) => Some(decided.clone().into()),
            Plan::Request(_) => None,
        }
    }
}

impl PluginSink {
    /// Has the current version write and sign a message, and sends nothing.
    pub fn preview(&self, batch: &[Item], cx: &MessageContext) -> Result<Preview, Reason> {
        self.preview_with(&self.current()?, batch, cx)
    }

    /// As [`PluginSink::preview`], with a version that need not be in use: to try a new one before it is.
    pub fn preview_with(&self, plugin: &Plugin, batch: &[Item], cx: &MessageContext) -> Result<Preview, Reason> {
        let written = self.write_for(Readers::Operator, plugin, batch, cx)?;
        let plan = match written.work {
            Work::Decided(decided) => Plan::Decided(decided),
            Work::Send(sending) => {
                let stamps = self.sign(plugin, &sending.request, cx.now)?;
                // Judged with the true values, shown with others: what would be refused has no preview.
                let body_bytes = self.admit(&sending.request, &stamps)?.body().len();
                let stamps: Vec<Stamp> = stamps.into_iter().map(hide).collect();
                let shown = self.admit(&sending.request, &stamps)?;
                let headers = shown.headers().iter().map(|(name, value)| {
                    let value = if value.is_sensitive() { HIDDEN.into() } else { String::from_utf8_lossy(value.as_bytes()) };
                    (name.to_string(), value.into_owned())
                });
                Plan::Request(Box::new(PreviewRequest {
                    method: shown.method().to_string(),
                    url: shown.redacted_url(),
                    headers: headers.collect(),
                    body: String::from_utf8_lossy(shown.body()).into_owned(),
                    body_bytes,
                }))
            }
        };
        let descriptor = plugin.descriptor();
        Ok(Preview { plugin: descriptor.name.clone(), version: descriptor.version.to_string(), covers: written.covers, plan })
    }
}

/// A header cannot hold the mark for what is left out, and is shown so anyway.
fn hide(stamp: Stamp) -> Stamp {
    let value = if stamp.place == Place::BodyField { HIDDEN } else { "hidden" };
    Stamp { value: value.to_owned(), ..stamp }
}
