//! What `top` draws, in every size.

use proptest::prelude::*;

use super::*;

const NOW: UnixMs = 1_780_000_000_000;

fn lane(name: &str) -> Lane {
    Lane { name: name.to_owned(), pace: Some(20), configured: true, ..Lane::default() }
}

fn seen() -> Seen {
    let lanes = vec![
        lane("quiet"),
        Lane { waiting: 120, oldest: Some(NOW - 130_000), sent: 20, in_flight: 40, month: 812, budget: Some(3000), ..lane("ops") },
        Lane { waiting: 8, oldest: Some(NOW - 12_000), closed_until: Some(NOW + 552_000), sent: 3, dead: 1, ..lane("数据库值班") },
        Lane { sent: 2, in_flight: 1, pace: None, ..lane("team-with-a-long-name") },
        Lane { waiting: 5, oldest: Some(NOW - 90_000_000), configured: false, ..lane("gone") },
    ];
    Seen { now: NOW, lanes, trouble: None }
}

#[test]
fn the_lanes_fit_into_80_by_24() {
    let lines = View::new("http://127.0.0.1:8741").draw(&seen(), (80, 24), Paint::OFF);
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_look_that_failed_says_so_and_keeps_the_lanes() {
    let seen = Seen { trouble: Some("the running host did not answer".to_owned()), ..seen() };
    let lines = View::new("http://127.0.0.1:8741").draw(&seen, (80, 24), Paint::OFF);
    assert_eq!(lines[0], "incident-sink 127.0.0.1:8741  the running host did not answer");
    assert!(lines.iter().any(|line| line.starts_with("ops")));
}

#[test]
fn many_lanes_are_scrolled_and_sorted() {
    let lanes: Vec<Lane> = (0..100).map(|number| Lane { waiting: number, ..lane(&format!("lane{number:02}")) }).collect();
    let seen = Seen { now: NOW, lanes, trouble: None };
    let mut view = View::new("");
    let first = |view: &mut View| view.draw(&seen, (80, 24), Paint::OFF)[4].split_whitespace().next().unwrap().to_owned();
    assert_eq!(first(&mut view), "lane99");
    view.press(Key::PageDown, 100);
    assert_eq!(first(&mut view), "lane81");
    (0..20).for_each(|_| view.press(Key::PageDown, 100));
    let lines = view.draw(&seen, (80, 24), Paint::OFF);
    assert!(lines[21].starts_with("lane00") && !lines[23].contains("below"), "{lines:#?}");
    view.press(Key::Sort, 100);
    assert_eq!(first(&mut view), "lane00");
    view.press(Key::Down, 100);
    view.press(Key::Up, 100);
    view.press(Key::Up, 100);
    assert_eq!(first(&mut view), "lane00");
}

#[test]
fn a_name_cannot_steer_the_terminal() {
    let seen = Seen { now: NOW, lanes: vec![lane("a\u{1b}[2Jb\nc")], trouble: None };
    let text = View::new("").draw(&seen, (80, 24), Paint::OFF).join("\n");
    assert!(!text.contains('\u{1b}') && text.contains("a [2Jb c"), "{text}");
}

proptest! {
    #[test]
    fn nothing_is_wider_or_longer_than_the_terminal(
        width in 0u16..200, height in 0u16..60, count in 0usize..80, waiting in any::<u64>(), month in any::<u32>(), name in "\\PC{0,60}",
    ) {
        let lanes = (0..count).map(|_| Lane { waiting: waiting >> 8, month, budget: Some(month), ..lane(&name) }).collect();
        let lines = View::new("http://127.0.0.1:8741").draw(&Seen { now: NOW, lanes, trouble: None }, (width, height), Paint::OFF);
        prop_assert!(lines.len() <= usize::from(height).max(1));
        for line in &lines {
            prop_assert!(line.width() <= usize::from(width).max(1), "{width}: {line}");
        }
    }
}
