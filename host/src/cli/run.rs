//! `run`: the host, until it is told to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{ConfigArg, Failure, setup};
use crate::host::{Host, Options};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigArg,
}

/// Runs the host.
pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let plan = setup::plan(&args.config.config)?;
    setup::logs(&plan)?;
    setup::runtime()?.block_on(async {
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        listen_for_signals(stop.clone(), abort.clone())?;
        let mut host = Host::build(plan, Options::default()).await?;
        let admin = crate::console::serve(host.control()).await?;
        host.add_service(admin);
        if let Some(addr) = host.addr() {
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
