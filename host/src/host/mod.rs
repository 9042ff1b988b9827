//! The whole, assembled: a [`Plan`] from a config, a [`Host`] from a plan, and its life from start to stop.

mod error;
mod health;
mod late;
mod live;
mod metrics;
pub mod native;
pub mod plan;
mod reload;
mod respond;
pub mod sinks;
mod test_connection;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use axum::Router;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

pub use error::HostError;
pub use health::{Health, Trouble};
use late::Late;
pub use metrics::MetricsError;
pub use plan::Plan;
use reload::Request;
pub use reload::{ConfigState, Diff, LastRead, ReloadError, Reloaded, watch_config};
pub use sinks::Sinks;
pub use test_connection::{test_connection, test_event};

use crate::clock::Clock;
use crate::delivery::Dispatcher;
use crate::delivery::links::Links;
use crate::delivery::listener::Listeners;
use crate::event::Event;
use crate::intake::{Intake, IntakeError};
use crate::outbox::{Outbox, Taken};
use crate::respond::Responder;
use crate::route::Routes;
use crate::server::{Server, TlsFiles};
use crate::source::{Source, SourceContext};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::{Exporter, ExporterError};
use crate::telemetry::{Logs, Redactor};

/// Those who wait for the config to be read anew; further ones wait in turn.
const REQUESTS: usize = 8;

/// What an embedding program may choose.
#[derive(Clone, Default)]
pub struct Options {
    /// The time.
    pub clock: Clock,
    /// Who makes the links on messages, in place of those by which people respond.
    pub links: Option<Arc<dyn Links>>,
    /// Without the public server and the sources: for a host that gets its events by [`Host::intake`].
    pub without_sources: bool,
    /// Of the config's sources only these, also when it is read anew; all of them where none is named.
    pub only_sources: Vec<String>,
    /// The logs, which follow a config that is read anew.
    pub logs: Option<Logs>,
}

/// What other rooms may do with a host; cheap to clone.
#[derive(Clone)]
pub struct Control(Arc<Parts>);

struct Parts {
    /// Replaced as a whole when the config is read anew.
    setup: ArcSwap<Setup>,
    routes: Arc<ArcSwap<Routes>>,
    clock: Clock,
    outbox: Arc<dyn Outbox>,
    dispatcher: Dispatcher,
    intake: Intake,
    metrics: Metrics,
    /// The counters, to be written out.
    registry: ArcSwap<Registry>,
    /// Held while a page of metrics is written.
    page: tokio::sync::Mutex<()>,
    /// Why the host takes nothing in any more.
    stopping: OnceLock<String>,
    /// To the running host: read the config anew.
    reloads: mpsc::Sender<Request>,
    config: ArcSwap<ConfigState>,
}

/// A config in use, and what was built from it.
#[derive(Clone)]
struct Setup {
    plan: Arc<Plan>,
    sinks: Arc<Sinks>,
}

impl Control {
    /// The config as it is now.
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.0.setup.load().plan)
    }

    /// Plugins and connectors as they are now.
    pub fn sinks(&self) -> Arc<Sinks> {
        Arc::clone(&self.0.setup.load().sinks)
    }

    /// The time.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The outbox.
    pub fn outbox(&self) -> &Arc<dyn Outbox> {
        &self.0.outbox
    }

    /// The lanes.
    pub fn dispatcher(&self) -> &Dispatcher {
        &self.0.dispatcher
    }

    /// Which events go where, as it is now.
    pub fn routes(&self) -> Arc<Routes> {
        self.0.routes.load_full()
    }

    /// What the host has counted. [`Control::page_of_metrics`] writes it out.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Takes one event in: `Ok` once it is on disk, from where it is delivered whatever happens to this process. [`Taken::Duplicate`] is an
    /// event whose id was seen before. Cancel-safe.
    pub async fn submit(&self, event: Event) -> Result<Taken, IntakeError> {
        let report = self.intake().accept(&Arc::from("embedded"), vec![Ok(event)]).await?;
        Ok(if report.duplicates > 0 { Taken::Duplicate } else { Taken::New })
    }

    /// Waits until every event that was taken in is delivered or a dead letter. Cancel-safe.
    pub async fn drained(&self) {
        self.dispatcher().drained().await;
    }

    /// The door.
    pub fn intake(&self) -> &Intake {
        &self.0.intake
    }
}

/// A host, built: it listens, and does nothing yet.
pub struct Host {
    control: Control,
    built: Built,
}

/// What a host is built of besides its control.
struct Built {
    server: Option<Server>,
    /// Routes of programs that embed the host.
    extra: Router,
    sources: BTreeMap<String, Source>,
    responder: Option<Responder>,
    /// The connectors that people can write to.
    listeners: Listeners,
    /// Further servers and tasks, each until the token is cancelled.
    services: Vec<Service>,
    /// Those who want the config to be read anew.
    requests: mpsc::Receiver<Request>,
    /// An outbox that could not be opened yet.
    late: Option<Late>,
    links: Option<Arc<dyn Links>>,
    logs: Option<Logs>,
    /// Of the traces, where the config wants some.
    exporter: Option<Exporter>,
    only_sources: Vec<String>,
}

/// Something that runs beside the host until the token is cancelled.
pub type Service = Box<dyn FnOnce(CancellationToken) -> futures_util::future::BoxFuture<'static, ()> + Send>;

impl Host {
    /// Opens the outbox, loads the plugins, takes the address. Spawns no task of its own. An outbox whose disk takes no data now is opened later,
    /// when the host runs: until then nothing is taken in ([`Control::health`] says why).
    pub async fn build(plan: Plan, options: Options) -> Result<Host, HostError> {
        let Options { clock, links, without_sources, only_sources, logs } = options;
        let mut plan = plan;
        plan.keep_sources(&only_sources).map_err(HostError::Start)?;
        let maker = respond::links(&plan);
        let sinks = Sinks::build(&plan, &clock, respond::who_links(links.as_ref(), maker.as_ref())).await?;
        for warning in plan.warnings.iter().chain(&sinks.warnings) {
            warn!(%warning, "The config works, but hardly as it was meant.");
        }
        // All errors with a place in it were found.
        plan.document.pack();
        let (plan, sinks) = (Arc::new(plan), Arc::new(sinks));
        let (reloads, requests) = mpsc::channel(REQUESTS);
        let (outbox, late) = late::open(&plan, maker.as_ref(), &clock).await?;
        let control = Control::build(&plan, &sinks, clock, outbox, reloads);
        let exporter = exporter(&plan, logs.as_ref()).map_err(|error| HostError::Start(error.to_string()))?;
        let listeners = Listeners::new();
        listeners.set(respond::listening(&sinks.connectors));
        let (extra, services) = (Router::new(), Vec::new());
        let mut built = Built {
            server: None,
            extra,
            sources: BTreeMap::new(),
            responder: None,
            listeners,
            services,
            requests,
            late,
            links,
            logs,
            exporter,
            only_sources,
        };
        if !without_sources {
            built.sources = sources(&control, &plan).await?;
            built.responder = respond::responder(&control, &plan, maker, built.listeners.clone())?;
            built.server = Some(server(&control, &plan).await?);
        }
        Ok(Host { control, built })
    }

    /// See [`Control::submit`].
    pub async fn submit(&self, event: Event) -> Result<Taken, IntakeError> {
        self.control.submit(event).await
    }

    /// Whether the outbox could not be opened yet.
    pub fn is_late(&self) -> bool {
        self.built.late.is_some()
    }

    /// What other rooms may do with it.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Where the public server listens; `None` without one.
    pub fn addr(&self) -> Option<SocketAddr> {
        self.built.server.as_ref().map(Server::local_addr)
    }

    /// Adds routes to the public server.
    pub fn add_routes(&mut self, routes: Router) {
        self.built.extra = std::mem::take(&mut self.built.extra).merge(routes);
    }

    /// Adds something that runs beside the host.
    pub fn add_service(&mut self, service: Service) {
        self.built.services.push(service);
    }

    /// Lives until `stop` is cancelled, or until a source fails; then takes nothing in, finishes what is in flight within the config's
    /// `grace`, and leaves the rest in the outbox. `abort` ends it at once.
    pub async fn run(self, stop: CancellationToken, abort: CancellationToken) -> Result<(), HostError> {
        let Host { control, mut built } = self;
        control.0.dispatcher.traces().set(built.exporter.take());
        if built.late.is_none() {
            control.0.dispatcher.start().await?;
        }
        let (live, requests) = live::Live::start(control.clone(), built);
        let ended = live.run(requests, &stop, &abort).await;
        control.0.outbox.close().await;
        // What the last attempts told; nobody who is in a hurry waits for it.
        let _ = abort.run_until_cancelled(control.0.dispatcher.traces().stop()).await;
        if let Err(error) = &ended {
            error!(%error, "The host ends because of an error.");
        }
        ended
    }
}

impl Control {
    /// Puts the door and the lanes before and behind an outbox.
    fn build(plan: &Arc<Plan>, sinks: &Arc<Sinks>, clock: Clock, outbox: Arc<dyn Outbox>, reloads: mpsc::Sender<Request>) -> Control {
        let dispatcher = Dispatcher::new(clock.clone(), outbox.clone(), sinks.for_lanes());
        let wake = dispatcher.clone();
        let routes = Arc::new(ArcSwap::from_pointee(Routes::new(plan.actions.clone())));
        let intake = Intake::new(clock.clone(), outbox.clone(), Arc::clone(&routes), Arc::new(move |names| wake.wake(names)));
        intake.trace(dispatcher.traces().clone());
        let metrics = Metrics {
            traces: dispatcher.traces().metrics().clone(),
            intake: intake.metrics().clone(),
            delivery: dispatcher.metrics().clone(),
            outbox: outbox.metrics().unwrap_or_default(),
            ..Metrics::default()
        };
        metrics.config.started(clock.now());
        let state =
            ConfigState { file: plan.document.origin().to_owned(), taken_at: clock.now(), needs_restart: Vec::new(), last_read: None };
        Control(Arc::new(Parts {
            setup: ArcSwap::from_pointee(Setup { plan: Arc::clone(plan), sinks: Arc::clone(sinks) }),
            registry: ArcSwap::from_pointee(metrics.registry()),
            config: ArcSwap::from_pointee(state),
            page: tokio::sync::Mutex::default(),
            stopping: OnceLock::new(),
            routes,
            clock,
            outbox,
            dispatcher,
            intake,
            metrics,
            reloads,
        }))
    }

    /// Counts what an outbox that was opened late counts.
    fn count_anew(&self) {
        let outbox = self.0.outbox.metrics().unwrap_or_default();
        let metrics = Metrics { outbox, ..self.0.metrics.clone() };
        self.0.registry.store(Arc::new(metrics.registry()));
    }
}

/// Hands traces over, where the config wants some. What the logs keep out, they keep out.
fn exporter(plan: &Plan, logs: Option<&Logs>) -> Result<Option<Exporter>, ExporterError> {
    let Some(otlp) = &plan.settings.otlp else { return Ok(None) };
    let redactor = logs.map(|logs| logs.redactor.clone()).unwrap_or_else(|| {
        let redactor = Redactor::default();
        redactor.set(plan.document.secrets());
        redactor
    });
    Exporter::new(otlp, redactor).map(Some)
}

async fn sources(control: &Control, plan: &Plan) -> Result<BTreeMap<String, Source>, HostError> {
    let mut sources = BTreeMap::new();
    for (name, config) in &plan.sources {
        let cx = SourceContext { name: name.as_str().into(), intake: control.0.intake.clone(), clock: control.0.clock.clone() };
        let source = config.build(cx).await.map_err(|text| HostError::Source { name: name.clone(), text })?;
        sources.insert(name.clone(), source);
    }
    Ok(sources)
}

async fn server(control: &Control, plan: &Plan) -> Result<Server, HostError> {
    let server = &plan.settings.server;
    let tls = server.tls.as_ref().map(|tls| TlsFiles::beside(plan.document.base(), tls));
    Ok(Server::bind(server.listen, tls).await?.measured("public", control.0.metrics.http.clone()))
}
