//! The certificate of the public server changes while the real program runs.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Place, Running, SECRET, ask, fixture};

/// What the server answers to somebody who trusts this certificate alone; `None` where it shows another, or none.
async fn greeted(running: &Running, trusted: &Path) -> Option<String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let stream = TcpStream::connect(address(running)).await.unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(config).connect(ServerName::try_from("localhost").unwrap(), stream).await.ok()?;
    stream.write_all(b"GET /webhooks/ilert HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    Some(answer.lines().next().unwrap().to_owned())
}

fn address(running: &Running) -> &str {
    running.url.trim_start_matches("http://").split('/').next().unwrap()
}

async fn reload(running: &Running) {
    incident_sink::delivery::http::install_crypto();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.post(format!("{}/api/reload", running.admin)).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_and_another_one_are_used_for_the_next_connections() {
    let place = Place::with_connector("https://x.example/send?access_token=of-a-robot", SECRET);
    let (old, new) = (fixture("tls/localhost.crt"), fixture("tls/renewed.crt"));
    let file = |name: &str| place.0.path().join(name);
    let renew = |certificate: &Path| {
        std::fs::copy(certificate, file("host.crt")).unwrap();
        std::fs::copy(certificate.with_extension("key"), file("host.key")).unwrap();
    };
    renew(&old);
    place.rewrite(|config| format!("{config}[server.tls]\ncert = \"host.crt\"\nkey = \"host.key\"\n"));
    let running = place.start_with(&["--no-watch"]);
    assert_eq!(greeted(&running, &old).await.as_deref(), Some("HTTP/1.1 200 OK"));
    assert_eq!(greeted(&running, &new).await, None);

    // The files are other ones, the config is the same.
    renew(&new);
    reload(&running).await;
    assert_eq!(greeted(&running, &new).await.as_deref(), Some("HTTP/1.1 200 OK"));
    assert_eq!(greeted(&running, &old).await, None);

    // The config names other files.
    let elsewhere = format!("cert = \"{}\"\nkey = \"{}\"", old.display(), old.with_extension("key").display());
    place.rewrite(|config| config.replace("cert = \"host.crt\"\nkey = \"host.key\"", &elsewhere));
    reload(&running).await;
    assert_eq!(greeted(&running, &old).await.as_deref(), Some("HTTP/1.1 200 OK"));

    // Without TLS at all.
    place.rewrite(|config| config.split("[server.tls]").next().unwrap().to_owned());
    reload(&running).await;
    assert_eq!(greeted(&running, &old).await, None);
    incident_sink::delivery::http::install_crypto();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(client.get(&running.url).send().await.unwrap().status().as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_read_leaves_the_one_in_use() {
    let place = Place::with_connector("https://x.example/send?access_token=of-a-robot", SECRET);
    let (old, new) = (fixture("tls/localhost.crt"), fixture("tls/renewed.crt"));
    let file = |name: &str| place.0.path().join(name);
    for ending in ["crt", "key"] {
        std::fs::copy(old.with_extension(ending), file("host").with_extension(ending)).unwrap();
    }
    place.rewrite(|config| format!("{config}[server.tls]\ncert = \"host.crt\"\nkey = \"host.key\"\n"));
    let running = place.start_with(&["--no-watch"]);
    std::fs::write(file("host.crt"), "this is no certificate").unwrap();
    incident_sink::delivery::http::install_crypto();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.post(format!("{}/api/reload", running.admin)).send().await.unwrap();
    let (status, problem) = (answer.status().as_u16(), answer.text().await.unwrap());
    assert!(status == 422 && problem.contains("BEGIN CERTIFICATE"), "{status} {problem}");
    assert_eq!(greeted(&running, &old).await.as_deref(), Some("HTTP/1.1 200 OK"));
    assert_eq!(ask(&running, "/healthz", "*/*").await.0, 200);

    for ending in ["crt", "key"] {
        std::fs::copy(new.with_extension(ending), file("host").with_extension(ending)).unwrap();
    }
    assert!(client.post(format!("{}/api/reload", running.admin)).send().await.unwrap().status().is_success());
    assert_eq!(greeted(&running, &new).await.as_deref(), Some("HTTP/1.1 200 OK"));
}
