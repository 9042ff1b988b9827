//! The way back: somebody writes to an app robot, and DingTalk posts it to the robot's HTTP address.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::gate;
use super::group::{Group, Said};
use crate::secret::Secret;
use crate::simulator::SimulatorError;
use crate::simulator::outgoing::client;

/// How long DingTalk waits for an answer.
const TIMEOUT: Duration = Duration::from_millis(2_500);
/// How long a reply by the session's URL is possible.
const SESSION: Duration = Duration::from_secs(5_400);

/// What somebody writes, and who that is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spoken {
    /// The robot that is called with an `@`.
    pub robot: String,
    /// Where DingTalk posts it.
    pub url: Secret,
    /// The app's Client Secret, which signs it.
    pub app_secret: Secret,
    /// What is written after the `@`.
    pub text: String,
    /// The sender's name in the group.
    pub sender: String,
    /// The sender's user id in the company; an outsider has none.
    #[serde(default)]
    pub staff_id: Option<String>,
}

/// What the robot's address answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The HTTP status.
    pub status: u16,
    /// The body; a message in it has been shown in the group, if it was a good one.
    pub body: String,
}

/// Posts it as DingTalk does, with `timestamp` and `sign` as headers, and shows a message that comes back.
pub(super) async fn call(group: &Group, base_url: &str, spoken: &Spoken) -> Result<Heard, SimulatorError> {
    let session = group.open_session(&spoken.robot, SESSION)?;
    let now = group.time.now();
    let body = body(spoken, now, &format!("{base_url}/robot/sendBySession?session={session}"));
    let timestamp = now.to_string();
    let sign = gate::sign_of(&timestamp, spoken.app_secret.expose());
    let request = client(TIMEOUT)?.post(spoken.url.expose()).header("content-type", "application/json; charset=utf-8");
    // The URL may hold a credential.
    let lost = |error: reqwest::Error| SimulatorError::Callback(error.without_url().to_string());
    let answer = request.header("timestamp", timestamp).header("sign", sign).body(body.to_string()).send().await.map_err(lost)?;
    let status = answer.status().as_u16();
    let body = answer.bytes().await.map_err(lost)?;
    if status == 200 && says_something(&body) {
        let peer = ([127, 0, 0, 1], 0).into();
        group.hear(&spoken.robot, &Said { peer, timestamp: None, sign: None, body: Some(&body), by_session: true });
    }
    Ok(Heard { status, body: String::from_utf8_lossy(&body).into_owned() })
}

/// An empty body, JSON without a type, and the type `empty` are no reply.
fn says_something(body: &[u8]) -> bool {
    let value: Option<Value> = serde_json::from_slice(body).ok();
    value.is_some_and(|value| value["msgtype"].as_str().is_some_and(|msgtype| msgtype != "empty"))
}

fn body(spoken: &Spoken, now: i64, session_url: &str) -> Value {
    let mut body = json!({
        "conversationId": "cidSimulatedGroup",
        "conversationType": "2",
        "conversationTitle": "On-call",
        "msgId": format!("msg{:016x}", fastrand::u64(..)),
        "msgtype": "text",
        // With the blank that is left of the mention.
        "text": { "content": format!(" {}", spoken.text) },
        "isInAtList": true,
        "atUsers": [{ "dingtalkId": format!("$:LWCP_v1:${}", spoken.robot) }],
        "senderId": format!("$:LWCP_v1:${}", spoken.sender),
        "senderNick": spoken.sender,
        "senderCorpId": "dingSimulatedCorp",
        "isAdmin": false,
        "chatbotCorpId": "dingSimulatedCorp",
        "chatbotUserId": format!("$:LWCP_v1:${}", spoken.robot),
        "robotCode": spoken.robot,
        "createAt": now,
        "sessionWebhook": session_url,
        "sessionWebhookExpiredTime": now + 5_400_000,
    });
    if let Some(staff_id) = &spoken.staff_id {
        body["senderStaffId"] = staff_id.as_str().into();
    }
    body
}
