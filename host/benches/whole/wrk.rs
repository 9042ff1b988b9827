//! Load by wrk: 64 connections, events of 500 bytes, each with an id of its own.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::process::Command;

use crate::Failure;

/// What wrk counted.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// Answered with 2xx.
    pub(crate) events: f64,
    /// From the first request to the last answer, in seconds.
    pub(crate) seconds: f64,
}

impl Load {
    /// Events a second.
    pub(crate) fn rate(self) -> f64 {
        self.events / self.seconds
    }
}

/// Posts events for so many seconds, spread over the alert sources `s0` to `sN`. An answer that is no success is an error.
pub(crate) async fn run(folder: &Path, port: u16, seconds: u64, sources: usize) -> Result<Load, Failure> {
    let script = folder.join("load.lua");
    let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    std::fs::write(&script, lua(run, sources))?;
    let output = Command::new("wrk")
        .args(["--threads", "1", "--connections", "64", "--timeout", "30s", "--duration", &format!("{seconds}s"), "--script"])
        .arg(&script)
        .arg(format!("http://127.0.0.1:{port}/webhooks/ilert"))
        .output()
        .await
        .map_err(|error| format!("wrk: {error}; `apt-get install wrk`, or `cargo xtask bench`"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("COUNTED ")).ok_or_else(|| format!("wrk failed: {text}"))?;
    let numbers: Vec<f64> = line.split(' ').filter_map(|number| number.parse().ok()).collect();
    let [requests, micros, refused, broken] = numbers[..] else { return Err(format!("wrk says {line}").into()) };
    if refused + broken > 0.0 {
        return Err(format!("{refused} events were refused and {broken} connections broke").into());
    }
    Ok(Load { events: requests, seconds: micros / 1e6 })
}

/// The script: a counter makes the ids, the details fill up to 500 bytes.
fn lua(run: u128, sources: usize) -> String {
    format!(
        r#"local n = 0
local path = "/webhooks/ilert"
local headers = {{ ["content-type"] = "application/json" }}
local filler = string.rep("x", 220)
request = function()
  n = n + 1
  local source = n % {sources}
  local body = string.format('{{"id":"%d","eventId":"{run}-%d","eventType":"alert-created","status":"PENDING","priority":"HIGH","summary":"Replication lag on db-3 is 312 s","reportTime":"2026-03-01T00:00:00Z","alertSource":{{"id":%d,"name":"s%d"}},"details":"%s"}}', n, n, source, source, filler)
  return wrk.format("POST", path, headers, body)
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("COUNTED %d %d %d %d\n", summary.requests, summary.duration, e.status, e.connect + e.read + e.write + e.timeout))
end
"#
    )
}
