//! A connector as the end of another program's pipeline: the program keeps its events until they are acknowledged.
//!
//! ```text
//! DINGTALK_PLUGIN=target/plugins/dingtalk.wasm DINGTALK_URL='https://oapi.dingtalk.com/robot/send?access_token=…' DINGTALK_SECRET=SEC… \
//!     cargo run --example pipe
//! ```

use std::error::Error;
use std::time::Duration;

use futures_util::{SinkExt, stream};
use incident_sink::embed::{Clock, Event, EventStatus, Kind, PipeOptions, SinkContext, SinkPipe, Tracked, plugin_connector};
use jiff::Timestamp;
use serde_json::json;
use tower::{Service, ServiceExt};

/// Delivers events in each of the three forms. Answers how many were acknowledged as delivered.
pub(crate) async fn run(component: Vec<u8>, url: String, secret: String) -> Result<usize, Box<dyn Error + Send + Sync>> {
    let table = json!({"url": url, "secret": secret, "timezone": "Asia/Shanghai"});
    let cx = SinkContext { connector: "ops".into(), clock: Clock::system() };
    // Compiling takes a moment that belongs to no executor's thread.
    let (sink, healthcheck) = tokio::task::spawn_blocking(move || plugin_connector(&component, &table, &cx)).await??;
    if let Err(reason) = healthcheck.await {
        eprintln!("The receiver cannot be reached now; messages will wait: {}", reason.text);
    }
    let pipe = SinkPipe::new(sink, PipeOptions { name: "ops".into(), ..PipeOptions::default() });
    let event = |n: u32| Event::new(format!("disk-{n}"), Kind::Created, format!("Disk of db-{n} is full"), Timestamp::now());

    // A stream of events with finalizers, as Vector has them: acknowledged one by one.
    let (acknowledge, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
    let tracked = (1..=3).map(|n| {
        let acknowledge = acknowledge.clone();
        Tracked::new(event(n), move |status| drop(acknowledge.send(status)))
    });
    pipe.run(stream::iter(tracked)).await;
    drop(acknowledge);
    let mut delivered = 0;
    while let Some(status) = acknowledged.recv().await {
        delivered += usize::from(matches!(status, EventStatus::Delivered(_)));
    }

    // A tower service: the answer is the event's end. Layers (timeouts, concurrency limits, tracing) fit around it.
    let mut service = pipe.clone();
    service.ready().await?.call(event(4)).await?;

    // A futures sink: a flush waits until everything is delivered.
    let mut sink = pipe.clone().into_sink();
    sink.send_all(&mut stream::iter([Ok(event(5)), Ok(event(6))])).await?;

    pipe.close(Duration::from_secs(10)).await;
    Ok(delivered + 3)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let component = std::fs::read(std::env::var("DINGTALK_PLUGIN")?)?;
    let delivered = run(component, std::env::var("DINGTALK_URL")?, std::env::var("DINGTALK_SECRET")?).await?;
    println!("{delivered} events were delivered.");
    Ok(())
}
