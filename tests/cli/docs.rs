//! What the documents show works as it stands.

use std::path::Path;

use crate::harness::{Place, component, worked};

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap()
}

/// The blocks of a language in a Markdown text.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    text.split(&opening).skip(1).filter_map(|rest| rest.split("\n```").next()).map(str::to_owned).collect()
}

#[test]
fn the_readmes_config_is_valid() {
    let configs = blocks(&readme(), "toml");
    assert_eq!(configs.len(), 1);
    let place = Place::new(&configs[0]);
    std::fs::create_dir(place.0.path().join("plugins")).unwrap();
    std::fs::copy(component(), place.0.path().join("plugins/dingtalk.wasm")).unwrap();
    let mut command = place.command(&["validate"]);
    command
        .env("ILERT_WEBHOOK_PASSWORD", "p")
        .env("DINGTALK_OPS_URL", "https://oapi.dingtalk.com/robot/send?access_token=t")
        .env("DINGTALK_OPS_SECRET", "SECs");
    let text = worked(&command.output().unwrap());
    assert!(text.contains("valid (1 source, 1 connector, 1 action, 1 plugin)"), "{text}");
}

#[test]
fn every_command_of_the_readme_exists() {
    let text = readme();
    let blocks = blocks(&text, "");
    let lines = blocks.iter().flat_map(|block| block.lines()).filter(|line| line.starts_with("incident-sink "));
    let commands: Vec<&str> = lines.map(|line| line.split('#').next().unwrap_or_default().trim()).collect();
    assert!(commands.len() >= 8, "{commands:?}");
    let place = Place::new("");
    for line in commands {
        let mut words: Vec<&str> = line
            .split_whitespace()
            .skip(1)
            .filter(|word| !word.chars().all(|letter| letter.is_ascii_digit()) && *word != "ops" && *word != "event.json")
            .collect();
        words.push("--help");
        worked(&place.run(&words));
    }
}
