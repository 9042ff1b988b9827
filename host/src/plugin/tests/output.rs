//! Every rule of [`super::super::output`], and that nothing a plugin can say makes the host panic.

use proptest::prelude::*;

use super::super::output::*;
use super::super::units::Size;
use super::super::{Limits, wit};

fn send(change: impl FnOnce(&mut wit::Sending)) -> wit::Step {
    let request = wit::Request { target: wit::Target::Connector, method: wit::Method::Post, headers: vec![], query: vec![], body: vec![] };
    let mut sending = wit::Sending { request, covers: 1, continuation: vec![] };
    change(&mut sending);
    wit::Step::Send(sending)
}

fn check(change: impl FnOnce(&mut wit::Sending)) -> Result<wit::Step, OutputRule> {
    step(send(change), Some(3), 100, &Limits::default())
}

fn with_header(name: &str, value: &str) -> Result<wit::Step, OutputRule> {
    check(|sending| sending.request.headers = vec![(name.into(), value.into())])
}

#[test]
fn a_message_covers_at_least_one_event_and_no_more_than_were_handed_over() {
    assert!(check(|sending| sending.covers = 3).is_ok());
    assert_eq!(check(|sending| sending.covers = 0), Err(OutputRule::Covers { covers: 0, batch: 3 }));
    assert_eq!(check(|sending| sending.covers = 4), Err(OutputRule::Covers { covers: 4, batch: 3 }));
    // After an answer the host knows what is covered.
    assert!(step(send(|sending| sending.covers = 0), None, 100, &Limits::default()).is_ok());
}

#[test]
fn bodies_and_continuations_keep_to_their_limits() {
    assert!(check(|sending| sending.request.body = vec![0; 100]).is_ok());
    assert!(matches!(check(|sending| sending.request.body = vec![0; 101]), Err(OutputRule::TooLarge { what: "body", .. })));
    let large = vec![0; (64 << 10) + 1];
    assert!(matches!(check(|sending| sending.continuation = large), Err(OutputRule::TooLarge { what: "continuation", .. })));
}

#[test]
fn headers_of_the_connection_and_of_credentials_are_refused() {
    assert!(with_header("content-type", "application/json").is_ok());
    for name in ["Host", "connection", "Keep-Alive", "proxy-anything", "TE", "trailer", "transfer-encoding", "upgrade", "Content-Length"] {
        assert_eq!(with_header(name, "x"), Err(OutputRule::HostHeader(name.to_owned())));
    }
    for name in ["authorization", "cookie"] {
        assert_eq!(with_header(name, "x"), Err(OutputRule::CredentialHeader(name.to_owned())));
    }
}

#[test]
fn headers_cannot_smuggle_lines() {
    assert_eq!(with_header("x-a", "1\r\nhost: evil"), Err(OutputRule::HeaderValue("x-a".into())));
    assert_eq!(with_header("x a", "1"), Err(OutputRule::HeaderName("x a".into())));
    assert_eq!(with_header("x-a\r\nhost", "1"), Err(OutputRule::HeaderName("x-a  host".into())));
    assert_eq!(with_header("", "1"), Err(OutputRule::HeaderName(String::new())));
    assert!(matches!(with_header("x-a", &"x".repeat(9000)), Err(OutputRule::TooLarge { what: "headers", .. })));
}

#[test]
fn query_names_and_targets_are_checked() {
    let query = |name: &str| check(|sending| sending.request.query = vec![(name.into(), "v".into())]);
    assert!(query("sign").is_ok());
    assert_eq!(query(""), Err(OutputRule::Name("query parameter")));
    assert_eq!(query("a\nb"), Err(OutputRule::Name("query parameter")));
    let target = |url: &str| check(|sending| sending.request.target = wit::Target::Allowed(url.into()));
    assert!(target("https://api.example.com/x").is_ok());
    assert_eq!(target("https://a b"), Err(OutputRule::Target));
    assert_eq!(target(&"x".repeat(2049)), Err(OutputRule::Target));
}

fn stamp(place: wit::Place, name: &str, value: &str) -> Result<(), OutputRule> {
    stamps(&[wit::Stamp { place, name: name.into(), value: value.into() }], &Limits::default())
}

#[test]
fn a_signature_may_carry_a_credential_but_not_choose_the_host() {
    assert!(stamp(wit::Place::Header, "Authorization", "Bearer x").is_ok());
    assert!(stamp(wit::Place::Query, "sign", "a+b/c=").is_ok());
    assert_eq!(stamp(wit::Place::Header, "Host", "evil"), Err(OutputRule::HostHeader("Host".into())));
    assert_eq!(stamp(wit::Place::BodyField, "", "x"), Err(OutputRule::Name("body field")));
    let error = stamp(wit::Place::Header, "x-sign", "SECRET\n").unwrap_err();
    assert!(!error.to_string().contains("SECRET"));
    assert!(matches!(stamp(wit::Place::Query, "sign", &"x".repeat(1025)), Err(OutputRule::TooLarge { what: "stamp", .. })));
    let many = vec![wit::Stamp { place: wit::Place::Query, name: "a".into(), value: String::new() }; 17];
    assert_eq!(stamps(&many, &Limits::default()), Err(OutputRule::TooMany { what: "stamps", count: 17, limit: 16 }));
}

#[test]
fn texts_are_cleaned_and_a_memo_is_kept_whole_or_refused() {
    let done = |outcome| step(wit::Step::Done(outcome), Some(1), 100, &Limits { memo: Size(4), ..Limits::default() });
    let receipt = |memo: &str| wit::Outcome::Delivered(wit::Receipt { id: None, memo: Some(memo.into()) });
    assert_eq!(done(receipt("a\nbc")), Ok(wit::Step::Done(receipt("a\nbc"))));
    assert!(matches!(done(receipt("abcde")), Err(OutputRule::TooLarge { what: "memo", .. })));
    let reason = wit::Reason { code: "1\r\n2".into(), text: "x".repeat(5000), advice: "\u{7}go".into() };
    let Ok(wit::Step::Done(wit::Outcome::Rejected(reason))) = done(wit::Outcome::Rejected(reason)) else { panic!() };
    assert_eq!((reason.code.as_str(), reason.text.len(), reason.advice.as_str()), ("1  2", 2048, "go"));
}

#[test]
fn a_late_answer_never_goes_to_the_connector() {
    let wit::Step::Send(sending) = send(|_| ()) else { unreachable!() };
    let answer = wit::Answer { status: 200, headers: vec![], body: vec![] };
    let late = wit::Replied { answer, late: Some(sending.request) };
    assert_eq!(replied(late, 100, &Limits::default()), Err(OutputRule::LateTarget));
}

#[test]
fn answers_have_a_status_that_exists() {
    assert_eq!(refusal(wit::Refusal { status: 200, text: String::new() }), Err(OutputRule::Status(200)));
    let answer = wit::Answer { status: 99, headers: vec![], body: vec![] };
    let received_ = wit::Received { id: None, commands: vec![], answer };
    assert_eq!(received(received_, &Limits::default()), Err(OutputRule::Status(99)));
}

proptest! {
    #[test]
    fn a_header_that_passes_can_be_sent_and_is_the_plugins_to_set(name in "[A-Za-z-]{1,20}|.{0,20}", value in ".{0,20}") {
        if with_header(&name, &value).is_ok() {
            let parsed = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            prop_assert!(!["host", "authorization", "cookie", "content-length"].contains(&parsed.as_str()));
            prop_assert!(http::HeaderValue::from_str(&value).is_ok() && !value.contains(['\r', '\n']));
        }
    }
}
