//! The responding side of a host: the links on its messages, their pages, and what runs behind them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::sinks::Built;
use super::{Host, HostError, Plan};
use crate::delivery::listener::Listeners;
use crate::outbox::ConnectorName;
use crate::respond::{LinkMaker, Needs, Responder};

/// Who makes the links, where the config allows any but the incident's own page. Reads the key, or makes one.
pub(super) async fn links(plan: &Plan) -> Result<Option<Arc<LinkMaker>>, HostError> {
    let (settings, folder) = (plan.settings.clone(), plan.outbox.folder(plan.document.base()));
    let opened = tokio::task::spawn_blocking(move || LinkMaker::open(&settings, &folder)).await;
    let opened = opened.map_err(|error| HostError::Start(format!("the key of the links could not be read: {error}")))?;
    Ok(opened.map_err(|error| HostError::Start(error.to_string()))?.map(Arc::new))
}

impl Host {
    /// Adds the pages and what carries out, where iLert's API may be used.
    pub(super) fn build_responder(&mut self, links: Option<Arc<LinkMaker>>) -> Result<(), HostError> {
        let control = self.control();
        let plan = control.plan();
        let Some(config) = &plan.settings.ilert else { return Ok(()) };
        let needs = Needs {
            clock: control.clock().clone(),
            outbox: control.outbox().clone(),
            intake: control.intake().clone(),
            links,
            languages: languages(&plan),
            listeners: listeners(&control.sinks().connectors),
            metrics: control.metrics().ilert.clone(),
        };
        let responder = Responder::build(config, needs).map_err(|error| HostError::Start(error.to_string()))?;
        if let Some(responder) = responder {
            self.add_routes(responder.routes());
            self.add_service(Box::new(|stop| responder.run(stop)));
        }
        Ok(())
    }
}

/// The connectors whose messages plugins write: a plugin with an inbox hears what people write there.
fn listeners(connectors: &BTreeMap<ConnectorName, Arc<Built>>) -> Listeners {
    connectors.iter().filter_map(|(name, built)| Some((name.to_string(), built.plugin.clone()?))).collect()
}

/// The languages of the connectors that name one: the key is the plugin's, but most have it.
fn languages(plan: &Plan) -> BTreeMap<String, String> {
    let named = |name: &str| plan.document.get::<String>(&["connectors", name, "language"]).ok().flatten();
    plan.connectors.keys().filter_map(|name| Some((name.to_string(), named(name)?))).collect()
}
