//! Durable hand-over by 64 producers, without HTTP, against a raw append log with the same sync for each group.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::oneshot;

use crate::store::{Store, event, rate};
use crate::table::{Compared, Goal, Table};
use crate::{Args, Failure, raw_log, stage};

pub(crate) async fn measure(args: &Args, table: &mut Table) -> Result<(), Failure> {
    let (store, folder, numbers) = (Store::open(100, 0).await?, stage::folder()?, Arc::new(AtomicU64::new(1)));
    let log = raw_log::open(folder.path())?;
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds() {
        let log = log.clone();
        let appended = rate(args.seconds(), &numbers, move |n| {
            let log = log.clone();
            async move {
                let (caller, synced) = oneshot::channel();
                log.send((serde_json::to_vec(&event(n))?.into(), caller))?;
                Ok(synced.await?)
            }
        });
        raw.push(appended.await?);
        ours.push(store.rate(args.seconds()).await?);
    }
    let (name, what) = if args.slow_disk {
        ("slow-disk", "the same where a sync takes 1 ms longer")
    } else {
        ("enqueue", "durable hand-over to the outbox, 64 producers")
    };
    table.compare(&Compared {
        name,
        less: false,
        what,
        unit: "events/s",
        ours: &ours,
        against: "raw append log with the same syncs",
        other: &raw,
        goals: &[Goal::AtLeast(0.8)],
    });
    Ok(())
}
