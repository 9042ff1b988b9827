//! What every outbox has to do, done by this one, in a PostgreSQL of the tests' own.

#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "../../../../tests/support/postgres.rs"]
mod server;

use tokio_postgres::NoTls;

use self::server::Postgres;
use super::*;
use crate::config::Span;
use crate::outbox::suite::shared::Shared;
use crate::outbox::suite::{Store, outbox_suite, shared_suite};

/// A schema of its own in the server that all tests share.
struct Schema(PostgresConfig);

impl Schema {
    /// Executes something of ours; a number that it answers.
    async fn execute(&self, sql: &str) -> i64 {
        let mut settings: tokio_postgres::Config = self.0.url.expose().parse().unwrap();
        let settings = settings.options(format!("-c search_path={}", self.0.schema));
        let (client, connection) = settings.connect(NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let number = client.query_opt(sql, &[]).await.unwrap().map_or(0, |row| row.get(0));
        connection.abort();
        number
    }
}

#[async_trait]
impl Store for Schema {
    const LIVES: u32 = 8;
    const SHARED: bool = true;

    async fn fresh() -> Option<Schema> {
        let server = Postgres::shared()?;
        let config = PostgresConfig {
            schema: Postgres::fresh_schema(),
            lease: Span::from_secs(1),
            connections: 4,
            ..PostgresConfig::new(server.url())
        };
        Some(Schema(config))
    }

    async fn open(&self) -> Result<Arc<dyn Outbox>, OutboxError> {
        Ok(Arc::new(PostgresOutbox::open(Path::new("."), &self.0, Clock::system()).await?))
    }

    /// The lease of the host that is gone is over at once: `shared` looks at how long it takes.
    async fn crash(&mut self, outbox: Arc<dyn Outbox>) {
        drop(outbox);
        self.bury_everybody().await;
    }

    async fn needed(&self) -> i64 {
        self.execute("SELECT coalesce(sum(refs), 0)::bigint FROM events").await
    }
}

#[async_trait]
impl Shared for Schema {
    fn be_patient(&mut self) {
        self.0.lease = Span::from_secs(600);
    }

    async fn bury_everybody(&self) {
        self.execute("DELETE FROM hosts").await;
    }
}

outbox_suite!(Schema);
shared_suite!(Schema);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outbox_is_moved_from_a_file_and_back_to_one() {
    use crate::outbox::OutboxConfig;
    use crate::outbox::moving::moved::{check, file, fill};
    use crate::outbox::moving::{Moved, move_all};

    let Some(Schema(shared)) = Schema::fresh().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (from, back) = (file("a.db"), file("b/b.db"));
    let outbox = from.build(folder.path(), Clock::system()).await.unwrap();
    fill(&*outbox).await;
    outbox.close().await;
    drop(outbox);
    std::fs::write(folder.path().join("respond.key"), "ab\n").unwrap();
    std::fs::create_dir(folder.path().join("b")).unwrap();
    for (from, to) in [(&*from, &shared as &dyn OutboxConfig), (&shared, &*back)] {
        let (source, target) = (from.mover(folder.path(), false).await.unwrap(), to.mover(folder.path(), true).await.unwrap());
        let Moved { rows, .. } = move_all(&*source, &*target).await.unwrap();
        assert!(rows.is_some_and(|rows| rows > 20), "{rows:?}");
    }
    check(&*back.build(folder.path(), Clock::system()).await.unwrap()).await;
    assert_eq!(std::fs::read_to_string(folder.path().join("b/respond.key")).unwrap().trim(), "ab");
    assert!(shared.mover(folder.path(), false).await.is_err(), "it was put aside");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outbox_that_was_moved_to_the_database_is_the_one_that_it_was() {
    use crate::outbox::OutboxConfig;
    use crate::outbox::moving::move_all;
    use crate::outbox::moving::moved::{check, file, fill};

    let Some(Schema(shared)) = Schema::fresh().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let from = file("a.db");
    let outbox = from.build(folder.path(), Clock::system()).await.unwrap();
    fill(&*outbox).await;
    outbox.close().await;
    drop(outbox);
    let (source, target) = (from.mover(folder.path(), false).await.unwrap(), shared.mover(folder.path(), true).await.unwrap());
    move_all(&*source, &*target).await.unwrap();
    let outbox = PostgresOutbox::open(folder.path(), &shared, Clock::system()).await.unwrap();
    outbox.claim("ops").await.unwrap();
    check(&outbox).await;
    assert!(shared.mover(folder.path(), false).await.is_err(), "a host uses it");
    outbox.close().await;
}
