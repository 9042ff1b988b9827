//! The config is read anew while the real program runs.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use incident_sink::simulator::dingtalk::DingTalk;
use serde_json::{Value, json};

use crate::harness::{Place, Running, SECRET, ask, group, post};

const SOON: Duration = Duration::from_secs(60);

async fn world() -> (DingTalk, Place) {
    let group = group().await;
    let place = Place::with_connector(&group.url_of("ops").unwrap(), SECRET);
    (group, place)
}

impl Place {
    /// Changes the config as an editor does: another file takes its place.
    pub(crate) fn rewrite(&self, change: impl FnOnce(String) -> String) {
        let new = self.0.path().join("new");
        std::fs::write(&new, change(std::fs::read_to_string(self.config()).unwrap())).unwrap();
        std::fs::rename(new, self.config()).unwrap();
    }
}

async fn reload(running: &Running) -> (u16, Value) {
    incident_sink::delivery::http::install_crypto();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.post(format!("{}/api/reload", running.admin)).send().await.unwrap();
    (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
}

async fn state(running: &Running) -> Value {
    serde_json::from_str(&ask(running, "/api/config", "*/*").await.1).unwrap()
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < SOON, "waited until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn event(n: usize) -> Vec<u8> {
    json!({"id": 1000 + n, "eventId": format!("event-{n}"), "eventType": "alert-created", "status": "PENDING", "summary": format!("Number {n}.")})
        .to_string()
        .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_event_is_lost_over_fifty_reloads() {
    let (group, place) = world().await;
    let running = place.start_with(&["--no-watch"]);
    let (plain, url) = (std::fs::read_to_string(place.config()).unwrap(), running.url.clone());
    let sender = tokio::spawn(async move {
        let mut sent = 0;
        for n in 0..300 {
            let (status, body) = post(&url, event(n)).await;
            assert_eq!(status, 202, "{body}");
            sent += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sent
    });
    for n in 0..50 {
        let level = if n % 2 == 0 { "debug" } else { "info" };
        let language = if n % 3 == 0 { "zh-CN" } else { "en" };
        let extra = "[connectors.extra]\ntype = \"dingtalk\"\nurl = \"http://127.0.0.1:9/?access_token=of-nobody\"\n";
        let config = plain.replace("type = \"dingtalk\"\n", &format!("type = \"dingtalk\"\nlanguage = \"{language}\"\n"));
        let config = format!("{config}[log]\nlevel = \"{level}\"\n{}", if n % 2 == 0 { extra } else { "" });
        place.rewrite(|_| config);
        let (status, body) = reload(&running).await;
        assert_eq!(status, 200, "{body}");
    }
    let sent = sender.await.unwrap();
    until("all are shown", async || group.counters("ops").unwrap().shown >= sent).await;
    assert_eq!(group.counters("ops").unwrap().shown, sent, "something was shown twice");
    let (_, page) = ask(&running, "/metrics", "*/*").await;
    assert!(!page.contains("outcome=\"dead\""), "{page}");
    assert!(page.contains("incident_sink_config_reloads_total{result=\"changed\"}"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_with_errors_changes_nothing_and_is_shown_everywhere() {
    let (group, place) = world().await;
    let running = place.start();
    place.rewrite(|config| config.replace("secret = ", "languge = \"en\"\nsecret = "));
    running.signal("HUP");
    until("the log has it", async || running.log().contains("The changed config has errors; the one before stays in use.")).await;
    let (status, problem) = reload(&running).await;
    assert_eq!((status, problem["title"].as_str()), (422, Some("The changed config cannot be used")), "{problem}");
    let error = &problem["errors"][0];
    assert!(error["line"].as_u64() > Some(1) && error["key"] == "connectors.ops.languge", "{problem}");
    let shown = state(&running).await;
    assert_eq!((shown["last_read"]["result"].as_str(), shown["last_read"]["errors"][0] == *error), (Some("failed"), true), "{shown}");
    assert!(ask(&running, "/metrics", "*/*").await.1.contains("incident_sink_config_last_reload_successful 0"));
    let (status, ready) = ask(&running, "/readyz", "*/*").await;
    assert!(status == 200 && ready.contains("besides, config:"), "{ready}");
    assert_eq!(post(&running.url, event(1)).await.0, 202);
    group.wait_for("ops", 1, SOON).await.unwrap();

    place.rewrite(|config| config.replace("languge", "language"));
    until("the file is read anew by itself", async || state(&running).await["last_read"]["result"] == "changed").await;
    assert_eq!(ask(&running, "/readyz", "*/*").await.1, "ready\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_a_file_that_is_rotated_is_taken_up() {
    let (group, place) = world().await;
    std::fs::write(place.0.path().join("robot"), "SECnot-the-right-one\n").unwrap();
    place.rewrite(|config| config.replace(&format!("secret = \"{SECRET}\""), "secret = { file = \"robot\" }"));
    let running = place.start();
    std::fs::write(place.0.path().join("robot"), format!("{SECRET}\n")).unwrap();
    until("the file's change is noticed", async || state(&running).await["last_read"]["result"] == "changed").await;
    assert_eq!(post(&running.url, event(1)).await.0, 202);
    group.wait_for("ops", 1, SOON).await.unwrap();
    assert_eq!(reload(&running).await.1["changed"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_restart_is_named_and_the_rest_is_taken_up() {
    let (_group, place) = world().await;
    let running = place.start_with(&["--no-watch"]);
    place.rewrite(|config| {
        let config = config.replace("[admin]\nlisten = \"127.0.0.1:0\"", "[admin]\nlisten = \"127.0.0.1:9\"\ntoken = \"token-of-admins\"");
        format!("{config}[outbox]\ntype = \"sqlite\"\npath = \"other.db\"\n")
    });
    let (status, done) = reload(&running).await;
    assert_eq!(status, 200, "{done}");
    assert_eq!(done["needs_restart"], json!(["admin.listen", "outbox"]));
    assert_eq!((&done["settings"], &done["connectors"]["changed"]), (&json!(["admin.token"]), &json!([])));
    assert_eq!(ask(&running, "/api/config", "*/*").await.0, 401, "the new token is needed");
    assert_eq!(ask(&running, "/readyz", "*/*").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_connector_that_is_gone_becomes_a_dead_letter_that_says_so() {
    let (group, place) = world().await;
    place.rewrite(|config| config.replace("pace = \"none\"", "pace = { messages = 1, window = \"1h\" }"));
    let running = place.start_with(&["--no-watch"]);
    for n in 0..3 {
        assert_eq!(post(&running.url, event(n)).await.0, 202);
    }
    group.wait_for("ops", 1, SOON).await.unwrap();
    place.rewrite(|config| config.replace("connectors.ops", "connectors.other").replace("connector = \"ops\"", "connector = \"other\""));
    let (status, done) = reload(&running).await;
    assert_eq!((status, &done["connectors"]), (200, &json!({"added": ["other"], "changed": [], "removed": ["ops"]})), "{done}");
    let dead = async || {
        let (_, body) = ask(&running, "/api/messages?state=dead", "*/*").await;
        serde_json::from_str::<Vec<Value>>(&body).unwrap()
    };
    until("the dead letter is there", async || !dead().await.is_empty()).await;
    let letters = dead().await;
    assert!(letters.iter().all(|letter| letter["connector"] == "ops" && letter["reason"]["code"] == "no_connector"), "{letters:?}");
    assert_eq!(letters.iter().map(|letter| letter["events"].as_u64().unwrap()).sum::<u64>(), 2);
    assert!(running.log().contains("A connector is gone"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_waits_looks_again_when_its_pace_is_another() {
    let (group, place) = world().await;
    place.rewrite(|config| config.replace("pace = \"none\"", "pace = { messages = 1, window = \"1h\" }"));
    let running = place.start_with(&["--no-watch"]);
    for n in 0..2 {
        assert_eq!(post(&running.url, event(n)).await.0, 202);
    }
    group.wait_for("ops", 1, SOON).await.unwrap();
    place.rewrite(|config| config.replace("pace = { messages = 1, window = \"1h\" }", "pace = \"none\""));
    assert_eq!(reload(&running).await.1["connectors"]["changed"], json!(["ops"]));
    group.wait_for("ops", 2, SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_can_be_followed_through_the_log_by_its_id() {
    let (group, place) = world().await;
    place.rewrite(|config| format!("{config}[log]\nlevel = \"debug\"\n"));
    let running = place.start_with(&["--log-format", "json"]);
    assert_eq!(post(&running.url, event(7)).await.0, 202);
    group.wait_for("ops", 1, SOON).await.unwrap();
    until("the log has its end", async || running.log().contains("Delivered message.")).await;
    let (_, log) = running.stop();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let of_event: Vec<&Value> = lines.iter().filter(|line| line["event"] == "event:event-7").collect();
    let told: Vec<(&str, Option<&str>)> = of_event.iter().map(|line| (line["message"].as_str().unwrap(), line["step"].as_str())).collect();
    let way = "An event's message is on its way.";
    let expected = [("An event was taken in.", None), (way, Some("sending")), ("Delivered message.", None), (way, Some("delivered"))];
    assert_eq!(told, expected, "{log}");
    assert!(of_event.iter().skip(1).all(|line| line["message_id"] == of_event[1]["message_id"] && line["connector"] == "ops"));
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_finest_log_level_no_secret_is_shown() {
    let (group, place) = world().await;
    // The compiler of plugins tells of every instruction, which takes minutes.
    place.rewrite(|config| format!("{config}[log]\nlevel = \"trace,cranelift=info,regalloc2=info,wasmtime=info\"\n"));
    let running = place.start();
    assert_eq!(post(&running.url, event(1)).await.0, 202);
    group.wait_for("ops", 1, SOON).await.unwrap();
    for path in ["/api/connectors", "/api/messages", "/api/messages/1", "/api/plugins", "/api/config", "/api/outbox", "/metrics", "/"] {
        assert_eq!(ask(&running, path, "*/*").await.0, 200, "{path}");
    }
    // Its end looks the log through.
    assert!(running.log().contains("TRACE") && running.stop().0 == 0);
}

#[test]
fn validate_watches_a_config_and_checks_it_again() {
    let place = Place::with_connector("https://x.example/send?access_token=of-a-robot", SECRET);
    let mut child = place.command(&["validate", "--watch"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut err = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(out.next().unwrap().unwrap().contains("valid (1 source"));
    place.rewrite(|config| config.replace("[[actions]]\nconnector = \"ops\"", "[[actions]]\nconnector = \"opps\""));
    assert!(err.next().unwrap().unwrap().contains("did you mean `ops`?"));
    place.rewrite(|config| config.replace("opps", "ops"));
    assert!(out.next().unwrap().unwrap().contains("valid (1 source"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_plugin_is_put_to_use_and_a_broken_one_changes_nothing() {
    let (group, place) = world().await;
    let running = place.start_with(&["--no-watch"]);
    place.rewrite(|config| format!("{config}[plugins.dingtalk.limits]\ndeadline = \"900ms\"\n"));
    let (status, done) = reload(&running).await;
    assert_eq!((status, &done["plugins"]["changed"], &done["connectors"]["changed"]), (200, &json!(["dingtalk"]), &json!([])), "{done}");
    std::fs::write(place.0.path().join("broken.wasm"), "no component").unwrap();
    place.rewrite(|config| {
        let lines = config.lines().map(|line| if line.starts_with("path = ") { "path = \"broken.wasm\"" } else { line });
        lines.collect::<Vec<_>>().join("\n") + "\n"
    });
    let (status, problem) = reload(&running).await;
    assert_eq!((status, problem["errors"][0]["key"].as_str()), (422, Some("plugins.dingtalk.path")), "{problem}");
    assert_eq!(post(&running.url, event(1)).await.0, 202);
    group.wait_for("ops", 1, SOON).await.unwrap();
}
