//! The robot server's two addresses, `/robot/send` and `/robot/sendBySession`, and the order of its checks.

use std::sync::Arc;

use http::{Method, StatusCode, header};

use super::answer::{Answer, NO_TOKEN, NOT_JSON_TYPE, NOT_POST, UNKNOWN_SESSION, UNKNOWN_TOKEN};
use super::control;
use super::fault::reply;
use super::group::{Group, Said};
use crate::simulator::front::{Call, Reply};

/// Answers one request.
pub(super) async fn serve(group: Arc<Group>, call: Call) -> Reply {
    match call.parts.uri.path() {
        "/robot/send" => send(&group, &call, false).await,
        "/robot/sendBySession" => send(&group, &call, true).await,
        path if path.starts_with("/_sim/") => control::serve(&group, &call).await,
        _ => reply_not_found(),
    }
}

fn reply_not_found() -> Reply {
    Reply::json(StatusCode::NOT_FOUND, &serde_json::json!({ "errcode": 404, "errmsg": "请求的URI地址不存在" }))
}

async fn send(group: &Group, call: &Call, by_session: bool) -> Reply {
    let query = call.query();
    let parameter = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let robot = match robot_of(group, call, by_session, &parameter) {
        Ok(robot) => robot,
        Err(answer) => {
            group.refuse(None, &answer, call.body.as_deref());
            return reply(&answer);
        }
    };
    let (heard, fault) = group.arrives(&robot);
    if let Some(fault) = fault.clone().filter(|fault| !fault.passes_on()) {
        return fault.spoil(&super::answer::OK).await;
    }
    let answer = if heard {
        let (timestamp, sign) = (parameter("timestamp"), parameter("sign"));
        group.hear(&robot, &Said { peer: call.peer, timestamp, sign, body: call.body.as_deref(), by_session })
    } else {
        group.too_fast(&robot, call.body.as_deref())
    };
    match fault {
        Some(fault) => fault.spoil(&answer).await,
        None => reply(&answer),
    }
}

/// The checks before it is known whose call it is.
fn robot_of<'a>(group: &Group, call: &Call, by_session: bool, parameter: &impl Fn(&str) -> Option<&'a str>) -> Result<String, Answer> {
    if call.parts.method != Method::POST {
        return Err(NOT_POST);
    }
    if !is_json(call) {
        return Err(NOT_JSON_TYPE);
    }
    if by_session {
        let session = parameter("session").unwrap_or_default();
        return group.by_session(session).ok_or(UNKNOWN_SESSION);
    }
    let token = parameter("access_token").filter(|token| !token.is_empty()).ok_or(NO_TOKEN)?;
    group.by_token(token).ok_or(UNKNOWN_TOKEN)
}

/// `application/json`, its charset UTF-8 if it names one.
fn is_json(call: &Call) -> bool {
    let Some(Ok(value)) = call.parts.headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let mut parts = value.split(';').map(|part| part.trim().to_ascii_lowercase());
    parts.next().is_some_and(|essence| essence == "application/json")
        && parts.all(|parameter| match parameter.split_once('=') {
            Some(("charset", charset)) => charset.trim_matches('"') == "utf-8",
            _ => true,
        })
}
