//! What a message must look like, member by member.

use serde_json::{Map, Value};

use super::answer::{Answer, BAD_MSGTYPE, NO_MARKDOWN_TEXT, bad_parameter};
use super::mention;
use super::shown::{Button, Link, Mentions};

/// A message that obeys the documentation.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Message {
    pub(super) msgtype: String,
    pub(super) title: String,
    pub(super) text: String,
    pub(super) buttons: Vec<Button>,
    pub(super) side_by_side: bool,
    pub(super) links: Vec<Link>,
    pub(super) mentions: Mentions,
    pub(super) msg_uuid: Option<String>,
    pub(super) raw: Value,
}

impl Message {
    /// Whether a keyword occurs in anything that a person would read.
    pub(super) fn contains(&self, keyword: &str) -> bool {
        let links = self.links.iter().map(|link| &link.title);
        [&self.title, &self.text].into_iter().chain(links).any(|text| text.contains(keyword))
    }
}

/// Reads a body. Members that the documentation does not name are refused: a client that sends them means something by them.
pub(super) fn read(body: &[u8]) -> Result<Message, Answer> {
    let raw: Value = serde_json::from_slice(body).map_err(|error| bad_parameter(format_args!("json, {error}")))?;
    let mut whole = Members::of("the message", &raw)?;
    let msgtype = whole.text("msgtype").map_err(|_| BAD_MSGTYPE)?;
    if !["text", "link", "markdown", "actionCard", "feedCard"].contains(&msgtype.as_str()) {
        return Err(BAD_MSGTYPE);
    }
    let content = whole.required(&msgtype)?;
    let mut message = Message { msgtype: msgtype.clone(), ..Message::default() };
    let mut members = Members::of(&msgtype, content)?;
    match msgtype.as_str() {
        "text" => message.text = members.text("content")?,
        "link" => link(&mut members, &mut message)?,
        "markdown" => {
            message.text = members.text("text").map_err(|_| NO_MARKDOWN_TEXT)?;
            message.title = members.text("title")?;
        }
        "actionCard" => action_card(&mut members, &mut message)?,
        _ => message.links = feed(members.required("links")?)?,
    }
    members.end()?;
    if let Some(at) = whole.take("at") {
        if ["link", "feedCard"].contains(&msgtype.as_str()) {
            return Err(bad_parameter(format_args!("at, a {msgtype} cannot mention anyone")));
        }
        message.mentions = mention::read(at, &message.text)?;
    }
    message.msg_uuid = whole.optional_text("msgUuid")?;
    whole.end()?;
    message.raw = raw;
    Ok(message)
}

fn link(members: &mut Members<'_>, message: &mut Message) -> Result<(), Answer> {
    message.title = members.text("title")?;
    message.text = members.text("text")?;
    let url = members.url("messageUrl")?;
    let picture = members.optional_text("picUrl")?;
    message.links = vec![Link { title: message.title.clone(), url, picture }];
    Ok(())
}

fn action_card(members: &mut Members<'_>, message: &mut Message) -> Result<(), Answer> {
    message.title = members.text("title")?;
    message.text = members.text("text")?;
    message.side_by_side = members.flag("btnOrientation")?;
    members.flag("hideAvatar")?;
    let many = members.take("btns").map(buttons).transpose()?;
    if members.has("singleTitle") || members.has("singleURL") {
        // As documented: the other buttons are not shown then.
        message.buttons = vec![Button { title: members.text("singleTitle")?, url: members.url("singleURL")? }];
    } else {
        message.buttons = many.ok_or_else(|| bad_parameter("actionCard.btns or singleTitle is missing"))?;
    }
    Ok(())
}

fn buttons(value: &Value) -> Result<Vec<Button>, Answer> {
    list("btns", value)?
        .iter()
        .map(|entry| {
            let mut members = Members::of("btns", entry)?;
            let button = Button { title: members.text("title")?, url: members.url("actionURL")? };
            members.end().map(|()| button)
        })
        .collect()
}

fn feed(value: &Value) -> Result<Vec<Link>, Answer> {
    list("links", value)?
        .iter()
        .map(|entry| {
            let mut members = Members::of("links", entry)?;
            let (title, url) = (members.text("title")?, members.url("messageURL")?);
            let link = Link { title, url, picture: Some(members.text("picURL")?) };
            members.end().map(|()| link)
        })
        .collect()
}

fn list<'a>(name: &str, value: &'a Value) -> Result<&'a [Value], Answer> {
    match value.as_array() {
        Some(list) if !list.is_empty() => Ok(list),
        _ => Err(bad_parameter(format_args!("{name} is not a list of at least one"))),
    }
}

/// An object's members, each taken once; what is left at the end is unknown.
pub(super) struct Members<'a> {
    of: &'a str,
    map: &'a Map<String, Value>,
    taken: Vec<&'a str>,
}

impl<'a> Members<'a> {
    pub(super) fn of(of: &'a str, value: &'a Value) -> Result<Self, Answer> {
        let map = value.as_object().ok_or_else(|| bad_parameter(format_args!("{of} is not an object")))?;
        Ok(Members { of, map, taken: Vec::new() })
    }

    fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<&'a Value> {
        let (key, value) = self.map.get_key_value(name)?;
        self.taken.push(key);
        Some(value)
    }

    fn required(&mut self, name: &str) -> Result<&'a Value, Answer> {
        let of = self.of;
        self.take(name).ok_or_else(|| bad_parameter(format_args!("{of}.{name} is missing")))
    }

    /// A string with something in it.
    fn text(&mut self, name: &str) -> Result<String, Answer> {
        let value = self.required(name)?;
        let text = value.as_str().ok_or_else(|| bad_parameter(format_args!("{}.{name} is not a string", self.of)))?;
        if text.trim().is_empty() {
            return Err(bad_parameter(format_args!("{}.{name} is empty", self.of)));
        }
        Ok(text.to_owned())
    }

    fn optional_text(&mut self, name: &str) -> Result<Option<String>, Answer> {
        if self.has(name) { self.text(name).map(Some) } else { Ok(None) }
    }

    /// An absolute URL of a scheme that DingTalk opens.
    fn url(&mut self, name: &str) -> Result<String, Answer> {
        let text = self.text(name)?;
        match url::Url::parse(&text) {
            Ok(url) if ["http", "https", "dingtalk", "dtmd"].contains(&url.scheme()) => Ok(text),
            _ => Err(bad_parameter(format_args!("{}.{name} is not a URL that can be opened", self.of))),
        }
    }

    /// `"0"` or `"1"`: strings, by the documentation. Absent is `"0"`.
    fn flag(&mut self, name: &str) -> Result<bool, Answer> {
        match self.take(name).map(Value::as_str) {
            None | Some(Some("0")) => Ok(false),
            Some(Some("1")) => Ok(true),
            Some(_) => Err(bad_parameter(format_args!("{}.{name} is neither \"0\" nor \"1\"", self.of))),
        }
    }

    pub(super) fn end(self) -> Result<(), Answer> {
        match self.map.keys().find(|key| !self.taken.contains(&key.as_str())) {
            Some(unknown) => Err(bad_parameter(format_args!("{} has no member `{unknown}`", self.of))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_json() -> impl Strategy<Value = Value> {
        let names = "msgtype|text|markdown|actionCard|feedCard|link|title|content|btns|links|at|isAtAll|atMobiles|msgUuid|singleTitle";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            names.prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((names, inner), 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused_with_a_code(value in any_json()) {
            match read(value.to_string().as_bytes()) {
                Ok(message) => prop_assert_eq!(message.raw, value),
                Err(answer) => prop_assert!([40035, 400_105, 400_403].contains(&answer.errcode)),
            }
        }

        #[test]
        fn a_message_with_one_unknown_member_more_is_refused(name in "[a-zA-Z]{1,12}", value in any_json()) {
            prop_assume!(!["msgtype", "text", "at", "msgUuid"].contains(&name.as_str()));
            let mut message = serde_json::json!({ "msgtype": "text", "text": { "content": "a" } });
            prop_assert!(read(message.to_string().as_bytes()).is_ok());
            message[&name] = value;
            prop_assert_eq!(read(message.to_string().as_bytes()).unwrap_err().errcode, 40035);
        }
    }
}
