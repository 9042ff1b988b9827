//! What a crash leaves: the write-ahead log is cut and damaged everywhere before a restart.

use std::path::PathBuf;

use super::*;

const HEADER: u64 = 32;
const FRAME: u64 = 24 + 4096;

/// All that a restart must find.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Picture {
    waiting: Vec<(String, Vec<String>)>,
    messages: Vec<(MessageId, String, String, u32)>,
    memos: Vec<Option<String>>,
    seen: Vec<&'static str>,
}

const IDS: [&str; 6] = ["e0", "e1", "e2", "e3", "e4", "e5"];

async fn picture(outbox: &SqliteOutbox) -> Picture {
    let (mut waiting, mut memos) = (Vec::new(), Vec::new());
    for name in ["dev", "ops"] {
        let events = outbox.waiting(name, 100).await.unwrap();
        let lane = outbox.lane(name).await.unwrap();
        assert_eq!(lane.waiting, events.len() as u64);
        waiting.push((name.to_owned(), events.iter().map(|waiting| waiting.event.id.clone()).collect()));
        memos.push(lane.memo);
    }
    let list = outbox.messages(Filter::default()).await.unwrap();
    let messages = list.into_iter().map(|message| (message.id, message.state, message.key, message.attempts)).collect();
    let seen = outbox
        .change(|desk| Ok(IDS.into_iter().filter(|id| desk.ledger.was_seen(&crate::outbox::keys::key_of(id), T0)).collect()))
        .await
        .unwrap();
    Picture { waiting, messages, memos, seen }
}

fn log_of(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}-wal", path.display()))
}

/// A life in ten commits; how long the log was after each, and what was there.
async fn live(outbox: &SqliteOutbox, path: &Path) -> Vec<(u64, Picture)> {
    let mut history = Vec::new();
    let mut message = MessageId(0);
    for step in 0..10 {
        match step {
            0 | 2 | 4 => {
                _ = outbox.accept(T0, vec![incoming(IDS[step], &["ops", "dev"]), incoming(IDS[step + 1], &["ops"])], vec![]).await.unwrap()
            }
            1 | 5 => {
                let seqs: Vec<i64> = outbox.waiting("ops", 2).await.unwrap().iter().map(|waiting| waiting.seq).collect();
                message = outbox.open(new_message("ops", &format!("k{step}"), &seqs)).await.unwrap();
            }
            3 => {
                let settle = Settle::Delivered { receipt: None, memo: Some("kept".into()) };
                outbox.settle(message, settle, tried("delivered"), PaceLog::default()).await.unwrap();
            }
            6 => outbox.settle(message, again(T0, true, true), tried("unknown"), PaceLog::default()).await.unwrap(),
            7 => outbox.attempt(message, draft("again"), PaceLog::default(), T0).await.unwrap(),
            8 => outbox.settle(message, dead("no"), tried("rejected"), PaceLog::default()).await.unwrap(),
            _ => _ = outbox.replay(message, T0).await.unwrap(),
        }
        let length = std::fs::metadata(log_of(path)).unwrap().len();
        history.push((length, picture(outbox).await));
    }
    history
}

/// Starts on the database with this log, and looks.
async fn restart(folder: &Path, database: &[u8], log: &[u8]) -> Picture {
    let copy = tempfile::tempdir_in(folder).unwrap();
    let path = copy.path().join("x.db");
    std::fs::write(&path, database).unwrap();
    std::fs::write(log_of(&path), log).unwrap();
    picture(&open_at(&path).await).await
}

#[tokio::test]
async fn whatever_is_left_of_the_log_every_whole_commit_and_nothing_else_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    open_at(&path).await.close().await;
    let outbox = open_at(&path).await;
    let empty = picture(&outbox).await;
    let history = live(&outbox, &path).await;
    let (database, log) = (std::fs::read(&path).unwrap(), std::fs::read(log_of(&path)).unwrap());
    drop(outbox);
    let expected = |intact: u64| history.iter().rfind(|(length, _)| *length <= intact).map_or(&empty, |(_, picture)| picture);

    let frames = (log.len() as u64 - HEADER) / FRAME;
    assert!(frames >= 30, "{frames} frames are too few for this test");
    for frame in 0..=frames {
        let cut = HEADER + frame * FRAME;
        assert_eq!(restart(folder.path(), &database, &log[..cut as usize]).await, *expected(cut), "cut after frame {frame}");
    }
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..24 {
        let cut = random.u64(HEADER + (frames - 8) * FRAME..log.len() as u64);
        assert_eq!(restart(folder.path(), &database, &log[..cut as usize]).await, *expected(cut), "cut at byte {cut}");
        let mut damaged = log.clone();
        damaged[cut as usize] ^= 1 << random.u32(..8);
        let intact = HEADER + (cut - HEADER) / FRAME * FRAME;
        assert_eq!(restart(folder.path(), &database, &damaged).await, *expected(intact), "bit flipped in byte {cut}");
    }
}
