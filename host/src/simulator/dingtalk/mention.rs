//! Who a message really calls: people in `at` whose name stands after an `@` in the text.

use serde_json::Value;

use super::answer::{Answer, bad_parameter};
use super::schema::Members;
use super::shown::Mentions;

/// The most people in one message.
const PEOPLE: usize = 50;

/// Reads `at` beside the message's text.
pub(super) fn read(at: &Value, text: &str) -> Result<Mentions, Answer> {
    let mut members = Members::of("at", at)?;
    let mut meant = names("atMobiles", members.take("atMobiles"))?;
    meant.extend(names("atUserIds", members.take("atUserIds"))?);
    let all = match members.take("isAtAll") {
        None => false,
        Some(value) => value.as_bool().ok_or_else(|| bad_parameter("at.isAtAll is neither true nor false"))?,
    };
    members.end()?;
    if meant.len() > PEOPLE {
        return Err(bad_parameter(format_args!("at, {} people are more than {PEOPLE}", meant.len())));
    }
    let (people, unheard) = meant.into_iter().partition(|name| called(text, name));
    Ok(Mentions { people, unheard, all })
}

fn names(member: &str, value: Option<&Value>) -> Result<Vec<String>, Answer> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let strings = value.as_array().and_then(|list| list.iter().map(|name| name.as_str().map(str::to_owned)).collect());
    strings.ok_or_else(|| bad_parameter(format_args!("at.{member} is not a list of strings")))
}

/// Whether `@name` stands in the text, and not as the beginning of a longer name.
fn called(text: &str, name: &str) -> bool {
    let literal = format!("@{name}");
    !name.is_empty()
        && text.match_indices(&literal).any(|(at, _)| {
            let next = text[at + literal.len()..].chars().next();
            !next.is_some_and(|next| next.is_ascii_alphanumeric() || next == '_' || next == '-')
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_who_is_in_at_and_in_the_text_is_notified() {
        let at = json!({ "atMobiles": ["13800000000", "138"], "atUserIds": ["manager7675", "li"], "isAtAll": false });
        let mentions = read(&at, "down @13800000000, @manager7675 @lin @other").unwrap();
        assert_eq!(mentions.people, ["13800000000", "manager7675"]);
        assert_eq!(mentions.unheard, ["138", "li"]);
        assert!(!mentions.all);
    }

    #[test]
    fn fifty_people_may_be_called_and_no_more() {
        let people = |count: usize| json!({ "atMobiles": (0..count).map(|n| n.to_string()).collect::<Vec<_>>() });
        assert!(read(&people(50), "").is_ok());
        assert_eq!(read(&people(51), "").unwrap_err().errcode, 40035);
    }
}
