//! Reads the config anew when a file that it depends on has changed.

use tokio_util::sync::CancellationToken;

use super::super::{Control, Service};
use crate::config::{Document, FileWatch};

/// Watches the config's file and those of its secrets, and reads the config anew when one has changed. A bad one is tried once.
pub fn watch_config(control: Control) -> Service {
    Box::new(move |stop| {
        Box::pin(async move {
            stop.run_until_cancelled(watch(&control, &stop)).await.unwrap_or_default();
        })
    })
}

async fn watch(control: &Control, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        let mut watch = FileWatch::new(control.plan().document.files());
        // Between the reading and the watching a file may have changed.
        if is_stale(control).await {
            reload(control).await;
        }
        while watch.files() == control.plan().document.files() {
            watch.changed().await;
            reload(control).await;
        }
    }
}

async fn reload(control: &Control) {
    // What came of it is told there, whatever it is.
    let _ = control.reload("file").await;
}

/// Whether the file says something else than the config in use.
async fn is_stale(control: &Control) -> bool {
    let plan = control.plan();
    let Some(path) = plan.document.path().map(ToOwned::to_owned) else { return false };
    let read = tokio::task::spawn_blocking(move || Document::load(&path).map(|document| document.section_digest(&[]))).await;
    !matches!(read, Ok(Ok(digest)) if digest == plan.document.section_digest(&[]))
}
