//! Events on standard input, to their end.

use crate::harness::{Place, SECRET, failed, feed, group, worked};

const EVENTS: &str =
    "{\"id\":1,\"eventType\":\"alert-created\",\"summary\":\"first\"}\n{\"id\":2,\"eventType\":\"alert-created\",\"summary\":\"second\"}";

#[tokio::test(flavor = "multi_thread")]
async fn the_host_ends_with_its_input_once_everything_is_delivered() {
    let group = group().await;
    let place = Place::with_connector(&group.url_of("ops").unwrap(), SECRET);
    let output = feed(place.command(&["run", "--source", "stdin"]), EVENTS.as_bytes());
    worked(&output);
    let titles: Vec<String> = group.messages("ops").into_iter().map(|shown| shown.title).collect();
    assert_eq!(titles.len(), 2, "{titles:?}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(titles[0].contains("first") && titles[1].contains("second"), "{titles:?}");
    // What was delivered is not told again.
    worked(&feed(place.command(&["run", "--source", "stdin"]), EVENTS.as_bytes()));
    assert_eq!(group.messages("ops").len(), 2);
}

#[test]
fn a_source_that_is_not_there_is_named() {
    let place = Place::with_connector("https://x.example/send?access_token=t", SECRET);
    let text = failed(&place.run(&["run", "--source", "ilrt"]), 2);
    assert!(text.contains("there is no source `ilrt`; did you mean `ilert`?"), "{text}");
}
