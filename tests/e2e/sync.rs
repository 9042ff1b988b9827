//! A sync that fails: the program ends, never tries that sync again, and the next start goes on from what is on disk.

use std::time::Duration;

use crate::support::{Scene, left_out, until};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_ends_the_program_and_is_never_tried_again() {
    if left_out("strace") {
        return;
    }
    let scene = Scene::of(1).await;
    scene.start().await.kill();
    let (log, trace) = (scene.disk().join("outbox.db-wal"), scene.folder.path().join("trace"));
    // The kernel's answer to the writer's thirtieth sync of the write-ahead log is an error; every later one would be told that all is well.
    let words =
        ["strace", "-f", "-qq", "-e", "signal=none", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when=30"];
    let words = [&words[..], &["-P", log.to_str().unwrap(), "-o", trace.to_str().unwrap()]].concat();
    let mut program = scene.spawn_under(&words);
    let mut answered = Vec::new();
    for n in 0..10_000 {
        if program.ended(Duration::from_millis(1)).await.is_some() {
            break;
        }
        match scene.post(0, "a", n).await {
            Some(202) => answered.push(format!("a/{n}")),
            // Not there yet, or not any more.
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    let status = program.ended(SOON).await.expect("it does not end");
    let trace = std::fs::read_to_string(trace).unwrap_or_default();
    if trace.is_empty() {
        assert!(answered.is_empty(), "{status}");
        println!("left out: strace may not trace here: {}", scene.log());
        return;
    }
    assert!(!status.success() && scene.log().contains("failed to sync the outbox"), "{status}\n{}", scene.log());
    let syncs: Vec<&str> = trace.lines().filter(|line| line.contains("sync(")).collect();
    let failed = syncs.iter().position(|line| line.contains("EIO"));
    assert_eq!(failed.map(|place| place + 1), Some(syncs.len()), "a sync after the one that failed:\n{trace}");
    assert!(!answered.is_empty(), "no event was taken in before");
    let mut program = scene.start().await;
    assert_eq!(scene.post(0, "a", 10_000).await, Some(202));
    until("the next start goes on", SOON, || scene.read(0).contains(&"a/10000".to_owned())).await;
    let shown = scene.read(0);
    for event in &answered {
        assert_eq!(shown.iter().filter(|other| *other == event).count(), 1, "{event}: {shown:?}");
    }
    program.kill();
}
