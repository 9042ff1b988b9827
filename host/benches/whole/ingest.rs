//! Durable ingest over HTTP, against a raw append log behind the same server, and against nginx that answers 202 and keeps nothing.

use crate::stage::{Host, Pace};
use crate::table::{Compared, Goal, Table};
use crate::{Args, Failure, nginx, raw_log, wrk};

pub(crate) async fn measure(args: &Args, table: &mut Table) -> Result<(), Failure> {
    let mut host = Host::of(100, 9, &Pace::Stopped)?;
    host.start().await?;
    let (raw, sink) = (raw_log::serve(host.folder.path()).await?, nginx::sink().await?);
    let (mut ours, mut log, mut forgotten) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.rounds() {
        let folder = host.folder.path();
        ours.push(wrk::run(folder, host.port, args.seconds(), 100).await?.rate());
        log.push(wrk::run(folder, raw, args.seconds(), 100).await?.rate());
        forgotten.push(wrk::run(folder, sink.port, args.seconds(), 100).await?.rate());
    }
    let line = |name, against, other, goals| Compared {
        name,
        less: false,
        what: "durable ingest, 64 connections, 500-byte events",
        unit: "events/s",
        ours: &ours,
        against,
        other,
        goals,
    };
    table.compare(&line("ingest-raw-log", "raw append log behind the same HTTP server", &log, &[Goal::AtLeast(0.9)]));
    table.compare(&line("ingest-nginx", "nginx `return 202`", &forgotten, &[Goal::AtLeast(0.5)]));
    Ok(())
}
