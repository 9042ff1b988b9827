//! The console: pages for people, made on the server. A little script keeps them live; every one of them works without it.
//!
//! | file | does |
//! |---|---|
//! | `visit` | who looks, in which language, and whether a form is theirs |
//! | `session`, `login` | who may look at all |
//! | `layout`, `words`, `format`, `gauge` | what all pages share |
//! | `connectors`, `lanes` | the connectors, and *Test this connection* |
//! | `messages`, `message` | the list, and one message |
//! | `dead_letters`, `discard` | what waits for a decision |
//! | `plugins`, `upload` | versions, and their swap |
//! | `playground`, `fixtures`, `sample` | any event with any config |
//! | `card`, `draw` | a message as people see it |
//! | `live` | server-sent events |
//! | `assets` | style, script, icon |

mod assets;
mod card;
mod connectors;
mod dead_letters;
mod draw;
mod fixtures;
mod flash;
mod format;
mod gauge;
mod lanes;
mod layout;
mod live;
mod login;
mod message;
mod messages;
mod playground;
mod plugins;
mod sample;
mod session;
#[cfg(test)]
mod tests;
mod upload;
mod visit;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;

use self::flash::Flashes;
use self::live::Live;
use self::session::Sessions;
use crate::host::Control;

/// The largest form without a file: a playground's event and config.
const MAX_FORM: usize = 1 << 20;

/// What the pages share; cheap to clone.
#[derive(Clone)]
struct Console(Arc<Shared>);

struct Shared {
    control: Control,
    sessions: Sessions,
    flashes: Flashes,
    live: Live,
    /// Ends the streams of events when the server stops.
    stop: CancellationToken,
}

impl Console {
    fn control(&self) -> &Control {
        &self.0.control
    }
}

/// The routes of the pages.
pub(super) fn routes(control: Control, stop: CancellationToken) -> Router {
    let console =
        Console(Arc::new(Shared { control, sessions: Sessions::new(), flashes: Flashes::default(), live: Live::default(), stop }));
    let upload = DefaultBodyLimit::max(super::plugins::UPLOAD + MAX_FORM);
    let pages = Router::new()
        .route("/", get(connectors::index))
        .route("/connectors/{name}/test", post(connectors::test))
        .route("/messages", get(messages::index))
        .route("/messages/{id}", get(message::show))
        .route("/dead-letters", get(dead_letters::index))
        .route("/dead-letters/{id}/replay", post(dead_letters::replay))
        .route("/dead-letters/{id}/discard", post(dead_letters::discard))
        .route("/dead-letters/replay-all", post(dead_letters::replay_all))
        .route("/dead-letters/discard-all", post(dead_letters::discard_all))
        .route("/plugins", get(plugins::index))
        .route("/plugins/{name}/install", post(upload::install).layer(upload))
        .route("/plugins/{name}/rollback", post(plugins::rollback))
        .route("/playground", get(playground::open).post(playground::show))
        .route("/live", get(live::listen))
        .route("/logout", post(login::leave))
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .layer(from_fn_with_state(console.clone(), visit::enter));
    let open = Router::new()
        .route("/login", get(login::show).post(login::enter))
        .route("/assets/{name}", get(assets::serve))
        .layer(DefaultBodyLimit::max(MAX_FORM));
    pages.merge(open).layer(axum::middleware::map_response(layout::harden)).with_state(console)
}
