//! A backlog in a file is moved to a database, and delivered by the hosts there.

use std::process::Command;
use std::time::{Duration, Instant};

use incident_sink::simulator::dingtalk::{DingTalk, Fault};

use crate::front::{Arrivals, Front};
use crate::group::{PATIENCE, drained, group, outbox_of};
use crate::host::{Host, robot};
use crate::load::{event, marks};
use crate::postgres::Postgres;

const CONNECTORS: usize = 3;
const EVENTS: usize = 12;

/// Posts every event; what is answered.
async fn post(host: &Host) -> serde_json::Value {
    let events: Vec<String> = (0..EVENTS).flat_map(|n| (0..CONNECTORS).map(move |connector| event(connector, n % 2, n / 2))).collect();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = client.post(format!("http://{}/webhooks/ilert", host.address())).header("content-type", "application/json");
    let answer = post.body(format!("[{}]", events.join(","))).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

/// Every robot has got its first message, and refused it.
async fn all_have_tried(group: &DingTalk) {
    let begun = Instant::now();
    while (0..CONNECTORS).any(|connector| group.counters(&robot(connector)).unwrap().faulted == 0) {
        assert!(begun.elapsed() < PATIENCE, "nothing is sent");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_that_was_moved_to_the_database_is_delivered_from_there_once_and_in_order() {
    let Some(database) = Postgres::new() else { return };
    let (group, arrivals) = (group(CONNECTORS).await, Arrivals::default());
    let front = Front::start(group.addr(), 0, arrivals.clone()).await;
    for connector in 0..CONNECTORS {
        group.fault(&robot(connector), Fault::Status { status: 500, retry_after: None }, u32::MAX).unwrap();
    }
    let mut alone = Host::new("type = \"sqlite\"\n", CONNECTORS, &front);
    alone.start().await;
    assert_eq!(post(&alone).await["accepted"], CONNECTORS * EVENTS);
    all_have_tried(&group).await;
    alone.stop().await;
    let tried: Vec<String> = arrivals.all().into_iter().map(|arrival| arrival.key).collect();

    let mut hosts: Vec<Host> = (0..2).map(|_| Host::sharing(&database.url(), CONNECTORS, &front)).collect();
    let mut command = Command::new(env!("CARGO_BIN_EXE_incident-sink"));
    command.args(["outbox", "migrate", "--from"]).arg(alone.config()).arg("--to").arg(hosts[0].config());
    let output = tokio::task::block_in_place(|| command.output().unwrap());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    (0..CONNECTORS).for_each(|connector| group.clear_faults(&robot(connector)).unwrap());
    for host in &mut hosts {
        host.start().await;
    }
    assert_eq!(post(&hosts[1]).await["duplicates"], CONNECTORS * EVENTS, "their ids were moved, too");
    let outbox = outbox_of(&database).await;
    drained(&*outbox).await;
    for host in &mut hosts {
        host.stop().await;
    }
    for connector in 0..CONNECTORS {
        let shown = group.messages(&robot(connector));
        assert!(shown.iter().any(|shown| tried.contains(shown.msg_uuid.as_ref().unwrap())), "what was begun keeps its key");
        for number in 0..2 {
            let all = shown.iter().flat_map(|shown| marks(&shown.raw.to_string()));
            let told: Vec<usize> = all.filter(|(_, incident, _)| *incident == number).map(|(_, _, n)| n).collect();
            assert!(told.is_sorted_by(|a, b| a < b) && told.last() == Some(&(EVENTS / 2 - 1)), "{told:?}");
        }
    }
    outbox.close().await;
}
