//! The little HTTP that the measurements themselves need.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Failure;

/// A GET of this machine: status and body.
pub(crate) async fn get(port: u16, path: &str) -> Result<(u16, String), Failure> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    exchange(port, request.as_bytes()).await
}

/// A POST of JSON.
pub(crate) async fn post(port: u16, path: &str, body: &str) -> Result<(u16, String), Failure> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    exchange(port, request.as_bytes()).await
}

async fn exchange(port: u16, request: &[u8]) -> Result<(u16, String), Failure> {
    let all = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(request).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no body")?;
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        Ok::<_, Failure>((status, if chunked { unchunk(body) } else { body.to_owned() }))
    };
    tokio::time::timeout(Duration::from_secs(30), all).await?
}

/// A chunked body, put together.
fn unchunk(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || after.len() < size {
            break;
        }
        body.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
    }
    body
}
