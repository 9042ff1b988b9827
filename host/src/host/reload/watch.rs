//! Reads the config anew when a file that it depends on has changed.

use super::super::{Control, Service};
use crate::config::FileWatch;

/// Watches the config's file and those of its secrets, and reads the config anew when one has changed. A bad one is tried once.
pub fn watch_config(control: Control) -> Service {
    Box::new(move |stop| {
        Box::pin(async move {
            let mut watch = FileWatch::new(control.plan().document.files());
            while stop.run_until_cancelled(watch.changed()).await.is_some() {
                // What came of it is told there, whatever it is.
                let _ = stop.run_until_cancelled(control.reload("file")).await;
                let files = control.plan().document.files();
                if files != watch.files() {
                    watch = FileWatch::new(files);
                }
            }
        })
    })
}
