//! Connections: where to, how, and with which promises of the server.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::config::PostgresConfig;
use super::fault::Fault;
use crate::outbox::OutboxError;

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the server may work at one statement. Those of the outbox take milliseconds.
const STATEMENT: Duration = Duration::from_secs(10);
/// How long a statement waits for a row that another host holds.
const LOCK: Duration = Duration::from_secs(5);

/// How to connect, from the config. The `Err` names no credential.
pub(super) fn settings(config: &PostgresConfig) -> Result<tokio_postgres::Config, String> {
    let wanted = "expected postgres://user:password@host:5432/name";
    let text = config.url.expose().trim();
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return Err(format!("`url`: {wanted}"));
    }
    // The parser's own words may repeat parts of the address.
    let mut settings: tokio_postgres::Config = text.parse().map_err(|_| format!("`url` cannot be read: {wanted}"))?;
    if settings.get_hosts().is_empty() {
        return Err(format!("`url` names no host: {wanted}"));
    }
    // Where nothing is said: TLS over a network, and none to this machine, whose server would have a certificate that nobody trusts.
    if settings.get_ssl_mode() == SslMode::Prefer {
        let far = settings.get_hosts().iter().any(|host| matches!(host, Host::Tcp(name) if !is_local(name)));
        settings.ssl_mode(if far { SslMode::Require } else { SslMode::Disable });
    }
    let ms = |time: Duration| time.as_millis();
    let idle = ms(config.lease.duration().max(Duration::from_secs(1)));
    // A host that is frozen in the middle of a transaction holds a lane's row: the server lets go of it for others to take the lane over.
    let options = format!(
        "-c search_path={} -c client_min_messages=warning -c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout={idle}",
        config.schema,
        ms(STATEMENT),
        ms(LOCK)
    );
    let options = match settings.get_options() {
        Some(own) => format!("{own} {options}"),
        None => options,
    };
    settings.options(options).connect_timeout(CONNECT).keepalives_idle(Duration::from_secs(15)).tcp_user_timeout(Duration::from_secs(10));
    if settings.get_application_name().is_none() {
        settings.application_name("incident-sink");
    }
    Ok(settings)
}

fn is_local(name: &str) -> bool {
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// TLS, for servers that offer it and addresses that ask for it. The certificate is always checked.
pub(super) fn tls(config: &PostgresConfig, base: &Path) -> Result<MakeRustlsConnect, OutboxError> {
    let broken = |text: String| OutboxError::Broken(text);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| broken(format!("TLS cannot be set up: {error}")))?;
    let client = match &config.ca {
        None => builder.with_platform_verifier().map_err(|error| broken(format!("the system's certificates cannot be read: {error}")))?,
        Some(file) => {
            let path = base.join(file);
            let unusable = |why: String| broken(format!("`outbox.ca`, {}, cannot be used: {why}", path.display()));
            let mut roots = rustls::RootCertStore::empty();
            let pem = CertificateDer::pem_file_iter(&path).map_err(|error| unusable(error.to_string()))?;
            for certificate in pem {
                let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
                roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(unusable("it holds no certificate in PEM".into()));
            }
            builder.with_root_certificates(roots)
        }
    };
    Ok(MakeRustlsConnect::new(client.with_no_client_auth()))
}

/// The pool of a host's connections. Connects to nothing yet.
pub(super) fn pool(settings: tokio_postgres::Config, tls: MakeRustlsConnect, connections: usize) -> Result<Pool, OutboxError> {
    let manager = Manager::from_config(settings, tls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    Pool::builder(manager)
        .max_size(connections)
        .timeouts(Timeouts { wait: Some(CONNECT), create: Some(CONNECT), recycle: Some(CONNECT) })
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| OutboxError::Broken(format!("the connections to the database cannot be set up: {error}")))
}

/// Looks whether the server keeps what it promises. What it does not is told, or refused.
pub(super) async fn inspect(client: &deadpool_postgres::Client) -> Result<(), Fault> {
    let row = client
        .query_one(
            "SELECT current_setting('server_version_num')::bigint, current_setting('synchronous_commit'), current_setting('fsync')",
            &[],
        )
        .await?;
    let (version, commit, fsync): (i64, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if version < 130_000 {
        return Err(OutboxError::Broken(format!("the database is PostgreSQL {}; the outbox needs 13 or newer", version / 10_000)).into());
    }
    if commit == "off" {
        let text = "the database answers before it has written (`synchronous_commit = off`), so that answered events could be lost; \
                    `ALTER ROLE … SET synchronous_commit = on` for the user of `outbox.url`";
        return Err(OutboxError::Broken(text.into()).into());
    }
    if fsync == "off" {
        tracing::warn!(message = "The database does not sync (`fsync = off`): a crash of its machine may lose answered events.");
    }
    Ok(())
}
