//! `run`: the host, until it is told to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{ConfigArg, Failure, setup};
use crate::config::LogFormat;
use crate::host::{Control, Host, Options, Service, watch_config};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Runs only this source of the config; may be given several times. `stdin` reads events from standard input, one JSON object a line,
    /// whether the config has such a source or not; at its end the host delivers what waits, and ends.
    #[arg(long = "source", value_name = "NAME")]
    sources: Vec<String>,
    /// How log lines look, in place of the config's `log.format`.
    #[arg(long, value_enum, value_name = "FORMAT")]
    log_format: Option<Format>,
    /// Reads the config anew only when it is told to, not when its file changes.
    #[arg(long)]
    no_watch: bool,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl From<Format> for LogFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => LogFormat::Text,
            Format::Json => LogFormat::Json,
        }
    }
}

/// Runs the host.
pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let mut plan = setup::plan(&args.config.config)?;
    plan.keep_sources(&args.sources).map_err(Failure::Config)?;
    let logs = setup::logs(&plan, args.log_format.map(Into::into))?;
    setup::runtime()?.block_on(async {
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        listen_for_signals(stop.clone(), abort.clone())?;
        let mut host = Host::build(plan, Options { logs: Some(logs), only_sources: args.sources.clone(), ..Options::default() }).await?;
        let admin = crate::console::serve(host.control()).await?;
        host.add_service(admin);
        if !args.no_watch {
            host.add_service(watch_config(host.control()));
        }
        host.add_service(reload_on_hangup(host.control())?);
        if let Some(addr) = host.addr().filter(|_| host.is_late()) {
            info!(%addr, "Listening; events are refused until the outbox can be opened.");
        } else if let Some(addr) = host.addr() {
            info!(%addr, connectors = host.control().plan().connectors.len(), "Ready.");
        }
        Ok(host.run(stop, abort).await?)
    })
}

/// The first SIGTERM or Ctrl-C stops gracefully, the second at once.
pub(super) fn listen_for_signals(stop: CancellationToken, abort: CancellationToken) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Failed(format!("cannot listen for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    // Lives as long as the runtime: there is always one more signal that may come.
    tokio::spawn(async move {
        for token in [stop, abort] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            token.cancel();
        }
    });
    Ok(())
}

/// SIGHUP reads the config anew.
fn reload_on_hangup(control: Control) -> Result<Service, Failure> {
    let failed = |error: std::io::Error| Failure::Failed(format!("cannot listen for signals: {error}"));
    let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
    Ok(Box::new(move |stop: CancellationToken| {
        Box::pin(async move {
            while stop.run_until_cancelled(hangup.recv()).await.is_some() {
                // What came of it is told there, whatever it is.
                let _ = stop.run_until_cancelled(control.reload("signal")).await;
            }
        })
    }))
}
