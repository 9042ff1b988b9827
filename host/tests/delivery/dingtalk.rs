//! The DingTalk plugin, the simulated group and the lanes on one fast clock.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use incident_sink::clock::Clock;
use incident_sink::delivery::Connector;
use incident_sink::delivery::connector::ConnectorConfig;
use incident_sink::delivery::http::{HttpClient, Proxy};
use incident_sink::delivery::links::OpenLinks;
use incident_sink::delivery::plugin_sinks::PluginSinks;
use incident_sink::event::Status;
use incident_sink::outbox::Outbox;
use incident_sink::plugin::{Engine, EngineOptions, Limits, Plugin, PluginConfig, Registry};
use incident_sink::simulator::dingtalk::{DingTalk, Fault, Options, Robot};
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Host, event, open, policy};

/// A group with as many robots as connectors, and a host that delivers to them.
struct Scene {
    folder: TempDir,
    group: DingTalk,
    host: Host,
    /// Ticks for the plugin's deadlines.
    _engine: Engine,
}

impl Scene {
    async fn of(robots: usize, rate: u32) -> Scene {
        let clock = Clock::scaled(rate);
        let names: Vec<String> = (0..robots).map(|n| format!("robot{n}")).collect();
        let settings = names.iter().map(|name| Robot::new(name, format!("token-of-{name}")).signed(format!("SEC{name}"))).collect();
        // Time runs so fast that a busy machine could let an hour pass between two attempts.
        let repeat_window = std::time::Duration::from_secs(86_400);
        let options = Options { clock: clock.clone(), robots: settings, repeat_window, ..Options::default() };
        let group = DingTalk::start(options).await.unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins/dingtalk.wasm");
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask build-plugins`", path.display()));
        let engine = Engine::new(EngineOptions::default()).unwrap();
        let registry = Registry::default();
        registry.swap("dingtalk", Plugin::load(&engine, &bytes, &Limits::default()).unwrap());
        let configs = BTreeMap::from([("dingtalk".to_owned(), PluginConfig::at("unused"))]);
        let sinks = PluginSinks::new(registry, &configs, HttpClient::new(&Proxy::Direct).unwrap(), Arc::new(OpenLinks));
        let connector = |name: &String| {
            let table = json!({
                "type": "dingtalk", "url": group.url_of(name).unwrap(), "secret": format!("SEC{name}"),
                "delivery": { "timeout": "250ms" },
            });
            let sink = sinks.build(name.as_str().into(), Arc::new(ConnectorConfig::parse(&table).unwrap())).unwrap();
            Connector { name: name.as_str().into(), sink: Arc::new(sink), policy: policy(name) }
        };
        let folder = tempfile::tempdir().unwrap();
        let host = Host::start(&folder, &clock, names.iter().map(connector).collect()).await;
        Scene { folder, group, host, _engine: engine }
    }

    /// What a robot's group has read, one text a message.
    fn read(&self, robot: &str) -> Vec<String> {
        self.group.messages(robot).into_iter().map(|shown| format!("{}\n{}", shown.title, shown.text)).collect()
    }

    /// Meets every robot with its faults while events come in, and checks what became of them.
    async fn meet(&self, faults: &[Vec<Fault>]) {
        for (n, faults) in faults.iter().enumerate() {
            let robot = format!("robot{n}");
            for fault in faults {
                self.group.fault(&robot, fault.clone(), 1).unwrap();
            }
            self.host.accept(&robot, (0..4).map(|i| open(&format!("incident-{n}-{i}."), n * 10 + i))).await;
        }
        self.host.drained().await;
        let mut given_up = Vec::new();
        for dead in self.host.list("dead").await {
            let refusals = self.host.outbox.message(dead.id).await.unwrap().attempts_made;
            assert!(refusals[..refusals.len() - 1].iter().all(|attempt| attempt.outcome != "rejected"), "sent after it was refused");
            given_up.extend(self.host.outbox.message(dead.id).await.unwrap().covered.into_iter().map(|event| event.incident_id));
        }
        for (n, faults) in faults.iter().enumerate() {
            let robot = format!("robot{n}");
            let (read, counters) = (self.read(&robot), self.group.counters(&robot).unwrap());
            for i in 0..4 {
                let incident = format!("incident-{n}-{i}.");
                let times = read.iter().map(|text| text.matches(&format!("summary of {incident}")).count().min(1)).sum::<usize>();
                let dead = given_up.contains(&incident);
                // A message that arrived, and was refused when it was sent again for want of an answer, is both.
                assert!(times == 1 || (dead && times == 0), "{incident}, faults {faults:?}: shown {times} times, dead {dead}: {read:?}");
            }
            assert!(counters.worst_minute <= 20, "{faults:?}: {counters:?}");
            assert_eq!((counters.altered, counters.mutes), (0, 0), "{faults:?}: {counters:?}");
        }
    }
}

fn code(code: i64) -> Fault {
    Fault::Errcode { code, text: None }
}

fn status(status: u16, retry_after: Option<&str>) -> Fault {
    Fault::Status { status, retry_after: retry_after.map(str::to_owned) }
}

/// Every fault that the group knows, those first that refuse a message for good.
fn every_fault() -> (Vec<Fault>, Vec<Fault>) {
    let refusing = [310_000, 400_102, 400_101, 400_105, 460_101, 430_104, 300_005, 400_013, 40035, 90030];
    let passing = vec![
        status(500, None),
        status(502, None),
        status(503, Some("7")),
        status(429, Some("30")),
        Fault::ResetLost,
        Fault::ResetShown,
        Fault::HangLost,
        Fault::HangShown,
        Fault::Delay { ms: 50 },
        Fault::SlowBody { pause_ms: 2 },
        Fault::Html,
        Fault::Empty,
        Fault::IpBlocked,
        Fault::StringErrcode,
        Fault::TruncatedJson,
        Fault::Huge { bytes: 20_000_000 },
        code(-1),
        code(88),
        code(90018),
        code(130_101),
        code(410_100),
        code(660_026),
    ];
    (refusing.map(code).to_vec(), passing)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_alone_loses_nothing_and_shows_nothing_twice() {
    let (refusing, passing) = every_fault();
    let (refused, all) = (refusing.len(), [refusing, passing, vec![Fault::Redirect { location: "https://example.com/".into() }]].concat());
    let faults: Vec<Vec<Fault>> = all.into_iter().map(|fault| vec![fault]).collect();
    let scene = Scene::of(faults.len(), 400).await;
    scene.meet(&faults).await;
    let dead = scene.host.list("dead").await;
    for (n, fault) in faults.iter().take(refused).enumerate() {
        let letters: Vec<_> = dead.iter().filter(|dead| dead.connector == format!("robot{n}")).collect();
        assert_eq!(letters.len(), 1, "{fault:?}");
        assert!(!letters[0].reason.text.is_empty() && !letters[0].reason.advice.is_empty(), "{:?}", letters[0]);
    }
    for letter in &dead {
        let n: usize = letter.connector.trim_start_matches("robot").parse().unwrap();
        assert!(n < refused || n == faults.len() - 1, "{:?} became a dead letter: {:?}", faults[n], letter.reason);
    }
}

fn any_fault() -> impl Strategy<Value = Fault> {
    let (refusing, passing) = every_fault();
    prop_oneof![1 => prop::sample::select(refusing), 4 => prop::sample::select(passing)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, max_shrink_iters: 4, ..ProptestConfig::default() })]

    #[test]
    fn faults_in_any_order_lose_nothing_and_stop_no_lane(faults in prop::collection::vec(prop::collection::vec(any_fault(), 0..5), 12)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async { Scene::of(faults.len(), 1_000).await.meet(&faults).await });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_ten_thousand_events_is_told_in_a_few_messages_and_never_mutes_the_robot() {
    const INCIDENTS: usize = 1_000;
    let scene = Scene::of(1, 40).await;
    let begun = scene.host.clock.steady();
    // Ten events of each incident, in a minute: the last one resolves every second of them.
    for round in 0..10 {
        for part in 0..10 {
            let events = (part * 100..part * 100 + 100).map(|n| {
                let status = match round {
                    9 if n % 2 == 0 => Status::Resolved,
                    0..=4 => Status::Pending,
                    _ => Status::Accepted,
                };
                event(&format!("storm-{n:04}."), round * INCIDENTS + n, status)
            });
            scene.host.accept("robot0", events).await;
            scene.host.clock.sleep_until(begun + (round as i64 * 10 + part as i64) * 600).await;
        }
    }
    scene.host.drained().await;
    let took = scene.host.clock.steady() - begun;
    let (read, counters) = (scene.read("robot0"), scene.group.counters("robot0").unwrap());
    println!("storm: 10,000 events of {INCIDENTS} incidents in {} messages, over after {} s", counters.shown, took / 1_000);
    assert_eq!(counters.mutes, 0);
    assert!(counters.worst_minute <= 20, "{counters:?}");
    assert!(counters.shown <= 100, "{counters:?}");
    assert!(scene.host.list("dead").await.is_empty() && scene.folder.path().exists());
    for n in 0..INCIDENTS {
        let name = format!("storm-{n:04}.");
        let last = read.iter().flat_map(|text| text.lines()).rfind(|line| line.contains(&name)).unwrap_or_default();
        assert!(last.contains(if n % 2 == 0 { "🟢" } else { "🔵" }), "{name} was last seen as {last:?}");
    }
}
