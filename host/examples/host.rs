//! A host inside another program: what is submitted is on disk, and will be delivered, whatever happens to the program.
//!
//! ```text
//! DINGTALK_PLUGIN=target/plugins/dingtalk.wasm DINGTALK_URL='https://oapi.dingtalk.com/robot/send?access_token=…' DINGTALK_SECRET=SEC… \
//!     cargo run --example host
//! ```

use std::error::Error;
use std::path::Path;

use incident_sink::embed::{Document, Event, Format, Host, Kind, Options, Plan, Priority};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

const CONFIG: &str = r#"
    [outbox]
    type = "sqlite"
    path = "incident-sink.db"            # beside `folder`

    [plugins.dingtalk]
    path = { env = "DINGTALK_PLUGIN" }

    [connectors.ops]
    type = "dingtalk"
    url = { env = "DINGTALK_URL" }
    secret = { env = "DINGTALK_SECRET" }

    [[actions]]
    connector = "ops"
"#;

/// Delivers two events; relative paths of the config begin at `folder`.
pub(crate) async fn run(folder: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<(), Box<dyn Error>> {
    let document = Document::parse(CONFIG, Format::Toml, "the built-in config", folder, env)?;
    // Without sources there is no server either: events come from this program alone.
    let host = Host::build(Plan::read(document)?, Options { without_sources: true, ..Options::default() }).await?;
    let door = host.control();
    let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
    let running = tokio::spawn(host.run(stop.clone(), abort));

    let mut event = Event::new("disk-7", Kind::Created, "Disk of db-1 is full", Timestamp::now());
    event.priority = Some(Priority::High);
    door.submit(event.clone()).await?; // it is on disk now
    door.submit(event).await?; // the same one again does no harm
    door.submit(Event::new("disk-7", Kind::Resolved, "Disk of db-1 is full", Timestamp::now())).await?;

    door.drained().await;
    stop.cancel();
    running.await??;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&std::env::current_dir()?, &|name| std::env::var(name).ok()).await
}
