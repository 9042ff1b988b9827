//! Tests of the HTTP client against sockets of our own.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::egress;
use super::super::request::{Method, Request, Target};
use super::*;

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(200);

fn client() -> HttpClient {
    HttpClient::new(&Proxy::Direct).unwrap()
}

fn outgoing(url: &str) -> Outgoing {
    let request =
        Request { target: Target::Connector, method: Method::Post, headers: vec![], query: vec![], body: b"{\"hello\":1}".to_vec() };
    egress::admit(&request, &[], &Url::parse(url).unwrap(), &[]).unwrap()
}

/// Reads a request with its body.
async fn read_request(socket: &mut TcpStream) -> String {
    let (mut text, mut buffer) = (Vec::new(), [0; 1024]);
    while !text.ends_with(b"{\"hello\":1}") && !text.starts_with(b"HEAD") {
        let read = socket.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the request ended early");
        text.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8(text).unwrap()
}

/// A receiver that answers its first connection with these bytes and closes it; `None` says nothing for as long as the client waits.
async fn receiver(answer: Option<Vec<u8>>) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?token=hush", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let request = read_request(&mut socket).await;
        match answer {
            // The client may have read enough and hung up.
            Some(answer) => drop(socket.write_all(&answer).await),
            None => drop(socket.read(&mut [0; 1]).await),
        }
        request
    });
    (url, task)
}

fn response(status: &str, body: &str) -> Option<Vec<u8>> {
    Some(format!("HTTP/1.1 {status}\r\nx-a: b\r\nset-cookie: c=d\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

#[tokio::test]
async fn an_answer_comes_back_with_status_headers_and_body() {
    let (url, task) = receiver(response("503 Busy", "later")).await;
    let answer = client().send(&outgoing(&url), LONG).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (503, b"later".as_slice()));
    assert!(answer.headers.contains(&("x-a".into(), "b".into())));
    assert!(!answer.headers.iter().any(|(name, _)| name == "set-cookie"));
    let request = task.await.unwrap();
    assert!(request.starts_with("POST /hook?token=hush HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(concat!("user-agent: incident-sink/", env!("CARGO_PKG_VERSION"))), "{request}");
    assert!(request.contains("content-length: 11"), "{request}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_any_other() {
    let (url, _task) = receiver(Some(b"HTTP/1.1 307 Go\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_vec())).await;
    assert_eq!(client().send(&outgoing(&url), LONG).await.unwrap().status, 307);
}

#[tokio::test]
async fn a_long_answer_is_cut() {
    let (url, _task) = receiver(response("200 OK", &"x".repeat(MAX_ANSWER * 3))).await;
    assert_eq!(client().send(&outgoing(&url), LONG).await.unwrap().body.len(), MAX_ANSWER);
}

#[tokio::test]
async fn a_refused_connection_was_not_sent_for_sure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?token=hush", listener.local_addr().unwrap());
    drop(listener);
    let error = client().send(&outgoing(&url), LONG).await.unwrap_err();
    assert!(matches!(&error, SendError::NotSent(text) if text.contains("refused")), "{error}");
    assert!(!format!("{error} {error:?}").contains("hush"));
}

#[tokio::test]
async fn a_failed_handshake_was_not_sent_for_sure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/hook?token=hush", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        drop(socket.write_all(b"this is no TLS record, for sure").await);
    });
    let error = client().send(&outgoing(&url), LONG).await.unwrap_err();
    assert!(matches!(error, SendError::NotSent(_)), "{error}");
    task.await.unwrap();
}

#[tokio::test]
async fn a_handshake_that_never_ends_was_not_sent_for_sure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/hook?token=hush", listener.local_addr().unwrap());
    let error = client().send(&outgoing(&url), SHORT).await.unwrap_err();
    assert!(matches!(error, SendError::NotSent(_)), "{error}");
}

#[tokio::test]
async fn silence_after_sending_is_unknown() {
    let (url, _task) = receiver(None).await;
    let error = client().send(&outgoing(&url), SHORT).await.unwrap_err();
    assert_eq!(error, SendError::Unknown("nothing within 200 ms".into()));
}

#[tokio::test]
async fn a_connection_that_ends_after_sending_is_unknown() {
    let (url, _task) = receiver(Some(Vec::new())).await;
    let error = client().send(&outgoing(&url), LONG).await.unwrap_err();
    assert!(matches!(error, SendError::Unknown(_)), "{error}");
    assert!(!format!("{error} {error:?}").contains("hush"));
}

#[tokio::test]
async fn an_answer_that_ends_early_is_unknown() {
    let (url, _task) = receiver(Some(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec())).await;
    assert!(matches!(client().send(&outgoing(&url), LONG).await, Err(SendError::Unknown(_))));
}

#[tokio::test]
async fn a_probe_sends_nothing_that_is_secret() {
    let (url, task) = receiver(response("405 No", "")).await;
    client().probe(&Url::parse(&url).unwrap(), LONG).await.unwrap();
    let request = task.await.unwrap();
    assert!(request.starts_with("HEAD / HTTP/1.1\r\n") && !request.contains("hush"), "{request}");
}

#[test]
fn a_proxy_that_is_no_url_is_refused_without_showing_it() {
    let error = HttpClient::new(&Proxy::Url(Secret::new("http://[hush"))).unwrap_err();
    assert_eq!(error.to_string(), "the proxy's URL cannot be used");
}
