//! Three hosts, two hundred connectors, a thousand events a second, and trouble every few seconds.
//!
//! `INCIDENT_SINK_SCALE=60` makes it a run of a minute; the default is 20 seconds.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::front::{Arrivals, Front};
use crate::group::{drained, group, outbox_of};
use crate::host::Host;
use crate::load::Load;
use crate::postgres::Postgres;
use crate::promises;
use crate::trouble::Trouble;

const HOSTS: usize = 3;
const CONNECTORS: usize = 200;
/// Events a second.
const RATE: usize = 1_000;
/// Kills, freezes, kills …, and in the middle the database crashes once.
async fn trouble(database: &Postgres, hosts: &mut [Host], load: &Load, time: Duration) -> Trouble {
    let (begun, mut trouble, mut restarted) = (Instant::now(), Trouble::default(), false);
    for step in 0.. {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let over = begun.elapsed() >= time;
        if (begun.elapsed() >= time / 2 || over) && !restarted {
            let before = load.tally.unavailable.load(Ordering::Relaxed);
            trouble.restart(database, || load.tally.unavailable.load(Ordering::Relaxed) > before).await;
            restarted = true;
        } else if over && trouble.killed > 0 && trouble.frozen > 0 {
            break;
        } else if step % 2 == 0 {
            trouble.kill(hosts, step % HOSTS, database).await;
        } else {
            trouble.freeze(hosts, step % HOSTS, database).await;
        }
    }
    trouble
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hosts_on_one_database_lose_nothing_whatever_happens_to_any_of_them() {
    let seconds = std::env::var("INCIDENT_SINK_SCALE").ok().and_then(|value| value.parse().ok()).unwrap_or(20);
    let Some(database) = Postgres::new() else { return };
    let (group, arrivals) = (group(CONNECTORS).await, Arrivals::default());
    let (mut fronts, mut hosts) = (Vec::new(), Vec::new());
    for n in 0..HOSTS {
        let front = Front::start(group.addr(), n, arrivals.clone()).await;
        let mut host = Host::sharing(&database.url(), CONNECTORS, &front);
        host.start().await;
        fronts.push(front);
        hosts.push(host);
    }

    let addresses: Vec<_> = hosts.iter().map(Host::address).collect();
    let load = Load::start(CONNECTORS, RATE, &addresses);
    let mut trouble = trouble(&database, &mut hosts, &load, Duration::from_secs(seconds)).await;
    let tally = std::sync::Arc::clone(&load.tally);
    let (told, rate) = load.end().await;
    let accepted: usize = told.values().sum();
    println!(
        "{accepted} events accepted, {rate:.0} a second; {} hosts killed, {} frozen; {} answers 503, {} requests without an answer",
        trouble.killed,
        trouble.frozen,
        tally.unavailable.load(Ordering::Relaxed),
        tally.silent.load(Ordering::Relaxed)
    );
    let ended = Instant::now();
    let outbox = outbox_of(&database).await;
    drained(&*outbox).await;
    println!("what was left was delivered within {:.1} s", ended.elapsed().as_secs_f64());
    for host in &mut hosts {
        host.stop().await;
    }

    trouble.add_slowness(&hosts);
    for host in 0..HOSTS {
        println!("host {host} sent {} messages", arrivals.all().iter().filter(|arrival| arrival.host == host).count());
    }
    let again = promises::nobody_sends_what_another_has_taken(&arrivals.all(), &trouble.interruptions);
    println!("{} messages, {again} of them sent again by a host that took a lane over", group.conversation().len());
    trouble.takeovers.iter().for_each(|takeover| println!("taken over: {takeover}"));
    promises::nothing_is_lost_or_told_twice(&*outbox, &group, &told).await;
    promises::incidents_are_told_in_order(&group, &told);
    promises::no_robot_is_too_fast(&group, CONNECTORS);
    promises::lanes_move_in_time(&trouble.takeovers);
    for host in &hosts {
        assert!(!host.log().contains("dead letter"), "{}", host.log());
    }
    outbox.close().await;
}
