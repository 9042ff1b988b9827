//! What every outbox has to do, done by this one.

use async_trait::async_trait;

use super::*;
use crate::outbox::suite::{Store, outbox_suite};

struct Files {
    folder: tempfile::TempDir,
    copies: u32,
}

impl Files {
    fn path(&self) -> PathBuf {
        self.folder.path().join(format!("{}.db", self.copies))
    }
}

#[async_trait]
impl Store for Files {
    const LIVES: u32 = 24;
    const SHARED: bool = false;

    async fn fresh() -> Option<Files> {
        Some(Files { folder: tempfile::tempdir().unwrap(), copies: 0 })
    }

    async fn open(&self) -> Result<Arc<dyn Outbox>, OutboxError> {
        Ok(Arc::new(open_limited(&self.path(), limits()).await?))
    }

    /// The files as they are this moment are all that is left.
    async fn crash(&mut self, outbox: Arc<dyn Outbox>) {
        let before = self.path();
        self.copies += 1;
        for ending in ["", "-wal"] {
            let from = format!("{}{ending}", before.display());
            if Path::new(&from).exists() {
                std::fs::copy(&from, format!("{}{ending}", self.path().display())).unwrap();
            }
        }
        drop(outbox);
    }

    async fn needed(&self) -> i64 {
        let db = rusqlite::Connection::open(self.path()).unwrap();
        db.query_row("SELECT coalesce(sum(refs), 0) FROM events", [], |row| row.get(0)).unwrap()
    }
}

outbox_suite!(Files);
