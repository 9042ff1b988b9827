//! `preview`: the exact message of an event, and nothing sent.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::{ConfigArg, Failure, output, setup};
use crate::clock::Clock;
use crate::delivery::links::{Links, OpenLinks};
use crate::delivery::preview::{Plan as Planned, Preview};
use crate::delivery::{Item, MessageContext};
use crate::event::Event;
use crate::event::body::{self, MAX_EVENT};
use crate::event::ilert::{self, EdgeHeaders};
use crate::host::Sinks;
use crate::respond::ShownLinks;
use crate::route::Routes;

/// Arguments of `preview`.
#[derive(Debug, clap::Args)]
pub(super) struct PreviewArgs {
    /// The connector; without it every one that the event is routed to, or the only one.
    #[arg(long, value_name = "NAME")]
    connector: Option<String>,
    /// Prints JSON only.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArg,
    /// A file with an event as iLert sends it; several events in it make a digest.
    event: PathBuf,
}

/// Shows a message.
pub(super) fn preview(args: &PreviewArgs) -> Result<(), Failure> {
    let plan = setup::plan(&args.config.config)?;
    setup::quiet_logs(&plan)?;
    let events = read_events(&args.event)?;
    let names = match &args.connector {
        Some(name) => vec![setup::the_connector(&plan, Some(name))?],
        None => routed(&plan, &events)?,
    };
    let clock = Clock::system();
    let links: Arc<dyn Links> = match ShownLinks::new(&plan.settings) {
        Some(links) => Arc::new(links),
        None => Arc::new(OpenLinks),
    };
    let sinks = setup::runtime()?.block_on(Sinks::build(&plan, &clock, links))?;
    let batch: Vec<Item> = events.into_iter().map(|event| Item { event: event.into(), folded: 0 }).collect();
    for name in names {
        let built = sinks.connectors.get(name.as_str()).and_then(|built| built.plugin.as_ref());
        let sink = built.ok_or_else(|| Failure::Failed(format!("connector `{name}` has no plugin, and so no preview")))?;
        let cx = MessageContext { now: clock.now(), attempt: 1, key: "preview".to_owned(), memo: None, waiting: 0 };
        let preview = sink.preview(&batch, &cx).map_err(|reason| Failure::Failed(format!("connector `{name}`: {}", reason.text)))?;
        if args.json { output::say_json(&preview)? } else { show(&name, &preview)? }
    }
    Ok(())
}

fn read_events(file: &PathBuf) -> Result<Vec<Event>, Failure> {
    let failed = |text: String| Failure::Config(format!("{}: {text}", file.display()));
    let bytes = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
    let items = body::split(&bytes, None, MAX_EVENT).map_err(|error| failed(error.to_string()))?;
    let mut events = Vec::with_capacity(items.len());
    for item in items {
        let value = item.value.map_err(|error| failed(error.to_string()))?;
        events.push(ilert::parse(&value, &EdgeHeaders::default(), Timestamp::now()).map_err(|error| failed(error.to_string()))?);
    }
    Ok(events)
}

/// Where the first event goes; the only connector where no action is written yet.
fn routed(plan: &crate::host::Plan, events: &[Event]) -> Result<Vec<String>, Failure> {
    let routes = Routes::new(plan.actions.clone());
    let names: Vec<String> =
        events.first().map(|event| routes.connectors_for(event)).unwrap_or_default().iter().map(ToString::to_string).collect();
    if !names.is_empty() {
        return Ok(names);
    }
    if plan.actions.is_empty() {
        return Ok(vec![setup::the_connector(plan, None)?]);
    }
    let why: Vec<String> = events
        .first()
        .map(|event| routes.explain(event))
        .unwrap_or_default()
        .iter()
        .map(|line| format!("action `{}`: {}", line.action, line.reasons.join("; ")))
        .collect();
    Err(Failure::Failed(format!("no action sends this event anywhere; name a connector with --connector\n{}", why.join("\n"))))
}

fn show(name: &str, preview: &Preview) -> Result<(), Failure> {
    output::say(&format!("connector `{name}` ({} {}), {} event(s)\n", preview.plugin, preview.version, preview.covers))?;
    match &preview.plan {
        Planned::Decided(decided) => output::say(&format!("nothing would be sent: {decided:?}")),
        Planned::Request(request) => {
            #[cfg(feature = "simulator")]
            if let Some(card) = crate::simulator::draw_body(request.body.as_bytes(), name, output::colour()) {
                output::say(&card)?;
            }
            output::say(&format!("{} {}", request.method, request.url))?;
            for (header, value) in &request.headers {
                output::say(&format!("{header}: {value}"))?;
            }
            let pretty = serde_json::from_str::<serde_json::Value>(&request.body).and_then(|body| serde_json::to_string_pretty(&body));
            output::say(&format!("\n{}\n\n{} bytes; nothing was sent", pretty.unwrap_or_else(|_| request.body.clone()), request.body_bytes))
        }
    }
}
