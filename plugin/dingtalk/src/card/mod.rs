//! How one incident looks.

mod buttons;
mod pen;
mod update;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

pub(crate) use buttons::buttons;
pub(crate) use pen::{Pen, destination};

use crate::config::{Config, Member};
use crate::mention::{At, literal};
use crate::template::Style;
use crate::time::span;
use crate::types::{Context, Event, Kind, Person, Status};
use crate::words::{Language, colour, shape};

/// How much of an incident is shown, in characters and pieces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) summary: usize,
    pub(crate) details: usize,
    pub(crate) lines: usize,
    pub(crate) comment: usize,
    pub(crate) name: usize,
    pub(crate) responders: usize,
    pub(crate) links: usize,
    pub(crate) images: usize,
    pub(crate) href: usize,
}

/// From what a phone shows well down to what fits in any case.
pub(crate) const LEVELS: [Limits; 3] = [
    Limits { summary: 300, details: 1200, lines: 24, comment: 600, name: 80, responders: 8, links: 8, images: 3, href: 2000 },
    Limits { summary: 200, details: 300, lines: 8, comment: 200, name: 60, responders: 3, links: 2, images: 1, href: 1000 },
    Limits { summary: 120, details: 0, lines: 0, comment: 80, name: 40, responders: 1, links: 0, images: 0, href: 400 },
];

/// One incident, about to be shown.
pub(crate) struct Card<'a> {
    pub(crate) event: &'a Event,
    pub(crate) config: &'a Config,
    pub(crate) cx: &'a Context,
    pub(crate) at: &'a At,
    pub(crate) limits: Limits,
}

impl Card<'_> {
    fn language(&self) -> Language {
        self.config.language
    }

    /// The line of the conversation list: state by shape and word, then what it is about. No markup.
    pub(crate) fn title(&self) -> String {
        let mut out = String::new();
        if self.event.kind == Kind::Test {
            out.push_str(self.language().pick("✅ Test · ", "✅ 测试 · "));
            crate::escape::plain(&mut out, &self.cx.connector, 100);
            return out;
        }
        let status = &self.event.status;
        out.push_str(shape(status));
        out.push(' ');
        crate::escape::plain(&mut out, self.language().status(status), 20);
        out.push_str(" · ");
        crate::escape::plain(&mut out, self.summary(), 100);
        out
    }

    /// The whole card. Without the mentions that it could not place.
    pub(crate) fn text(&self, style: Style) -> String {
        let mut pen = Pen::new(style, self.config.pc_slide, self.limits.href);
        if self.event.kind == Kind::Test {
            self.test(&mut pen);
            self.others(&mut pen, &[]);
            return pen.finish();
        }
        self.heading(&mut pen);
        let said = self.below(&mut pen);
        if !pen.is_markdown()
            && let Some(url) = self.page()
        {
            pen.paragraph();
            pen.own(&url);
        }
        self.others(&mut pen, &said);
        pen.finish()
    }

    /// What stands under a title that says the state and the summary already, without markup.
    pub(crate) fn brief(&self) -> String {
        let mut pen = Pen::new(Style::Plain, None, self.limits.href);
        if self.event.kind == Kind::Test {
            self.test(&mut pen);
        } else {
            self.below(&mut pen);
        }
        pen.finish()
    }

    /// Everything below the heading. Returns the people whose `@…` was written.
    fn below(&self, pen: &mut Pen) -> Vec<&Member> {
        pen.paragraph();
        update::write(self, pen);
        pen.paragraph();
        self.facts(pen);
        pen.paragraph();
        let said = self.people(pen);
        if self.event.kind == Kind::Created {
            self.body(pen);
        }
        pen.paragraph();
        self.times(pen);
        said
    }

    /// The incident's page, as it may stand in a message.
    fn page(&self) -> Option<String> {
        let page = self.event.incident_url.as_deref().and_then(crate::escape::href);
        page.filter(|page| page.len() <= self.limits.href)
    }

    fn test(&self, pen: &mut Pen) {
        let name = pen.escaped(&self.cx.connector, 100);
        let text = match self.language() {
            Language::English => format!("This is a test from incident-sink. The connector \"{name}\" works. Nothing happened."),
            Language::Chinese => format!("这是来自 incident-sink 的测试消息。连接器“{name}”工作正常，没有发生任何故障。"),
        };
        pen.own(&text);
    }

    fn summary(&self) -> &str {
        let summary = self.event.summary.as_str();
        if summary.trim().is_empty() { self.language().pick("(no summary)", "（无标题）") } else { summary }
    }

    fn heading(&self, pen: &mut Pen) {
        let status = &self.event.status;
        let coloured = self.config.colours.0 && pen.is_markdown();
        pen.markup("### ");
        if coloured {
            pen.own(&format!("<font color={}>", colour(status)));
        } else {
            pen.own(shape(status));
            pen.own(" ");
        }
        pen.user(self.language().status(status), 20);
        pen.own(if coloured { "</font> " } else { " " });
        if pen.is_markdown() {
            pen.link(self.summary(), self.limits.summary, self.event.incident_url.as_deref().unwrap_or_default());
        } else {
            pen.own("· ");
            pen.user(self.summary(), self.limits.summary);
        }
    }

    /// Where it comes from, how bad it is, its number.
    fn facts(&self, pen: &mut Pen) {
        let event = self.event;
        if let Some(source) = event.alert_source.as_ref().filter(|source| !source.name.trim().is_empty()) {
            pen.bold(&source.name, self.limits.name);
        }
        if let Some(priority) = &event.priority {
            pen.dot();
            pen.user(self.language().priority(priority), 20);
        }
        if let Some(severity) = event.severity {
            pen.dot();
            pen.own(&format!("SEV{severity}"));
        }
        if pen.is_fresh() {
            // A line that begins with a number sign would be a heading.
            pen.own(self.language().pick("Incident ", "告警 "));
        } else {
            pen.dot();
        }
        pen.own("#");
        pen.user(&event.incident_id, 40);
    }

    /// Who has it or should take it. Returns the people whose `@…` was written.
    fn people(&self, pen: &mut Pen) -> Vec<&Member> {
        let mut said = Vec::new();
        if let Some(person) = &self.event.assigned_to {
            pen.own(self.language().pick("Assigned to ", "负责人 "));
            pen.bold(&full_name(person), self.limits.name);
            self.mention(pen, person, &mut said);
        }
        let others = self.event.responders.iter().filter(|one| Some(&one.person) != self.event.assigned_to.as_ref());
        let count = others.clone().count();
        for (n, one) in others.take(self.limits.responders).enumerate() {
            match n {
                0 => {
                    pen.dot();
                    pen.own(self.language().pick("responders ", "响应人 "));
                }
                _ => pen.own(self.language().pick(", ", "、")),
            }
            pen.bold(&full_name(&one.person), self.limits.name);
            if one.accepted {
                pen.own(self.language().pick(" (accepted)", "（已接手）"));
            }
            self.mention(pen, &one.person, &mut said);
        }
        if count > self.limits.responders {
            let more = count - self.limits.responders;
            pen.own(&self.language().pick(format!(" and {more} more"), format!(" 等 {count} 人")));
        }
        if let Some(policy) = self.event.escalation_policy.as_ref().filter(|policy| !policy.trim().is_empty()) {
            pen.dot();
            pen.own(self.language().pick("policy ", "升级策略 "));
            pen.italic(policy, self.limits.name);
        }
        said
    }

    fn mention<'s>(&'s self, pen: &mut Pen, person: &Person, said: &mut Vec<&'s Member>) {
        let member = self.config.member(&person.email, &person.username);
        if let Some(member) = member.filter(|member| self.at.names(member) && !said.contains(member)) {
            pen.own(" ");
            pen.own(&literal(member));
            said.push(member);
        }
    }

    /// What only the first message says: details, links, images.
    fn body(&self, pen: &mut Pen) {
        let event = self.event;
        if self.limits.lines > 0 && !event.details.trim().is_empty() {
            pen.paragraph();
            if pen.block(&event.details, self.limits.details, self.limits.lines)
                && pen.is_markdown()
                && let Some(url) = &event.incident_url
            {
                pen.own(" ");
                pen.link(self.language().pick("more", "查看全文"), 20, url);
            }
        }
        pen.paragraph();
        for link in event.links.iter().take(self.limits.links) {
            pen.dot();
            let text = if link.text.trim().is_empty() { &link.href } else { &link.text };
            pen.link(text, self.limits.name, &link.href);
        }
        for image in event.images.iter().take(self.limits.images) {
            pen.paragraph();
            pen.image(&image.alt, self.limits.name, &image.src);
        }
    }

    /// When, and for how long.
    fn times(&self, pen: &mut Pen) {
        let event = self.event;
        let at = if event.kind == Kind::Created { event.reported_at } else { event.occurred_at };
        pen.own(&self.language().moment(at, self.cx.now));
        if event.status != Status::Resolved
            && let Some(age) = span(event.reported_at, self.cx.now)
        {
            let age = self.language().span(age);
            pen.dot();
            pen.own(&self.language().pick(format!("open for {age}"), format!("已持续 {age}")));
        }
        if is_caught_up(event) {
            pen.dot();
            pen.own(self.language().pick("told late, no notice had come from iLert", "补发，未收到 iLert 的通知"));
        }
        if event.folded > 0 {
            pen.dot();
            let n = event.folded;
            pen.own(&self.language().pick(format!("{n} earlier updates"), format!("此前还有 {n} 条更新")));
        }
    }

    /// Whom the text did not name.
    fn others(&self, pen: &mut Pen, said: &[&Member]) {
        let line = self.at.line(self.language(), said);
        if !line.is_empty() {
            pen.paragraph();
            pen.own(&line);
        }
    }
}

/// Whether the host had to ask iLert for this news.
fn is_caught_up(event: &Event) -> bool {
    event.extra.iter().any(|(name, value)| name == "caught_up" && value == "true")
}

/// What a person is called: Chinese names family name first, without a space.
pub(crate) fn full_name(person: &Person) -> String {
    let (first, last) = (person.first_name.trim(), person.last_name.trim());
    let is_han = |name: &str| name.chars().next().is_some_and(|c| matches!(c, '\u{3400}'..='\u{9fff}'));
    match (first, last) {
        ("", "") => {
            [&person.username, &person.email, &person.id].into_iter().find(|name| !name.trim().is_empty()).cloned().unwrap_or("?".into())
        }
        ("", name) | (name, "") => name.into(),
        _ if is_han(first) && is_han(last) => format!("{last}{first}"),
        _ => format!("{first} {last}"),
    }
}
