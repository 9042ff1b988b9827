//! nginx: a receiver that answers as DingTalk does, a proxy in front of it, and a page that only says 202.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Failure;
use crate::http;
use crate::stage::{Running, folder, free_port};

/// A running nginx with one server.
pub(crate) struct Nginx {
    /// Where it listens.
    pub(crate) port: u16,
    /// Its master process.
    pub(crate) running: Running,
    _folder: TempDir,
}

/// Answers every message as DingTalk answers one that it takes.
pub(crate) async fn receiver() -> Result<Nginx, Failure> {
    start(r#"default_type application/json; return 200 '{"errcode":0,"errmsg":"ok"}';"#, "").await
}

/// Answers every event with 202 and forgets it.
pub(crate) async fn sink() -> Result<Nginx, Failure> {
    start("return 202;", "").await
}

/// Hands every request on to a receiver.
pub(crate) async fn proxy(to: u16) -> Result<Nginx, Failure> {
    let upstream = format!("upstream receiver {{ server 127.0.0.1:{to}; keepalive 64; }}");
    start("proxy_pass http://receiver/robot/send?access_token=t; proxy_http_version 1.1; proxy_set_header Connection \"\";", &upstream)
        .await
}

fn binary() -> &'static str {
    if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" }
}

async fn start(location: &str, upstream: &str) -> Result<Nginx, Failure> {
    let (folder, port) = (folder()?, free_port()?);
    let temporary: String =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].iter().map(|kind| format!("{kind}_temp_path {kind};\n")).collect();
    let config = format!(
        "daemon off;\nworker_processes 2;\npid nginx.pid;\nerror_log stderr crit;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n{temporary}access_log off;\nkeepalive_requests 100000000;\nclient_body_buffer_size 64k;\n{upstream}\n\
         server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ {location} }} }}\n}}\n"
    );
    std::fs::write(folder.path().join("nginx.conf"), config)?;
    let mut command = Command::new(binary());
    command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn();
    let child = child.map_err(|error| format!("nginx: {error}; `apt-get install nginx-light`, or `cargo xtask bench`"))?;
    let running = Running(child);
    let begun = Instant::now();
    while http::post(port, "/", "{}").await.is_err() {
        if begun.elapsed() > Duration::from_secs(10) {
            return Err("nginx does not start".into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(Nginx { port, running, _folder: folder })
}
