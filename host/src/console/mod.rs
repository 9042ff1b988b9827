//! The admin server: health, the JSON API, and the console's pages.
//!
//! Off loopback every call needs the token. Without a token only this machine can connect, and then a page in this machine's browser must
//! not be able to call it either: the `Host` must be a loopback name, and a cross-site request is refused.

mod api;
mod config;
mod guard;
mod health;
#[cfg(feature = "console")]
mod pages;
mod plugins;
mod preview;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post, put};
use tokio_util::sync::CancellationToken;

use crate::host::{Control, HostError, Service};
use crate::server::Server;

/// Takes the admin address; what it answers runs as a service of the host.
pub async fn serve(control: Control) -> Result<Service, HostError> {
    let plan = control.plan();
    let server = Server::bind(plan.settings.admin.listen, None).await?.measured("admin", control.metrics().http.clone());
    let grace = plan.settings.server.grace.duration();
    #[cfg(feature = "console")]
    tracing::info!(url = format!("http://{}/", server.local_addr()), "The console can be opened.");
    Ok(Box::new(move |stop: CancellationToken| Box::pin(server.run(routes_until(control, stop.clone()), stop, grace))))
}

/// All routes, guarded.
pub fn routes(control: Control) -> Router {
    routes_until(control, CancellationToken::new())
}

/// All routes; what would go on for ever ends with `stop`.
fn routes_until(control: Control, stop: CancellationToken) -> Router {
    #[cfg(feature = "console")]
    let pages = pages::routes(control.clone(), stop);
    #[cfg(not(feature = "console"))]
    let (pages, _) = (Router::new(), stop);
    let plan = control.clone();
    let guard = Arc::new(guard::Guard::new(move || plan.plan().settings.admin.token.clone()));
    let api = Router::new()
        .route("/metrics", get(health::metrics))
        .route("/api/outbox", get(api::outbox))
        .route("/api/connectors", get(api::connectors))
        .route("/api/connectors/{name}/test", post(api::test))
        .route("/api/messages", get(api::messages))
        .route("/api/messages/{id}", get(api::message))
        .route("/api/dead-letters/{id}/replay", post(api::replay))
        .route("/api/dead-letters/{id}/discard", post(api::discard))
        .route("/api/unreadable", get(api::unreadable))
        .route("/api/plugins", get(plugins::list))
        .route("/api/plugins/{name}", put(plugins::install).layer(DefaultBodyLimit::max(plugins::UPLOAD)))
        .route("/api/plugins/{name}/rollback", post(plugins::rollback))
        .route("/api/preview", post(preview::preview))
        .route("/api/config", get(config::state))
        .route("/api/reload", post(config::reload))
        .layer(axum::middleware::from_fn_with_state(guard, guard::check));
    Router::new().route("/healthz", get(health::alive)).route("/readyz", get(health::ready)).merge(api).with_state(control).merge(pages)
}
