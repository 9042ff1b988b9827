//! The pages of `docs/reference` say what the code says: they are made from it, and nobody has changed either alone since.
//!
//! `cargo xtask docs` writes them anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Place, component, worked};
use crate::schema_page;

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference").join(name)
}

/// Compares, or writes where that is asked for.
fn same(name: &str, made: &str) {
    let path = page(name);
    if std::env::var_os("INCIDENT_SINK_UPDATE_DOCS").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = made.lines().zip(written.lines()).find(|(made, written)| made != written);
    assert!(written == made, "docs/reference/{name} is not what the code makes: run `cargo xtask docs`\nfirst difference: {differs:#?}");
}

#[test]
fn the_reference_of_the_config_is_the_schemas() {
    let plugin = format!("dingtalk={}", component().display());
    let schema: Value = serde_json::from_str(&worked(&Place::new("").run(&["schema", "--plugin", &plugin]))).unwrap();
    same("config.md", &schema_page::render(&schema));
}

#[test]
fn the_reference_of_the_templates_is_the_list_of_variables() {
    let mut text = "\
# Template variables

<!-- Made from the program's list by `cargo xtask docs`; do not edit. -->

`title` and `text` of a connector may name these, as `{{ alertSummary }}`. The names are iLert's, so that a template written for iLert's custom payloads needs
no change; those of its time before 2021 work as well. What is absent is empty. Filters and blocks are [minijinja](https://docs.rs/minijinja)'s.

| variable | what it holds |
|---|---|
"
    .to_owned();
    for (name, holds) in incident_sink::delivery::variables::VARIABLES {
        writeln!(text, "| `{name}` | {holds} |").unwrap();
    }
    same("templates.md", &text);
}

#[test]
fn the_reference_of_the_metrics_is_the_catalogue() {
    let mut text = "\
# Metrics

<!-- Made from the program's catalogue by `cargo xtask docs`; do not edit. -->

`GET /metrics` on the admin address, in OpenMetrics text. Labels are bounded: names come from the config, codes that are rare are counted as `other`. A
histogram has `_bucket`, `_sum` and `_count`. `host/assets/` has a Grafana dashboard and Prometheus alert rules that are made of these.

| metric | type | labels | what it tells |
|---|---|---|---|
"
    .to_owned();
    for metric in incident_sink::telemetry::metrics::catalogue() {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(text, "| `{}` | {} | {} | {} |", metric.name, metric.kind.as_str(), labels.join(", "), metric.help.replace('|', "\\|"))
            .unwrap();
    }
    same("metrics.md", &text);
}

#[test]
fn the_reference_of_the_commands_is_the_command_lines() {
    let mut text = "\
# Commands

<!-- Made from the program's own help by `cargo xtask docs`; do not edit. -->

Exit codes: 0 done, 1 failed, 2 usage or config. Colours are drawn on a terminal only, and never where `NO_COLOR` is set. `incident-sink man DIR`
writes all of this as manual pages, `incident-sink completions SHELL` a completion script.
"
    .to_owned();
    let mut command = incident_sink::cli::command().disable_help_subcommand(true);
    command.build();
    describe(&command, "incident-sink", &mut text);
    same("commands.md", &text);
}

fn describe(command: &clap::Command, path: &str, text: &mut String) {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let path = format!("{path} {}", sub.get_name());
        if sub.has_subcommands() {
            describe(sub, &path, text);
            continue;
        }
        let usage = sub.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ");
        write!(text, "\n## `{path}`\n\n{}.\n\n```text\n{usage}\n```\n", sub.get_about().map(ToString::to_string).unwrap_or_default())
            .unwrap();
        let rows: Vec<String> =
            sub.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_id() != "help" && arg.get_id() != "version").map(row).collect();
        if !rows.is_empty() {
            write!(text, "\n| argument | default | meaning |\n|---|---|---|\n{}\n", rows.join("\n")).unwrap();
        }
        if let Some(help) = sub.get_after_help() {
            write!(
                text,
                "\n{}\n",
                help.to_string().replace("Example: ", "Example:\n\n    ").replace("\n         incident-sink", "\n    incident-sink")
            )
            .unwrap();
        }
    }
}

fn row(arg: &clap::Arg) -> String {
    let values: String = arg.get_value_names().unwrap_or_default().iter().map(|name| format!(" {name}")).collect();
    let name = match (arg.get_long(), arg.get_short()) {
        (Some(long), Some(short)) => format!("`--{long}{values}`, `-{short}`"),
        (Some(long), None) => format!("`--{long}{}`", if arg.get_action().takes_values() { values } else { String::new() }),
        _ => format!("`{}`", values.trim()),
    };
    let default: Vec<String> = if arg.get_action().takes_values() {
        arg.get_default_values().iter().map(|value| format!("`{}`", value.display())).collect()
    } else {
        Vec::new()
    };
    let mut meaning = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default().replace('\n', " ");
    let choices: Vec<String> = arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if !meaning.ends_with('.') {
        meaning.push('.');
    }
    if arg.get_action().takes_values() && !choices.is_empty() {
        write!(meaning, " One of {}.", choices.join(", ")).unwrap();
    }
    if let Some(variable) = arg.get_env() {
        write!(meaning, " Environment: `{}`.", variable.display()).unwrap();
    }
    format!("| {name} | {} | {} |", default.join(" "), meaning.replace('|', "\\|"))
}
