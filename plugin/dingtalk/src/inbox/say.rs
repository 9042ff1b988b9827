//! What the robot answers in the chat.

use alloc::string::String;
use alloc::vec::Vec;

use crate::contract::inbox::Answer;
use crate::escape;
use crate::mention::At;
use crate::message::Content;
use crate::words::Language;

/// The longest text about one command, in characters.
const MAX_TEXT: usize = 400;

pub(super) fn headers() -> Vec<(String, String)> {
    Vec::from([("content-type".into(), "application/json; charset=utf-8".into())])
}

/// A message as the answer to DingTalk's request.
pub(super) fn answer(body: Vec<u8>) -> Answer {
    Answer { status: 200, headers: headers(), body }
}

/// DingTalk's way to say nothing.
pub(super) fn nothing() -> Vec<u8> {
    br#"{"msgtype":"empty"}"#.to_vec()
}

fn markdown(title: &str, text: String) -> Vec<u8> {
    Content::Markdown { title: title.into(), text }.into_json(&At::default(), "")
}

/// How to write a command.
pub(super) fn help(language: Language) -> Vec<u8> {
    let text = language.pick(
        "**accept** · **resolve** · **comment** · **status**, with the number of an incident: *accept 42*, *comment 42 the disk is full*",
        "**接手** · **解决** · **评论** · **状态**，后接告警编号：*接手 42*、*评论 42 磁盘已满*",
    );
    markdown(language.pick("What I understand", "可用命令"), text.into())
}

/// To somebody without a user id.
pub(super) fn stranger(language: Language) -> Vec<u8> {
    let text = language.pick("Only members of the organisation can act on incidents here.", "只有本企业的成员才能在这里处理告警。");
    markdown(language.pick("Not done", "未执行"), text.into())
}

/// What became of each command.
pub(super) fn results(results: &[Result<String, String>], language: Language) -> Vec<u8> {
    let done = results.iter().all(Result::is_ok);
    let mut text = String::new();
    for result in results {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        let (Ok(words) | Err(words)) = result;
        text.push_str(if result.is_ok() { "✅ " } else { "❌ " });
        escape::line(&mut text, words, MAX_TEXT);
    }
    if text.is_empty() {
        return nothing();
    }
    let title = if done { language.pick("Done", "已完成") } else { language.pick("Not done", "未执行") };
    markdown(title, text)
}
