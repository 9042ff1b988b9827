//! Events on standard input, one JSON object a line.
//!
//! A thread reads, so that a terminal that nobody types into cannot hold up the end of the process; a bounded channel hands the lines to the
//! task that takes them in. While the outbox is unavailable the task waits, and with it whoever writes.

use std::io::{self, BufRead};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::read::{read_items, unreadable};
use super::{Source, SourceConfig, SourceContext, SourceScope};
use crate::event::Event;
use crate::event::body::{self, BodyError, ItemError, MAX_EVENT};
use crate::event::ilert::EdgeHeaders;
use crate::intake::Report;
use crate::outbox::Unreadable;

/// Lines that wait between the thread and the task.
const MAX_LINES: usize = 256;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// `[sources.NAME]` with `type = "ndjson"`: reads standard input to its end.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NdjsonConfig {}

#[async_trait]
#[typetag::deserialize(name = "ndjson")]
impl SourceConfig for NdjsonConfig {
    fn validate(&self, _scope: SourceScope) -> Result<(), String> {
        Ok(())
    }

    fn ends(&self) -> bool {
        true
    }

    async fn build(&self, cx: SourceContext) -> Result<Source, String> {
        let task = move |stop| -> futures_util::future::BoxFuture<'static, Result<(), String>> {
            Box::pin(async move { take_in(cx, io::BufReader::new(io::stdin()), stop).await.map(|_| ()) })
        };
        Ok(Source { routes: Router::new(), task: Some(Box::new(task)) })
    }
}

/// How much was taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Events written down.
    pub accepted: usize,
    /// Events seen before.
    pub duplicates: usize,
    /// Lines that could not be read; they are kept as dead letters.
    pub rejected: usize,
}

/// Takes in every line, until the end or until `stop`; lines that were read before that are taken in still. An error tells what was not.
pub async fn take_in(cx: SourceContext, reader: impl BufRead + Send + 'static, stop: CancellationToken) -> Result<Totals, String> {
    let mut lines = spawn_reader(reader);
    let mut totals = Totals::default();
    let (mut number, mut closed) = (0, false);
    loop {
        let mut batch = Vec::new();
        let taken = tokio::select! {
            biased;
            () = stop.cancelled(), if !closed => {
                closed = true;
                lines.close();
                continue;
            }
            taken = lines.recv_many(&mut batch, MAX_LINES) => taken,
        };
        if taken == 0 {
            info!(source = %cx.name, totals.accepted, totals.duplicates, totals.rejected, "The input ended.");
            return Ok(totals);
        }
        let mut items = Vec::new();
        let mut failed = None;
        for line in batch {
            number += 1;
            match line {
                Ok(line) => items.extend(read_line(&cx, number, &line)),
                Err(error) => failed = Some(format!("line {number} of the input cannot be read: {error}")),
            }
        }
        let report = accept(&cx, items, &stop).await?;
        totals.accepted += report.accepted;
        totals.duplicates += report.duplicates;
        totals.rejected += report.rejected.len();
        if let Some(error) = failed {
            return Err(error);
        }
    }
}

/// Tries until the intake takes it, or until the host stops: then once more.
async fn accept(cx: &SourceContext, items: Vec<Result<Event, Unreadable>>, stop: &CancellationToken) -> Result<Report, String> {
    let mut wait = FIRST_WAIT;
    loop {
        let stopping = stop.is_cancelled();
        let error = match cx.intake.accept(&cx.name, items.clone()).await {
            Ok(report) => return Ok(report),
            Err(error) => error,
        };
        if stopping {
            return Err(format!("{} events that were read from the input could not be taken in: {error}", items.len()));
        }
        warn!(source = %cx.name, %error, wait_seconds = wait.as_secs(), "Lines of the input could not be taken in; trying again.");
        tokio::select! {
            () = cx.clock.sleep(wait) => {}
            () = stop.cancelled() => {}
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

fn read_line(cx: &SourceContext, number: usize, line: &Line) -> Vec<Result<Event, Unreadable>> {
    if line.size > MAX_EVENT {
        return vec![Err(unreadable(&cx.name, &line.bytes, &format!("line {number}: {}", ItemError::TooLarge { size: line.size })))];
    }
    match body::split(&line.bytes, None, MAX_EVENT) {
        Ok(items) => read_items(&cx.name, items, &EdgeHeaders::default(), &cx.clock),
        Err(BodyError::Empty) => Vec::new(),
        Err(BodyError::NotJson { column, text, .. }) => {
            vec![Err(unreadable(&cx.name, &line.bytes, &format!("line {number}, column {column}: {text}")))]
        }
        Err(error) => vec![Err(unreadable(&cx.name, &line.bytes, &format!("line {number}: {error}")))],
    }
}

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    /// Not more than [`MAX_EVENT`] of it.
    bytes: Vec<u8>,
    /// How long it was.
    size: usize,
}

fn spawn_reader(mut reader: impl BufRead + Send + 'static) -> mpsc::Receiver<io::Result<Line>> {
    let (lines, receiver) = mpsc::channel(MAX_LINES);
    std::thread::spawn(move || {
        while let Some(line) = next_line(&mut reader).transpose() {
            let failed = line.is_err();
            if lines.blocking_send(line).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

/// The next line; of a longer one than [`MAX_EVENT`] the rest is counted and dropped, so that memory stays bounded.
fn next_line(reader: &mut impl BufRead) -> io::Result<Option<Line>> {
    let mut line = Line { bytes: Vec::new(), size: 0 };
    loop {
        let buffer = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        if buffer.is_empty() {
            return Ok((line.size > 0).then_some(line));
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        let room = MAX_EVENT.saturating_sub(line.bytes.len());
        line.bytes.extend_from_slice(&part[..part.len().min(room)]);
        line.size += part.len();
        let consumed = part.len() + usize::from(end.is_some());
        reader.consume(consumed);
        if end.is_some() {
            return Ok(Some(line));
        }
    }
}

#[cfg(test)]
#[path = "ndjson_tests.rs"]
mod tests;
