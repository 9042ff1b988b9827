//! What changed and who did it, in one sentence.

use alloc::format;
use alloc::string::String;

use super::{Card, Pen, full_name};
use crate::time::span;
use crate::types::{Kind, Person, Priority, Status};
use crate::words::Language;

/// The names and times that a sentence is made of, escaped.
struct Parts {
    /// Who did it; empty where that is not known.
    actor: String,
    /// Who has it or should take it; empty where that is not known.
    assignee: String,
    /// From the report to the event; empty where the times are the same.
    after: String,
}

/// Writes the sentence of an update; nothing for a new incident.
pub(crate) fn write(card: &Card<'_>, pen: &mut Pen) {
    let event = card.event;
    let language = card.config.language;
    let name =
        |person: &Option<Person>| person.as_ref().map(|person| pen.escaped(&full_name(person), card.limits.name)).unwrap_or_default();
    let parts = Parts {
        actor: name(&event.actor),
        assignee: name(&event.assigned_to),
        after: span(event.reported_at, event.occurred_at).map(|span| language.span(span)).unwrap_or_default(),
    };
    let text = match language {
        Language::English => english(card, &parts, pen),
        Language::Chinese => chinese(card, &parts, pen),
    };
    pen.own(&text);
    if let Some(comment) = event.comment.as_deref().filter(|comment| !comment.trim().is_empty()) {
        pen.own(language.pick(": ", "："));
        pen.user(comment, card.limits.comment);
    }
}

/// `before` and the text, or nothing for an empty text.
fn with(before: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{before}{text}") }
}

fn english(card: &Card<'_>, parts: &Parts, pen: &Pen) -> String {
    let by = with(" by ", &parts.actor);
    let after = with(" after ", &parts.after);
    let to = with(" to ", &parts.assignee);
    match &card.event.kind {
        Kind::Created | Kind::Test => String::new(),
        Kind::Assigned => format!("Assigned{to}{by}"),
        Kind::AutoEscalated if card.event.status == Status::Pending => {
            format!("Escalated{to}{}", with(", nobody accepted in ", &parts.after))
        }
        Kind::AutoEscalated => format!("Escalated{to}{by}"),
        Kind::Acknowledged => {
            let who = if parts.actor.is_empty() { &parts.assignee } else { &parts.actor };
            format!("Accepted{}{after}", with(" by ", who))
        }
        Kind::Raised => format!("Priority raised{}{by}", with(" to ", &priority(card, pen))),
        Kind::CommentAdded => format!("Comment{by}"),
        Kind::Resolved => format!("Resolved{by}{after}"),
        Kind::AutoResolved => format!("Resolved automatically{after}"),
        Kind::Rejected => format!("Declined{by}"),
        Kind::ResponderAdded => format!("A responder was added{by}"),
        Kind::ResponderRemoved => format!("A responder was removed{by}"),
        Kind::EscalationEnded => String::from("The escalation policy ended and nobody accepted"),
        Kind::NotResolved => format!("Still not resolved{after}"),
        Kind::Other(name) => format!("Update: {}{by}", pen.escaped(&name.replace('-', " "), 60)),
    }
}

fn chinese(card: &Card<'_>, parts: &Parts, pen: &Pen) -> String {
    let Parts { actor, assignee, after } = parts;
    let lasted = with("，历时 ", after);
    match &card.event.kind {
        Kind::Created | Kind::Test => String::new(),
        Kind::Assigned if actor.is_empty() => format!("已指派{}", with("给 ", assignee)),
        Kind::Assigned => format!("{actor} 指派{}", with("给 ", assignee)),
        Kind::AutoEscalated if card.event.status == Status::Pending && !after.is_empty() => {
            format!("已升级{}，{after}内无人接手", with("给 ", assignee))
        }
        Kind::AutoEscalated => format!("已升级{}", with("给 ", assignee)),
        Kind::Acknowledged => {
            let who = if actor.is_empty() { assignee } else { actor };
            format!("{}已接手{}", with("", &spaced(who)), with("，响应用时 ", after))
        }
        Kind::Raised if card.event.priority == Some(Priority::High) => format!("{}已将优先级提升为高", spaced(actor)),
        Kind::Raised => format!("{}已提升优先级{}", spaced(actor), with("：", &priority(card, pen))),
        Kind::CommentAdded => format!("{}评论", spaced(actor)),
        Kind::Resolved => format!("{}已解决{lasted}", spaced(actor)),
        Kind::AutoResolved => format!("已自动解决{lasted}"),
        Kind::Rejected => format!("{}拒绝接手", spaced(actor)),
        Kind::ResponderAdded => format!("{}添加了响应人", spaced(actor)),
        Kind::ResponderRemoved => format!("{}移除了响应人", spaced(actor)),
        Kind::EscalationEnded => String::from("升级策略已走完，仍无人接手"),
        Kind::NotResolved => format!("{}仍未解决", if after.is_empty() { String::new() } else { format!("{after}后") }),
        Kind::Other(name) => format!("更新：{}", pen.escaped(&name.replace('-', " "), 60)),
    }
}

fn spaced(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!("{name} ") }
}

fn priority(card: &Card<'_>, pen: &Pen) -> String {
    card.event.priority.as_ref().map(|priority| pen.escaped(card.config.language.priority(priority), 20)).unwrap_or_default()
}
