//! Signs that something is wrong with a page: complaints of the browser, and of axe-core.

use std::path::Path;

use serde_json::Value;

use crate::browser::{Browser, is_left_out};

/// Whether pages can be checked for accessibility; the script that does.
pub(crate) fn axe() -> Option<String> {
    if is_left_out("axe-core") {
        eprintln!("left out: there is no axe-core");
        return None;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/axe-core/package/axe.min.js");
    Some(std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("{}: {error}; `cargo xtask test` fetches it, and INCIDENT_SINK_LEFT_OUT=axe-core does without", file.display())
    }))
}

/// What axe-core finds serious or critical on the page as it is.
pub(crate) async fn barriers(browser: &Browser, axe: &str) -> Vec<String> {
    browser.client.execute(&format!("{axe}; return typeof axe"), vec![]).await.unwrap();
    let script = "const done = arguments[arguments.length - 1];\
                  axe.run(document, { resultTypes: ['violations'] }).then((found) => done(found.violations), (error) => done(String(error)));";
    let found = browser.client.execute_async(script, vec![]).await.unwrap();
    let Some(found) = found.as_array() else { panic!("axe-core failed: {found}") };
    found.iter().filter(|one| matches!(one["impact"].as_str(), Some("serious" | "critical"))).map(told).collect()
}

fn told(violation: &Value) -> String {
    let nodes: Vec<String> = violation["nodes"]
        .as_array()
        .into_iter()
        .flatten()
        .take(3)
        .map(|node| format!("{} ({})", node["html"], node["failureSummary"]))
        .collect();
    format!("{}: {}\n    {}", violation["id"], violation["help"], nodes.join("\n    "))
}

/// Whether the page is wider than the window, which nobody on a phone wants.
pub(crate) async fn overflows(browser: &Browser) -> bool {
    browser.run("return document.documentElement.scrollWidth > document.documentElement.clientWidth").await == Value::Bool(true)
}
