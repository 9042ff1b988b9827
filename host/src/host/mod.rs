//! The whole, assembled: a [`Plan`] from a config, a [`Host`] from a plan, and its life from start to stop.

mod error;
mod health;
mod metrics;
pub mod native;
pub mod plan;
mod respond;
pub mod sinks;
mod test_connection;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use prometheus_client::registry::Registry;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub use error::HostError;
pub use health::{Health, Trouble};
pub use metrics::MetricsError;
pub use plan::Plan;
pub use sinks::Sinks;
pub use test_connection::{test_connection, test_event};

use crate::clock::Clock;
use crate::delivery::links::{Links, OpenLinks};
use crate::delivery::{Dispatcher, Healthcheck};
use crate::intake::Intake;
use crate::outbox::{ConnectorName, Outbox};
use crate::route::Routes;
use crate::server::{Server, TlsFiles};
use crate::source::{SourceContext, SourceTask};
use crate::telemetry::metrics::Metrics;

/// What an embedding program may choose.
#[derive(Clone, Default)]
pub struct Options {
    /// The time.
    pub clock: Clock,
    /// Who makes the links on messages, in place of those by which people respond.
    pub links: Option<Arc<dyn Links>>,
    /// Without the public server and the sources: for a host that gets its events by [`Host::intake`].
    pub without_sources: bool,
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
    registry: Registry,
    /// Held while a page of metrics is written.
    page: tokio::sync::Mutex<()>,
    /// Why the host takes nothing in any more.
    stopping: OnceLock<String>,
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

    /// The door.
    pub fn intake(&self) -> &Intake {
        &self.0.intake
    }
}

/// A host, built: it listens, and does nothing yet.
pub struct Host {
    control: Control,
    server: Option<Server>,
    routes: Router,
    tasks: Vec<(String, SourceTask)>,
    /// Further servers and tasks, each until the token is cancelled.
    services: Vec<Service>,
}

/// Something that runs beside the host until the token is cancelled.
pub type Service = Box<dyn FnOnce(CancellationToken) -> futures_util::future::BoxFuture<'static, ()> + Send>;

impl Host {
    /// Opens the outbox, loads the plugins, takes the address. Spawns no task of its own.
    pub async fn build(plan: Plan, options: Options) -> Result<Host, HostError> {
        let clock = options.clock;
        let maker = respond::links(&plan).await?;
        let own: Arc<dyn Links> = maker.clone().map_or_else(|| Arc::new(OpenLinks) as _, |maker| maker as _);
        let links = options.links.unwrap_or(own);
        let sinks = Sinks::build(&plan, &clock, links).await?;
        for warning in plan.warnings.iter().chain(&sinks.warnings) {
            warn!(%warning, "The config works, but hardly as it was meant.");
        }
        let outbox = plan.outbox.build(plan.document.base(), clock.clone()).await?;
        let dispatcher = Dispatcher::new(clock.clone(), outbox.clone(), sinks.for_lanes());
        let wake = dispatcher.clone();
        let routes = Arc::new(ArcSwap::from_pointee(Routes::new(plan.actions.clone())));
        let intake = Intake::new(clock.clone(), outbox.clone(), Arc::clone(&routes), Arc::new(move |names| wake.wake(names)));
        let metrics = Metrics {
            intake: intake.metrics().clone(),
            delivery: dispatcher.metrics().clone(),
            outbox: outbox.metrics().unwrap_or_default(),
            ..Metrics::default()
        };
        metrics.config.started(clock.now());
        let registry = metrics.registry();
        let setup = ArcSwap::from_pointee(Setup { plan: Arc::new(plan), sinks: Arc::new(sinks) });
        let mut host = Host {
            control: Control(Arc::new(Parts {
                setup,
                routes,
                clock,
                outbox,
                dispatcher,
                intake,
                metrics,
                registry,
                page: tokio::sync::Mutex::default(),
                stopping: OnceLock::new(),
            })),
            server: None,
            routes: Router::new(),
            tasks: Vec::new(),
            services: Vec::new(),
        };
        if !options.without_sources {
            host.build_sources().await?;
            host.build_responder(maker)?;
        }
        Ok(host)
    }

    async fn build_sources(&mut self) -> Result<(), HostError> {
        let (plan, Control(parts)) = (self.control.plan(), self.control.clone());
        for (name, config) in &plan.sources {
            let cx = SourceContext { name: name.as_str().into(), intake: parts.intake.clone(), clock: parts.clock.clone() };
            let source = config.build(cx).await.map_err(|text| HostError::Source { name: name.clone(), text })?;
            self.routes = std::mem::take(&mut self.routes).merge(source.routes);
            self.tasks.extend(source.task.map(|task| (name.clone(), task)));
        }
        let server = &plan.settings.server;
        let tls = server.tls.as_ref().map(|tls| TlsFiles::beside(plan.document.base(), tls));
        self.server = Some(Server::bind(server.listen, tls).await?.measured("public", parts.metrics.http.clone()));
        Ok(())
    }

    /// What other rooms may do with it.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Where the public server listens; `None` without one.
    pub fn addr(&self) -> Option<SocketAddr> {
        self.server.as_ref().map(Server::local_addr)
    }

    /// Adds routes to the public server.
    pub fn add_routes(&mut self, routes: Router) {
        self.routes = std::mem::take(&mut self.routes).merge(routes);
    }

    /// Adds something that runs beside the host.
    pub fn add_service(&mut self, service: Service) {
        self.services.push(service);
    }

    /// Lives until `stop` is cancelled, or until a source fails; then takes nothing in, finishes what is in flight within the config's
    /// `grace`, and leaves the rest in the outbox. `abort` ends it at once.
    pub async fn run(self, stop: CancellationToken, abort: CancellationToken) -> Result<(), HostError> {
        let (plan, sinks, Control(parts)) = (self.control.plan(), self.control.sinks(), self.control);
        let grace = plan.settings.server.grace.duration();
        parts.dispatcher.start().await?;
        let (mut running, mut sources) = (JoinSet::new(), JoinSet::new());
        let inner = CancellationToken::new();
        if let Some(server) = self.server {
            running.spawn(server.run(self.routes, inner.clone(), grace));
        }
        let (upgrader, stopped) = (sinks.upgrader.clone(), inner.clone());
        running.spawn(async move { upgrader.watch(stopped).await });
        let (looks, stopped) = (sinks.healthchecks(), inner.clone());
        running.spawn(async move { stopped.run_until_cancelled(look(looks)).await.unwrap_or_default() });
        for service in self.services {
            running.spawn(service(inner.clone()));
        }
        for (name, task) in self.tasks {
            let task = task(inner.clone());
            sources.spawn(async move { task.await.map_err(|text| HostError::Source { name, text }) });
        }
        let mut ended = Ok(());
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = abort.cancelled() => break,
                Some(source) = sources.join_next() => match source {
                    Ok(Ok(())) => {} // it has no more; the others go on
                    Ok(Err(failed)) => { ended = Err(failed); break }
                    Err(panicked) => { ended = Err(HostError::Start(format!("a source panicked: {panicked}"))); break }
                },
            }
        }
        let why = ended.as_ref().err().map_or_else(|| "it is stopping".to_owned(), |error| format!("it is stopping: {error}"));
        // Set here alone.
        let _ = parts.stopping.set(why);
        inner.cancel();
        let end = parts.end(running, sources, grace);
        tokio::select! {
            () = end => {}
            () = abort.cancelled() => {
                warn!("Stopping at once: what is in flight is tried again at the next start.");
                parts.dispatcher.abort().await;
            }
        }
        parts.outbox.close().await;
        if let Err(error) = &ended {
            error!(%error, "The host ends because of an error.");
        }
        ended
    }
}

/// Looks whether the receivers can be reached, one after the other, and tells the operator. Nothing waits for it: the outbox keeps what a
/// receiver cannot take yet.
async fn look(healthchecks: Vec<(ConnectorName, Healthcheck)>) {
    for (connector, check) in healthchecks {
        match check.await {
            Ok(()) => info!(%connector, "Receiver can be reached."),
            Err(reason) => warn!(%connector, code = reason.code, text = reason.text, "Receiver cannot be reached now; messages will wait."),
        }
    }
}

impl Parts {
    /// The stop in its order: sources and servers, the door, the lanes.
    async fn end(&self, mut running: JoinSet<()>, mut sources: JoinSet<Result<(), HostError>>, grace: Duration) {
        info!(grace_seconds = grace.as_secs(), "Stopping: taking nothing in, finishing what is in flight.");
        let door = async {
            let all = async {
                while sources.join_next().await.is_some() {}
                self.intake.close();
                self.intake.drained().await;
            };
            if tokio::time::timeout(grace, all).await.is_err() {
                warn!("Grace is over: a source did not end.");
                self.intake.close();
            }
        };
        let servers = async { while running.join_next().await.is_some() {} };
        let ((), _, ()) = tokio::join!(door, self.dispatcher.stop(grace), servers);
        info!("Stopped.");
    }
}
