//! `top`: the lanes of the running host, live in the terminal.

mod fetch;
mod lane;
mod terminal;
mod view;

use std::io::IsTerminal;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::client::Store;
use super::paint::Paint;
use super::{ConfigArg, Failure, output, setup};
use crate::config::Span;
use fetch::Seen;
use terminal::{Key, Terminal};
use view::View;

/// Arguments of `top`.
#[derive(Debug, clap::Args)]
pub(super) struct TopArgs {
    /// How often to look: 200ms to 1m.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    interval: Span,
    /// Shows the lanes once and ends; also where standard output is no terminal.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    config: ConfigArg,
}

fn interval(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error: crate::config::SpanError| error.to_string())?;
    span.within(Span::from_millis(200), Span::from_secs(60))?;
    Ok(span)
}

/// Shows the lanes.
pub(super) fn top(args: &TopArgs) -> Result<(), Failure> {
    let plan = setup::plan(&args.config.config)?;
    setup::quiet_logs(&plan)?;
    setup::runtime()?.block_on(async {
        let store = Store::of_running_host(&plan).await?;
        if args.once || !std::io::stdout().is_terminal() {
            let seen = fetch::look(&store).await?;
            let lines = View::new(store.origin()).draw(&seen, (80, u16::MAX), Paint::of(&std::io::stdout()));
            return output::say(lines.join("\n").trim_end());
        }
        live(&store, args.interval.duration()).await
    })
}

/// Draws until somebody has seen enough.
async fn live(store: &Store, interval: Duration) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Failed(format!("the terminal cannot be used: {error}"));
    let mut resized = signal(SignalKind::window_change()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let (mut terminal, mut keys) = Terminal::open().map_err(failed)?;
    let (mut view, mut seen) = (View::new(store.origin()), Seen::default());
    let mut tick = tokio::time::interval(interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => match fetch::look(store).await {
                Ok(new) => seen = new,
                Err(Failure::Failed(text) | Failure::Config(text)) => seen.trouble = text.lines().next().map(str::to_owned),
            },
            key = keys.recv() => match key {
                None | Some(Key::Quit) => return Ok(()),
                Some(key) => view.press(key, seen.lanes.len()),
            },
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = resized.recv() => {}
        }
        let size = terminal.size();
        terminal.show(&view.draw(&seen, size, Paint::of(&std::io::stdout()))).map_err(failed)?;
    }
}
