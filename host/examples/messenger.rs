//! A plugin alone: it writes, signs and reads answers; this program does the HTTP, and keeps to the pace.
//!
//! ```text
//! DINGTALK_PLUGIN=target/plugins/dingtalk.wasm DINGTALK_URL='https://oapi.dingtalk.com/robot/send?access_token=…' DINGTALK_SECRET=SEC… \
//!     cargo run --example messenger
//! ```

use std::error::Error;
use std::sync::Arc;

use incident_sink::embed::{Begun, Clock, Event, Item, Kind, MessageContext, Messenger, Outcome, Reason, Step};
use jiff::Timestamp;
use serde_json::json;

/// Sends one message.
pub(crate) async fn run(component: Vec<u8>, url: String, secret: String) -> Result<Outcome, Box<dyn Error + Send + Sync>> {
    let table = json!({"url": url, "secret": secret, "timezone": "Asia/Shanghai"});
    let messenger = tokio::task::spawn_blocking(move || Messenger::new(&component, &table, "ops")).await??;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;

    let event = Event::new("disk-7", Kind::Created, "Disk of db-1 is full", Timestamp::now());
    let events = [Item { event: Arc::new(event), folded: 0 }];
    // The key is the message's, for every attempt of it; the memo is what the last delivered message asked to be kept.
    let cx = MessageContext { now: Clock::system().now(), attempt: 1, key: "0123456789abcdef".into(), memo: None, waiting: 0 };

    let Begun { mut step, .. } = messenger.begin(&events, &cx).map_err(fault)?;
    loop {
        let (request, continuation) = match step {
            Step::Send(signed, continuation) => (signed.into_request(), continuation),
            Step::Done(outcome) => return Ok(outcome),
        };
        let answer = client.execute(request.try_into()?).await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut whole = http::Response::new(answer.bytes().await?.to_vec());
        *whole.status_mut() = status;
        *whole.headers_mut() = headers;
        step = messenger.resume(continuation, whole, &cx).map_err(fault)?;
    }
}

fn fault(reason: Reason) -> String {
    format!("the plugin failed: {} ({})", reason.text, reason.code)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    incident_sink::embed::install_crypto();
    let component = std::fs::read(std::env::var("DINGTALK_PLUGIN")?)?;
    let outcome = run(component, std::env::var("DINGTALK_URL")?, std::env::var("DINGTALK_SECRET")?).await?;
    println!("{outcome:?}");
    Ok(())
}
