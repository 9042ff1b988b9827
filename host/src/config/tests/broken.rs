//! What is said of broken configs.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{parse, toml};
use crate::config::{Document, Format, Settings, Span};
use crate::secret::Secret;

/// A section of its own type, as sources and outboxes are.
#[typetag::deserialize(tag = "type")]
trait Thing: std::fmt::Debug {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read")]
struct Pipe {
    path: String,
    #[serde(default)]
    size: u16,
    #[serde(default)]
    password: Option<Secret>,
    #[serde(default)]
    window: Span,
    #[serde(default)]
    inner: BTreeMap<String, Vec<u8>>,
    #[serde(default)]
    mode: Mode,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Block,
    DropOldest,
}

#[typetag::deserialize(name = "pipe")]
impl Thing for Pipe {}

fn thing(document: &Document) -> String {
    match document.get::<Box<dyn Thing>>(&["sources", "a"]) {
        Ok(read) => format!("read {read:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn an_error_inside_a_section_with_a_type_names_the_key_and_its_place() {
    let table = [
        ("type = 'pipe'\npath = 'x'\nsise = 3", "c.toml:4:1: sources.a.sise: unknown key; did you mean `size`?"),
        ("sise = 3\npath = 'x'\ntype = 'pipe'", "c.toml:2:1: sources.a.sise: unknown key; did you mean `size`?"),
        ("size = 70000\npath = 'x'\ntype = 'pipe'", "c.toml:2:8: sources.a.size: expected a whole number from 0 to 65535, found 70000"),
        ("path = 'x'\nsize = 'big'\ntype = 'pipe'", "c.toml:3:8: sources.a.size: expected a whole number from 0 to 65535, found \"big\""),
        ("type = 'pipe'", "c.toml:1:10: sources.a: `path` is missing"),
        ("path = 'x'", "c.toml:1:10: sources.a: `type` is missing"),
        ("type = 'pip'", "c.toml:2:8: sources.a.type: `pip` is not known; did you mean `pipe`?"),
        ("type = 'kafka'", "c.toml:2:8: sources.a.type: `kafka` is not known; known are `pipe`"),
        ("type = 'pipe'\npath = ['x']", "c.toml:3:1: sources.a.path: expected a string, found a list"),
        (
            "type = 'pipe'\npath = 'x'\nmode = 'drop-oldest'",
            "c.toml:4:8: sources.a.mode: `drop-oldest` is not known; did you mean `drop_oldest`?",
        ),
        (
            "type = 'pipe'\npath = 'x'\nwindow = 'soon'",
            "c.toml:4:10: sources.a.window: expected a time like \"10s\", \"5m\", \"24h\", \"7d\", or a number of seconds, found \"soon\"",
        ),
        (
            "path = 'x'\ntype = 'pipe'\n[sources.a.inner]\n'a.b' = [1, 2, 300]",
            "c.toml:5:16: sources.a.inner.\"a.b\"[2]: expected a whole number from 0 to 255, found 300",
        ),
    ];
    for (section, expected) in table {
        assert_eq!(thing(&toml(&format!("[sources.a]\n{section}\n"))), expected);
    }
}

#[test]
fn an_error_never_shows_a_secret() {
    let table = [
        ("type = 'pipe'\npath = 'x'\npassword = 31415", "c.toml:4:12: sources.a.password: expected a string, found a number"),
        ("password = 31415\npath = 'x'\ntype = 'pipe'", "c.toml:2:12: sources.a.password: expected a string, found a number"),
        (
            "size = { env = 'TOKEN' }\npath = 'x'\ntype = 'pipe'",
            "c.toml:2:8: sources.a.size: expected a whole number from 0 to 65535, found another text",
        ),
        ("type = { env = 'TOKEN' }\npath = 'x'", "c.toml:2:8: sources.a.type: … is not known; known are `pipe`"),
        (
            "type = 'pipe'\npath = 'x'\nmode = { env = 'TOKEN' }",
            "c.toml:4:8: sources.a.mode: … is not known; known are `block`, `drop_oldest`",
        ),
    ];
    for (section, expected) in table {
        assert_eq!(thing(&toml(&format!("[sources.a]\n{section}\n"))), expected);
    }
    let url = toml("[ilert]\napi_url = 'robot/send?access_token=hunter2'\n");
    let shown = Settings::read(&url).unwrap_err().to_string();
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(!format!("{url:?}").contains("hunter2"));
}

/// The same mistakes in each format.
#[test]
fn a_mistake_has_its_place_in_every_format() {
    let toml = "[server]\nlisten = '127.0.0.1:8740'\nlisen = 1\n\n[admin]\nlisten = '0.0.0.0:1'\n\n[sorces.x]\n";
    let yaml = "server:\n  listen: 127.0.0.1:8740\n  lisen: 1\n\nadmin:\n  listen: 0.0.0.0:1\n\nsorces: {x: {}}\n";
    let json = "{\"server\": {\"listen\": \"127.0.0.1:8740\",\n  \"lisen\": 1},\n \"admin\": {\"listen\": \"0.0.0.0:1\"},\n \"sorces\": {\"x\": {}}}";
    let table = [
        (Format::Toml, toml, ["c.toml:3:1", "c.toml:6:10", "c.toml:8:2"]),
        (Format::Yaml, yaml, ["c.yaml:3:3", "c.yaml:6:11", "c.yaml:8:1"]),
        (Format::Json, json, ["c.json:2:3", "c.json:3:22", "c.json:4:2"]),
    ];
    for (format, text, [lisen, admin, sorces]) in table {
        let document = parse(text, format).unwrap_or_else(|errors| panic!("{errors}"));
        let expected = [
            format!("{lisen}: server.lisen: unknown key; did you mean `listen`?"),
            format!("{admin}: admin.listen: `token` is needed, because others than this machine can connect to 0.0.0.0:1"),
            format!("{sorces}: sorces: unknown key; did you mean `sources`?"),
        ];
        assert_eq!(Settings::read(&document).unwrap_err().to_string(), expected.join("\n"));
    }
}

#[test]
fn what_is_no_toml_yaml_or_json_is_shown_with_its_line() {
    let table = [
        (Format::Toml, "[server]\nlisten 1\n", "c.toml:2:8: key with no value, expected `=`"),
        (Format::Toml, "a = 1\na = 2\n", "c.toml:2:1: duplicate key\n  2 | a = 2\n    | ^"),
        (Format::Toml, "a = nan\n", "c.toml:1:5: expected a finite number\n  1 | a = nan\n    |     ^"),
        (Format::Yaml, "a: 1\na: 2\n", "c.yaml:2:1: a: the key is there twice"),
        (Format::Yaml, "a: 1\n---\nb: 2\n", "c.yaml:2:1: a second document begins here; a config is one document"),
        (Format::Yaml, "a: !x 1\n", "c.yaml:1:4: the tag `!x` is not known\n  1 | a: !x 1\n    |    ^"),
        (Format::Yaml, "[1, 2]\n", "c.yaml: a config is a table of sections"),
        (Format::Json, "{\"a\": 1,}", "c.json:1:9: no valid JSON: key must be a string\n  1 | {\"a\": 1,}\n    |         ^"),
        (Format::Json, "{\"a\": 1, \"a\": 2}", "c.json:1:10: a: the key is there twice"),
        (Format::Json, "", "c.json:1:1: no valid JSON: EOF while parsing a value"),
    ];
    for (format, text, expected) in table {
        let shown = parse(text, format).unwrap_err().to_string();
        assert!(shown.starts_with(expected), "{shown}");
    }
}

#[test]
fn a_syntax_error_shows_no_secret() {
    let table = [
        (Format::Toml, "password = \"hunter2\n"),
        (Format::Toml, "password = \"\"\"\nhunter2\n"),
        (Format::Toml, "url = 'https://x.example/?access_token=hunter2\n"),
        (Format::Yaml, "password: \"hunter2\n"),
        (Format::Json, "{\"password\": \"hunter2\n\"}"),
    ];
    for (format, text) in table {
        let shown = parse(text, format).unwrap_err().to_string();
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn what_is_nested_too_deeply_is_refused() {
    let json = format!("{{\"a\": {}{}}}", "[".repeat(100), "]".repeat(100));
    for (format, text) in
        [(Format::Json, json.clone()), (Format::Yaml, json.clone()), (Format::Toml, json.replacen("{\"a\": ", "a = ", 1).replace('}', ""))]
    {
        let shown = parse(&text, format).unwrap_err().to_string();
        assert!(shown.contains("nested too deeply") || shown.contains("recurs"), "{shown}");
    }
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Document::load(&folder.path().join("none.toml")).unwrap_err().to_string();
    assert!(missing.ends_with("none.toml: cannot be read: No such file or directory (os error 2)"), "{missing}");
    let ini = Document::load(&folder.path().join("c.ini")).unwrap_err().to_string();
    assert!(ini.ends_with("c.ini: the name of a config ends in .toml, .yaml, .yml or .json"), "{ini}");
    std::fs::write(folder.path().join("c.toml"), [0xff]).unwrap();
    let binary = Document::load(&folder.path().join("c.toml")).unwrap_err().to_string();
    assert!(binary.ends_with("c.toml: is no UTF-8 text"), "{binary}");
}
