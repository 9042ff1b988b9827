//! The whole path, HTTP in to HTTP out over a thousand connectors without pace, against nginx as a proxy to the same receiver.

use std::time::Instant;

use crate::stage::{Host, Pace};
use crate::table::{Compared, Goal, Table};
use crate::{Args, Failure, nginx, wrk};

const CONNECTORS: usize = 1000;

pub(crate) async fn measure(args: &Args, table: &mut Table) -> Result<(), Failure> {
    let receiver = nginx::receiver().await?;
    let proxy = nginx::proxy(receiver.port).await?;
    let mut host = Host::of(CONNECTORS, receiver.port, &Pace::None)?;
    host.start().await?;
    let (mut ours, mut theirs, mut our_cpu, mut their_cpu) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.rounds() {
        let (begun, cpu) = (Instant::now(), host.running()?.cpu_seconds()?);
        let load = wrk::run(host.folder.path(), host.port, args.seconds(), CONNECTORS).await?;
        host.drained().await?;
        ours.push(load.events / begun.elapsed().as_secs_f64());
        our_cpu.push((host.running()?.cpu_seconds()? - cpu) / load.events * 1e6);
        let cpu = proxy.running.cpu_seconds()?;
        let load = wrk::run(host.folder.path(), proxy.port, args.seconds(), CONNECTORS).await?;
        theirs.push(load.rate());
        their_cpu.push((proxy.running.cpu_seconds()? - cpu) / load.events * 1e6);
    }
    table.compare(&Compared {
        name: "path",
        less: false,
        what: "whole path, 1,000 connectors, until the last message is delivered",
        unit: "events/s",
        ours: &ours,
        against: "nginx `proxy_pass`",
        other: &theirs,
        goals: &[Goal::AtLeast(0.4)],
    });
    table.compare(&Compared {
        name: "path-cpu",
        less: true,
        what: "CPU time of the whole path",
        unit: "µs/event",
        ours: &our_cpu,
        against: "nginx `proxy_pass`",
        other: &their_cpu,
        goals: &[],
    });
    Ok(())
}
