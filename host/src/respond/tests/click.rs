//! From a click to what the group reads.

use super::*;
use crate::event::{Kind, Person, Status};
use crate::simulator::ilert::Fault;

#[tokio::test]
async fn a_click_accepts_once_and_the_group_reads_who_it_was() {
    let world = World::new(1).await;
    let host = world.host().await;
    let id = world.alert();
    let link = host.link(&host.until_told(1).await[0], Verb::Accept);
    for _ in 0..10 {
        let (status, page) = host.get(&link).await;
        assert_eq!(status, 200);
        assert!(page.contains("disk &lt;full&gt;") && page.contains("<form method=\"post\">"), "{page}");
    }
    assert_eq!(world.accepts(), 0, "looking changes nothing");

    let answer = host.post(&link, &[("name", "Li Lei")], &[]).await;
    assert_eq!(answer.status(), 303);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("Li%20Lei") && cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let name = cookie.split(';').next().unwrap();
    let seen = host.http.get(&link).header("cookie", name).send().await.unwrap().text().await.unwrap();
    assert!(seen.contains("You have accepted this incident."), "{seen}");
    let others = host.get(&link).await.1;
    assert!(
        others.contains("Li Lei has accepted this incident.") && others.contains("has been used") && !others.contains("<form"),
        "{others}"
    );
    let echo = host.until_told(2).await[1].clone();
    assert_eq!((&echo.kind, &echo.status), (&Kind::Acknowledged, &Status::Accepted));
    assert_eq!(echo.actor, Some(Person { first_name: "Li Lei".into(), ..Person::default() }));

    for _ in 0..3 {
        assert_eq!(host.post(&link, &[("name", "Han Meimei")], &[]).await.status(), 200, "already accepted");
    }
    world.until_said(id, 1).await;
    assert_eq!((world.accepts(), world.ilert.comments(id)), (1, vec!["Li Lei: Accepted by Li Lei (ops).".to_owned()]));
    // iLert tells of that comment too. Another one after it shows that it came, and was not told.
    world.ilert.comment(id, "from elsewhere").unwrap();
    let told = host.until_told(3).await;
    assert_eq!((told.len(), told[2].comment.as_deref()), (3, Some("from elsewhere")), "people are told once who accepted");
    host.end().await;
}

#[tokio::test]
async fn a_click_is_carried_out_over_failures_and_a_restart() {
    let world = World::new(20).await;
    let host = world.host().await;
    let id = world.alert();
    let link = host.link(&host.until_told(1).await[0], Verb::Resolve);
    world.ilert.fault(Fault::Status { status: 503 }, 1_000).unwrap();
    assert_eq!(host.post(&link, &[("name", "Li Lei")], &[]).await.status(), 303, "written down although iLert is away");
    assert!(host.get(&link).await.1.contains("It is being carried out."));
    host.end().await;
    assert_eq!(world.ilert.alert(id).unwrap().status, crate::simulator::ilert::Status::Pending);

    let host = world.host().await;
    // Uses the faults up.
    for _ in 0..1_000 {
        _ = host.http.get(format!("{}/alerts/{id}", world.ilert.api_url())).send().await;
    }
    let last = host.until_told(2).await[1].clone();
    assert_eq!((&last.status, last.actor.as_ref().map(|who| who.first_name.as_str())), (&Status::Resolved, Some("Li Lei")));
    let link = host.links.base().join(link.rsplit('/').next().unwrap()).unwrap();
    assert!(host.get(link.as_str()).await.1.contains("Li Lei has resolved this incident."));
    host.end().await;
}

#[tokio::test]
async fn pages_tell_the_true_state() {
    let world = World::new(1).await;
    let host = world.host().await;
    let (id, event) = (world.alert(), host.until_told(1).await[0].clone());
    let (accept, resolve) = (host.link(&event, Verb::Accept), host.link(&event, Verb::Resolve));
    world.ilert.accept(id, Some(&User::new(2, "Han", "Meimei"))).unwrap();
    let (_, page) = host.get(&accept).await;
    assert!(page.contains("has been accepted already") && page.contains("In iLert: Han Meimei") && !page.contains("<form"), "{page}");
    assert!(host.get(&resolve).await.1.contains("<form"));
    world.ilert.resolve(id).unwrap();
    assert!(host.get(&resolve).await.1.contains("has been resolved already"));
    assert_eq!(host.post(&resolve, &[("name", "Li Lei")], &[]).await.status(), 200);
    assert_eq!(world.ilert.counters().get("PUT /alerts/{id}/resolve"), None);

    host.until_told(3).await;
    world.ilert.fault(Fault::Status { status: 500 }, 100).unwrap();
    let (_, page) = host.get(&accept).await;
    assert!(page.contains("last known state") && page.contains("resolved already"), "{page}");
    host.end().await;
}

#[tokio::test]
async fn a_comment_by_a_link_is_written_with_its_writers_name() {
    let world = World::new(1).await;
    let host = world.host().await;
    let id = world.alert();
    let link = host.link(&host.until_told(1).await[0], Verb::Comment);
    assert_eq!(host.post(&link, &[("name", "李雷")], &[]).await.status(), 400, "no text");
    for _ in 0..2 {
        let answer = host.post(&link, &[("name", "李雷"), ("text", "正在处理")], &[]).await;
        assert_eq!(answer.status(), 303);
        let next = format!("{link}{}", answer.headers()["location"].to_str().unwrap().split_at(link.rsplit('/').next().unwrap().len()).1);
        assert!(host.get(&next).await.1.contains("The comment by 李雷 has been sent"));
    }
    assert_eq!(world.ilert.comments(id), ["李雷: 正在处理"], "the same comment twice is one");
    assert!(host.get(&link).await.1.contains("<form"), "another comment can be written");
    host.end().await;
}

#[tokio::test]
async fn a_key_that_ilert_does_not_take_is_told_in_plain_words() {
    let world = World::new(1).await;
    let host = world.host().await;
    let id = world.alert();
    let link = host.link(&host.until_told(1).await[0], Verb::Accept);
    // The page's own look comes first.
    world.ilert.fault(Fault::Status { status: 403 }, 3).unwrap();
    host.post(&link, &[("name", "Li Lei")], &[]).await;
    let (_, page) = host.get(&link).await;
    assert!(page.contains("could not be carried out") && page.contains("`ilert.api_key`") && page.contains("<form"), "{page}");
    assert_eq!(host.post(&link, &[("name", "Li Lei")], &[]).await.status(), 303, "it can be asked for again");
    assert!(host.get(&link).await.1.contains("Li Lei has accepted"));
    assert_eq!((world.accepts(), world.ilert.alert(id).unwrap().status), (1, crate::simulator::ilert::Status::Accepted));
    host.end().await;
}
