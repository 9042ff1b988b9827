//! The admin API that swaps plugins, on a host from a config.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use incident_sink::config::Document;
use incident_sink::host::{Host, Options, Plan};
use serde_json::Value;
use tower::ServiceExt as _;

use super::stage::chameleon;

async fn call(routes: &Router, method: &str, path: &str, body: Vec<u8>) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path).header("host", "127.0.0.1").body(Body::from(body)).unwrap();
    let answer = routes.clone().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_api_installs_refuses_shows_and_rolls_back() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("chameleon.wasm"), chameleon("good")).unwrap();
    let config = "[outbox]\ntype = \"sqlite\"\n[plugins.chameleon]\npath = \"chameleon.wasm\"\nlimits.deadline = \"5s\"\n\
                  [connectors.ops]\ntype = \"chameleon\"\nurl = \"http://127.0.0.1:9/\"\nsecret = \"hush\"\n";
    let file = folder.path().join("incident-sink.toml");
    std::fs::write(&file, config).unwrap();
    let plan = Plan::read(Document::load(&file).unwrap()).unwrap();
    let host = Host::build(plan, Options { without_sources: true, ..Options::default() }).await.unwrap();
    let routes = incident_sink::console::routes(host.control());

    let (status, installed) = call(&routes, "PUT", "/api/plugins/chameleon", chameleon("good-2")).await;
    assert_eq!((status, &installed["version"], &installed["before"]), (200, &"2.0.0".into(), &"1.0.0".into()), "{installed}");
    let (status, problem) = call(&routes, "PUT", "/api/plugins/chameleon", chameleon("trap-begin")).await;
    assert_eq!(status, 409, "an older version first: {problem}");
    let (status, problem) = call(&routes, "PUT", "/api/plugins/chameleon?force=true", chameleon("trap-begin")).await;
    assert!(status == 422 && problem["detail"].as_str().unwrap().contains("crashed"), "{problem}");
    assert_eq!(call(&routes, "PUT", "/api/plugins/other", chameleon("good")).await.0, 404);
    let (_, list) = call(&routes, "GET", "/api/plugins", vec![]).await;
    assert_eq!((&list[0]["version"], &list[0]["last_failure"]["step"]), (&"2.0.0".into(), &"golden".into()), "{list}");
    assert_eq!(list[0]["counts"]["refused"], 2);
    assert_eq!(list[0]["versions"][0]["who"], "api");
    let (status, back) = call(&routes, "POST", "/api/plugins/chameleon/rollback", vec![]).await;
    assert_eq!((status, &back["version"]), (200, &"1.0.0".into()));
    assert_eq!(call(&routes, "POST", "/api/plugins/chameleon/rollback", vec![]).await.0, 409);
    let (status, _) = call(&routes, "PUT", "/api/plugins/chameleon?shadow=5", chameleon("good-2")).await;
    let (_, list) = call(&routes, "GET", "/api/plugins", vec![]).await;
    assert_eq!((status, &list[0]["shadow"]["left"], &list[0]["version"]), (200, &5.into(), &"1.0.0".into()));
}
