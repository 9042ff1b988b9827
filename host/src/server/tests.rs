//! Tests of the server, over real sockets.

use axum::routing::get;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

use super::*;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/tls");

fn files() -> TlsFiles {
    TlsFiles { cert: format!("{FIXTURES}/localhost.crt").into(), key: format!("{FIXTURES}/localhost.key").into() }
}

fn short() -> Limits {
    let short = Duration::from_millis(30);
    Limits { connections: 1, handshake: short, head: short, request: short }
}

async fn local(tls: Option<TlsFiles>) -> Server {
    Server::bind(([127, 0, 0, 1], 0).into(), tls).await.unwrap()
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn it_answers_over_tls_with_the_certificate_of_the_files() {
    let server = local(Some(files())).await;
    let (addr, stop) = (server.local_addr(), CancellationToken::new());
    let running = tokio::spawn(server.run(Router::new().route("/", get(async || "hello")), stop.clone(), Duration::from_secs(5)));

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(files().cert).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let stream = TcpStream::connect(addr).await.unwrap();
    let stream = tokio_rustls::TlsConnector::from(config).connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
    let answer = exchange(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_bad_certificate_is_named_by_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    let error = async |files| Server::bind(([127, 0, 0, 1], 0).into(), Some(files)).await.err().unwrap().to_string();
    let cases = [
        (TlsFiles { cert: "/nowhere.crt".into(), ..files() }, "/nowhere.crt: cannot be read"),
        (TlsFiles { cert: empty.clone(), ..files() }, "empty.pem: there is no `BEGIN CERTIFICATE` in it"),
        (TlsFiles { key: empty, ..files() }, "empty.pem: there is no usable `BEGIN PRIVATE KEY` in it"),
    ];
    for (files, expected) in cases {
        let text = error(files).await;
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn a_changed_certificate_is_read_anew_and_a_bad_one_leaves_the_old() {
    let folder = tempfile::tempdir().unwrap();
    let copy = TlsFiles { cert: folder.path().join("a.crt"), key: folder.path().join("a.key") };
    std::fs::copy(files().cert, &copy.cert).unwrap();
    std::fs::copy(files().key, &copy.key).unwrap();
    let tls = super::tls::Tls::load(copy.clone()).ok().unwrap();
    assert!(matches!(tls.reload_if_changed(), Ok(false)));
    let touch = |seconds| {
        let file = std::fs::File::options().write(true).open(&copy.cert).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    };
    touch(1);
    assert!(matches!(tls.reload_if_changed(), Ok(true)));
    std::fs::write(&copy.cert, "garbage").unwrap();
    touch(2);
    assert!(tls.reload_if_changed().is_err());
    assert!(matches!(tls.reload_if_changed(), Ok(false)));
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let first = local(None).await;
    let error = Server::bind(first.local_addr(), None).await.err().unwrap().to_string();
    assert!(error.starts_with(&format!("cannot listen on {}", first.local_addr())), "{error}");
}

#[tokio::test]
async fn a_request_in_progress_is_answered_after_the_stop_and_then_the_connection_closes() {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
        async move || {
            begun.notify_one();
            go.notified().await;
            "done"
        }
    };
    let server = local(None).await;
    let (addr, stop) = (server.local_addr(), CancellationToken::new());
    let running = tokio::spawn(server.run(Router::new().route("/", get(handler)), stop.clone(), Duration::from_secs(5)));
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    begun.notified().await;
    stop.cancel();
    go.notify_one();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("done") && answer.to_lowercase().contains("connection: close"), "{answer}");
    running.await.unwrap();
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn the_end_of_the_grace_period_cuts_what_is_left() {
    let server = local(None).await;
    let (addr, stop) = (server.local_addr(), CancellationToken::new());
    let begun = Arc::new(Notify::new());
    let handler = {
        let begun = Arc::clone(&begun);
        async move || {
            begun.notify_one();
            std::future::pending::<()>().await;
        }
    };
    let running = tokio::spawn(server.run(Router::new().route("/", get(handler)), stop.clone(), Duration::from_millis(20)));
    let client = tokio::spawn(async move { exchange(TcpStream::connect(addr).await.unwrap()).await });
    begun.notified().await;
    stop.cancel();
    running.await.unwrap();
    assert_eq!(client.await.unwrap(), "");
}

#[tokio::test]
async fn a_slow_client_is_cut_off_and_makes_room_for_the_next() {
    let server = local(None).await.with_limits(short());
    let addr = server.local_addr();
    let stop = CancellationToken::new();
    let routes = Router::new().route("/", get(async || "hello"));
    let running = tokio::spawn(server.run(routes, stop.clone(), Duration::from_secs(1)));
    let mut slow = TcpStream::connect(addr).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nx-slow: ").await.unwrap();
    // One connection at once: the second is served only after the first was cut off.
    assert!(exchange(TcpStream::connect(addr).await.unwrap()).await.ends_with("hello"));
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_handler_that_hangs_is_answered_for_with_503() {
    let server = local(None).await.with_limits(short());
    let addr = server.local_addr();
    let stop = CancellationToken::new();
    let running = tokio::spawn(server.run(Router::new().route("/", get(std::future::pending::<()>)), stop.clone(), Duration::from_secs(1)));
    let answer = exchange(TcpStream::connect(addr).await.unwrap()).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 10"), "{answer}");
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn swapped_routes_are_taken_by_the_next_request() {
    let server = local(None).await;
    let (addr, stop) = (server.local_addr(), CancellationToken::new());
    let routes = Arc::new(ArcSwap::from_pointee(Router::new().route("/", get(async || "old"))));
    let running = tokio::spawn(server.run_live(Arc::clone(&routes), stop.clone(), || Duration::from_secs(1)));
    assert!(exchange(TcpStream::connect(addr).await.unwrap()).await.ends_with("old"));
    routes.store(Arc::new(Router::new().route("/", get(async || "new"))));
    assert!(exchange(TcpStream::connect(addr).await.unwrap()).await.ends_with("new"));
    stop.cancel();
    running.await.unwrap();
}
