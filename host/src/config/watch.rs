//! Notices that files have changed: at once where the system announces it, else at an interval.
//!
//! Folders are watched rather than files, since editors and Kubernetes replace a file (or the folder behind a link) instead of writing it. What
//! counts is what a file is in the end: its size, its time and its place on the disk, links followed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tracing::debug;

/// A file is looked at when its folder has been left alone for so long.
const QUIET: Duration = Duration::from_millis(200);
/// A folder that is never left alone is looked at after so many quiet times.
const PATIENCE: u32 = 20;
/// How often files are looked at without having been announced: some file systems announce nothing.
const POLL: Duration = Duration::from_secs(5);
/// More folders than these are looked at at intervals only.
const MOST_FOLDERS: usize = 128;
/// After so many announcements in a row that meant none of the files, no more of them are asked for: something else in the folder, most often the
/// outbox, is written all the time, and to be told of each write would cost more than to look.
const FALSE_ALARMS: u32 = 3;
/// How often the files of such a folder are looked at.
const POLL_BUSY: Duration = Duration::from_secs(1);

/// What a file is; `None` where there is none.
type Stamp = Option<(u64, SystemTime, (u64, u64))>;

/// Watches some files.
pub struct FileWatch {
    files: Vec<PathBuf>,
    stamps: Vec<Stamp>,
    announced: mpsc::Receiver<()>,
    /// Watches as long as it lives.
    watcher: Option<RecommendedWatcher>,
    false_alarms: u32,
    poll: Duration,
}

impl FileWatch {
    /// Watches these files from now on.
    pub fn new(files: Vec<PathBuf>) -> FileWatch {
        let (announce, announced) = mpsc::channel(1);
        let watcher = watcher(&files, announce);
        let stamps = files.iter().map(|file| stamp(file)).collect();
        FileWatch { files, stamps, announced, watcher, false_alarms: 0, poll: POLL }
    }

    /// The files.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Waits until one of them has changed, and has been left alone since. Cancel-safe.
    pub async fn changed(&mut self) {
        loop {
            let announced = tokio::select! {
                announced = self.announced.recv() => match announced {
                    Some(()) => {
                        self.quiet().await;
                        true
                    }
                    // Nothing is announced here.
                    None => {
                        tokio::time::sleep(self.poll).await;
                        false
                    }
                },
                () = tokio::time::sleep(self.poll) => false,
            };
            let stamps: Vec<Stamp> = self.files.iter().map(|file| stamp(file)).collect();
            if stamps != self.stamps {
                (self.stamps, self.false_alarms) = (stamps, 0);
                return;
            }
            if announced {
                self.false_alarm();
            }
        }
    }

    fn false_alarm(&mut self) {
        self.false_alarms += 1;
        if self.false_alarms >= FALSE_ALARMS && self.watcher.take().is_some() {
            debug!("Files that are not watched change all the time beside those that are; looking at intervals.");
            self.poll = POLL_BUSY;
        }
    }

    async fn quiet(&mut self) {
        for _ in 0..PATIENCE {
            if !matches!(tokio::time::timeout(QUIET, self.announced.recv()).await, Ok(Some(()))) {
                return;
            }
        }
    }
}

fn watcher(files: &[PathBuf], announce: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let folders: BTreeSet<PathBuf> = files.iter().filter_map(|file| file.parent()).map(folder).collect();
    // A full channel has announced it already; a closed one interests nobody.
    let tell = move |_: notify::Result<notify::Event>| {
        let _ = announce.try_send(());
    };
    let watch = |mut watcher: RecommendedWatcher| {
        let mut folders = folders.iter().take(MOST_FOLDERS);
        folders.try_for_each(|folder| watcher.watch(folder, RecursiveMode::NonRecursive)).map(|()| watcher)
    };
    let watched = notify::recommended_watcher(tell).and_then(watch);
    watched.map_err(|error| debug!(%error, seconds = POLL.as_secs(), "Changes of files are not announced; looking at intervals.")).ok()
}

/// A relative path without a folder lies in the present one.
fn folder(parent: &Path) -> PathBuf {
    if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() }
}

fn stamp(file: &Path) -> Stamp {
    let about = std::fs::metadata(file).ok()?;
    Some((about.len(), about.modified().unwrap_or(SystemTime::UNIX_EPOCH), place(&about)))
}

#[cfg(unix)]
fn place(about: &std::fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (about.dev(), about.ino())
}

#[cfg(not(unix))]
fn place(_about: &std::fs::Metadata) -> (u64, u64) {
    (0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    async fn notices(watch: &mut FileWatch) {
        tokio::time::timeout(SOON, watch.changed()).await.expect("the change is noticed");
    }

    #[tokio::test]
    async fn a_file_that_is_written_replaced_or_removed_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        std::fs::write(&file, "a = 1").unwrap();
        let mut watch = FileWatch::new(vec![file.clone()]);
        std::fs::write(&file, "a = 11").unwrap();
        notices(&mut watch).await;
        std::fs::write(folder.path().join("new"), "a = 22").unwrap();
        std::fs::rename(folder.path().join("new"), &file).unwrap();
        notices(&mut watch).await;
        std::fs::remove_file(&file).unwrap();
        notices(&mut watch).await;
    }

    #[tokio::test]
    async fn a_folder_that_is_written_all_the_time_is_looked_at_and_no_longer_announced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        std::fs::write(&file, "a = 1").unwrap();
        let mut watch = FileWatch::new(vec![file.clone()]);
        let noise = async || {
            for n in 0..200 {
                std::fs::write(folder.path().join("outbox"), n.to_string()).unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        for _ in 0..100 {
            tokio::select! {
                () = noise() => {}
                () = watch.changed() => panic!("the file is as it was"),
            }
            if watch.watcher.is_none() {
                break;
            }
        }
        assert!(watch.watcher.is_none(), "it is still told of each write");
        std::fs::write(&file, "a = 11").unwrap();
        notices(&mut watch).await;
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_folder_of_links_that_is_turned_over_as_kubernetes_does_has_changed() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (version, text) in [("..1", "a = 1"), ("..2", "a = 2")] {
            std::fs::create_dir(at(version)).unwrap();
            std::fs::write(at(version).join("a.toml"), text).unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/a.toml", at("a.toml")).unwrap();
        let mut watch = FileWatch::new(vec![at("a.toml")]);
        symlink("..2", at("..data_tmp")).unwrap();
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
        notices(&mut watch).await;
        assert_eq!(std::fs::read_to_string(at("a.toml")).unwrap(), "a = 2");
    }
}
