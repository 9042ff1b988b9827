//! The pages over HTTP: who may see them, whose forms count, what every answer carries. What people do with them, a browser tests.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use tower::ServiceExt as _;

use crate::clock::Clock;
use crate::config::{Document, Format};
use crate::host::{Host, Options, Plan};
use crate::intake::Intake;
use crate::outbox::{Filter, Unreadable};
use crate::source::read::read_items;

/// A host without connectors, and its routes.
struct Stage {
    routes: Router,
    host: Host,
    _folder: tempfile::TempDir,
}

async fn stage(more: &str) -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("[outbox]\ntype = \"sqlite\"\n{more}");
    let document = Document::parse(&text, Format::Toml, "test.toml", folder.path(), &|_| None).unwrap();
    let options = Options { without_sources: true, ..Options::default() };
    let host = Host::build(Plan::read(document).unwrap(), options).await.unwrap();
    Stage { routes: crate::console::routes(host.control()), host, _folder: folder }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The cookie that it sets, as a browser sends it back.
    fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap_or_default().to_owned()
    }

    fn csrf(&self) -> String {
        let rest = self.body.split("name=\"csrf\" value=\"").nth(1).unwrap_or_else(|| panic!("no form in {}", self.body));
        rest.split('"').next().unwrap().to_owned()
    }
}

impl Stage {
    async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "127.0.0.1:8741");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.routes.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.call("GET", path, headers, "").await
    }

    async fn log_in(&self, token: &str) -> Answer {
        self.call("POST", "/login", &[("origin", "http://127.0.0.1:8741")], &format!("token={token}&next=%2Fplugins")).await
    }
}

const PAGES: [&str; 5] = ["/", "/messages", "/dead-letters", "/plugins", "/playground"];
const TOKEN: &str = "[admin]\ntoken = \"open-sesame\"\n";

#[tokio::test]
async fn every_page_is_shown_in_both_languages_and_loads_nothing_from_elsewhere() {
    let stage = stage("").await;
    for page in PAGES {
        let answer = stage.get(page, &[("accept-language", "zh-CN,en")]).await;
        assert_eq!(answer.status, 200, "{page}: {}", answer.body);
        assert!(answer.body.contains("<html lang=\"zh-CN\">") && answer.body.contains("连接器"), "{page}");
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'; style-src 'self'; script-src 'self'"));
        assert_eq!((answer.header("cache-control"), answer.header("x-content-type-options")), ("no-store", "nosniff"));
        for inline in [" style=", "<style", "onclick", "javascript:", "src=\"http", "href=\"http", "<script>"] {
            assert!(!answer.body.contains(inline), "{page} has {inline}");
        }
    }
    let switched = stage.get("/messages?state=dead&lang=en", &[("accept-language", "zh-CN")]).await;
    assert_eq!((switched.status, switched.header("location")), (303, "/messages?state=dead"));
    let english = stage.get("/messages", &[("accept-language", "zh-CN"), ("cookie", &switched.cookie())]).await;
    assert!(english.body.contains("<html lang=\"en\">"));
}

#[tokio::test]
async fn an_asset_is_kept_by_browsers_until_it_changes() {
    let stage = stage("").await;
    let page = stage.get("/", &[]).await.body;
    let address = page.split("href=\"").find_map(|rest| rest.split('"').next().filter(|address| address.contains("console.css")));
    let style = stage.get(address.unwrap(), &[]).await;
    assert_eq!((style.status, style.header("content-type")), (200, "text/css; charset=utf-8"));
    assert!(style.header("cache-control").contains("immutable"));
    assert_eq!(stage.get("/assets/other", &[]).await.status, 404);
}

#[tokio::test]
async fn without_a_token_only_this_machine_sees_the_console() {
    let stage = stage("").await;
    assert_eq!(stage.get("/", &[("host", "evil.example")]).await.status, 403, "a rebound name");
    assert_eq!(stage.get("/", &[("host", "localhost:8741")]).await.status, 200);
    assert_eq!(stage.get("/", &[("sec-fetch-site", "cross-site")]).await.status, 200, "a link may lead here");
    let login = stage.get("/login?next=/plugins", &[]).await;
    assert_eq!((login.status, login.header("location")), (303, "/plugins"), "there is nothing to log in with");
}

#[tokio::test]
async fn with_a_token_nobody_sees_anything_before_the_login() {
    let stage = stage(TOKEN).await;
    for page in PAGES {
        let answer = stage.get(page, &[]).await;
        assert_eq!(answer.status, 303, "{page}");
        assert!(answer.header("location").starts_with("/login?next=%2F"), "{page}");
    }
    assert_eq!(stage.get("/live", &[]).await.status, 303);
    let wrong = stage.log_in("guess").await;
    assert!(wrong.status == 403 && wrong.cookie().is_empty() && !wrong.body.contains("open-sesame"));
    let right = stage.log_in("open-sesame").await;
    assert_eq!((right.status, right.header("location")), (303, "/plugins"));
    let set = right.header("set-cookie");
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict") && !set.contains("Secure"), "{set}");
    let cookie = right.cookie();
    let page = stage.get("/", &[("cookie", &cookie)]).await;
    assert_eq!(page.status, 200);
    assert_eq!(stage.get("/", &[("cookie", &cookie.replace('=', "=0"))]).await.status, 303, "a guessed id");
    let bye = stage.call("POST", "/logout", &[("cookie", &cookie)], &format!("csrf={}", page.csrf())).await;
    assert_eq!((bye.status, bye.header("location")), (303, "/login"));
    assert_eq!(stage.get("/", &[("cookie", &cookie)]).await.status, 303);
}

#[tokio::test]
async fn a_session_over_tls_is_for_tls_only_and_none_for_the_api() {
    let stage = stage(TOKEN).await;
    let headers = [("x-forwarded-proto", "https"), ("origin", "https://127.0.0.1:8741")];
    let answer = stage.call("POST", "/login", &headers, "token=open-sesame").await;
    assert!(answer.header("set-cookie").ends_with("; Secure"), "{}", answer.header("set-cookie"));
    let api = stage.get("/api/connectors", &[("cookie", &answer.cookie())]).await;
    assert_eq!(api.status, 401, "programs show the token itself");
    assert_eq!(stage.get("/api/connectors", &[("authorization", "Bearer open-sesame")]).await.status, 200);
}

#[tokio::test]
async fn a_form_counts_only_from_a_page_of_the_same_session() {
    let stage = stage("").await;
    let first = stage.get("/playground", &[]).await;
    let (cookie, csrf) = (first.cookie(), first.csrf());
    let post = async |headers: &[(&str, &str)], csrf: &str| {
        let headers: Vec<(&str, &str)> = [("cookie", cookie.as_str())].into_iter().chain(headers.iter().copied()).collect();
        stage.call("POST", "/dead-letters/1/discard", &headers, &format!("csrf={csrf}")).await.status
    };
    assert_eq!(post(&[("origin", "http://127.0.0.1:8741"), ("sec-fetch-site", "same-origin")], &csrf).await, 303);
    assert_eq!(post(&[], "").await, 403);
    assert_eq!(post(&[], &stage.get("/playground", &[]).await.csrf()).await, 403, "of another session");
    assert_eq!(post(&[("origin", "https://evil.example")], &csrf).await, 403);
    assert_eq!(post(&[("sec-fetch-site", "cross-site")], &csrf).await, 403);
    assert_eq!(post(&[("origin", "null")], &csrf).await, 403);
    let upload = "--b\r\ncontent-disposition: form-data; name=\"component\"; filename=\"a\"\r\n\r\nx\r\n--b--\r\n";
    let headers = [("cookie", cookie.as_str()), ("content-type", "multipart/form-data; boundary=b")];
    assert_eq!(stage.call("POST", "/plugins/x/install", &headers, upload).await.status, 403);
}

#[tokio::test]
async fn what_became_of_a_form_is_told_on_the_next_page_in_the_servers_own_words_only() {
    let stage = stage("").await;
    let first = stage.get("/playground", &[]).await;
    let cookie = first.cookie();
    let body = format!("csrf={}", first.csrf());
    let answer = stage.call("POST", "/dead-letters/7/replay", &[("cookie", &cookie)], &body).await;
    let page = stage.get(answer.header("location"), &[("cookie", &cookie)]).await;
    assert!(page.body.contains("there is no message 7"), "{}", page.body);
    let forged = stage.get("/dead-letters?flash=%3Cb%3Ewon%3C/b%3E", &[("cookie", &cookie)]).await;
    assert!(!forged.body.contains("class=\"flash"));
}

#[tokio::test]
async fn what_nobody_could_read_is_shown_as_text() {
    let stage = stage("").await;
    let intake: Intake = stage.host.control().intake().clone();
    let item = Unreadable { source: "hook".into(), body: b"<script>alert(1)</script>".to_vec(), error: "no JSON".into() };
    intake.accept(&"hook".into(), vec![Err(item)]).await.unwrap();
    let page = stage.get("/dead-letters", &[]).await;
    assert!(page.body.contains("&lt;script&gt;alert(1)") && !page.body.contains("<script>alert"), "{}", page.body);
}

#[tokio::test]
async fn nothing_that_is_not_there_is_an_error_of_the_server() {
    let stage = stage("").await;
    for (path, status) in [("/messages/7", 404), ("/messages/x", 404), ("/messages?before=x&state=odd&q=%25", 200), ("/?from=-1&q=a", 200)]
    {
        assert_eq!(stage.get(path, &[]).await.status, status, "{path}");
    }
    let answer = stage.call("POST", "/api/preview", &[("content-type", "application/json")], r#"{"connector":"a","event":{"id":1}}"#).await;
    assert_eq!(answer.status, 404, "{}", answer.body);
    let neither = stage.call("POST", "/api/preview", &[("content-type", "application/json")], r#"{"event":{"id":1}}"#).await;
    assert_eq!(neither.status, 400, "{}", neither.body);
}

#[tokio::test]
async fn the_stream_says_that_something_changed_and_a_reader_that_comes_back_hears_only_of_news() {
    let stage = stage("").await;
    let first = listen(&stage, None).await.expect("a page that is new hears at once");
    assert_eq!(listen(&stage, Some(&first)).await, None, "nothing has changed");
    let fixture = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/ilert/2025-created.json"));
    let items = crate::event::body::split(fixture, None, 1 << 20).unwrap();
    let control = stage.host.control();
    let events = read_items(&"hook".into(), items, &Default::default(), &Clock::system());
    let event = events.into_iter().next().unwrap().unwrap();
    let incoming = crate::outbox::Incoming { source: "hook".into(), event: event.into(), connectors: vec!["gone".into()] };
    control.outbox().accept(control.clock().now(), vec![incoming], vec![]).await.unwrap();
    assert!(control.outbox().messages(Filter::default()).await.unwrap().is_empty());
    let second = listen(&stage, Some(&first)).await.expect("an event waits");
    assert_ne!(first, second);
}

/// The id of the first thing that the stream says, if it says anything soon.
async fn listen(stage: &Stage, last: Option<&str>) -> Option<String> {
    use futures_util::StreamExt as _;
    let mut request = Request::builder().uri("/live").header("host", "localhost");
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let answer = stage.routes.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut body = answer.into_body().into_data_stream();
    let text = tokio::time::timeout(std::time::Duration::from_millis(2_500), body.next()).await.ok()??.unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    text.lines().find_map(|line| line.strip_prefix("id: ")).map(str::to_owned)
}
