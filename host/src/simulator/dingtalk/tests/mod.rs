//! The server, asked over HTTP.

mod callback;
mod checks;
mod faults;
mod pace;
mod steer;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;

const SECRET: &str = "SEC0123456789abcdef";

async fn start(robots: Vec<Robot>) -> DingTalk {
    DingTalk::start(Options { robots, ..Options::default() }).await.unwrap()
}

fn plain() -> Robot {
    Robot::new("ops", "token-of-ops")
}

fn client() -> reqwest::Client {
    crate::simulator::outgoing::client(Duration::from_secs(5)).unwrap()
}

fn text(content: &str) -> Value {
    json!({ "msgtype": "text", "text": { "content": content } })
}

async fn post(url: &str, body: impl Into<reqwest::Body>) -> reqwest::Result<reqwest::Response> {
    client().post(url).header("content-type", "application/json; charset=utf-8").body(body).send().await
}

/// `errcode` and `errmsg` of the answer, which is HTTP 200.
async fn say_raw(url: &str, body: impl Into<reqwest::Body>) -> (i64, String) {
    let response = post(url, body).await.unwrap();
    assert_eq!(response.status(), 200);
    let answer: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    (answer["errcode"].as_i64().unwrap(), answer["errmsg"].as_str().unwrap().to_owned())
}

async fn say(url: &str, message: &Value) -> (i64, String) {
    say_raw(url, message.to_string()).await
}

fn no(code: i64, text: &str) -> (i64, String) {
    (code, text.to_owned())
}

fn signed(group: &DingTalk, at: i64, encode: impl Fn(&str) -> String) -> String {
    let sign = gate::sign_of(&at.to_string(), SECRET);
    format!("{}&timestamp={at}&sign={}", group.url_of("ops").unwrap(), encode(&sign))
}

fn once(sign: &str) -> String {
    percent_encoding::utf8_percent_encode(sign, percent_encoding::NON_ALPHANUMERIC).to_string()
}
