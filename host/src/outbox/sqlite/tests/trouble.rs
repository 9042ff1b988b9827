//! Full disks, other programs, damaged files, limits.

use super::*;

fn big(id: &str) -> Incoming {
    let mut event = event(id);
    event.details = "x".repeat(100_000);
    Incoming { source: "test".into(), event: Arc::new(event), connectors: vec!["ops".into()] }
}

/// Lets the file grow to so many pages.
async fn set_pages(outbox: &SqliteOutbox, pages: i64) {
    let set = outbox.change(move |desk| Ok(desk.db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?)).await;
    assert_eq!(set, Ok(()));
}

#[tokio::test]
async fn a_full_disk_answers_unavailable_loses_nothing_and_recovers_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let outbox = open_at(&path).await;
    set_pages(&outbox, 150).await;
    let mut kept = Vec::new();
    let error = loop {
        let id = format!("e{}", kept.len());
        match outbox.accept(T0, vec![big(&id)], vec![]).await {
            Ok(_) => kept.push(id),
            Err(error) => break error,
        }
        assert!(kept.len() < 20, "never full");
    };
    assert!(matches!(&error, OutboxError::Unavailable(text) if text.contains("x.db") && text.contains("space")), "{error}");
    assert_eq!(outbox.lane("ops").await.unwrap().waiting, kept.len() as u64);
    set_pages(&outbox, 10_000).await;
    let id = format!("e{}", kept.len());
    assert_eq!(outbox.accept(T0, vec![big(&id)], vec![]).await.unwrap(), [Taken::New], "the refused event was not remembered as seen");
    kept.push(id);
    outbox.ready().await.unwrap();
    let found = outbox.waiting("ops", 100).await.unwrap();
    assert_eq!(found.iter().map(|waiting| waiting.event.id.clone()).collect::<Vec<_>>(), kept);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_told_and_can_still_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open_at(&folder.path().join("x.db")).await;
    take(&outbox, "e1", &["ops"]).await;
    outbox.change(|desk| Ok(desk.db.pragma_update(None, "query_only", true)?)).await.unwrap();
    for error in [outbox.accept(T0, vec![incoming("e2", &["ops"])], vec![]).await.unwrap_err(), outbox.ready().await.unwrap_err()] {
        assert!(matches!(&error, OutboxError::Unavailable(text) if text.contains("cannot be written")), "{error}");
    }
    assert_eq!(outbox.waiting("ops", 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn another_program_that_writes_is_waited_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let outbox = open_at(&path).await;
    outbox.change(|desk| Ok(desk.db.busy_timeout(Duration::ZERO)?)).await.unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = outbox.accept(T0, vec![incoming("e1", &["ops"])], vec![]).await.unwrap_err();
    assert!(matches!(&error, OutboxError::Unavailable(text) if text.contains("another program")), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    take(&outbox, "e1", &["ops"]).await;
}

#[tokio::test]
async fn a_second_host_is_refused_and_gets_the_file_when_the_first_has_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let first = open_at(&path).await;
    let Err(OutboxError::Locked(text)) = open_limited(&path, limits()).await else { panic!("two hosts on one file") };
    assert!(text.contains(&format!("pid {}", std::process::id())), "{text}");
    first.close().await;
    open_at(&path).await;
}

#[tokio::test]
async fn a_damaged_file_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let outbox = open_at(&path).await;
    for n in 0..50 {
        outbox.accept(T0, vec![incoming(&format!("e{n}"), &["ops"])], vec![]).await.unwrap();
    }
    outbox.close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(12).position(|window| window == b"summary of e").unwrap() / 4096 * 4096;
    bytes[at..at + 64].fill(0xff);
    std::fs::write(&path, &bytes).unwrap();
    let Err(OutboxError::Broken(text)) = open_limited(&path, limits()).await else { panic!("opened") };
    assert!(text.contains("damaged") && text.contains("recover"), "{text}");
    std::fs::write(&path, b"no database at all, but long enough to be looked at").unwrap();
    assert!(matches!(open_limited(&path, limits()).await, Err(OutboxError::Broken(_))));
}

#[tokio::test]
async fn an_outbox_at_its_limit_takes_nothing_new_but_goes_on_delivering() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open_limited(&folder.path().join("x.db"), Limits { max_items: 2, ..limits() }).await.unwrap();
    let seq = take(&outbox, "e1", &["ops"]).await;
    take(&outbox, "e2", &["ops"]).await;
    let error = outbox.accept(T0, vec![incoming("e3", &["ops"])], vec![]).await.unwrap_err();
    assert!(matches!(&error, OutboxError::Unavailable(text) if text.contains("max_items")), "{error}");
    assert!(outbox.ready().await.is_err());
    assert_eq!(outbox.accept(T0, vec![incoming("e1", &["ops"])], vec![]).await.unwrap(), [Taken::Duplicate]);
    let id = outbox.open(new_message("ops", "k", &[seq])).await.unwrap();
    outbox.settle(id, delivered(), tried("delivered"), PaceLog::default()).await.unwrap();
    outbox.ready().await.unwrap();
    take(&outbox, "e3", &["ops"]).await;
}

#[tokio::test]
async fn a_file_at_its_size_limit_takes_nothing_new() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open_limited(&folder.path().join("x.db"), Limits { max_bytes: Some(400_000), ..limits() }).await.unwrap();
    let mut taken = 0;
    let error = loop {
        match outbox.accept(T0, vec![big(&format!("e{taken}"))], vec![]).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!((1..5).contains(&taken) && error.to_string().contains("max_size"), "{taken} {error}");
}

#[tokio::test]
async fn what_is_old_is_forgotten_without_being_asked() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open_limited(&folder.path().join("x.db"), Limits { chores_every: Duration::from_millis(5), ..limits() }).await.unwrap();
    // Long before the clock's time, so over at once.
    let seq = take(&outbox, "e1", &["ops"]).await;
    let id = outbox.open(new_message("ops", "k", &[seq])).await.unwrap();
    outbox.settle(id, delivered(), tried("delivered"), PaceLog::default()).await.unwrap();
    for _ in 0..2_000 {
        if outbox.message(id).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("still there");
}

#[tokio::test]
async fn the_log_is_moved_into_the_file_before_it_grows_long() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let outbox = open_at(&path).await;
    for n in 0..20 {
        let events = (0..40).map(|m| big(&format!("{n} {m}"))).collect();
        outbox.accept(T0, events, vec![]).await.unwrap();
    }
    let log = std::fs::metadata(format!("{}-wal", path.display())).unwrap().len();
    assert!(log < 18_000 * 4_120, "{log} bytes");
    assert_eq!(outbox.lane("ops").await.unwrap().waiting, 800);
}

#[tokio::test]
async fn what_could_not_be_read_is_forgotten_with_the_history_and_frees_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open_limited(&folder.path().join("x.db"), Limits { max_items: 250, ..limits() }).await.unwrap();
    let items = |n: usize| (0..n).map(|_| Unreadable { source: "hook".into(), body: b"{".to_vec(), error: "no JSON".into() }).collect();
    outbox.accept(T0, vec![], items(240)).await.unwrap();
    outbox.accept(T0 + DAY, vec![], items(10)).await.unwrap();
    assert!(matches!(outbox.accept(T0 + DAY, vec![], items(1)).await, Err(OutboxError::Unavailable(_))));
    while outbox.prune(T0 + DAY, T0).await.unwrap() {}
    let kept = outbox.unreadable(1_000).await.unwrap();
    assert!(kept.len() == 10 && kept.iter().all(|(_, at, _)| *at == T0 + DAY));
    outbox.accept(T0 + DAY, vec![], items(240)).await.unwrap();
}
