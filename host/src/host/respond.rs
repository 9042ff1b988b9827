//! The responding side of a host: the links on its messages, their pages, and what runs behind them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::sinks::Built;
use super::{Control, HostError, Plan};
use crate::delivery::links::{Links, OpenLinks};
use crate::delivery::listener::Listeners;
use crate::delivery::plugin_sink::PluginSink;
use crate::outbox::{ConnectorName, Outbox, OutboxError};
use crate::respond::{LinkMaker, Needs, Responder};

/// Who makes the links, where the config allows any but the incident's own page.
pub(super) fn links(plan: &Plan) -> Option<Arc<LinkMaker>> {
    LinkMaker::new(&plan.settings, &plan.outbox.folder(plan.document.base())).map(Arc::new)
}

/// Reads the key of the links, or makes one: in the outbox where hosts share it, else beside it. `Ok` with the reason where that may go well
/// later.
pub(super) async fn take_key(maker: Option<&Arc<LinkMaker>>, outbox: &dyn Outbox) -> Result<Option<OutboxError>, HostError> {
    let Some(maker) = maker.cloned() else { return Ok(None) };
    let taken = if outbox.is_shared() {
        Ok(maker.take_shared_key(outbox).await)
    } else {
        tokio::task::spawn_blocking(move || maker.take_key()).await
    };
    match taken.map_err(|error| HostError::Start(format!("the key of the links could not be read: {error}")))? {
        Ok(()) => Ok(None),
        Err(error) if error.is_temporary() => Ok(Some(OutboxError::Unavailable(error.to_string()))),
        Err(error) => Err(HostError::Start(error.to_string())),
    }
}

/// The pages and what carries out, where iLert's API may be used.
pub(super) fn responder(
    control: &Control,
    plan: &Plan,
    links: Option<Arc<LinkMaker>>,
    listeners: Listeners,
) -> Result<Option<Responder>, HostError> {
    let Some(config) = &plan.settings.ilert else { return Ok(None) };
    let needs = Needs {
        clock: control.clock().clone(),
        outbox: control.outbox().clone(),
        intake: control.intake().clone(),
        links,
        languages: languages(plan),
        listeners,
        metrics: control.metrics().ilert.clone(),
    };
    Responder::build(config, needs).map_err(|error| HostError::Start(error.to_string()))
}

/// The connectors whose messages plugins write: a plugin with an inbox hears what people write there.
pub(super) fn listening(connectors: &BTreeMap<ConnectorName, Arc<Built>>) -> BTreeMap<String, Arc<PluginSink>> {
    connectors.iter().filter_map(|(name, built)| Some((name.to_string(), built.plugin.clone()?))).collect()
}

/// The languages of the connectors that name one: the key is the plugin's, but most have it.
pub(super) fn languages(plan: &Plan) -> BTreeMap<String, String> {
    let named = |name: &str| plan.document.get::<String>(&["connectors", name, "language"]).ok().flatten();
    plan.connectors.keys().filter_map(|name| Some((name.to_string(), named(name)?))).collect()
}

/// Who makes the links: whom an embedding program names, else those of responding, else none but the way to the incident's page.
pub(super) fn who_links(own: Option<&Arc<dyn Links>>, maker: Option<&Arc<LinkMaker>>) -> Arc<dyn Links> {
    match (own, maker) {
        (Some(own), _) => Arc::clone(own),
        (None, Some(maker)) => Arc::clone(maker) as Arc<dyn Links>,
        (None, None) => Arc::new(OpenLinks),
    }
}
