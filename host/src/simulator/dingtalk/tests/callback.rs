//! People write to a robot.

use super::*;

/// A robot's own address: keeps what it was posted and answers with one body.
async fn address(answer: Value) -> (Front, Arc<std::sync::Mutex<Vec<(http::HeaderMap, Value)>>>) {
    let seen: Arc<std::sync::Mutex<Vec<_>>> = Arc::default();
    let keep = Arc::clone(&seen);
    let handler: Handler = Arc::new(move |call| {
        let body = serde_json::from_slice(&call.body.unwrap()).unwrap();
        keep.lock().unwrap().push((call.parts.headers, body));
        let reply = crate::simulator::front::Reply::json(http::StatusCode::OK, &answer);
        Box::pin(async move { reply })
    });
    (Front::start(([127, 0, 0, 1], 0).into(), handler).await.unwrap(), seen)
}

fn spoken(front: &Front) -> Spoken {
    let url = crate::secret::Secret::new(format!("http://{}/callback", front.addr()));
    let app_secret = crate::secret::Secret::new("appSecret");
    Spoken { robot: "ops".into(), url, app_secret, text: "ack 42".into(), sender: "Li Lei".into(), staff_id: Some("4525".into()) }
}

#[tokio::test]
async fn what_is_written_to_a_robot_reaches_its_address_signed() {
    let group = start(vec![plain()]).await;
    let (front, seen) = address(json!({ "msgtype": "empty" })).await;
    assert_eq!(group.say_to(&spoken(&front)).await.unwrap().status, 200);
    let (headers, body) = seen.lock().unwrap().pop().unwrap();
    let timestamp = headers["timestamp"].to_str().unwrap();
    assert_eq!(headers["sign"], gate::sign_of(timestamp, "appSecret").as_str());
    assert_eq!((&body["text"]["content"], &body["senderStaffId"]), (&json!(" ack 42"), &json!("4525")));
    assert!(group.conversation().is_empty() && group.refusals().is_empty());
    assert_eq!(say(body["sessionWebhook"].as_str().unwrap(), &text("done")).await.0, 0);
    assert_eq!(group.messages("ops").len(), 1);
}

#[tokio::test]
async fn a_message_in_the_answer_is_shown() {
    let group = start(vec![plain()]).await;
    let (front, _) = address(text("accepted")).await;
    group.say_to(&spoken(&front)).await.unwrap();
    assert_eq!(group.messages("ops")[0].text, "accepted");
    front.shutdown().await;
    assert!(matches!(group.say_to(&spoken(&front)).await, Err(SimulatorError::Callback(_))));
}
