//! A host that runs: its tasks, what it does to take up a changed config, and its stop.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::reload::{Changes, Fixed, ReloadError, Reloaded, Request, Stage};
use super::{Built, Control, HostError, Late, Plan, Setup, respond};
use crate::config::Document;
use crate::delivery::Healthcheck;
use crate::delivery::links::Links;
use crate::delivery::listener::Listeners;
use crate::outbox::ConnectorName;
use crate::respond::Responder;
use crate::route::Routes;
use crate::server::TlsSlot;
use crate::source::Source;
use crate::telemetry::Logs;

/// How long a source that is to be replaced may take to end.
const LEAVE: Duration = Duration::from_secs(20);

/// A host that runs.
pub(super) struct Live {
    control: Control,
    fixed: Fixed,
    extra: Router,
    /// What the public server answers; `None` without one.
    public: Option<Public>,
    sources: BTreeMap<String, Part>,
    /// Of the sources, and of an outbox that is opened late: what fails there ends the host.
    source_tasks: JoinSet<Result<(), HostError>>,
    responder: Option<Part>,
    listeners: Listeners,
    tasks: JoinSet<()>,
    /// Cancelled when nothing more may be taken in.
    inner: CancellationToken,
    links: Option<Arc<dyn Links>>,
    logs: Option<Logs>,
    /// Of the config's sources only these; all of them where none is named.
    only_sources: Vec<String>,
}

/// The public server, as far as it changes.
struct Public {
    routes: Arc<ArcSwap<Router>>,
    tls: TlsSlot,
}

/// Something that can be replaced while the others go on.
struct Part {
    routes: Router,
    stop: CancellationToken,
    /// Cancelled when its task has ended.
    ended: CancellationToken,
}

impl Live {
    /// Starts everything that was built.
    pub(super) fn start(control: Control, built: Built) -> (Live, mpsc::Receiver<Request>) {
        let Built { server, extra, sources, responder, listeners, services, requests, late, links, logs, only_sources, exporter: _ } =
            built;
        let (fixed, inner, sinks) = (Fixed::of(&control.plan()), CancellationToken::new(), control.sinks());
        let routes = Arc::new(ArcSwap::from_pointee(Router::new()));
        let public = server.as_ref().map(|server| Public { routes: Arc::clone(&routes), tls: server.tls() });
        let (source_tasks, tasks) = (JoinSet::new(), JoinSet::new());
        let (sources_built, responder_built) = (sources, responder);
        let (sources, responder) = (BTreeMap::new(), None);
        let mut live =
            Live { control, fixed, extra, public, sources, source_tasks, responder, listeners, tasks, inner, links, logs, only_sources };
        for (name, source) in sources_built {
            live.start_source(name, source);
        }
        let opening = late.map(|late| live.open_late(late));
        live.responder = responder_built.map(|responder| live.start_responder(responder, opening));
        if let Some(public) = &live.public {
            public.routes.store(Arc::new(live.routes()));
        }
        if let Some(server) = server {
            let plan = live.control.clone();
            let grace = move || plan.plan().settings.server.grace.duration();
            live.tasks.spawn(server.run_live(routes, live.inner.clone(), grace));
        }
        let (upgrader, stopped) = (sinks.upgrader.clone(), live.inner.clone());
        live.tasks.spawn(async move { upgrader.watch(stopped).await });
        live.look(sinks.healthchecks());
        for service in services {
            live.tasks.spawn(service(live.inner.clone()));
        }
        (live, requests)
    }

    /// Lives until it is to stop, until a source fails, or until all have ended by themselves and everything is delivered; then stops in order.
    pub(super) async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        stop: &CancellationToken,
        abort: &CancellationToken,
    ) -> Result<(), HostError> {
        let mut ended = Ok(());
        let dispatcher = self.control.0.dispatcher.clone();
        loop {
            let exhausted = self.is_exhausted();
            tokio::select! {
                () = stop.cancelled() => break,
                () = abort.cancelled() => break,
                () = dispatcher.drained(), if exhausted => break,
                Some(source) = self.source_tasks.join_next() => match source {
                    Ok(Ok(())) => {} // it has no more; the others go on
                    Ok(Err(failed)) => { ended = Err(failed); break }
                    Err(panicked) => { ended = Err(HostError::Start(format!("a source panicked: {panicked}"))); break }
                },
                Some(Request { by, answer }) = requests.recv() => {
                    let result = tokio::select! {
                        result = self.reload() => result,
                        () = stop.cancelled() => Err(ReloadError::NotRunning),
                        () = abort.cancelled() => Err(ReloadError::NotRunning),
                    };
                    self.control.note(by, &result);
                    // Whoever asked may have gone.
                    let _ = answer.send(result);
                }
            }
        }
        let why = ended.as_ref().err().map_or_else(|| "it is stopping".to_owned(), |error| format!("it is stopping: {error}"));
        // Set here alone.
        let _ = self.control.0.stopping.set(why);
        requests.close();
        self.inner.cancel();
        tokio::select! {
            () = self.end() => {}
            () = abort.cancelled() => {
                warn!("Stopping at once: what is in flight is tried again at the next start.");
                dispatcher.abort().await;
            }
        }
        ended
    }

    /// Whether no source will ever bring anything again.
    fn is_exhausted(&self) -> bool {
        !self.sources.is_empty() && self.source_tasks.is_empty() && self.control.plan().sources.values().all(|source| source.ends())
    }

    /// The stop in its order: sources and servers, the door, the lanes.
    async fn end(mut self) {
        let (parts, grace) = (&self.control.0, self.control.plan().settings.server.grace.duration());
        info!(grace_seconds = grace.as_secs(), "Stopping: taking nothing in, finishing what is in flight.");
        let door = async {
            let all = async {
                while self.source_tasks.join_next().await.is_some() {}
                parts.intake.close();
                parts.intake.drained().await;
            };
            if tokio::time::timeout(grace, all).await.is_err() {
                warn!("Grace is over: a source did not end.");
                parts.intake.close();
            }
        };
        let servers = async { while self.tasks.join_next().await.is_some() {} };
        let ((), _, ()) = tokio::join!(door, parts.dispatcher.stop(grace), servers);
        info!("Stopped.");
    }

    /// Reads the config's file anew and puts to use what changed.
    async fn reload(&mut self) -> Result<Reloaded, ReloadError> {
        let old = self.control.plan();
        let path = old.document.path().ok_or(ReloadError::NoFile)?.to_owned();
        let read = tokio::task::spawn_blocking(move || Document::load(&path));
        let document = read.await.map_err(|error| ReloadError::Broken(error.to_string()))?.map_err(ReloadError::Config)?;
        // Before anything is said about it.
        if let Some(logs) = &self.logs {
            logs.redactor.add(document.secrets());
        }
        let mut plan = Plan::read(document).map_err(ReloadError::Config)?;
        plan.keep_sources(&self.only_sources).map_err(ReloadError::Build)?;
        let changes = Changes::between(&old, &plan, &self.fixed);
        if let Some(Public { tls, .. }) = &self.public {
            // A certificate whose files are the same may have been renewed.
            tls.renew().map_err(|error| ReloadError::Build(error.to_string()))?;
        }
        if changes.is_empty() {
            return Ok(changes.report(Vec::new()));
        }
        let stage =
            AssertUnwindSafe(Stage::build(&self.control, plan, &changes, self.public.is_some(), self.logs.as_ref())).catch_unwind().await;
        let stage = stage.map_err(|_| ReloadError::Broken("building it panicked".to_owned()))??;
        self.take_up(&old, stage, changes).await
    }

    /// Puts to use what was built. Where a plugin is refused at the last moment, everything stays as it was.
    async fn take_up(&mut self, old: &Plan, stage: Stage, changes: Changes) -> Result<Reloaded, ReloadError> {
        let Stage { plan, sinks, sources, links, tls, exporter } = stage;
        let responder = match &links {
            Some(maker) if self.public.is_some() => respond::responder(&self.control, &plan, maker.clone(), self.listeners.clone())?,
            _ => None,
        };
        if !changes.plugins.is_empty() {
            self.swap_plugins(old, &plan, &sinks).await?;
        } else {
            sinks.upgrader.set_sinks(sinks.of_plugins());
        }
        let maker = match &links {
            Some(maker) => respond::who_links(self.links.as_ref(), maker.as_ref()),
            None => sinks.factory.links(),
        };
        sinks.factory.set(&plan.plugins, maker);
        let warnings = plan.warnings.iter().chain(&sinks.warnings).map(ToString::to_string).collect();
        self.control.0.setup.store(Arc::new(Setup { plan: Arc::clone(&plan), sinks: Arc::clone(&sinks) }));
        // Connectors first: an event that is routed to a new one must find it.
        let changed: Vec<ConnectorName> = changes.connectors.names().map(Into::into).collect();
        self.control.0.dispatcher.replace(sinks.for_lanes(), &changed).await;
        self.control.0.routes.store(Arc::new(Routes::new(plan.actions.clone())));
        let gone: Vec<ConnectorName> = changes.connectors.removed.iter().map(|name| name.as_str().into()).collect();
        gone.iter().for_each(|name| self.control.0.metrics.delivery.forget(name));
        self.listeners.set(respond::listening(&sinks.connectors));
        if links.is_some() {
            let before = self.responder.take();
            before.iter().for_each(|before| before.stop.cancel());
            self.responder = responder.map(|responder| self.start_responder(responder, before));
        }
        for name in changes.sources.removed.iter().chain(&changes.sources.changed) {
            self.end_source(name).await;
        }
        for (name, source) in sources {
            self.start_source(name, source);
        }
        if let Some(public) = &self.public {
            public.routes.store(Arc::new(self.routes()));
            tls.into_iter().for_each(|tls| public.tls.set(tls));
        }
        if let Some(exporter) = exporter {
            self.control.0.dispatcher.traces().set(exporter);
        }
        if let Some(Err(error)) = self.logs.as_ref().map(|logs| logs.control.apply(&plan.settings.log)) {
            warn!(%error, "The log level stays as it is.");
        }
        let is_new = |name: &str| changes.connectors.added.iter().chain(&changes.connectors.changed).any(|new| new == name);
        self.look(sinks.healthchecks_of(is_new));
        Ok(changes.report(warnings))
    }

    async fn swap_plugins(&self, old: &Plan, plan: &Plan, sinks: &super::Sinks) -> Result<(), ReloadError> {
        sinks.upgrader.set_sinks(sinks.of_plugins());
        let Err(errors) = sinks.upgrader.reload(plan.plugins.clone()).await else { return Ok(()) };
        sinks.upgrader.set_sinks(self.control.sinks().of_plugins());
        if let Err(back) = sinks.upgrader.reload(old.plugins.clone()).await {
            for (plugin, error) in back {
                warn!(plugin, %error, "A plugin could not be put back as the config in use has it.");
            }
        }
        Err(errors.into())
    }

    /// Everything that the public server answers.
    fn routes(&self) -> Router {
        let parts = self.sources.values().chain(&self.responder);
        parts.fold(self.extra.clone(), |routes, part| routes.merge(part.routes.clone()))
    }

    fn start_source(&mut self, name: String, source: Source) {
        let part = Part { routes: source.routes, stop: self.inner.child_token(), ended: CancellationToken::new() };
        match source.task {
            Some(task) => {
                let (task, ended, name) = (task(part.stop.clone()), part.ended.clone(), name.clone());
                self.source_tasks.spawn(async move {
                    let _ended = ended.drop_guard();
                    task.await.map_err(|text| HostError::Source { name, text })
                });
            }
            None => part.ended.cancel(),
        }
        self.sources.insert(name, part);
    }

    /// Opens the outbox when it can be. The host ends where that turns out to be impossible.
    fn open_late(&mut self, late: Late) -> Part {
        let part = Part { routes: Router::new(), stop: self.inner.child_token(), ended: CancellationToken::new() };
        let (control, stop, ended) = (self.control.clone(), part.stop.clone(), part.ended.clone());
        self.source_tasks.spawn(async move {
            let _ended = ended.drop_guard();
            late.wait(control, stop).await
        });
        part
    }

    /// Lets a source take in what it has begun.
    async fn end_source(&mut self, name: &str) {
        let Some(part) = self.sources.remove(name) else { return };
        part.stop.cancel();
        if tokio::time::timeout(LEAVE, part.ended.cancelled()).await.is_err() {
            warn!(source = name, "A source that the config no longer has does not end.");
        }
    }

    /// Starts a responder, once the one before has brought its work to an end.
    fn start_responder(&mut self, responder: Responder, before: Option<Part>) -> Part {
        let part = Part { routes: responder.routes(), stop: self.inner.child_token(), ended: CancellationToken::new() };
        let (stop, ended) = (part.stop.clone(), part.ended.clone());
        self.tasks.spawn(async move {
            let _ended = ended.drop_guard();
            if let Some(before) = before {
                before.ended.cancelled().await;
            }
            responder.run(stop).await;
        });
        part
    }

    /// Looks whether receivers can be reached, beside everything else.
    fn look(&mut self, healthchecks: Vec<(ConnectorName, Healthcheck)>) {
        let stopped = self.inner.clone();
        self.tasks.spawn(async move { stopped.run_until_cancelled(look(healthchecks)).await.unwrap_or_default() });
        // Those that have ended are not kept.
        while self.tasks.try_join_next().is_some() {}
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
