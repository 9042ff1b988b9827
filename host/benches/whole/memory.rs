//! Resident memory with few and with many connectors.

use crate::Failure;
use crate::stage::{Host, Pace};
use crate::table::Table;

pub(crate) async fn measure(table: &mut Table) -> Result<(), Failure> {
    let mut before: Option<(usize, f64)> = None;
    for connectors in [0, 1_000, 100_000] {
        let mut host = Host::of(connectors, 9, &Pace::None)?;
        let took = host.start().await?;
        let memory = host.running()?.memory()?;
        let each = before.map(|(fewer, less)| (memory - less) / 1024.0 / (connectors - fewer) as f64);
        let shown = each.map(|each| format!(", {each:.2} KiB for each further one")).unwrap_or_default();
        let figures = format!("{:.1} MiB{shown}; ready after {:.2} s", memory / 1048576.0, took.as_secs_f64());
        let (goal, reached) = match connectors {
            1_000 => ("≤ 40 MB", Some(memory <= 40e6)),
            100_000 => ("≤ 2 KiB each", each.map(|each| each <= 2.0)),
            _ => ("", None),
        };
        table.figures(&format!("resident memory, {connectors} connectors"), &figures, goal, reached);
        before = Some((connectors, memory));
    }
    Ok(())
}
