//! What is not ours does nothing.

use axum::body::Body;
use axum::http::Request;
use tower::ServiceExt;

use super::super::token::Token;
use super::*;

#[tokio::test]
async fn ten_thousand_forged_altered_and_expired_links_do_nothing() {
    let world = World::new(1).await;
    let host = world.host().await;
    world.alert();
    let event = host.until_told(1).await[0].clone();
    let good = host.link(&event, Verb::Accept).rsplit('/').next().unwrap().to_owned();
    let app = Responder::build(&config(&world), needs(&host)).unwrap().unwrap().routes();
    let mut random = fastrand::Rng::with_seed(5);
    let stranger = Key::new([8; 32]);
    let claim = |expires| Token { verb: Verb::Accept, incident: event.incident_id.parse().unwrap(), connector: "ops".into(), expires };
    for round in 0..10_000 {
        let now = host.clock.now();
        let (token, wanted) = match round % 100 {
            // Ours and too old, looked up in iLert for the page: few, for its limit.
            0 if round < 2_000 => (claim(now - 1 - random.i64(0..1_000_000)).seal(&Key::new([7; 32])), 410),
            n if n % 3 == 0 => (claim(now + random.i64(1..TTL_MS)).seal(&stranger), 404),
            n if n % 3 == 1 => {
                let mut text = good.clone().into_bytes();
                let at = random.usize(..text.len());
                text[at] = if text[at] == b'A' { b'B' } else { b'A' };
                (String::from_utf8(text).unwrap(), 404)
            }
            _ => ((0..random.usize(1..300)).map(|_| random.alphanumeric()).collect(), 404),
        };
        let form = format!("token={token}&name=Eve");
        let request = Request::post(format!("/respond/{token}")).body(Body::from(form)).unwrap();
        let answer = app.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), wanted, "{token}");
    }
    assert!(host.outbox.book().unwrap().open_responses(10).await.unwrap().is_empty());
    assert_eq!(world.accepts(), 0);
    host.end().await;
}

#[tokio::test]
async fn a_thousand_replays_of_a_used_link_do_nothing() {
    let world = World::new(1).await;
    let host = world.host().await;
    world.alert();
    let link = host.link(&host.until_told(1).await[0], Verb::Accept);
    assert_eq!(host.post(&link, &[("name", "Li Lei")], &[]).await.status(), 303);
    host.until_told(2).await;
    let token = link.rsplit('/').next().unwrap();
    let app = Responder::build(&config(&world), needs(&host)).unwrap().unwrap().routes();
    for round in 0..1_000 {
        let form = format!("token={token}&name=Eve{round}");
        let request = Request::post(format!("/respond/{token}")).body(Body::from(form)).unwrap();
        assert_eq!(app.clone().oneshot(request).await.unwrap().status().as_u16(), 200);
    }
    let written = host.outbox.book().unwrap().open_responses(10).await.unwrap();
    assert!(written.iter().all(|response| response.ask.who == "Li Lei"), "{written:?}");
    assert_eq!(world.accepts(), 1);
    host.end().await;
}

fn config(world: &World) -> Ilert {
    Ilert { api_url: world.ilert.api_url().parse().unwrap(), api_key: Some(Secret::new("key")), ..Ilert::default() }
}

fn needs(host: &Host) -> Needs {
    let outbox: Arc<dyn Outbox> = host.outbox.clone();
    let routes = Arc::new(ArcSwap::from_pointee(Routes::new(Vec::new())));
    let intake = Intake::new(host.clock.clone(), outbox.clone(), routes, Arc::new(|_| {}));
    Needs {
        clock: host.clock.clone(),
        outbox,
        intake,
        links: Some(host.links.clone()),
        languages: BTreeMap::new(),
        listeners: Listeners::new(),
        metrics: Default::default(),
    }
}

#[tokio::test]
async fn a_form_from_elsewhere_does_nothing() {
    let world = World::new(1).await;
    let host = world.host().await;
    world.alert();
    let link = host.link(&host.until_told(1).await[0], Verb::Accept);
    for header in
        [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site")]
    {
        assert_eq!(host.post(&link, &[("name", "Eve")], &[header]).await.status(), 403, "{header:?}");
    }
    let without_token = host.http.post(&link).body("name=Eve").send().await.unwrap();
    assert_eq!(without_token.status(), 403);
    let own = link.split("/respond").next().unwrap();
    let same = [("origin", own), ("sec-fetch-site", "same-origin")];
    assert_eq!(host.post(&link, &[("name", " ")], &same).await.status(), 400, "no name");
    assert_eq!(world.accepts(), 0);
    assert_eq!(host.post(&link, &[("name", "Li Lei")], &same).await.status(), 303);
    host.end().await;
}

#[tokio::test]
async fn a_page_is_kept_by_nobody_and_framed_by_nobody() {
    let world = World::new(1).await;
    let host = world.host().await;
    world.alert();
    let link = host.link(&host.until_told(1).await[0], Verb::Accept);
    for url in [link.as_str(), &format!("{link}x")] {
        let answer = host.http.get(url).header("accept-language", "zh-CN,zh;q=0.9").send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((header("cache-control"), header("x-robots-tag")), ("no-store".to_owned(), "noindex, nofollow".to_owned()));
        let policy = header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
        assert!(answer.text().await.unwrap().contains("<html lang=\"zh-CN\">"));
    }
    host.end().await;
}
