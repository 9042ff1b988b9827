//! Latency from the event's first byte in to the message's arrival at the receiver, at 100 events a second.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use tokio::net::TcpListener;

use crate::stage::{Host, Pace};
use crate::table::{Table, median, quantile};
use crate::{Args, Failure, http};

/// When each event's message came, by the event's number.
type Arrived = Arc<Mutex<HashMap<u64, Instant>>>;

const CONNECTORS: u64 = 100;

pub(crate) async fn measure(args: &Args, table: &mut Table) -> Result<(), Failure> {
    let arrived = Arrived::default();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let routes = Router::new().route("/robot/send", post(take)).with_state(Arc::clone(&arrived));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let mut host = Host::of(CONNECTORS as usize, port, &Pace::None)?;
    host.start().await?;
    let events = if args.short { 300 } else { 3_000 };
    let sent = send(host.port, events).await?;
    host.drained().await?;
    let arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
    let latency = |(n, begun): (&u64, &Instant)| Some(arrived.get(n)?.duration_since(*begun).as_secs_f64() * 1000.0);
    let times: Vec<f64> = sent.iter().filter_map(latency).collect();
    if times.len() as u64 != events {
        return Err(format!("{} of {events} messages arrived", times.len()).into());
    }
    let sync = one_sync(&host)?;
    let figures = format!(
        "p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms; one sync p50 {:.2} ms, p99 {:.2} ms",
        median(&times),
        quantile(&times, 0.99),
        quantile(&times, 0.999),
        median(&sync),
        quantile(&sync, 0.99)
    );
    let reached = quantile(&times, 0.99) <= 3.0 + quantile(&sync, 0.99);
    table.figures("latency, event in to message out, 100 events/s", &figures, "p99 ≤ 3 ms + one sync", Some(reached));
    Ok(())
}

async fn take(State(arrived): State<Arrived>, body: Bytes) -> &'static str {
    let now = Instant::now();
    let text = String::from_utf8_lossy(&body);
    if let Some(n) = text.split_once("number-").and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()) {
        arrived.lock().unwrap_or_else(PoisonError::into_inner).entry(n).or_insert(now);
    }
    r#"{"errcode":0,"errmsg":"ok"}"#
}

/// Sends events at a steady pace, whether or not the ones before were answered; returns when each was begun.
async fn send(port: u16, events: u64) -> Result<HashMap<u64, Instant>, Failure> {
    let mut sent = HashMap::new();
    let mut posts = tokio::task::JoinSet::new();
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    for n in 0..events {
        tick.tick().await;
        let source = n % CONNECTORS;
        let body = format!(
            r#"{{"id":"{n}","eventId":"e{n}","eventType":"alert-created","status":"PENDING","summary":"number-{n}","alertSource":{{"id":{source},"name":"s{source}"}}}}"#
        );
        sent.insert(n, Instant::now());
        posts.spawn(async move { http::post(port, "/webhooks/ilert", &body).await });
    }
    while let Some(answer) = posts.join_next().await {
        let (status, text) = answer??;
        if status != 202 {
            return Err(format!("an event was answered {status}: {text}").into());
        }
    }
    Ok(sent)
}

/// How long an append of 4 KiB and its sync take on the same disk, in milliseconds.
fn one_sync(host: &Host) -> Result<Vec<f64>, Failure> {
    let mut file = File::create(host.folder.path().join("sync"))?;
    let mut times = Vec::new();
    for _ in 0..500 {
        let begun = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(times)
}
