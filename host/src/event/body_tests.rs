//! Tests of taking bodies apart.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn values(body: &str) -> Vec<Option<Value>> {
    split(body.as_bytes(), None, MAX_BODY).unwrap().into_iter().map(|item| item.value.ok()).collect()
}

#[test]
fn one_object_an_array_lines_and_concatenated_objects_are_the_same_items() {
    let (one, two) = (Some(json!({"id": "1"})), Some(json!({"id": "2"})));
    assert_eq!(values(r#"{"id":"1"}"#), std::slice::from_ref(&one));
    for body in [
        r#"[{"id":"1"},{"id":"2"}]"#,
        "{\"id\":\"1\"}\n{\"id\":\"2\"}\n",
        "{\"id\":\"1\"}\r\n\r\n{\"id\":\"2\"}",
        r#"{"id":"1"}{"id":"2"}"#,
        "[{\"id\":\"1\"}]\n[{\"id\":\"2\"}]",
        "\u{FEFF} {\"id\":\n\"1\"}\n{\"id\":\"2\"}",
    ] {
        assert_eq!(values(body), [one.clone(), two.clone()], "{body}");
    }
    assert_eq!(values("[]"), []);
}

#[test]
fn a_bad_line_is_an_item_with_its_line_and_column() {
    let items = split(b"{\"id\":1}\noops\n{\"id\":2}", None, MAX_BODY).unwrap();
    assert_eq!(items.len(), 3);
    assert_eq!(items[1].raw.as_ref(), b"oops");
    let error = items[1].value.clone().unwrap_err().to_string();
    assert_eq!(error, "line 2, column 1: expected value");
    assert!(items[2].value.is_ok());
}

#[test]
fn the_sample_that_ilert_prints_is_refused_with_line_and_column() {
    let sample = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/ilert/2019-doc-sample-as-printed.txt"));
    let error = split(sample, None, MAX_BODY).unwrap_err();
    assert_eq!(error.to_string(), "line 10, column 6: expected `,` or `}`");
}

#[test]
fn a_broken_document_over_many_lines_is_not_taken_for_lines() {
    for body in ["{\n \"links\": [\n  {\"href\": \"x\"}\n ]", "[\n{\"id\":1},\n{\"id\":2}\n", "{\"id\": 1", "hello", "<html>"] {
        assert!(matches!(split(body.as_bytes(), None, MAX_BODY), Err(BodyError::NotJson { .. })), "{body}");
    }
}

#[test]
fn an_empty_body_says_so() {
    for body in ["", " \n", "\u{FEFF}"] {
        assert!(matches!(split(body.as_bytes(), None, MAX_BODY), Err(BodyError::Empty)));
    }
}

#[test]
fn the_event_bridge_envelope_is_taken_off() {
    let wrapped = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/ilert/2021-eventbridge-wrapped.json"));
    let bare = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/ilert/2021-created.json"));
    assert_eq!(values(wrapped), values(bare));
    let typed = values(r#"{"detail-type":"alert-created","detail":{"id":"1"}}"#);
    assert_eq!(typed, [Some(json!({"id": "1", "eventType": "alert-created"}))]);
    assert_eq!(values(r#"{"id":"1","detail":{"id":"2"}}"#), [Some(json!({"id": "1", "detail": {"id": "2"}}))]);
}

#[test]
fn a_single_event_over_the_limit_is_refused_and_one_among_others_is_an_item() {
    let large = format!(r#"{{"id":"1","details":"{}"}}"#, "x".repeat(MAX_EVENT));
    assert!(matches!(split(large.as_bytes(), None, MAX_BODY), Err(BodyError::EventTooLarge { .. })));
    let items = split(format!("[{large},{{\"id\":\"2\"}}]").as_bytes(), None, MAX_BODY).unwrap();
    assert!(matches!(items[0].value, Err(ItemError::TooLarge { .. })));
    assert!(items[1].value.is_ok());
    assert!(matches!(split(large.as_bytes(), None, 1000), Err(BodyError::Decode(DecodeError::TooLarge { .. }))));
}

#[test]
fn a_body_of_countless_tiny_items_is_refused() {
    let many = MAX_ITEMS + 1;
    for body in ["{}".repeat(many), "{}\n".repeat(many), format!("[{}0]", "0,".repeat(many)), "{}\n".repeat(many) + "oops"] {
        assert!(matches!(split(body.as_bytes(), None, MAX_BODY), Err(BodyError::TooManyItems)));
    }
    assert_eq!(split("{}\n".repeat(MAX_ITEMS).as_bytes(), None, MAX_BODY).unwrap().len(), MAX_ITEMS);
}

#[test]
fn deep_nesting_is_an_error_of_the_item() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
    assert!(split(deep.as_bytes(), None, MAX_BODY).unwrap()[0].value.is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), ".{0,8}".prop_map(Value::from)];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map("[a-z]{1,4}", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_split_or_err(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = split(&bytes, None, MAX_BODY);
    }

    #[test]
    fn objects_survive_every_way_of_joining_them(objects in proptest::collection::vec(any_json().prop_map(|value| json!({"v": value})), 1..5)) {
        let texts: Vec<String> = objects.iter().map(Value::to_string).collect();
        let expected: Vec<Option<Value>> = objects.into_iter().map(Some).collect();
        for body in [format!("[{}]", texts.join(",")), texts.join("\n"), format!("{}\n", texts.join("\n")), texts.concat()] {
            prop_assert_eq!(values(&body), expected.clone());
        }
    }
}
