//! Ten thousand events of one connector, written as digests by the DingTalk plugin: how many messages, and what the sandbox takes for them.

use std::time::Instant;

use incident_sink::plugin::{Engine, EngineOptions, Limits, Plugin, wit};

use crate::table::{Table, median};
use crate::{Args, Failure};

const EVENTS: usize = 10_000;

pub(crate) fn measure(args: &Args, table: &mut Table) -> Result<(), Failure> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/plugins/dingtalk.wasm");
    let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}; run `cargo xtask build-plugins`"))?;
    let plugin = Plugin::load(&Engine::new(EngineOptions::default())?, &bytes, &Limits::default())?;
    let events: Vec<wit::Event> = (0..EVENTS).map(event).collect();
    let batch = plugin.descriptor().max_batch as usize;
    let (mut times, mut messages) = (Vec::new(), 0);
    for _ in 0..args.rounds() {
        let begun = Instant::now();
        messages = 0;
        let mut rest = &events[..];
        while !rest.is_empty() {
            let offered = &rest[..rest.len().min(batch)];
            let covered = match plugin.begin("{}", offered, &context(rest.len() - offered.len()))? {
                wit::Step::Send(sending) => sending.covers as usize,
                wit::Step::Done(_) => return Err("the plugin sends nothing".into()),
            };
            if covered == 0 {
                return Err("a digest covers no event".into());
            }
            rest = &rest[covered..];
            messages += 1;
        }
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    let figures = format!("{:.0} ms, {messages} messages, {:.1} µs an event", median(&times), median(&times) * 1000.0 / EVENTS as f64);
    table.figures("digests of 10,000 events, in the sandbox", &figures, "≤ 100 messages", Some(messages <= 100));
    Ok(())
}

fn event(n: usize) -> wit::Event {
    let at = wit::Timestamp { unix_ms: 1_780_000_000_000, offset_minutes: 480 };
    wit::Event {
        id: format!("event-{n}"),
        kind: wit::Kind::Created,
        incident_id: n.to_string(),
        status: wit::Status::Pending,
        priority: Some(wit::Priority::High),
        severity: Some(2),
        summary: format!("Replication lag on db-{n} is 312 s"),
        details: "threshold 60 s".into(),
        alert_key: Some(format!("db-{n}/replication")),
        alert_source: Some(wit::AlertSource { id: (n % 7).to_string(), name: format!("Zabbix {}", n % 7) }),
        escalation_policy: Some("Database on-call".into()),
        assigned_to: None,
        responders: vec![],
        actor: None,
        comment: None,
        links: vec![],
        images: vec![],
        reported_at: at,
        occurred_at: at,
        incident_url: Some(format!("https://acme.ilert.com/incident/view.jsf?id={n}")),
        folded: 0,
        extra: vec![],
    }
}

fn context(waiting: usize) -> wit::Context {
    wit::Context {
        connector: "ops".into(),
        now: wit::Timestamp { unix_ms: 1_780_000_000_500, offset_minutes: 480 },
        attempt: 1,
        message_id: "01J9ZQ7M3N".into(),
        memo: None,
        waiting: waiting as u32,
        links: vec![],
        title: None,
        text: None,
        extra: vec![],
    }
}
