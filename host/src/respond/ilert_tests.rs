//! The client against the simulator.

use super::*;
use crate::config::ChatPerson;
use crate::event::Status;
use crate::simulator::ilert::{self as sim, Fault, Named, NewAlert, User};

async fn both() -> (sim::Ilert, IlertClient) {
    let options = sim::Options {
        api_keys: vec![(Secret::new("key"), User::new(1, "Service", "User")), (Secret::new("own"), User::new(2, "Li", "Lei"))],
        integration_keys: vec![(Secret::new("source"), Named { id: 1, name: "API".into() })],
        ..sim::Options::default()
    };
    let ilert = sim::Ilert::start(options).await.unwrap();
    let client = client(&ilert, "key");
    (ilert, client)
}

fn client(ilert: &sim::Ilert, key: &str) -> IlertClient {
    let config = Ilert {
        api_url: ilert.api_url().parse().unwrap(),
        api_key: Some(Secret::new(key)),
        integration_key: Some(Secret::new("source")),
        people: [("staff-2".to_owned(), ChatPerson { api_key: Secret::new("own") })].into(),
        ..Ilert::default()
    };
    IlertClient::new(&config, Clock::system()).unwrap().unwrap()
}

#[tokio::test]
async fn a_person_with_a_key_accepts_as_himself_and_others_as_the_host() {
    let (ilert, client) = both().await;
    let ids: Vec<String> = (0..2).map(|_| ilert.create(NewAlert::default()).to_string()).collect();
    assert_eq!(client.accept(&ids[0], Some("staff-2")).await.unwrap().responders, ["Li Lei"]);
    let accepted = client.accept(&ids[1], Some("nobody")).await.unwrap();
    assert_eq!((accepted.status, accepted.responders), (Status::Accepted, vec!["Service User".to_owned()]));
    assert_eq!(client.resolve(&ids[1], None).await.unwrap().status, Status::Resolved);
    assert!(matches!(client.accept(&ids[1], None).await, Err(ApiError::Refused(text)) if text.contains("resolved already")));
    assert_eq!(client.get(&ids[0], Purpose::Look).await.unwrap().status, Status::Accepted);
}

#[tokio::test]
async fn errors_become_plain_words() {
    let (ilert, good) = both().await;
    assert_eq!(good.get("1", Purpose::Look).await, Err(ApiError::NotFound));
    let error = client(&ilert, "revoked").get("1", Purpose::Look).await.unwrap_err();
    assert!(error.to_string().contains("KEY_ERROR") && error.to_string().contains("`ilert.api_key`") && !error.is_temporary());
    ilert.fault(Fault::Status { status: 502 }, 1).unwrap();
    assert_eq!(good.get("1", Purpose::Look).await, Err(ApiError::Trouble(502)));
    ilert.fault(Fault::ResetLost, 1).unwrap();
    let error = good.get("1", Purpose::Look).await.unwrap_err();
    assert!(error.is_temporary() && !error.to_string().contains("127.0.0.1"), "{error}");
    ilert.fault(Fault::HangLost, 1).unwrap();
    assert_eq!(good.get("1", Purpose::Look).await, Err(ApiError::Unanswered("it did not answer in time".into())));
    ilert.shutdown().await;
    let error = good.get("1", Purpose::Look).await.unwrap_err();
    assert!(matches!(error, ApiError::Unreachable(_)) && !error.may_have_acted(), "{error:?}");
}

#[tokio::test]
async fn what_was_said_is_found_in_the_timeline() {
    let (ilert, client) = both().await;
    let id = ilert.create(NewAlert::default());
    ilert.comment(id, "Li Lei:\non it").unwrap();
    let (id, now) = (id.to_string(), Clock::system().now());
    assert_eq!(client.has_said(&id, "Li Lei: on  it", now - 60_000).await, Ok(true));
    assert_eq!(client.has_said(&id, "on it", now + 60_000).await, Ok(false), "that was before");
    assert_eq!(client.has_said(&id, "off it", 0).await, Ok(false));
}

#[tokio::test]
async fn what_is_over_is_listed_by_when_it_was_reported() {
    let (ilert, client) = both().await;
    let ids: Vec<u64> = (0..2).map(|_| ilert.create(NewAlert::default())).collect();
    ilert.resolve(ids[0]).unwrap();
    let since = |ms| jiff::Timestamp::from_millisecond(Clock::system().now() + ms).unwrap();
    assert_eq!(client.list_over(since(-60_000), 0).await.unwrap().len(), 1);
    assert!(client.list_over(since(60_000), 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_429_is_answered_with_quiet() {
    let (ilert, client) = both().await;
    ilert.fault(Fault::Status { status: 429 }, 1).unwrap();
    let Err(ApiError::Limited(quiet)) = client.get("1", Purpose::Respond).await else { panic!("not limited") };
    assert!(QUIET_MS.contains(&quiet), "{quiet}");
    assert!(matches!(client.get("1", Purpose::Respond).await, Err(ApiError::Limited(_))));
    assert_eq!(ilert.calls().len(), 1, "the second call was not sent");
}

#[tokio::test]
async fn open_alerts_come_in_pages_with_a_tag() {
    let (ilert, client) = both().await;
    (0..101).for_each(|_| _ = ilert.create(NewAlert::default()));
    let (page, tag) = client.list_open(0, None).await.unwrap().unwrap();
    assert_eq!(page.len(), PAGE);
    assert_eq!(client.list_open(0, tag.as_deref()).await.unwrap(), None);
    assert_eq!(client.list_open(PAGE, None).await.unwrap().unwrap().0.len(), 1);
}

#[tokio::test]
async fn a_comment_carries_the_name_of_its_writer() {
    let (ilert, client) = both().await;
    let about = NewAlert { alert_key: Some("Disk-1".into()), alert_source: Named { id: 1, name: "API".into() }, ..NewAlert::default() };
    let id = ilert.create(about);
    client.comment(&Comment { alert_source: None, alert_key: "disk-1", summary: "s", who: "Li Lei", text: "on it" }).await.unwrap();
    assert_eq!(ilert.comments(id), ["Li Lei: on it"]);
}
