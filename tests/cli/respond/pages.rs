//! The pages behind the links, as a phone in the group gets them.

use std::os::unix::fs::PermissionsExt;

use incident_sink::outbox::book::Verb;
use incident_sink::respond::key::Keys;
use incident_sink::respond::token::Token;

use super::*;

const LANGUAGES: [&str; 2] = ["en-GB,en;q=0.9", "zh-CN,zh;q=0.9"];

/// A page in both languages: its status, and what it says.
async fn says(world: &World, link: &str, status: u16, words: [&str; 2], form: bool) {
    for (language, word) in LANGUAGES.into_iter().zip(words) {
        let page = world.client.get(link).header("accept-language", language).send().await.unwrap();
        let headers = page.headers().clone();
        let (found, text) = (page.status().as_u16(), page.text().await.unwrap());
        assert!(found == status && text.contains(word), "{found}, not {status} and {word}: {text}");
        assert_eq!(text.contains("<form"), form, "{text}");
        assert!(!text.contains("<script") && text.contains("width=device-width"), "{text}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("form-action 'self'") && policy.contains("frame-ancestors 'none'")
        );
        assert!(headers["cache-control"] == "no-store" && headers["x-frame-options"] == "DENY");
    }
}

#[tokio::test]
async fn every_state_of_a_link_has_a_page_of_its_own_in_both_languages() {
    let mut world = world("").await;
    let id = world.ilert.create(NewAlert::default());
    world.shown(1).await;
    let (accept, resolve, comment) = (world.link("Accept").await, world.link("Resolve").await, world.link("Comment").await);
    says(&world, &accept, 200, ["Your name", "您的姓名"], true).await;
    says(&world, &comment, 200, ["<textarea", "评论内容"], true).await;

    says(&world, &format!("{accept}A"), 404, ["This link does not work.", "此链接无效。"], false).await;
    let keys = Keys::open(world.place.0.path(), Duration::from_secs(3_600)).unwrap();
    let old = Token { verb: Verb::Accept, incident: id, connector: "ops".into(), expires: Clock::system().now() - 1_000 };
    let expired = format!("{}/respond/{}", world.url, old.seal(&keys.current));
    says(&world, &expired, 410, ["This link has expired.", "此链接已过期。"], false).await;
    says(&world, &expired, 410, ["Pending", "待处理"], false).await;
    assert_eq!(world.post(&expired, &[("name", "Eve")]).await.status(), 410);

    assert_eq!(world.post(&accept, &[("name", "李雷")]).await.status(), 303);
    world.shown(2).await;
    says(&world, &accept, 200, ["李雷 has accepted this incident.", "李雷 已接手此故障。"], false).await;
    says(&world, &accept, 200, ["This link has been used.", "此链接已被使用。"], false).await;
    let other = Token { verb: Verb::Accept, incident: id, connector: "ops".into(), expires: Clock::system().now() + 60_000 };
    let other = format!("{}/respond/{}", world.url, other.seal(&keys.current));
    says(&world, &other, 200, ["has been accepted already", "此故障已有人接手。"], false).await;
    says(&world, &resolve, 200, ["Accepted", "已接手"], true).await;

    world.ilert.resolve(id).unwrap();
    says(&world, &resolve, 200, ["has been resolved already", "此故障已解决。"], false).await;
    says(&world, &comment, 200, ["has been resolved already", "此故障已解决。"], false).await;
    assert_eq!(world.accepts(), 1);
    assert_eq!(world.ilert.counters().get("PUT /alerts/{id}/resolve"), None);
    world.stop();
}

#[tokio::test]
async fn links_of_the_key_before_work_until_they_expire() {
    let mut world = world("").await;
    world.ilert.create(NewAlert::default());
    world.shown(1).await;
    let old = world.link("Accept").await;
    world.stop();
    let file = |name: &str| world.place.0.path().join(name);
    assert_eq!(std::fs::metadata(file("respond.key")).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::rename(file("respond.key"), file("respond.key.old")).unwrap();
    world.host = Some(world.place.start());
    assert_eq!(std::fs::metadata(world.place.0.path().join("respond.key")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(world.get(&old, &[]).await.0, 200);
    assert_eq!(world.post(&old, &[("name", "Li Lei")]).await.status(), 303);
    world.shown(2).await;
    assert_eq!(world.accepts(), 1);
    world.stop();
    std::fs::remove_file(world.place.0.path().join("respond.key.old")).unwrap();
    world.host = Some(world.place.start());
    assert_eq!(world.get(&old, &[]).await.0, 404);
    assert_eq!(world.get(&world.link("Resolve").await, &[]).await.0, 200, "the new card's links are the new key's");
    world.stop();
}

#[tokio::test]
async fn a_key_that_ilert_refuses_is_told_in_plain_words() {
    let mut world = world("").await;
    world.ilert.create(NewAlert::default());
    world.shown(1).await;
    world.stop();
    let config = std::fs::read_to_string(world.place.config()).unwrap();
    std::fs::write(world.place.config(), config.replace(API_KEY, "revoked-key-of-tests")).unwrap();
    world.host = Some(world.place.start());
    let link = world.link("Accept").await;
    assert_eq!(world.post(&link, &[("name", "Li Lei")]).await.status(), 303);
    let (_, page) = world.get(&link, &[]).await;
    assert!(page.contains("could not be carried out") && page.contains("KEY_ERROR") && page.contains("ilert.api_key"), "{page}");
    assert!(page.contains("last known state") && page.contains("Try again"), "{page}");
    let log = world.stop();
    assert!(log.contains("A response was given up.") && !log.contains("revoked-key"), "{log}");
}
