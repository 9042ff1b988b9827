//! `{ env }` and `{ file }`.

use serde_json::json;

use super::{parse, toml};
use crate::config::{Document, Format};

#[test]
fn a_reference_is_replaced_at_any_depth() {
    let document = toml(
        "[a]\nx = { env = 'TOKEN' }\nlist = [1, [{ y = { env = 'TOKEN' } }, { env = 'TOKEN' }]]\n[a.b.c]\nenv = 'TOKEN'\n[a.kept]\nenv = 'TOKEN'\nmore = 1\n",
    );
    let expected = json!({
        "x": "hunter2hunter2",
        "list": [1, [{ "y": "hunter2hunter2" }, "hunter2hunter2"]],
        "b": { "c": "hunter2hunter2" },
        "kept": { "env": "TOKEN", "more": 1 },
    });
    assert_eq!(document.value(&["a"]).as_deref(), Some(&expected));
    let secrets: Vec<&str> = document.secrets().iter().map(|secret| secret.expose()).collect();
    assert_eq!(secrets, ["hunter2hunter2"]);
}

#[test]
fn a_source_may_be_called_file() {
    let document = toml("[sources.file]\ntype = 'stdin'\n");
    assert_eq!(document.value(&["sources"]).as_deref(), Some(&json!({ "file": { "type": "stdin" } })));
}

#[test]
fn a_file_lies_beside_the_config_and_loses_one_newline() {
    let folder = tempfile::tempdir().unwrap();
    for (content, expected) in [("s3cret\n", "s3cret"), ("s3cret\r\n", "s3cret"), ("s3cret", "s3cret"), ("s3cret\n\n", "s3cret\n")] {
        std::fs::write(folder.path().join("password"), content).unwrap();
        let config = folder.path().join("c.yaml");
        std::fs::write(&config, "a:\n  password: { file: password }\n").unwrap();
        let document = Document::load(&config).unwrap();
        assert_eq!(document.value(&["a", "password"]).as_deref(), Some(&json!(expected)));
    }
}

#[test]
fn everything_that_cannot_be_filled_in_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    let text = "[a]\nx = { env = 'UNSET' }\ny = { env = 'EMPTY' }\nz = [{ file = 'none' }, { file = 'empty' }]\n";
    let env = |name: &str| (name == "EMPTY").then(String::new);
    let errors = Document::parse(text, Format::Toml, "c.toml", folder.path(), &env).unwrap_err();
    let expected = [
        "c.toml:2:5: a.x: the environment variable `UNSET` is not set",
        "c.toml:3:5: a.y: the environment variable `EMPTY` is empty",
        "c.toml:4:6: a.z[0]: the file `none` cannot be read: No such file or directory (os error 2)",
        "c.toml:4:25: a.z[1]: the file `empty` is empty",
    ];
    assert_eq!(errors.to_string(), expected.join("\n"));
}

#[test]
fn a_text_under_a_key_that_names_a_secret_is_remembered() {
    let document =
        parse("a: {secret: SEC1, access_token: T1, url: 'https://x', language: en, api_url: 'https://y', tls: {key: k.pem}}", Format::Yaml)
            .unwrap();
    let mut secrets: Vec<&str> = document.secrets().iter().map(|secret| secret.expose()).collect();
    secrets.sort_unstable();
    assert_eq!(secrets, ["SEC1", "T1", "https://x"]);
}
