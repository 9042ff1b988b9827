//! Posts the events to the configured webhook, one at a time and in order, as iLert's alert action does.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::desk::{Desk, Posted};

/// Events that may wait.
pub(super) const QUEUE: usize = 4096;
/// For an answer; iLert documents none.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// Runs until stopped. iLert documents no retry, so there is none: what fails is written down and gone.
pub(super) async fn run(desk: Arc<Desk>, client: reqwest::Client, mut queue: mpsc::Receiver<Value>, stop: CancellationToken) {
    loop {
        let next = async {
            let event = queue.recv().await?;
            Some(post(&desk, &client, event).await)
        };
        let posted = tokio::select! {
            () = stop.cancelled() => return,
            posted = next => posted,
        };
        match posted {
            Some(posted) => desk.posted(posted),
            None => return,
        }
    }
}

async fn post(desk: &Desk, client: &reqwest::Client, event: Value) -> Posted {
    let Some(url) = desk.webhook() else {
        return Posted { event, status: None, error: Some("no webhook is configured".into()) };
    };
    let request = client.post(url.expose()).header("content-type", "application/json").header("user-agent", "ilert");
    match request.body(event.to_string()).send().await {
        Ok(response) => Posted { event, status: Some(response.status().as_u16()), error: None },
        // The URL may hold a password.
        Err(error) => Posted { event, status: None, error: Some(error.without_url().to_string()) },
    }
}
