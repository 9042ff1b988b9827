//! Reads a request's body as a card, by its shape alone: whatever has a text, a title and things to press. What the receiver calls them is
//! known to its plugin only.

use serde_json::{Map, Value};

use crate::markup::{self, Block, Style};

/// How deep a body is searched, and how many of its values are looked at.
const DEPTH: usize = 6;
const MOST: usize = 5_000;
/// Members that hold what people read, and whether it is marked up.
const TEXTS: [(&str, bool); 4] = [("text", true), ("markdown", true), ("content", false), ("body", true)];
const TITLES: [&str; 3] = ["title", "subject", "summary"];
const LABELS: [&str; 4] = ["title", "text", "label", "name"];

/// A message as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Card {
    /// For lists and notifications.
    pub(super) title: Option<String>,
    pub(super) blocks: Vec<Block>,
    /// Things to press, by their labels.
    pub(super) buttons: Vec<String>,
    /// Whether they stand side by side.
    pub(super) across: bool,
    /// Entries of a card that has nothing else.
    pub(super) entries: Vec<String>,
    /// Who is called, as it stands after the `@`.
    pub(super) called: Vec<String>,
    /// Whether everybody is.
    pub(super) all: bool,
}

/// Reads it; `None` where there is nothing to read in it.
pub(super) fn read(body: &str) -> Option<Card> {
    let root: Value = serde_json::from_str(body).ok()?;
    let content = content(&root)?;
    let (text, marked) = text(content).unwrap_or_default();
    let title = TITLES.iter().find_map(|name| content.get(*name)?.as_str()).map(clean);
    let lists = content.values().filter_map(Value::as_array).find_map(|list| labels(list)).unwrap_or_default();
    let buttons: Vec<String> = single(content).into_iter().chain(if text.is_empty() { Vec::new() } else { lists.clone() }).collect();
    let entries = if text.is_empty() { lists } else { Vec::new() };
    // A picture of a page: title, text and address, and nothing to press. Its text is no markup.
    let is_link = buttons.is_empty() && !text.is_empty() && content.values().any(is_address);
    let blocks = match (marked && !is_link, &title) {
        (true, _) => markup::read(&text),
        (false, Some(title)) if is_link => {
            vec![markup::plain(title, Style { bold: true, ..Style::default() }), markup::plain(&text, Style::default())]
        }
        (false, _) if text.is_empty() => Vec::new(),
        (false, _) => vec![markup::plain(&text, Style::default())],
    };
    let mut seen = Calls::default();
    seen.look(&root, DEPTH);
    let called = seen.names.into_iter().filter(|name| text.contains(&format!("@{name}"))).collect();
    let across = content.iter().any(|(name, value)| name.to_lowercase().ends_with("orientation") && value == "1");
    Some(Card { title, blocks, buttons, across, entries, called, all: seen.all })
}

/// The first object, outermost first, that has a text or a list of things with labels.
fn content(root: &Value) -> Option<&Map<String, Value>> {
    let mut level: Vec<&Value> = vec![root];
    for _ in 0..DEPTH {
        let found = level.iter().filter_map(|value| value.as_object()).find(|object| is_content(object));
        if found.is_some() {
            return found;
        }
        level = level.iter().filter_map(|value| value.as_object()).flat_map(Map::values).take(MOST).collect();
    }
    None
}

fn is_content(object: &Map<String, Value>) -> bool {
    text(object).is_some() || object.values().filter_map(Value::as_array).any(|list| labels(list).is_some())
}

fn text(object: &Map<String, Value>) -> Option<(String, bool)> {
    let found = TEXTS.iter().find_map(|(name, marked)| Some((object.get(*name)?.as_str()?, *marked)))?;
    (!found.0.trim().is_empty()).then(|| (clean(found.0), found.1))
}

/// The labels of a list of things that lead somewhere.
fn labels(list: &[Value]) -> Option<Vec<String>> {
    let label = |value: &Value| {
        let object = value.as_object().filter(|object| object.values().any(is_address))?;
        LABELS.iter().find_map(|name| object.get(*name)?.as_str()).map(line)
    };
    let labels: Option<Vec<String>> = list.iter().take(100).map(label).collect();
    labels.filter(|labels| !labels.is_empty())
}

/// A single thing to press, written as two members: `…Title` and `…URL`.
fn single(object: &Map<String, Value>) -> Option<String> {
    object.iter().find_map(|(name, value)| {
        let stem = name.strip_suffix("Title").or_else(|| name.strip_suffix("_title")).filter(|stem| !stem.is_empty())?;
        let leads = object.iter().any(|(other, value)| other.starts_with(stem) && other != name && is_address(value));
        value.as_str().filter(|_| leads).map(line)
    })
}

fn is_address(value: &Value) -> bool {
    let scheme = |text: &str| text.split_once("://").is_some_and(|(scheme, rest)| !rest.is_empty() && scheme.len() < 16);
    value.as_str().is_some_and(|text| scheme(text) && !text.contains(char::is_whitespace))
}

/// Without what could turn the reading direction round or hide.
fn clean(text: &str) -> String {
    let hides = |c: &char| (c.is_control() && *c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.replace("\r\n", "\n").chars().filter(|c| !hides(c)).collect()
}

fn line(text: &str) -> String {
    clean(text).replace('\n', " ")
}

/// Who may be called: short texts in lists, and a flag for everybody.
#[derive(Default)]
struct Calls {
    names: Vec<String>,
    all: bool,
    looked: usize,
}

impl Calls {
    fn look(&mut self, value: &Value, depth: usize) {
        self.looked += 1;
        if depth == 0 || self.looked > MOST {
            return;
        }
        match value {
            Value::Array(list) => {
                let name = |value: &Value| value.as_str().filter(|name| !name.is_empty() && name.len() <= 64).map(str::to_owned);
                self.names.extend(list.iter().filter_map(name));
                list.iter().for_each(|value| self.look(value, depth - 1));
            }
            Value::Object(members) => {
                for (name, value) in members {
                    self.all |= *value == Value::Bool(true) && name.to_lowercase().ends_with("all");
                    self.look(value, depth - 1);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of(value: Value) -> Card {
        read(&value.to_string()).unwrap()
    }

    #[test]
    fn an_action_card_has_its_text_its_buttons_and_who_is_called() {
        let card = of(json!({
            "msgtype": "actionCard",
            "actionCard": { "title": "down", "text": "### **x** @138\n\ny", "btnOrientation": "1",
                "btns": [{ "title": "Accept", "actionURL": "https://a/b" }, { "title": "Open", "actionURL": "dingtalk://x/y" }] },
            "at": { "atMobiles": ["138", "139"], "isAtAll": true }
        }));
        assert_eq!((card.title.as_deref(), card.blocks.len()), (Some("down"), 2));
        assert_eq!((card.buttons.join(","), card.across, card.all), ("Accept,Open".to_owned(), true, true));
        assert_eq!(card.called, ["138"], "whoever is not in the text is not called");
    }

    #[test]
    fn text_link_feed_and_single_button_are_told_apart() {
        let text = of(json!({ "msgtype": "text", "text": { "content": "**not bold**" } }));
        assert_eq!(text.blocks[0].spans[0].text, "**not bold**");
        let link = of(json!({ "link": { "title": "t", "text": "*x*", "messageUrl": "https://a/b", "picUrl": "" } }));
        assert_eq!(link.blocks.iter().map(|block| block.spans[0].text.as_str()).collect::<Vec<_>>(), ["t", "*x*"]);
        let feed = of(json!({ "feedCard": { "links": [{ "title": "a", "messageURL": "https://a/", "picURL": "https://p/" }] } }));
        assert_eq!((feed.entries, feed.buttons.len(), feed.blocks.len()), (vec!["a".to_owned()], 0, 0));
        let single = of(json!({ "actionCard": { "title": "t", "text": "x", "singleTitle": "Read", "singleURL": "https://a/b" } }));
        assert_eq!(single.buttons, ["Read"]);
        assert!(read("[1,2]").is_none() && read("no json").is_none() && read(r#"{"version":"1"}"#).is_none());
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_not(body in r#"[{}\[\]":,a-e1@\\n ]{0,200}"#) {
            read(&body);
        }
    }
}
