//! From the start of the process to ready.

use crate::stage::{Host, Pace};
use crate::table::{Table, median, quantile};
use crate::{Args, Failure};

pub(crate) async fn measure(args: &Args, table: &mut Table) -> Result<(), Failure> {
    for connectors in [1, 10_000] {
        let mut host = Host::of(connectors, 9, &Pace::None)?;
        host.start().await?; // makes the outbox, warms the page cache
        let mut times = Vec::new();
        for _ in 0..args.rounds() * 2 {
            host.stop();
            times.push(host.start().await?.as_secs_f64() * 1000.0);
        }
        let figures = format!("{:.0} ms (at most {:.0})", median(&times), quantile(&times, 1.0));
        let (goal, most) = if connectors == 1 { ("≤ 50 ms", 50.0) } else { ("≤ 2 s", 2_000.0) };
        table.figures(&format!("start to ready, {connectors} connectors"), &figures, goal, Some(median(&times) <= most));
    }
    Ok(())
}
