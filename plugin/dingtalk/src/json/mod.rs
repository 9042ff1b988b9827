//! Reads members of JSON objects by name, and writes objects in the order of the calls, for less code than derived impls.

mod value;

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

pub(crate) use self::value::{Object, Value};

/// A text that is one JSON object; else what is wrong with it.
pub(crate) fn object(json: &[u8]) -> Result<Object, String> {
    match Value::parse(json) {
        Ok(Value::Members(object)) => Ok(object),
        Ok(_) => Err("This is no JSON object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A member, if it is there and not `null`, as what `read` takes it for.
fn member<'a, T>(of: &'a Object, name: &str, kind: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Result<Option<T>, String> {
    match of.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read(value).map(Some).ok_or_else(|| wrong(name, kind)),
    }
}

/// Says what a member should have been.
#[cold]
#[inline(never)]
pub(crate) fn wrong(name: &str, kind: &str) -> String {
    ["\"", name, "\" is not ", kind].concat()
}

pub(crate) fn text<'a>(of: &'a Object, name: &str) -> Result<Option<&'a str>, String> {
    member(of, name, "a text", Value::text)
}

pub(crate) fn flag(of: &Object, name: &str) -> Result<Option<bool>, String> {
    member(of, name, "true or false", Value::flag)
}

pub(crate) fn number(of: &Object, name: &str) -> Result<Option<i64>, String> {
    member(of, name, "a whole number", Value::whole)
}

pub(crate) fn members<'a>(of: &'a Object, name: &str) -> Result<Option<&'a Object>, String> {
    member(of, name, "an object", Value::members)
}

/// A list of texts; empty where it is absent.
pub(crate) fn texts(of: &Object, name: &str) -> Result<Vec<String>, String> {
    let read = |value: &Value| value.list()?.iter().map(|text| text.text().map(ToOwned::to_owned)).collect();
    Ok(member(of, name, "a list of texts", read)?.unwrap_or_default())
}

/// An object being written. Every `open` needs its `close`.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new() -> Writer {
        Writer(Vec::from(*b"{"))
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }

    /// A member that is a text.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.quoted(value);
    }

    /// A member that is true or false.
    pub(crate) fn flag(&mut self, name: &str, value: bool) {
        self.name(name);
        self.0.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// A member that is a list of texts.
    pub(crate) fn texts(&mut self, name: &str, values: &[String]) {
        self.open(name, b'[');
        for value in values {
            self.comma();
            self.quoted(value);
        }
        self.close(b']');
    }

    /// Begins a member that is an object, `{`, or a list, `[`.
    pub(crate) fn open(&mut self, name: &str, bracket: u8) {
        self.name(name);
        self.0.push(bracket);
    }

    /// Begins an object of a list.
    pub(crate) fn item(&mut self) {
        self.comma();
        self.0.push(b'{');
    }

    pub(crate) fn close(&mut self, bracket: u8) {
        self.0.push(bracket);
    }

    fn name(&mut self, name: &str) {
        self.comma();
        self.quoted(name);
        self.0.push(b':');
    }

    fn comma(&mut self) {
        if !matches!(self.0.last(), Some(b'{' | b'[')) {
            self.0.push(b',');
        }
    }

    /// `escape::json_len` counts what this writes.
    #[inline(never)]
    fn quoted(&mut self, text: &str) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        self.0.reserve(text.len() + 2);
        self.0.push(b'"');
        let mut rest = text.as_bytes();
        // Most texts are one run that needs no escape.
        while let Some(at) = special(rest) {
            let (run, special) = rest.split_at(at);
            self.0.extend_from_slice(run);
            let Some((&byte, after)) = special.split_first() else { break };
            let short = match byte {
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                8 => b'b',
                12 => b'f',
                0..=31 => 0,
                _ => byte,
            };
            if short == 0 {
                let [high, low] = [byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit & 15)]);
                self.0.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            } else {
                self.0.extend_from_slice(&[b'\\', short]);
            }
            rest = after;
        }
        self.0.extend_from_slice(rest);
        self.0.push(b'"');
    }
}

/// Where the first byte stands that JSON wants escaped.
fn special(bytes: &[u8]) -> Option<usize> {
    let (words, _) = bytes.as_chunks::<8>();
    let calm = words.iter().take_while(|word| !holds_special(u64::from_ne_bytes(**word))).count() * 8;
    let rest = bytes.get(calm..)?;
    rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=31)).map(|at| calm + at)
}

/// Whether one of eight bytes may want an escape, all at once: a subtraction borrows from the highest bit of a byte that is smaller. It borrows
/// from the byte above too, so that a yes may be wrong, and a no is not.
fn holds_special(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let below = |word: u64, least: u64| word.wrapping_sub(ONES * least) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | is(b'"') | is(b'\\')) & (ONES * 0x80) != 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(name: &str, value: &str) -> String {
        let mut writer = Writer::new();
        writer.text(name, value);
        String::from_utf8(writer.finish()).expect("JSON is UTF-8")
    }

    #[test]
    fn every_control_character_is_written_as_serde_json_writes_it() {
        let all: String = (0..=0x2100u32).filter_map(char::from_u32).collect();
        assert_eq!(written("a", &all), serde_json::json!({ "a": all }).to_string());
    }

    #[test]
    fn a_member_of_another_kind_is_named() {
        let object = object(br#"{"a":1,"b":null,"c":["x",2]}"#).expect("an object");
        assert_eq!(text(&object, "a"), Err(r#""a" is not a text"#.to_owned()));
        assert_eq!((flag(&object, "b"), number(&object, "d")), (Ok(None), Ok(None)));
        assert!(texts(&object, "c").is_err() && super::object(b"[]").is_err() && super::object(b"{").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_written_as_serde_json_writes_it(name: String, value: String) {
            prop_assert_eq!(written(&name, &value), serde_json::json!({ name: value.clone() }).to_string());
            prop_assert_eq!(crate::escape::json_len(&value) + 2, serde_json::to_string(&value).expect("a text").len());
        }
    }
}
