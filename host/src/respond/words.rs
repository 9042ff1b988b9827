//! What the pages say, in the languages of their readers.

use crate::event::Status;
use crate::outbox::book::Verb;

/// One language's words.
#[derive(Debug)]
pub(super) struct Words {
    /// For `lang`.
    pub(super) code: &'static str,
    pending: &'static str,
    accepted: &'static str,
    resolved: &'static str,
    unknown: &'static str,
    accept: &'static str,
    resolve: &'static str,
    comment: &'static str,
    accept_done: &'static str,
    resolve_done: &'static str,
    comment_done: &'static str,
    accept_done_by: &'static str,
    resolve_done_by: &'static str,
    comment_done_by: &'static str,
    already_accepted: &'static str,
    already_resolved: &'static str,
    pub(super) incident: &'static str,
    pub(super) by: &'static str,
    pub(super) last_known: &'static str,
    pub(super) name: &'static str,
    pub(super) name_help: &'static str,
    pub(super) name_missing: &'static str,
    pub(super) text: &'static str,
    pub(super) text_missing: &'static str,
    pub(super) in_progress: &'static str,
    pub(super) in_progress_by: &'static str,
    pub(super) look_again: &'static str,
    pub(super) used: &'static str,
    pub(super) failed: &'static str,
    pub(super) try_again: &'static str,
    pub(super) expired: &'static str,
    pub(super) expired_help: &'static str,
    pub(super) forged: &'static str,
    pub(super) forged_help: &'static str,
    pub(super) elsewhere: &'static str,
    pub(super) busy: &'static str,
    pub(super) unwritten: &'static str,
    pub(super) open: &'static str,
    pub(super) not_allowed: &'static str,
    pub(super) which: &'static str,
    pub(super) unknown_command: &'static str,
    pub(super) unknown_state: &'static str,
}

/// English.
pub(super) const EN: Words = Words {
    code: "en",
    pending: "Pending",
    accepted: "Accepted",
    resolved: "Resolved",
    unknown: "State unknown",
    accept: "Accept",
    resolve: "Resolve",
    comment: "Comment",
    accept_done: "You have accepted this incident.",
    resolve_done: "You have resolved this incident.",
    comment_done: "Your comment has been sent to iLert.",
    accept_done_by: "{} has accepted this incident.",
    resolve_done_by: "{} has resolved this incident.",
    comment_done_by: "The comment by {} has been sent to iLert.",
    already_accepted: "This incident has been accepted already.",
    already_resolved: "This incident has been resolved already.",
    incident: "Incident",
    by: "In iLert:",
    last_known: "iLert cannot be asked at the moment; this is the last known state.",
    name: "Your name",
    name_help: "The group reads it, and it is noted in iLert.",
    name_missing: "Please give your name, so that the others know who it was.",
    text: "Comment",
    text_missing: "Please write something.",
    in_progress: "Noted. It is being carried out.",
    in_progress_by: "This is being carried out already, as asked for by",
    look_again: "Look again",
    used: "This link has been used. A newer message has links for what is left to do.",
    failed: "It could not be carried out:",
    try_again: "Try again",
    expired: "This link has expired.",
    expired_help: "Use the link on a newer message, or iLert itself.",
    forged: "This link does not work.",
    forged_help: "It is incomplete or was not made by this server. Open it from the message in the chat again.",
    elsewhere: "This was sent from another page and was not carried out. Open the link from the chat again.",
    busy: "Too many people are looking at once. Please try again in a moment.",
    unwritten: "This could not be written down, and nothing was done. Please try again in a moment.",
    open: "Open in iLert",
    not_allowed: "You may not respond here; ask whoever runs this robot.",
    which: "Which incident? Give its number.",
    unknown_command: "This cannot be done from the chat.",
    unknown_state: "iLert cannot be asked at the moment, and nothing is known of this incident.",
};

/// Simplified Chinese.
pub(super) const ZH: Words = Words {
    code: "zh-CN",
    pending: "待处理",
    accepted: "已接手",
    resolved: "已解决",
    unknown: "状态未知",
    accept: "接手",
    resolve: "解决",
    comment: "评论",
    accept_done: "您已接手此故障。",
    resolve_done: "您已将此故障标记为已解决。",
    comment_done: "您的评论已发送到 iLert。",
    accept_done_by: "{} 已接手此故障。",
    resolve_done_by: "{} 已将此故障标记为已解决。",
    comment_done_by: "{} 的评论已发送到 iLert。",
    already_accepted: "此故障已有人接手。",
    already_resolved: "此故障已解决。",
    incident: "故障",
    by: "iLert 中的处理人：",
    last_known: "暂时无法查询 iLert，以下为最近一次已知的状态。",
    name: "您的姓名",
    name_help: "群成员会看到，并记录到 iLert。",
    name_missing: "请填写姓名，让其他人知道是谁处理的。",
    text: "评论内容",
    text_missing: "请填写内容。",
    in_progress: "已记录，正在执行。",
    in_progress_by: "已在执行中，发起人：",
    look_again: "刷新",
    used: "此链接已被使用。如需继续操作，请使用较新消息中的链接。",
    failed: "执行失败：",
    try_again: "重试",
    expired: "此链接已过期。",
    expired_help: "请使用较新消息中的链接，或直接在 iLert 中操作。",
    forged: "此链接无效。",
    forged_help: "链接不完整，或并非由本服务器生成。请从聊天消息中重新打开。",
    elsewhere: "该请求来自其他页面，未被执行。请从聊天消息中重新打开链接。",
    busy: "当前访问人数过多，请稍后再试。",
    unwritten: "未能记录该请求，未执行任何操作。请稍后再试。",
    open: "在 iLert 中打开",
    not_allowed: "您没有在此处理故障的权限，请联系机器人管理员。",
    which: "请指定故障编号。",
    unknown_command: "无法在聊天中执行此操作。",
    unknown_state: "暂时无法查询 iLert，也没有此故障的记录。",
};

impl Words {
    /// The connector's language, else the browser's first that is known, else English.
    pub(super) fn choose(connector: Option<&str>, accept_language: Option<&str>) -> &'static Words {
        let known = |tag: &str| {
            let tag = tag.trim().to_ascii_lowercase();
            if tag.starts_with("zh") { Some(&ZH) } else { tag.starts_with("en").then_some(&EN) }
        };
        let browsers = accept_language.into_iter().flat_map(|list| list.split(','));
        connector.into_iter().chain(browsers).find_map(known).unwrap_or(&EN)
    }

    pub(super) fn status(&self, status: Option<&Status>) -> &'static str {
        match status {
            Some(Status::Pending) => self.pending,
            Some(Status::Accepted) => self.accepted,
            Some(Status::Resolved) => self.resolved,
            Some(Status::Other(_)) | None => self.unknown,
        }
    }

    pub(super) fn verb(&self, verb: Verb) -> &'static str {
        match verb {
            Verb::Accept => self.accept,
            Verb::Resolve => self.resolve,
            Verb::Comment => self.comment,
        }
    }

    /// To everybody, by whom it was done.
    pub(super) fn done_by(&self, verb: Verb, who: &str) -> String {
        let sentence = match verb {
            Verb::Accept => self.accept_done_by,
            Verb::Resolve => self.resolve_done_by,
            Verb::Comment => self.comment_done_by,
        };
        sentence.replace("{}", who)
    }

    /// To the one who did it.
    pub(super) fn done(&self, verb: Verb) -> &'static str {
        match verb {
            Verb::Accept => self.accept_done,
            Verb::Resolve => self.resolve_done,
            Verb::Comment => self.comment_done,
        }
    }

    /// Why nothing is left to do.
    pub(super) fn already(&self, status: Option<&Status>) -> &'static str {
        if status == Some(&Status::Resolved) { self.already_resolved } else { self.already_accepted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connectors_language_comes_before_the_browsers() {
        let code = |connector, browser| Words::choose(connector, browser).code;
        assert_eq!(code(Some("zh-CN"), Some("en-GB")), "zh-CN");
        assert_eq!(code(Some("de"), Some("fr, zh;q=0.8, en;q=0.5")), "zh-CN");
        assert_eq!(code(None, Some("EN-us")), "en");
        assert_eq!(code(None, None), "en");
    }
}
