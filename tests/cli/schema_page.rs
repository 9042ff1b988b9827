//! Makes a page of the config's JSON Schema: a section a table, a row a key.

use std::fmt::Write as _;

use serde_json::Value;

const HEAD: &str = "\
# Config

<!-- Made from the config's JSON Schema by `cargo xtask docs`; do not edit. -->

TOML, YAML or JSON, by the file's ending. `incident-sink validate` names a wrong key with file, line and column; `incident-sink schema` prints the JSON
Schema that this page is made from, for your editor.

| type | is written as |
|---|---|
| time | `\"10s\"`, `\"5m\"`, `\"1h30m\"`, `\"7d\"`, `\"250ms\"`, or a number of seconds |
| size | `\"64 KiB\"`, `\"4 MiB\"`, or a number of bytes |
| secret | a string, `{ env = \"NAME\" }` for an environment variable, `{ file = \"PATH\" }` for a file's text without its last newline; a relative path starts at the config's folder |

Any other value may be given by `{ env }` and `{ file }` as well. What is *required* is so where its section is there.
";

/// The whole page.
pub(crate) fn render(schema: &Value) -> String {
    let mut page = HEAD.to_owned();
    for (name, section) in schema["properties"].as_object().unwrap() {
        if name.starts_with('$') {
            continue;
        }
        if section["type"] == "array" {
            part(&mut page, &format!("[[{name}]]"), &section["items"]);
        } else if section["additionalProperties"].is_object() {
            variants(&mut page, &format!("[{name}.NAME]"), &section["additionalProperties"]);
        } else {
            variants(&mut page, &format!("[{name}]"), section);
        }
    }
    page
}

/// One part for each `type`, where there are several.
fn variants(page: &mut String, title: &str, schema: &Value) {
    match schema.get("oneOf").or(schema.get("anyOf")).and_then(Value::as_array) {
        Some(all) => all.iter().for_each(|one| part(page, title, one)),
        None => part(page, title, schema),
    }
}

fn part(page: &mut String, title: &str, schema: &Value) {
    let kind = schema["properties"]["type"]["const"].as_str();
    let kind_text = kind.map(|kind| format!(", `type = \"{kind}\"`")).unwrap_or_default();
    write!(page, "\n## `{title}`{kind_text}\n\n").unwrap();
    let about = text(schema);
    // The title says as much already.
    if !about.is_empty() && !about.starts_with("`[") {
        writeln!(page, "{about}\n").unwrap();
    }
    let mut rows = String::new();
    keys(&mut rows, "", schema, schema);
    if rows.is_empty() {
        page.push_str("No keys of its own.\n");
    } else {
        write!(page, "| key | type | default | meaning |\n|---|---|---|---|\n{rows}").unwrap();
    }
}

fn keys(rows: &mut String, prefix: &str, schema: &Value, root: &Value) {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (key, of) in schema["properties"].as_object().into_iter().flatten() {
        if prefix.is_empty() && key == "type" && of["const"].is_string() {
            continue;
        }
        let of = resolve(of, root);
        let default = match of.get("default").filter(|default| !default.is_null()) {
            Some(default) => format!("`{}`", toml(default)),
            None if required.contains(&key.as_str()) => "*required*".to_owned(),
            None => String::new(),
        };
        let name = format!("{prefix}{key}");
        let inner = inner(of, root);
        let default = if inner.is_some() && default != "*required*" { String::new() } else { default };
        writeln!(rows, "| `{name}` | {} | {default} | {} |", kind(of, root), text(of).replace('|', "\\|")).unwrap();
        if let Some((below, table)) = inner {
            keys(rows, &format!("{name}.{below}"), table, root);
        }
    }
}

/// The table within a key, if it is one: of fixed keys, or of names that people choose.
fn inner<'a>(of: &'a Value, root: &'a Value) -> Option<(&'static str, &'a Value)> {
    let of = resolve(of, root);
    if let Some(choices) = of["anyOf"].as_array() {
        // Of a secret's choices the tables are ways to name it, not its content.
        let names_a_secret = |one: &Value| one["properties"]["env"].is_object();
        return if choices.iter().any(names_a_secret) { None } else { choices.iter().find_map(|one| inner(one, root)) };
    }
    if of["properties"].is_object() {
        return Some(("", of));
    }
    let named = resolve(of.get("additionalProperties")?, root);
    named["properties"].is_object().then_some(("NAME.", named))
}

fn resolve<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    match schema["$ref"].as_str().and_then(|to| to.strip_prefix('#')) {
        Some(pointer) => root.pointer(pointer).unwrap(),
        None => schema,
    }
}

/// What people call the type.
fn kind(of: &Value, root: &Value) -> String {
    let of = resolve(of, root);
    let choices: Vec<&Value> =
        of["anyOf"].as_array().or(of["oneOf"].as_array()).into_iter().flatten().map(|one| resolve(one, root)).collect();
    let pattern = |one: &Value| one["pattern"].as_str().unwrap_or_default().to_owned();
    let patterns: String = std::iter::once(of).chain(choices.iter().copied()).map(pattern).collect();
    if choices.iter().any(|one| one["properties"]["env"].is_object()) {
        return "secret".to_owned();
    }
    if patterns.contains("(ms|s") {
        return "time".to_owned();
    }
    if patterns.contains("KiB") {
        return "size".to_owned();
    }
    if let Some(values) = of["enum"].as_array() {
        return values.iter().map(|value| format!("`{}`", toml(value))).collect::<Vec<_>>().join(", ");
    }
    if !of["const"].is_null() {
        return format!("`{}`", toml(&of["const"]));
    }
    if !choices.is_empty() {
        let mut kinds: Vec<String> = choices.iter().filter(|one| one["type"] != "null").map(|one| kind(one, root)).collect();
        kinds.dedup();
        return kinds.join(" or ");
    }
    let name = match &of["type"] {
        Value::Array(several) => several.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or_default(),
        name => name.as_str().unwrap_or_default(),
    };
    match name {
        "array" => format!("list of {}", kind(&of["items"], root)),
        "object" => "table".to_owned(),
        "" => "any".to_owned(),
        other => other.to_owned(),
    }
}

fn text(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A value as TOML writes it.
fn toml(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<String> = members.iter().map(|(key, value)| format!("{key} = {}", toml(value))).collect();
            if members.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", members.join(", ")) }
        }
        other => other.to_string(),
    }
}
