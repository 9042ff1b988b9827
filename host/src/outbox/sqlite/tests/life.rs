//! Events and messages, from the door to the history.

use super::*;

#[tokio::test]
async fn an_event_waits_is_sent_and_leaves_the_lane_idle() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open_at(&folder.path().join("x.db")).await;
    let seq = take(&outbox, "e1", &["ops", "dev"]).await;
    assert_eq!(outbox.lane("ops").await.unwrap().waiting, 1);
    let waiting = outbox.waiting("ops", 10).await.unwrap();
    assert_eq!(*waiting[0].event, event("e1"));
    assert_eq!(waiting[0].accepted_at, T0);

    let id = outbox.open(new_message("ops", "k1", &[seq])).await.unwrap();
    let lane = outbox.lane("ops").await.unwrap();
    let open = lane.open.unwrap();
    assert_eq!((lane.waiting, lane.oldest, open.id, open.attempts, open.unknown), (0, None, id, 1, true));
    assert_eq!((open.draft, open.events.len(), lane.pace.sends), (Some(draft("k1")), 1, vec![T0]));

    let settle = Settle::Delivered { receipt: Some("r".into()), memo: Some("m".into()) };
    outbox.settle(id, settle, tried("delivered"), PaceLog::default()).await.unwrap();
    let lane = outbox.lane("ops").await.unwrap();
    assert!(lane.open.is_none() && lane.waiting == 0);
    assert_eq!(lane.memo.as_deref(), Some("m"));
    assert_eq!(outbox.busy_connectors().await.unwrap(), ["dev".into()]);

    let detail = outbox.message(id).await.unwrap();
    assert_eq!((detail.summary.state.as_str(), detail.summary.summary.as_str()), ("delivered", "summary of e1"));
    assert_eq!((detail.covered, detail.attempts_made), (vec![event("e1")], vec![tried("delivered")]));
    outbox.close().await;
    assert_eq!(outbox.lane("ops").await.unwrap_err(), OutboxError::Closed);
    assert_eq!(outbox.accept(T0, vec![], vec![]).await.unwrap_err(), OutboxError::Closed);
}

#[tokio::test]
async fn an_event_seen_before_changes_nothing_until_the_window_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let outbox = open_at(&path).await;
    let both = outbox.accept(T0, vec![incoming("e1", &["ops"]), incoming("e1", &["dev"])], vec![]).await.unwrap();
    assert_eq!(both, [Taken::New, Taken::Duplicate]);
    assert_eq!(outbox.accept(T0, vec![incoming("nowhere", &[])], vec![]).await.unwrap(), [Taken::New]);
    drop(outbox);
    let outbox = open_at(&path).await;
    for id in ["e1", "nowhere"] {
        assert_eq!(outbox.accept(T0 + DAY - 1, vec![incoming(id, &["dev"])], vec![]).await.unwrap(), [Taken::Duplicate]);
    }
    assert_eq!(outbox.busy_connectors().await.unwrap(), ["ops".into()]);
    assert_eq!(outbox.accept(T0 + DAY, vec![incoming("e1", &["dev"])], vec![]).await.unwrap(), [Taken::New]);
}

#[tokio::test]
async fn a_message_in_flight_at_a_crash_is_unknown_afterwards_and_keeps_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let outbox = open_at(&path).await;
    let seq = take(&outbox, "e1", &["ops"]).await;
    let id = outbox.open(new_message("ops", "k1", &[seq])).await.unwrap();
    outbox.settle(id, again(T0 + 5, false, true), tried("retry"), PaceLog::default()).await.unwrap();
    assert!(!outbox.lane("ops").await.unwrap().open.unwrap().unknown);
    outbox.attempt(id, draft("second"), PaceLog::default(), T0 + 5).await.unwrap();
    drop(outbox);
    let outbox = open_at(&path).await;
    let open = outbox.lane("ops").await.unwrap().open.unwrap();
    assert_eq!((open.id, open.key.as_str(), open.unknown, open.attempts, open.draft), (id, "k1", true, 2, Some(draft("second"))));
}

#[tokio::test]
async fn steps_and_throttled_attempts_do_not_count_as_attempts() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open_at(&folder.path().join("x.db")).await;
    let seq = take(&outbox, "e1", &["ops"]).await;
    let id = outbox.open(new_message("ops", "k1", &[seq])).await.unwrap();
    outbox.attempt(id, draft("second step"), PaceLog::default(), T0).await.unwrap();
    outbox.settle(id, again(T0 + 9, false, false), tried("throttled"), PaceLog::default()).await.unwrap();
    let open = outbox.lane("ops").await.unwrap().open.unwrap();
    assert_eq!((open.attempts, open.next_at), (0, T0 + 9));
    outbox.attempt(id, draft("k1"), PaceLog::default(), T0).await.unwrap();
    outbox.settle(id, again(T0 + 9, true, true), tried("unknown"), PaceLog::default()).await.unwrap();
    let open = outbox.lane("ops").await.unwrap().open.unwrap();
    assert_eq!((open.attempts, open.unknown), (1, true));
    assert_eq!(outbox.message(id).await.unwrap().attempts_made.len(), 2);
}

#[tokio::test]
async fn a_call_that_does_not_fit_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open_at(&folder.path().join("x.db")).await;
    let seq = take(&outbox, "e1", &["ops"]).await;
    let other = take(&outbox, "e2", &["ops"]).await;
    let conflict = |error: OutboxError| matches!(error, OutboxError::Conflict(_));
    assert!(conflict(outbox.open(new_message("ops", "k", &[seq, 99])).await.unwrap_err()));
    assert!(conflict(outbox.open(new_message("ops", "k", &[])).await.unwrap_err()));
    assert!(conflict(outbox.bury("dev", vec![seq], why("x"), T0).await.unwrap_err()));
    assert_eq!(outbox.lane("ops").await.unwrap().waiting, 2);
    let id = outbox.open(new_message("ops", "k", &[seq])).await.unwrap();
    assert!(conflict(outbox.open(new_message("ops", "k", &[other])).await.unwrap_err()));
    assert!(conflict(outbox.discard(id).await.unwrap_err()));
    assert!(conflict(outbox.replay(id, T0).await.unwrap_err()));
    outbox.settle(id, delivered(), tried("delivered"), PaceLog::default()).await.unwrap();
    assert!(conflict(outbox.settle(id, delivered(), tried("delivered"), PaceLog::default()).await.unwrap_err()));
    assert!(conflict(outbox.attempt(id, draft("k"), PaceLog::default(), T0).await.unwrap_err()));
    assert_eq!(outbox.message(MessageId(77)).await.unwrap_err(), OutboxError::NotFound(MessageId(77)));
    assert_eq!(outbox.messages(Filter::default()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_call_that_does_not_fit_changes_nothing_for_those_in_its_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open_at(&folder.path().join("x.db")).await;
    let seqs = [take(&outbox, "e1", &["ops"]).await, take(&outbox, "e2", &["dev"]).await];
    // All wait for the writer at once: some of them meet in one transaction.
    let bad: Vec<_> = (0..20).map(|_| outbox.open(new_message("ops", "bad", &[seqs[0], 99]))).collect();
    let good = async { outbox.open(new_message("ops", "good", &seqs[..1])).await };
    let taken = async { outbox.accept(T0, vec![incoming("e3", &["ops"])], vec![]).await };
    let also = async { outbox.open(new_message("dev", "also", &seqs[1..])).await };
    let (bad, good, taken, also) = tokio::join!(futures_util::future::join_all(bad), good, taken, also);
    assert!(bad.iter().all(|result| matches!(result, Err(OutboxError::Conflict(_)))));
    assert_eq!(taken.unwrap(), [Taken::New]);
    let (ops, dev) = (outbox.lane("ops").await.unwrap(), outbox.lane("dev").await.unwrap());
    assert_eq!((ops.waiting, ops.open.unwrap().id), (1, good.unwrap()));
    assert_eq!((dev.waiting, dev.open.unwrap().id), (0, also.unwrap()));
    let items = outbox.status().await.unwrap().iter().map(|line| line.waiting + line.in_flight).sum::<u64>();
    assert_eq!(items, 3);
}

#[tokio::test]
async fn a_replayed_dead_letter_waits_its_turn_under_a_new_key() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open_at(&folder.path().join("x.db")).await;
    let buried = take(&outbox, "e1", &["ops"]).await;
    let seq = take(&outbox, "e2", &["ops"]).await;
    let letter = outbox.bury("ops", vec![buried], why("old"), T0).await.unwrap();
    let open = outbox.open(new_message("ops", "k2", &[seq])).await.unwrap();
    let first_key = outbox.message(letter).await.unwrap().summary.key;
    assert_eq!(&*outbox.replay(letter, T0 + 7).await.unwrap(), "ops");
    assert_eq!(outbox.lane("ops").await.unwrap().open.unwrap().id, open);
    assert!(matches!(outbox.attempt(letter, draft("x"), PaceLog::default(), T0).await, Err(OutboxError::Conflict(_))));
    outbox.settle(open, delivered(), tried("delivered"), PaceLog::default()).await.unwrap();
    let turn = outbox.lane("ops").await.unwrap().open.unwrap();
    assert_eq!((turn.id, turn.key, turn.unknown, turn.attempts), (letter, format!("{first_key}-r1"), false, 0));
    assert_eq!((turn.draft, turn.created_at), (None, T0 + 7));
    outbox.attempt(letter, draft("anew"), PaceLog::default(), T0).await.unwrap();
    outbox.settle(letter, dead("no"), tried("rejected"), PaceLog::default()).await.unwrap();
    outbox.replay(letter, T0 + 8).await.unwrap();
    assert_eq!(outbox.lane("ops").await.unwrap().open.unwrap().key, format!("{first_key}-r2"));
}

#[tokio::test]
async fn lists_are_filtered_paged_and_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open_at(&folder.path().join("x.db")).await;
    let mut ids = Vec::new();
    for n in 0..6 {
        let connector = if n % 2 == 0 { "ops" } else { "dev" };
        let seq = take(&outbox, &format!("e{n}"), &[connector]).await;
        let id = outbox.open(new_message(connector, &format!("k{n}"), &[seq])).await.unwrap();
        let settle = if n < 3 { delivered() } else { dead("no") };
        outbox.settle(id, settle, tried("x"), PaceLog::default()).await.unwrap();
        ids.push(id);
    }
    let list = async |state: Option<&str>, connector: Option<&str>, before: Option<MessageId>, limit| {
        let filter = Filter { state: state.map(str::to_owned), connector: connector.map(str::to_owned), before, limit, text: None };
        outbox.messages(filter).await.unwrap().into_iter().map(|message| message.id).collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, None, 0).await, ids.iter().rev().copied().collect::<Vec<_>>());
    assert_eq!(list(Some("dead"), None, None, 2).await, [ids[5], ids[4]]);
    assert_eq!(list(Some("dead"), None, Some(ids[4]), 2).await, [ids[3]]);
    assert_eq!(list(Some("delivered"), Some("dev"), None, 0).await, [ids[1]]);
    assert_eq!(list(Some("dead"), Some("ops"), None, 0).await, [ids[4]]);
    assert!(list(Some("open"), None, None, 0).await.is_empty());
    assert!(list(Some("odd"), None, None, 0).await.is_empty());
    outbox.discard(ids[4]).await.unwrap();
    let status = outbox.status().await.unwrap();
    assert_eq!(status.iter().map(|line| (line.connector.as_str(), line.dead)).collect::<Vec<_>>(), [("dev", 2), ("ops", 0)]);
}

#[tokio::test]
async fn a_text_is_found_in_events_and_reasons_and_is_no_pattern() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open_at(&folder.path().join("x.db")).await;
    let mut ids = Vec::new();
    for name in ["disk-90%", "disk-900", "memory"] {
        let first = take(&outbox, &format!("{name}-first"), &["ops"]).await;
        let second = take(&outbox, name, &["ops"]).await;
        let id = outbox.open(new_message("ops", name, &[first, second])).await.unwrap();
        let settle = if name == "memory" { dead("Sign not match") } else { delivered() };
        outbox.settle(id, settle, tried("x"), PaceLog::default()).await.unwrap();
        ids.push(id);
    }
    let find = async |text: &str| {
        let filter = Filter { text: Some(text.to_owned()), ..Filter::default() };
        outbox.messages(filter).await.unwrap().into_iter().map(|message| message.id).collect::<Vec<_>>()
    };
    assert_eq!(find("DISK").await, [ids[1], ids[0]]);
    assert_eq!(find("90%").await, [ids[0]], "a per cent sign is one");
    assert_eq!(find("disk_90").await, []);
    assert_eq!(find("sign NOT match").await, [ids[2]]);
    let dead = Filter { text: Some("disk".to_owned()), state: Some("dead".to_owned()), ..Filter::default() };
    assert!(outbox.messages(dead).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_could_not_be_read_is_kept_and_shortened() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open_at(&folder.path().join("x.db")).await;
    let item = Unreadable { source: "hook".into(), body: vec![7; 100_000], error: "no JSON".into() };
    outbox.accept(T0, vec![incoming("good", &["ops"])], vec![item]).await.unwrap();
    let kept = outbox.unreadable(0).await.unwrap();
    assert_eq!((kept.len(), kept[0].1, kept[0].2.body.len(), &*kept[0].2.error), (1, T0, 65_536, "no JSON"));
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

#[tokio::test]
async fn only_what_is_over_and_old_is_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open_at(&folder.path().join("x.db")).await;
    let shared = take(&outbox, "shared", &["ops", "dev"]).await;
    let letter = take(&outbox, "letter", &["ops"]).await;
    let id = outbox.open(new_message("ops", "k1", &[shared])).await.unwrap();
    outbox.settle(id, delivered(), tried("delivered"), PaceLog::default()).await.unwrap();
    let letter = outbox.bury("ops", vec![letter], why("old"), T0).await.unwrap();
    while outbox.prune(T0 + DAY, T0 + DAY).await.unwrap() {}
    assert_eq!(outbox.message(id).await.unwrap_err(), OutboxError::NotFound(id));
    assert_eq!(outbox.message(letter).await.unwrap().covered, [event("letter")]);
    assert_eq!(*outbox.waiting("dev", 10).await.unwrap()[0].event, event("shared"));
    assert_eq!(outbox.accept(T0, vec![incoming("shared", &["ops"])], vec![]).await.unwrap(), [Taken::New], "its key is forgotten");
}
