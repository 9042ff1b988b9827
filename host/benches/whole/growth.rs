//! Whether the outbox slows down as it grows: durable events a second with more connectors, and with more delivered rows.

use crate::store::Store;
use crate::table::{Compared, Goal, Table};
use crate::{Args, Failure};

pub(crate) async fn measure(args: &Args, table: &mut Table) -> Result<(), Failure> {
    let rows = if args.long { 10_000_000 } else { 1_000_000 };
    let few = Store::open(10, 0).await?;
    let others = [
        ("1,000 connectors", Store::open(1_000, 0).await?),
        ("100,000 connectors", Store::open(100_000, 0).await?),
        (if args.long { "10 million delivered rows" } else { "1 million delivered rows" }, Store::open(10, rows).await?),
    ];
    let mut first = vec![Vec::new(); others.len()];
    let mut rates = vec![Vec::new(); others.len()];
    for _ in 0..args.rounds() {
        for (n, (_, store)) in others.iter().enumerate() {
            first[n].push(few.rate(args.seconds()).await?);
            rates[n].push(store.rate(args.seconds()).await?);
        }
    }
    for (n, (what, _)) in others.iter().enumerate() {
        table.compare(&Compared {
            name: "growth",
            less: false,
            what: &format!("durable enqueue with {what}"),
            unit: "events/s",
            ours: &rates[n],
            against: "10 connectors, empty",
            other: &first[n],
            goals: &[Goal::AtLeast(0.9)],
        });
    }
    Ok(())
}
