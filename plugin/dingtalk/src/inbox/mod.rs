//! What people write to the robot in the chat: DingTalk posts it to this host, which asks here whether and what it means.

mod callback;
mod command;
mod quote;
mod say;
mod verify;

use alloc::string::String;
use alloc::vec::Vec;

use self::callback::Callback;
use crate::config::Config;
use crate::contract::inbox::{Answer, Command, Guest, Incoming, Received, Refusal, Replied};
use crate::guest::Plugin;
use crate::types::{Context, Failure, Method, Person, Request, Target};
use crate::words::Language;

impl Guest for Plugin {
    fn verify(secrets: Vec<(String, String)>, request: Incoming, now_ms: u64) -> Result<(), Refusal> {
        verify::check(&secrets, &request.headers, now_ms)
    }

    fn read(config: String, request: Incoming, _cx: Context) -> Result<Received, Refusal> {
        let language = language(&config).map_err(|failure| Refusal { status: 500, text: failure.text })?;
        if request.method != "POST" {
            return Err(Refusal { status: 405, text: "DingTalk sends messages with POST.".into() });
        }
        let callback = Callback::parse(&request.body).map_err(|text| Refusal { status: 400, text })?;
        Ok(received(&callback, language))
    }

    fn reply(config: String, request: Incoming, results: Vec<Result<String, String>>, cx: Context) -> Result<Replied, Failure> {
        let language = language(&config)?;
        let callback = Callback::parse(&request.body).map_err(|text| Failure { code: "callback".into(), text })?;
        let body = say::results(&results, language);
        let late = callback.session_url(cx.now.unix_ms).map(|url| Request {
            target: Target::Allowed(url.into()),
            method: Method::Post,
            headers: say::headers(),
            query: Vec::new(),
            body: body.clone(),
        });
        Ok(Replied { answer: say::answer(body), late })
    }
}

fn language(config: &str) -> Result<Language, Failure> {
    Config::parse(config).map(|config| config.language)
}

/// What a message asks for, and what is said at once: nothing while commands are carried out, else how to write one.
fn received(callback: &Callback, language: Language) -> Received {
    let id = callback.id().map(Into::into);
    let said = |body| Received { id: id.clone(), commands: Vec::new(), answer: say::answer(body) };
    let Some(text) = callback.text() else { return said(say::nothing()) };
    let Some(asked) = command::parse(&text) else { return said(say::help(language)) };
    let Some(by) = person(callback) else { return said(say::stranger(language)) };
    let quoted = || callback.quoted().map(Into::into);
    let command = |asked: command::Asked| {
        let incident_id = asked.incident_id.or_else(quoted);
        Command { action: asked.action, incident_id, text: asked.text, by: by.clone() }
    };
    let commands = asked.into_iter().map(command);
    Received { id, commands: commands.collect(), answer: answer_later() }
}

fn answer_later() -> Answer {
    say::answer(say::nothing())
}

/// Who wrote it. People from outside the company have no user id, so nobody could say who they are.
fn person(callback: &Callback) -> Option<Person> {
    let id = callback.staff_id()?;
    let empty = String::new;
    Some(Person { id: id.into(), username: empty(), first_name: callback.nick().into(), last_name: empty(), email: empty() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample::{context, json};
    use crate::types::Action;

    fn incoming(body: &serde_json::Value) -> Incoming {
        Incoming { method: "POST".into(), path: "/".into(), headers: vec![], query: vec![], body: body.to_string().into() }
    }

    fn message(text: &str) -> serde_json::Value {
        serde_json::json!({
            "msgId": "msg1", "msgtype": "text", "text": { "content": text }, "senderStaffId": "4525", "senderNick": "李雷",
            "sessionWebhook": "https://oapi.dingtalk.com/robot/sendBySession?session=abc", "sessionWebhookExpiredTime": 1_772_335_320_000_i64,
        })
    }

    fn read(body: &serde_json::Value) -> Received {
        Plugin::read("{}".into(), incoming(body), context(&[])).expect("it is read")
    }

    #[test]
    fn a_command_is_read_with_who_wrote_it() {
        let received = read(&message(" accept 42"));
        assert_eq!(received.id.as_deref(), Some("msg1"));
        let [command] = &received.commands[..] else { panic!("one command") };
        assert_eq!((&command.action, command.incident_id.as_deref()), (&Action::Accept, Some("42")));
        assert_eq!((command.by.id.as_str(), command.by.first_name.as_str()), ("4525", "李雷"));
        assert_eq!(json(&received.answer.body), serde_json::json!({ "msgtype": "empty" }));
    }

    #[test]
    fn a_quoted_message_says_which_incident_is_meant() {
        let mut body = message("accept");
        body["text"]["isReplyMsg"] = true.into();
        body["text"]["repliedMsg"] =
            serde_json::json!({ "msgType": "interactiveCard", "content": { "cardContent": { "value": "High · #42" } } });
        assert_eq!(read(&body).commands[0].incident_id.as_deref(), Some("42"));
        body["text"]["content"] = "accept 7".into();
        assert_eq!(read(&body).commands[0].incident_id.as_deref(), Some("7"), "what is written comes first");
        body["text"] = serde_json::json!({ "content": "accept", "repliedMsg": { "msgType": "interactiveCard" } });
        assert_eq!(read(&body).commands[0].incident_id.as_deref(), Some(""), "the last incident may not be the quoted one");
    }

    #[test]
    fn the_text_may_stand_at_the_top_or_in_pieces() {
        let mut top = message("");
        top["text"] = serde_json::Value::Null;
        top["content"] = " 接手".into();
        assert_eq!(read(&top).commands[0].action, Action::Accept);
        let mut rich = message("");
        rich["msgtype"] = "richText".into();
        rich["content"] = serde_json::json!({ "richText": [{ "text": "resolve " }, { "downloadCode": "x" }, { "text": "#7" }] });
        rich["text"] = serde_json::Value::Null;
        assert_eq!(read(&rich).commands[0].incident_id.as_deref(), Some("7"));
    }

    #[test]
    fn help_is_the_answer_to_anything_else() {
        for text in ["", "help", "what?", "acceptance"] {
            let received = read(&message(text));
            assert!(received.commands.is_empty(), "{text}");
            assert!(json(&received.answer.body)["markdown"]["text"].as_str().expect("a text").contains("accept"), "{text}");
        }
    }

    #[test]
    fn a_picture_and_a_message_over_the_quota_are_not_answered() {
        let picture = serde_json::json!({ "msgtype": "picture", "content": { "downloadCode": "x" }, "msgId": "m" });
        let quota = serde_json::json!({ "errorCode": 20001, "errorMessage": "quota" });
        for body in [picture, quota] {
            assert_eq!(json(&read(&body).answer.body), serde_json::json!({ "msgtype": "empty" }));
        }
    }

    #[test]
    fn somebody_from_outside_the_company_cannot_act() {
        let mut body = message("accept 42");
        body["senderStaffId"] = "".into();
        let received = read(&body);
        assert!(received.commands.is_empty());
        assert!(json(&received.answer.body)["markdown"]["text"].as_str().expect("a text").contains("organisation"));
    }

    #[test]
    fn a_body_that_is_no_message_is_refused() {
        let mut request = incoming(&serde_json::json!([]));
        let refused = |request| Plugin::read("{}".into(), request, context(&[])).expect_err("refused").status;
        assert_eq!(refused(request.clone()), 400);
        request.body = b"<html>".to_vec();
        assert_eq!(refused(request.clone()), 400);
        request.method = "GET".into();
        assert_eq!(refused(request), 405);
    }

    #[test]
    fn a_reply_says_what_became_of_each_command_now_or_by_the_session() {
        let results = vec![Ok("#42 is accepted by @all".into()), Err("#43 is resolved already".into())];
        let replied = Plugin::reply("{}".into(), incoming(&message("accept 42 43")), results, context(&[])).expect("a reply");
        let text = json(&replied.answer.body)["markdown"]["text"].as_str().expect("a text").to_owned();
        assert_eq!(text, "✅ \\#42 is accepted by @\u{200b}all\n\n❌ \\#43 is resolved already");
        let late = replied.late.expect("the session is open");
        assert_eq!(late.target, Target::Allowed("https://oapi.dingtalk.com/robot/sendBySession?session=abc".into()));
        assert_eq!(late.body, replied.answer.body);
    }

    #[test]
    fn a_session_that_is_over_is_not_used() {
        let mut body = message("accept");
        body["sessionWebhookExpiredTime"] = 5.into();
        let replied = Plugin::reply("{}".into(), incoming(&body), vec![Ok("done".into())], context(&[])).expect("a reply");
        assert_eq!(replied.late, None);
    }
}
