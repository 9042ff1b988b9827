//! What the outbox is measured against: a raw append log that syncs once a group, and the same behind our HTTP server, which answers 202 after the sync.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::Failure;

/// What is appended, and whom to tell when it is synced.
pub(crate) type Record = (Bytes, oneshot::Sender<()>);

/// Starts a log; it ends when nobody can send to it any more.
pub(crate) fn open(folder: &Path) -> Result<mpsc::Sender<Record>, Failure> {
    let file = File::create(folder.join("raw.log"))?;
    let (log, inbox) = mpsc::channel::<Record>();
    std::thread::spawn(move || {
        if let Err(error) = append(file, &inbox) {
            eprintln!("raw log: {error}");
        }
    });
    Ok(log)
}

/// Starts one behind HTTP in this process; returns its port. It ends with the process.
pub(crate) async fn serve(folder: &Path) -> Result<u16, Failure> {
    let log = open(folder)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let routes = Router::new().route("/webhooks/ilert", post(take)).with_state(log);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(port)
}

async fn take(State(log): State<mpsc::Sender<Record>>, body: Bytes) -> StatusCode {
    let (caller, synced) = oneshot::channel();
    if log.send((body, caller)).is_err() || synced.await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    StatusCode::ACCEPTED
}

/// Appends what waits, syncs, answers.
fn append(mut file: File, inbox: &mpsc::Receiver<Record>) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    while let Ok(first) = inbox.recv() {
        let mut group = vec![first];
        while group.len() < 256
            && let Ok(next) = inbox.try_recv()
        {
            group.push(next);
        }
        buffer.clear();
        for (record, _) in &group {
            buffer.extend_from_slice(&(record.len() as u64).to_le_bytes());
            buffer.extend_from_slice(record);
        }
        file.write_all(&buffer)?;
        file.sync_data()?;
        for (_, caller) in group {
            // A caller that has gone needs no answer.
            _ = caller.send(());
        }
    }
    Ok(())
}
