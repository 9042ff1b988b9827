//! A source and a sink of the program's own: registered by their types, named in a config, run by the host.
//!
//! ```text
//! cargo run --example own_types && cat incidents.txt
//! ```

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use incident_sink::embed::{
    Attempt, Document, Draft, Event, Format, Healthcheck, Host, IncidentSink, Item, Kind, MessageContext, Options, Outcome, Plan, Prepared,
    Profile, Reason, SinkConfig, SinkContext, Source, SourceConfig, SourceContext, SourceScope,
};
use jiff::Timestamp;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

/// `type = "disks"`: one event for each full disk, and then it has no more.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DisksConfig {
    full: Vec<String>,
}

#[async_trait]
#[typetag::deserialize(name = "disks")]
impl SourceConfig for DisksConfig {
    fn validate(&self, _scope: SourceScope) -> Result<(), String> {
        if self.full.is_empty() { Err("`full` must name at least one disk".to_owned()) } else { Ok(()) }
    }

    fn ends(&self) -> bool {
        true
    }

    async fn build(&self, cx: SourceContext) -> Result<Source, String> {
        let disks = self.full.clone();
        let events =
            move || disks.into_iter().map(|disk| Ok(Event::new(disk.clone(), Kind::Created, format!("{disk} is full"), Timestamp::now())));
        let task = move |_stop: CancellationToken| -> futures_util::future::BoxFuture<'static, Result<(), String>> {
            Box::pin(async move {
                let report = cx.intake.accept(&cx.name, events().collect()).await.map_err(|error| error.to_string())?;
                println!("{} events are on disk.", report.accepted);
                Ok(())
            })
        };
        Ok(Source { routes: axum::Router::new(), task: Some(Box::new(task)) })
    }
}

/// `type = "text_file"`: a line an incident.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TextFileConfig {
    path: PathBuf,
}

struct TextFile(PathBuf);

#[async_trait]
#[typetag::deserialize(name = "text_file")]
impl SinkConfig for TextFileConfig {
    fn validate(&self) -> Result<(), String> {
        if self.path.file_name().is_some() { Ok(()) } else { Err("`path` must name a file".to_owned()) }
    }

    async fn build(&self, _cx: SinkContext) -> Result<(Box<dyn IncidentSink>, Healthcheck), Reason> {
        let path = self.path.clone();
        let look = async move { std::fs::File::options().append(true).create(true).open(path).map(drop).map_err(unwritable) };
        Ok((Box::new(TextFile(self.path.clone())), Box::pin(look)))
    }
}

#[async_trait]
impl IncidentSink for TextFile {
    fn profile(&self) -> Profile {
        Profile { pace: None, max_batch: 1 }
    }

    fn prepare(&self, batch: &[Item], _cx: &MessageContext) -> Result<Prepared, Reason> {
        let lines: String = batch.iter().map(|item| format!("{} {}\n", item.event.kind.as_str(), item.event.summary)).collect();
        Ok(Prepared { draft: Draft { prepared: lines.into_bytes(), author: "native".into() }, covers: batch.len() })
    }

    fn can_attempt(&self, _draft: &Draft) -> bool {
        true
    }

    async fn attempt(&self, draft: &Draft, _cx: &MessageContext) -> Attempt {
        let written = std::fs::File::options().append(true).create(true).open(&self.0).and_then(|mut file| file.write_all(&draft.prepared));
        Attempt::Done(match written {
            Ok(()) => Outcome::Delivered { receipt: None, memo: None },
            // A line may have been written in part: nobody knows.
            Err(error) => Outcome::Unknown { reason: unwritable(error) },
        })
    }
}

fn unwritable(error: std::io::Error) -> Reason {
    Reason { code: "file".into(), text: error.to_string(), advice: "Make the file writable.".into() }
}

/// Lives until the source has ended and everything is delivered.
pub(crate) async fn run(folder: &Path, file: &Path) -> Result<(), Box<dyn Error>> {
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[sources.disks]\ntype = \"disks\"\nfull = [\"db-1\", \"db-2\"]\n\
         [connectors.notes]\ntype = \"text_file\"\npath = {file:?}\n[[actions]]\nconnector = \"notes\"\n"
    );
    let document = Document::parse(&config, Format::Toml, "the built-in config", folder, &|_| None)?;
    let host = Host::build(Plan::read(document)?, Options::default()).await?;
    host.run(CancellationToken::new(), CancellationToken::new()).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&std::env::current_dir()?, Path::new("incidents.txt")).await
}
