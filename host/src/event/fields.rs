//! Reading single fields of a payload, tolerant of types.

use serde_json::{Map, Value};

use super::{Image, Link, Named, Person, Responder};

/// A scalar as text: ids come as strings and as numbers. `None` for null, arrays and objects.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        // Pipelines that know only floats turn an id into `2983781.0`.
        Value::Number(number) => number.to_string().strip_suffix(".0").map(str::to_owned).or_else(|| Some(number.to_string())),
        _ => None,
    }
}

/// The first of these members that is a scalar with something in it.
pub(super) fn text(object: &Map<String, Value>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| object.get(*name).and_then(scalar).filter(|text| !text.trim().is_empty()))
}

/// The same, without spaces around it: ids, keys and words.
pub(super) fn word(object: &Map<String, Value>, names: &[&str]) -> Option<String> {
    text(object, names).map(|text| text.trim().to_owned())
}

/// An object with id and name, a bare name, or two members of a custom template.
pub(super) fn named(object: &Map<String, Value>, name: &str, flat_id: &str, flat_name: &str) -> Option<Named> {
    let named = match object.get(name) {
        Some(Value::Object(inner)) => {
            Named { id: word(inner, &["id"]).unwrap_or_default(), name: word(inner, &["name"]).unwrap_or_default() }
        }
        Some(Value::String(text)) => Named { id: String::new(), name: text.trim().to_owned() },
        _ => Named { id: word(object, &[flat_id]).unwrap_or_default(), name: word(object, &[flat_name]).unwrap_or_default() },
    };
    (named != Named::default()).then_some(named)
}

/// A user object, or a bare login. `None` where nothing is known of the person.
pub(super) fn person(value: &Value) -> Option<Person> {
    let person = match value {
        Value::Object(user) => {
            let field = |name| word(user, &[name]).unwrap_or_default();
            Person {
                id: field("id"),
                username: field("username"),
                first_name: field("firstName"),
                last_name: field("lastName"),
                // iLert's own samples have a space in it.
                email: field("email").replace(char::is_whitespace, ""),
            }
        }
        Value::String(login) => Person { username: login.trim().to_owned(), ..Person::default() },
        _ => Person::default(),
    };
    (person != Person::default()).then_some(person)
}

/// Everybody asked; entries without a person (a team, say) are passed over.
pub(super) fn responders(value: Option<&Value>) -> Vec<Responder> {
    let read = |entry: &Value| {
        let person = person(entry.get("user").unwrap_or(entry))?;
        let accepted = entry.get("status").and_then(Value::as_str).is_some_and(|status| status.trim().eq_ignore_ascii_case("ACCEPTED"));
        Some(Responder { person, accepted })
    };
    elements(value).filter_map(read).collect()
}

/// Links, as objects or as bare addresses.
pub(super) fn links(value: Option<&Value>) -> Vec<Link> {
    let read = |entry: &Value| match entry {
        Value::Object(link) => {
            let href = word(link, &["href"])?;
            Some(Link { text: word(link, &["text"]).unwrap_or_else(|| href.clone()), href })
        }
        Value::String(href) if !href.trim().is_empty() => Some(Link { text: href.trim().to_owned(), href: href.trim().to_owned() }),
        _ => None,
    };
    elements(value).filter_map(read).collect()
}

/// Images, as objects or as bare addresses.
pub(super) fn images(value: Option<&Value>) -> Vec<Image> {
    let read = |entry: &Value| match entry {
        Value::Object(image) => {
            Some(Image { alt: word(image, &["alt"]).unwrap_or_default(), src: word(image, &["src"])?, href: word(image, &["href"]) })
        }
        Value::String(src) if !src.trim().is_empty() => Some(Image { alt: String::new(), src: src.trim().to_owned(), href: None }),
        _ => None,
    };
    elements(value).filter_map(read).collect()
}

/// 1 to 5, as a number, as text or as `SEV1`.
pub(super) fn severity(value: &Value) -> Option<u8> {
    let text = scalar(value)?.trim().to_ascii_uppercase();
    text.strip_prefix("SEV").unwrap_or(&text).trim().parse().ok().filter(|severity| (1..=5).contains(severity))
}

fn elements(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_text_whatever_they_came_as() {
        let cases = [(json!("7"), Some("7")), (json!(7), Some("7")), (json!(7.0), Some("7")), (json!(1.5), Some("1.5"))];
        for (value, expected) in cases {
            assert_eq!(scalar(&value).as_deref(), expected, "{value}");
        }
        assert_eq!(scalar(&json!({})), None);
    }

    #[test]
    fn a_severity_is_one_to_five() {
        let cases =
            [(json!(1), Some(1)), (json!("5"), Some(5)), (json!("SEV2"), Some(2)), (json!(0), None), (json!(6), None), (json!([]), None)];
        for (value, expected) in cases {
            assert_eq!(severity(&value), expected, "{value}");
        }
    }

    #[test]
    fn a_person_of_whom_nothing_is_known_is_nobody() {
        assert_eq!(person(&Value::Null), None);
        assert_eq!(person(&json!({})), None);
        assert_eq!(person(&json!({"email": "a @example.com"})).unwrap().email, "a@example.com");
        assert_eq!(person(&json!("abr")).unwrap().username, "abr");
    }

    #[test]
    fn entries_that_cannot_be_used_are_passed_over() {
        assert_eq!(responders(Some(&json!([null, 1, {"user": null}, {"group": {"id": 1}}]))), []);
        assert_eq!(links(Some(&json!([null, {"text": "x"}, {"href": ""}, "", {"href": "https://a"}]))).len(), 1);
        assert_eq!(images(Some(&json!([{"alt": "x"}, "https://a/b.png", 3]))).len(), 1);
    }
}
