//! Tests of reading lines.

use std::io::Cursor;
use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::*;
use crate::source::testing::Door;

fn lines(input: &[u8]) -> Vec<Line> {
    let mut reader = io::BufReader::with_capacity(7, input);
    std::iter::from_fn(|| next_line(&mut reader).unwrap()).collect()
}

#[tokio::test]
async fn every_line_is_taken_in_with_or_without_the_last_newline() {
    for end in ["", "\n", "\n\n"] {
        let door = Door::new();
        let input = format!("{{\"id\":1,\"summary\":\"a\"}}\r\n\n[{{\"id\":2,\"summary\":\"b\"}},{{\"id\":2,\"summary\":\"b\"}}]{end}");
        let totals = take_in(door.context(), Cursor::new(input), CancellationToken::new()).await.unwrap();
        assert_eq!(totals, Totals { accepted: 2, duplicates: 1, rejected: 0 });
        assert_eq!(door.outbox.summaries(), ["a", "b", "b"]);
    }
}

#[tokio::test]
async fn a_bad_or_endless_line_is_kept_with_its_number_and_the_others_go_on() {
    let door = Door::new();
    let input = format!("oops\n{}\n{{}}\n{{\"id\":1,\"summary\":\"a\"}}\n", "x".repeat(MAX_EVENT + 10));
    let totals = take_in(door.context(), Cursor::new(input), CancellationToken::new()).await.unwrap();
    assert_eq!(totals, Totals { accepted: 1, duplicates: 0, rejected: 3 });
    let errors: Vec<String> = door.outbox.unreadable().into_iter().map(|item| item.error).collect();
    assert_eq!(errors[0], "line 1, column 1: expected value");
    assert!(errors[1].starts_with("line 2: the event has 262154 bytes"), "{}", errors[1]);
    assert!(errors[2].starts_with("/id: missing"), "{}", errors[2]);
}

/// Waits until the outbox was asked in vain.
async fn until_refused(door: &Door) {
    while door.outbox.refused.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn lines_wait_while_the_outbox_is_unavailable() {
    let door = Door::new();
    door.outbox.broken.store(true, Ordering::Relaxed);
    let task = tokio::spawn(take_in(door.context(), Cursor::new("{\"id\":1}\n"), CancellationToken::new()));
    until_refused(&door).await;
    assert!(!task.is_finished());
    door.outbox.broken.store(false, Ordering::Relaxed);
    assert_eq!(task.await.unwrap().unwrap().accepted, 1);
}

#[tokio::test]
async fn a_stop_ends_it_and_an_unavailable_outbox_is_told_of() {
    let door = Door::new();
    let stop = CancellationToken::new();
    let (silent, _kept_open) = std::io::pipe().unwrap();
    let task = tokio::spawn(take_in(door.context(), io::BufReader::new(silent), stop.clone()));
    stop.cancel();
    assert_eq!(task.await.unwrap(), Ok(Totals::default()));

    door.outbox.broken.store(true, Ordering::Relaxed);
    let stop = CancellationToken::new();
    let task = tokio::spawn(take_in(door.context(), Cursor::new("{\"id\":1}\n"), stop.clone()));
    until_refused(&door).await;
    stop.cancel();
    assert!(task.await.unwrap().unwrap_err().starts_with("1 events that were read"));
}

proptest! {
    #[test]
    fn lines_are_split_as_the_standard_library_does(input in "[a\n]{0,60}") {
        let expected: Vec<Vec<u8>> = input.split_terminator('\n').map(|line| line.as_bytes().to_vec()).collect();
        let read: Vec<Vec<u8>> = lines(input.as_bytes()).into_iter().map(|line| line.bytes).collect();
        prop_assert_eq!(read, expected);
    }
}
