//! `/_sim/…`: the simulator's handle, for another process.
//!
//! | request | does |
//! |---|---|
//! | `GET /_sim/alerts` | all alerts, in REST form |
//! | `POST /_sim/alerts` [`NewAlert`] | creates one, answers with its id |
//! | `POST /_sim/alerts/{id}` `{do, user, text}` | `do` is `accept`, `resolve`, `escalate`, `assign`, `raise` or `comment` |
//! | `POST /_sim/events` | posts the body to the webhook as it is |
//! | `POST /_sim/webhook` `{url}` | where events go from now on |
//! | `GET /_sim/posts`, `/_sim/calls`, `/_sim/counters` | what was posted, what was called |
//! | `POST /_sim/faults` `{fault, times, on}` | queues a [`Fault`], for any call or for those named `on` |
//! | `POST /_sim/advance` `{ms}` | lets time pass |

use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::alert::{NewAlert, User};
use super::desk::Desk;
use super::{Fault, act};
use crate::secret::Secret;
use crate::simulator::front::{Call, Reply};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deed {
    #[serde(rename = "do")]
    verb: String,
    user: Option<User>,
    text: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewFault {
    fault: Fault,
    #[serde(default)]
    times: u32,
    #[serde(default)]
    on: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Webhook {
    url: Option<Secret>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    ms: u64,
}

/// Answers one request.
pub(super) fn serve(desk: &Desk, call: &Call) -> Reply {
    match answer(desk, call) {
        Ok(value) => Reply::json(StatusCode::OK, &value),
        Err(error) => Reply::json(StatusCode::BAD_REQUEST, &json!({ "error": error })),
    }
}

fn answer(desk: &Desk, call: &Call) -> Result<Value, String> {
    match (&call.parts.method, call.parts.uri.path()) {
        (&Method::GET, "/_sim/alerts") => Ok(desk.alerts().iter().map(super::Alert::rest).collect()),
        (&Method::POST, "/_sim/alerts") => Ok(json!({ "id": desk.create(body::<NewAlert>(call)?) })),
        (&Method::POST, "/_sim/events") => {
            desk.post(body(call)?);
            Ok(json!({}))
        }
        (&Method::POST, "/_sim/webhook") => {
            desk.set_webhook(body::<Webhook>(call)?.url);
            Ok(json!({}))
        }
        (&Method::GET, "/_sim/posts") => text(serde_json::to_value(desk.posts())),
        (&Method::GET, "/_sim/calls") => text(serde_json::to_value(desk.calls())),
        (&Method::GET, "/_sim/counters") => text(serde_json::to_value(desk.counters())),
        (&Method::POST, "/_sim/faults") => {
            let NewFault { fault, times, on } = body(call)?;
            text(fault.check())?;
            desk.fault(fault, times, on);
            Ok(json!({}))
        }
        (&Method::POST, "/_sim/advance") => {
            desk.time.advance(Duration::from_millis(body::<Advance>(call)?.ms));
            Ok(json!({}))
        }
        (&Method::POST, path) if path.starts_with("/_sim/alerts/") => {
            let id = text(path.trim_start_matches("/_sim/alerts/").parse())?;
            deed(desk, id, body(call)?)
        }
        (method, path) => Err(format!("there is no {method} {path}")),
    }
}

fn deed(desk: &Desk, id: u64, deed: Deed) -> Result<Value, String> {
    let user = || deed.user.as_ref().ok_or_else(|| "this needs a `user`".to_owned());
    let done = match deed.verb.as_str() {
        "accept" => act::accept(desk, id, deed.user.as_ref()),
        "resolve" => act::resolve(desk, id),
        "escalate" => act::escalate(desk, id, user()?),
        "assign" => act::assign(desk, id, user()?),
        "raise" => act::raise(desk, id),
        "comment" => desk.comment(id, deed.text.as_deref().unwrap_or_default()),
        verb => return Err(format!("there is nothing to `{verb}`")),
    };
    text(done).map(|()| json!({}))
}

fn body<T: DeserializeOwned>(call: &Call) -> Result<T, String> {
    text(serde_json::from_slice(call.body.as_deref().unwrap_or_default()))
}

fn text<T, E: ToString>(result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}
