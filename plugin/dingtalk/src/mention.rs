//! Who is mentioned: the `at` object and the literal `@…` that must stand in the text too.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::config::{Config, Member, is_mobile, is_user_id};
use crate::json::Writer;
use crate::types::{Event, Person};
use crate::words::Language;

/// DingTalk mentions no more people in a message.
pub(crate) const MAX_MENTIONS: usize = 50;

/// DingTalk's `at` object: at most 50 people, nobody twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct At {
    at_mobiles: Vec<String>,
    at_user_ids: Vec<String>,
    is_at_all: bool,
}

impl At {
    /// Whom an event mentions: the people it is about first, so that they are among the 50.
    pub(crate) fn of(event: &Event, config: &Config) -> At {
        let mut at = At::default();
        at.add(event, config);
        at
    }

    /// Adds whom another event of the same message mentions.
    pub(crate) fn add(&mut self, event: &Event, config: &Config) {
        let rule = config.mentioned(&event.kind);
        self.is_at_all |= rule.is_at_all;
        if rule.people {
            for person in awaited(event) {
                if let Some(member) = config.member(&person.email, &person.username) {
                    self.member(member);
                }
            }
        }
        rule.at_mobiles.iter().for_each(|mobile| self.mobile(mobile));
        rule.at_user_ids.iter().for_each(|id| self.user_id(id));
    }

    fn member(&mut self, member: &Member) {
        match member {
            Member::Mobile(mobile) => self.mobile(mobile),
            Member::UserId(id) => self.user_id(id),
        }
    }

    fn has_room(&self) -> bool {
        self.at_mobiles.len() + self.at_user_ids.len() < MAX_MENTIONS
    }

    fn mobile(&mut self, mobile: &str) {
        if is_mobile(mobile) && self.has_room() && !self.at_mobiles.iter().any(|known| known == mobile) {
            self.at_mobiles.push(mobile.to_string());
        }
    }

    fn user_id(&mut self, id: &str) {
        if is_user_id(id) && self.has_room() && !self.at_user_ids.iter().any(|known| known == id) {
            self.at_user_ids.push(id.to_string());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.is_at_all && self.at_mobiles.is_empty() && self.at_user_ids.is_empty()
    }

    /// Adds it to a message.
    pub(crate) fn write(&self, message: &mut Writer) {
        message.open("at", b'{');
        message.texts("atMobiles", &self.at_mobiles);
        message.texts("atUserIds", &self.at_user_ids);
        message.flag("isAtAll", self.is_at_all);
        message.close(b'}');
    }

    /// Whether this person is mentioned.
    pub(crate) fn names(&self, member: &Member) -> bool {
        match member {
            Member::Mobile(mobile) => self.at_mobiles.contains(mobile),
            Member::UserId(id) => self.at_user_ids.contains(id),
        }
    }

    /// The `@…` of everybody whom the text does not mention yet, on one line.
    pub(crate) fn line(&self, language: Language, said: &[&Member]) -> String {
        let mut out = String::new();
        let mut say = |name: &str| {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push('@');
            out.push_str(name);
        };
        if self.is_at_all {
            say(language.pick("All", "所有人"));
        }
        for mobile in &self.at_mobiles {
            if !said.iter().any(|member| matches!(member, Member::Mobile(known) if known == mobile)) {
                say(mobile);
            }
        }
        for id in &self.at_user_ids {
            if !said.iter().any(|member| matches!(member, Member::UserId(known) if known == id)) {
                say(id);
            }
        }
        out
    }
}

/// Who is expected to act: the assignee, then responders who have not accepted.
fn awaited(event: &Event) -> impl Iterator<Item = &Person> {
    let responders = event.responders.iter().filter(|responder| !responder.accepted).map(|responder| &responder.person);
    event.assigned_to.iter().chain(responders)
}

/// The literal `@…` of one person.
pub(crate) fn literal(member: &Member) -> String {
    let (Member::Mobile(name) | Member::UserId(name)) = member;
    let mut out = String::from("@");
    out.push_str(name);
    out
}
