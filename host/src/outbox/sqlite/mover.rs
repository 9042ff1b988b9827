//! Moves the write-ahead log into the file, beside the writer.
//!
//! A checkpoint writes every page once more and syncs the file: tens of milliseconds that no commit should wait for. So a thread with a
//! connection of its own moves what is there while the writer goes on. The few frames that were added meanwhile the writer moves itself;
//! with its next commit SQLite then begins the log anew. Not SQLite's own checkpoints, because those keep a failed sync to themselves and
//! would try it again.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::connect;
use super::fault::{Fault, Judge};
use crate::outbox::OutboxError;

/// A log of more frames than this is moved into the file.
const LONG: i64 = 4_000;
/// As many frames the writer moves itself.
const FEW: i64 = 1_000;
/// A log of more frames than this is not written on before it has been moved.
const TOO_LONG: i64 = 4 * LONG;

/// How far the log has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Log {
    /// Frames in it.
    frames: i64,
    /// How many of them are in the file.
    moved: i64,
}

/// How SQLite is to look at the log.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mode {
    /// Only look.
    Look,
    /// Move what can be moved without waiting for anybody.
    Passive,
    /// Move everything, and empty the log.
    Truncate,
}

/// Looks at the log, or moves it.
pub(super) fn checkpoint(db: &Connection, mode: Mode) -> Result<Log, rusqlite::Error> {
    let sql = match mode {
        Mode::Look => "PRAGMA wal_checkpoint(NOOP)",
        Mode::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
        Mode::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    db.prepare_cached(sql)?.query_row([], |row| Ok(Log { frames: row.get(1)?, moved: row.get(2)? }))
}

/// What is to be done about a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Nothing,
    /// Move it beside the writer.
    Beside,
    /// Move the rest now.
    Here,
}

fn next(log: Log, moving: bool) -> Next {
    let rest = log.frames - log.moved;
    if log.frames <= LONG || rest <= 0 {
        Next::Nothing
    } else if log.frames > TOO_LONG {
        Next::Here
    } else if moving {
        Next::Nothing
    } else if rest <= FEW {
        Next::Here
    } else {
        Next::Beside
    }
}

/// The thread that moves, as the writer sees it.
pub(super) struct Mover {
    ask: Option<Sender<()>>,
    done: Receiver<()>,
    moving: bool,
    thread: Option<JoinHandle<()>>,
}

impl Mover {
    /// Starts the thread.
    pub(super) fn start(path: &Path, judge: Judge) -> Result<Mover, Fault> {
        let db = connect::beside(path)?;
        let ((ask, asked), (tell, done)) = (mpsc::channel(), mpsc::channel());
        let work = move || {
            while let Ok(()) = asked.recv() {
                if let Err(error) = checkpoint(&db, Mode::Passive) {
                    not_moved(&judge.sql(&error));
                }
                if tell.send(()).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("outbox-log".into())
            .spawn(work)
            .map_err(|error| OutboxError::Unavailable(format!("the outbox's second thread cannot be started ({error})")))?;
        Ok(Mover { ask: Some(ask), done, moving: false, thread: Some(thread) })
    }

    /// Sees to it that the log stays short. To be called after each commit.
    pub(super) fn mind(&mut self, db: &Connection, judge: &Judge) {
        if self.moving && self.done.try_recv().is_ok() {
            self.moving = false;
        }
        let minded = checkpoint(db, Mode::Look).and_then(|log| match next(log, self.moving) {
            Next::Nothing => Ok(()),
            Next::Beside => {
                self.moving = self.ask.as_ref().is_some_and(|ask| ask.send(()).is_ok());
                Ok(())
            }
            Next::Here => {
                self.wait();
                checkpoint(db, Mode::Passive).map(drop)
            }
        });
        if let Err(error) = minded {
            not_moved(&judge.sql(&error));
        }
    }

    /// Waits until nothing is being moved: as long as the disk takes.
    fn wait(&mut self) {
        if self.moving {
            // An error says that the thread has ended, and moves nothing either.
            _ = self.done.recv();
            self.moving = false;
        }
    }
}

impl Drop for Mover {
    /// Waits for the thread.
    fn drop(&mut self) {
        self.ask = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(message = "The thread that moves the outbox's log panicked.");
        }
    }
}

fn not_moved(error: &OutboxError) {
    tracing::warn!(message = "Outbox's write-ahead log not moved into the file; tried again after the next write.", error = %error);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_is_moved_beside_the_writer_and_finished_by_it() {
        let at = |frames, moved, moving| next(Log { frames, moved }, moving);
        assert_eq!(at(LONG, 0, false), Next::Nothing);
        assert_eq!(at(LONG + 1, 0, false), Next::Beside);
        assert_eq!(at(LONG + 500, 0, true), Next::Nothing);
        assert_eq!(at(LONG + 500, LONG + 1, false), Next::Here);
        assert_eq!(at(LONG + 500, LONG + 500, false), Next::Nothing, "the next commit begins it anew");
        assert_eq!(at(2 * LONG, LONG, false), Next::Beside, "too much came meanwhile");
    }

    #[test]
    fn a_log_that_grows_faster_than_it_is_moved_is_waited_for() {
        assert_eq!(next(Log { frames: TOO_LONG + 1, moved: LONG }, true), Next::Here);
    }
}
