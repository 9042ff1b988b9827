//! `/_sim/…`: the simulator's handle, for another process.
//!
//! | request | does |
//! |---|---|
//! | `GET /_sim/robots` | names, with counters |
//! | `POST /_sim/robots` | adds a [`Robot`] |
//! | `GET /_sim/messages?robot=&after=&wait_for=&timeout_ms=` | what was shown, after message number `after`; waits until there are `wait_for` |
//! | `GET /_sim/refusals` | what was refused |
//! | `GET /_sim/counters?robot=` | [`Counters`](super::Counters) |
//! | `POST /_sim/faults` `{robot, fault, times}` | queues a [`Fault`] |
//! | `DELETE /_sim/faults?robot=` | forgets those that have not been met |
//! | `POST /_sim/mute` `{robot, ms}` | mutes |
//! | `POST /_sim/advance` `{ms}` | lets time pass |
//! | `POST /_sim/skew` `{ms}` | sets the time of day wrong |
//! | `POST /_sim/sessions` `{robot, ms}` | opens a session, answers with its path |
//! | `POST /_sim/say` [`Spoken`](super::Spoken) | somebody writes to a robot; answers with what its address answered |

use std::time::Duration;

use http::{Method, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::callback;
use super::fault::Fault;
use super::group::Group;
use super::robot::Robot;
use super::wait_for;
use crate::simulator::front::{Call, Reply};

/// The longest that a request may wait.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewFault {
    robot: String,
    fault: Fault,
    #[serde(default = "once")]
    times: u32,
}

fn once() -> u32 {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfRobot {
    robot: String,
    ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Moved {
    ms: i64,
}

/// Answers one request.
pub(super) async fn serve(group: &Group, call: &Call) -> Reply {
    match answer(group, call).await {
        Ok(value) => Reply::json(StatusCode::OK, &value),
        Err(error) => Reply::json(StatusCode::BAD_REQUEST, &json!({ "error": error })),
    }
}

async fn answer(group: &Group, call: &Call) -> Result<Value, String> {
    let query = call.query();
    let parameter = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let robot = || parameter("robot").ok_or_else(|| "the query needs `robot`".to_owned());
    match (&call.parts.method, call.parts.uri.path()) {
        (&Method::GET, "/_sim/robots") => {
            let one = |name: String| group.counters(&name).map(|counters| json!({ "name": name, "counters": counters }));
            text(group.names().into_iter().map(one).collect::<Result<Value, _>>())
        }
        (&Method::POST, "/_sim/robots") => done(group.add(body::<Robot>(call)?)),
        (&Method::GET, "/_sim/messages") => messages(group, &parameter).await,
        (&Method::GET, "/_sim/refusals") => text(serde_json::to_value(group.refused())),
        (&Method::GET, "/_sim/counters") => text(serde_json::to_value(text(group.counters(robot()?))?)),
        (&Method::POST, "/_sim/faults") => {
            let NewFault { robot, fault, times } = body(call)?;
            done(group.fault(&robot, fault, times))
        }
        (&Method::DELETE, "/_sim/faults") => done(group.clear_faults(robot()?)),
        (&Method::POST, "/_sim/mute") => {
            let OfRobot { robot, ms } = body(call)?;
            done(group.mute(&robot, Duration::from_millis(ms)))
        }
        (&Method::POST, "/_sim/sessions") => {
            let OfRobot { robot, ms } = body(call)?;
            let session = text(group.open_session(&robot, Duration::from_millis(ms)))?;
            Ok(json!({ "path": format!("/robot/sendBySession?session={session}") }))
        }
        (&Method::POST, "/_sim/advance") => {
            let Moved { ms } = body(call)?;
            group.time.advance(Duration::from_millis(u64::try_from(ms).map_err(|_| "time does not run back".to_owned())?));
            Ok(json!({}))
        }
        (&Method::POST, "/_sim/skew") => {
            let Moved { ms } = body(call)?;
            group.time.skew(ms);
            Ok(json!({}))
        }
        (&Method::POST, "/_sim/say") => {
            let host = call.parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).ok_or("the Host header is missing")?;
            let heard = text(callback::call(group, &format!("http://{host}"), &body(call)?).await)?;
            text(serde_json::to_value(heard))
        }
        (method, path) => Err(format!("there is no {method} {path}")),
    }
}

async fn messages<'a>(group: &Group, parameter: &impl Fn(&str) -> Option<&'a str>) -> Result<Value, String> {
    let number = |name: &str| parameter(name).map(|value| value.parse::<u64>().map_err(|_| format!("`{name}` is no number"))).transpose();
    let robot = parameter("robot");
    if let Some(wanted) = number("wait_for")? {
        let timeout = number("timeout_ms")?.map_or(Duration::from_secs(10), Duration::from_millis).min(LONGEST_WAIT);
        text(wait_for(group, robot, wanted, timeout).await)?;
    }
    let after = number("after")?.unwrap_or(0);
    let shown: Vec<_> = group.messages(robot).into_iter().filter(|shown| shown.number > after).collect();
    text(serde_json::to_value(shown))
}

fn body<T: DeserializeOwned>(call: &Call) -> Result<T, String> {
    text(serde_json::from_slice(call.body.as_deref().unwrap_or_default()))
}

fn done<E: ToString>(result: Result<(), E>) -> Result<Value, String> {
    text(result).map(|()| json!({}))
}

fn text<T, E: ToString>(result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}
