//! What is written in a format is read back as it was.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::parse;
use crate::config::Format;

/// Any tree that all formats can write: TOML has neither nulls nor numbers beyond `i64`.
fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[a-z0-9~.:#\\-\"'\\\\\n\t ]{0,12}".prop_map(Value::from),
        prop_oneof![Just("true"), Just("null"), Just("0x1"), Just("1e3"), Just("~"), Just("")].prop_map(Value::from),
    ];
    let nested = leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..5).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    });
    prop::collection::vec((key(), nested), 0..5).prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>()))
}

/// A key that makes no reference.
fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,6}", "\\PC{0,6}", "[a-z. \"'\n]{0,5}"].prop_filter("no reference", |key| key != "env" && key != "file")
}

/// Block style, with every text and key in quotes.
fn yaml(value: &Value, indent: usize) -> String {
    let begin = format!("\n{}", "  ".repeat(indent));
    match value {
        Value::Object(table) if !table.is_empty() => {
            table.iter().map(|(key, value)| format!("{begin}{}: {}", Value::from(key.as_str()), yaml(value, indent + 1))).collect()
        }
        Value::Array(items) if !items.is_empty() => items.iter().map(|item| format!("{begin}- {}", yaml(item, indent + 1))).collect(),
        // A scalar in JSON is one in YAML.
        scalar => scalar.to_string(),
    }
}

fn read(text: &str, format: Format) -> Value {
    let document = parse(text, format).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    document.value(&[]).map(std::borrow::Cow::into_owned).unwrap_or_default()
}

proptest! {
    #[test]
    fn any_tree_reads_back_from_json(tree in tree()) {
        prop_assert_eq!(&read(&tree.to_string(), Format::Json), &tree);
        prop_assert_eq!(&read(&serde_json::to_string_pretty(&tree).unwrap(), Format::Json), &tree);
    }

    #[test]
    fn any_tree_reads_back_from_yaml(tree in tree()) {
        prop_assert_eq!(&read(&yaml(&tree, 0), Format::Yaml), &tree);
    }

    #[test]
    fn any_tree_reads_back_from_toml(tree in tree()) {
        prop_assert_eq!(&read(&toml::to_string(&tree).unwrap(), Format::Toml), &tree);
    }

    #[test]
    fn no_text_panics(text in "[\\[\\]{}a=:\"'\n ,#&*!|>1.-]{0,60}") {
        for format in [Format::Toml, Format::Yaml, Format::Json] {
            let _ = parse(&text, format);
        }
    }
}
