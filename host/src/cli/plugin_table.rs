//! How `plugin list` looks: a line for each kept version, and one for each thing that wants attention. Pure.

use serde_json::Value;

use super::output;

/// Of `GET /api/plugins`, or the same read from disk.
pub(super) fn draw(states: &[Value]) -> String {
    let rows: Vec<Vec<String>> = states.iter().flat_map(rows).collect();
    let mut text = output::table(&["PLUGIN", "VERSION", "SHA-256", "INSTALLED", "BY", ""], &rows);
    for line in states.iter().flat_map(notes) {
        text.push('\n');
        text.push_str(&line);
    }
    text
}

fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of[name].as_str().unwrap_or_default()
}

fn rows(state: &Value) -> Vec<Vec<String>> {
    let versions = state["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = |of: &Value, at: String, who: &str, note: String| {
        vec![text(state, "name").to_owned(), text(of, "version").to_owned(), short(text(of, "digest")), at, who.to_owned(), note]
    };
    let is_current = |version: &Value| version["current"] == true;
    let unkept = (!versions.iter().any(is_current)).then(|| row(state, "-".to_owned(), "config", "in use".to_owned()));
    let kept = versions.iter().map(|version| {
        let note = match version["failed"].as_str() {
            _ if is_current(version) => "in use".to_owned(),
            Some(failed) => format!("failed: {failed}"),
            None => String::new(),
        };
        row(version, output::moment(version["at"].as_i64().unwrap_or_default()), text(version, "who"), note)
    });
    unkept.into_iter().chain(kept).collect()
}

/// What is on trial, and what went wrong.
fn notes(state: &Value) -> Vec<String> {
    let name = text(state, "name");
    let mut notes = Vec::new();
    let canary = &state["canary"];
    if canary.is_object() {
        notes.push(format!("{name} {} is watched: {} of {} messages to go", text(canary, "version"), canary["left"], canary["of"]));
    }
    let shadow = &state["shadow"];
    if shadow.is_object() {
        notes.push(format!(
            "{name} {} writes along: {} alike, {} different, {} failed, {} to go",
            text(shadow, "version"),
            shadow["same"],
            shadow["different"],
            shadow["failed"],
            shadow["left"]
        ));
        let samples = shadow["samples"].as_array().map(Vec::as_slice).unwrap_or_default();
        notes.extend(samples.iter().map(|sample| format!("  {}", sample.as_str().unwrap_or_default())));
    }
    let failure = &state["last_failure"];
    if failure.is_object() {
        let at = output::moment(failure["at"].as_i64().unwrap_or_default());
        let (digest, step, error) = (short(text(failure, "digest")), text(failure, "step"), text(failure, "error"));
        notes.push(format!("{name}: the upgrade to {digest} did not last ({at}, {step}): {error}"));
    }
    notes
}

fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn versions_trials_and_failures_are_told() {
        let state = json!({
            "name": "chat", "version": "1.0.0", "digest": "0123456789abcdef",
            "versions": [
                { "version": "2.0.0", "digest": "fedcba9876543210", "at": 0, "who": "api", "current": false, "failed": "it crashed" },
                { "version": "1.0.0", "digest": "0123456789abcdef", "at": 0, "who": "cli", "current": true, "failed": null },
            ],
            "canary": { "version": "1.0.0", "left": 3, "of": 20 },
            "shadow": { "version": "3.0.0", "left": 0, "same": 1, "different": 2, "failed": 0, "samples": ["the body differs"] },
            "last_failure": { "at": 0, "digest": "fedcba9876543210", "step": "canary", "error": "it crashed" },
        });
        let text = draw(&[state]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 7, "{text}");
        assert!(lines[1].ends_with("failed: it crashed") && lines[2].ends_with("cli  in use"), "{text}");
        assert_eq!(lines[3], "chat 1.0.0 is watched: 3 of 20 messages to go");
        assert_eq!(lines[4], "chat 3.0.0 writes along: 1 alike, 2 different, 0 failed, 0 to go");
        assert!(lines[6].ends_with("(1970-01-01 00:00:00Z, canary): it crashed"), "{text}");
    }

    #[test]
    fn a_version_that_is_not_kept_yet_is_shown() {
        let text = draw(&[json!({ "name": "chat", "version": "1.0.0", "digest": "0123456789abcdef", "versions": [] })]);
        assert!(text.lines().nth(1).is_some_and(|line| line.contains("0123456789ab") && line.ends_with("in use")), "{text}");
    }
}
