//! What JSON says, as a tree of no more than the plugin needs: no map that is balanced, no float, and no deeper than the guest's stack allows.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Error;

/// Lists and objects in one another; what lies deeper is read as [`Value::Null`]. It would take the guest's stack, which is small, and nothing that matters
/// lies there: a quoted card has about ten.
const DEEPEST: u8 = 28;

/// One value.
#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Flag(bool),
    Whole(i64),
    /// A number that is not whole, or too large.
    Number,
    Text(String),
    List(Vec<Value>),
    Members(Object),
}

/// An object, its members in their order.
#[derive(Debug, Default)]
pub(crate) struct Object(Vec<(String, Value)>);

impl Object {
    /// A member; of several with one name the last.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().rfind(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// As [`Object::get`], and takes it out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().rposition(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// All members.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Value {
    /// Reads one value and nothing behind it.
    pub(crate) fn parse(json: &[u8]) -> Result<Value, Error> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let value = Level(DEEPEST).deserialize(&mut reader)?;
        reader.end()?;
        Ok(value)
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    pub(crate) fn flag(&self) -> Option<bool> {
        if let Value::Flag(flag) = self { Some(*flag) } else { None }
    }

    pub(crate) fn whole(&self) -> Option<i64> {
        if let Value::Whole(number) = self { Some(*number) } else { None }
    }

    pub(crate) fn list(&self) -> Option<&[Value]> {
        if let Value::List(items) = self { Some(items) } else { None }
    }

    pub(crate) fn members(&self) -> Option<&Object> {
        if let Value::Members(members) = self { Some(members) } else { None }
    }

    /// A member, if this is an object that has it.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.members()?.get(name)
    }
}

/// How many levels may follow.
#[derive(Clone, Copy)]
struct Level(u8);

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        if self.0 == 0 {
            return reader.deserialize_ignored_any(IgnoredAny).map(|_| Value::Null);
        }
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Whole(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(i64::try_from(number).map_or(Value::Number, Value::Whole))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Level(self.0 - 1))? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Object::default();
        while let Some(name) = members.next_key()? {
            object.0.push((name, members.next_value_seed(Level(self.0 - 1))?));
        }
        Ok(Value::Members(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Known;

    use super::*;

    fn same(ours: &Value, theirs: &Known) -> bool {
        match (ours, theirs) {
            (Value::Null, Known::Null) => true,
            (Value::Flag(a), Known::Bool(b)) => a == b,
            (Value::Whole(a), Known::Number(b)) => b.as_i64() == Some(*a),
            (Value::Number, Known::Number(b)) => b.as_i64().is_none(),
            (Value::Text(a), Known::String(b)) => a == b,
            (Value::List(a), Known::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            (Value::Members(a), Known::Object(b)) => b.iter().all(|(name, b)| a.get(name).is_some_and(|a| same(a, b))),
            _ => false,
        }
    }

    fn values() -> impl Strategy<Value = Known> {
        let leaf = prop_oneof![
            Just(Known::Null),
            any::<bool>().prop_map(Known::from),
            any::<i64>().prop_map(Known::from),
            any::<u64>().prop_map(Known::from),
            (-1e9..1e9).prop_map(Known::from),
            ".*".prop_map(Known::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Known::from),
                proptest::collection::btree_map(".*", inner, 0..6).prop_map(|map| Known::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_read_as_serde_json_reads_it(json in values()) {
            let ours = Value::parse(json.to_string().as_bytes()).expect("JSON");
            prop_assert!(same(&ours, &json), "{ours:?}");
        }

        #[test]
        fn any_text_is_json_or_not_as_serde_json_says(text in r#"[\[\]{}",:0-9.etrufalsn \\]{0,24}"#) {
            prop_assert_eq!(Value::parse(text.as_bytes()).is_ok(), serde_json::from_str::<Known>(&text).is_ok());
        }
    }

    #[test]
    fn what_lies_too_deep_is_passed_over() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            for deep in [100, 1_000, 100_000] {
                let json = [r#"{"x":"#, &open.repeat(deep), "1", &close.repeat(deep), r#","y":7}"#].concat();
                assert_eq!(Value::parse(json.as_bytes()).expect("JSON").get("y").and_then(Value::whole), Some(7));
            }
        }
        assert!(Value::parse("[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn of_several_members_with_one_name_the_last_counts() {
        let mut object = match Value::parse(br#"{"a":1,"b":2,"a":3}"#) {
            Ok(Value::Members(object)) => object,
            other => panic!("{other:?}"),
        };
        assert_eq!(object.get("a").and_then(Value::whole), Some(3));
        assert_eq!(object.take("a").and_then(|value| value.whole()), Some(3));
    }
}
