//! The config files under `docs/` are what they say; other tests here run those that can be run.

use std::path::{Path, PathBuf};

use incident_sink::simulator::dingtalk::DingTalk;

use crate::harness::{Place, SECRET, component, worked};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pipelines")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

/// A documented config, led to a simulated group and to free ports. Each change is a part of the text, and what stands there instead.
pub(crate) fn shown(name: &str, group: &DingTalk, changes: &[(&str, &str)]) -> Place {
    let (url, secret) = (format!("{:?}", group.url_of("ops").unwrap()), format!("{SECRET:?}"));
    let always = [
        ("listen = \"127.0.0.1:8740\"", "listen = \"127.0.0.1:0\""),
        ("plugins/dingtalk.wasm", "{plugin}"),
        ("{ env = \"DINGTALK_OPS_URL\" }", &*url),
        ("{ env = \"DINGTALK_OPS_SECRET\" }", &*secret),
    ];
    let text = always.iter().chain(changes).fold(read(name), |text, (old, new)| {
        assert!(text.contains(old), "{name} has no {old}");
        text.replace(old, new)
    });
    Place::new(&(text + "[admin]\nlisten = \"127.0.0.1:0\"\n[connectors.ops.delivery]\npace = \"none\"\n"))
}

/// The blocks of a language in a Markdown text.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    text.split(&opening).skip(1).filter_map(|rest| rest.split("\n```").next()).map(str::to_owned).collect()
}

fn validate(config: &str) {
    let place = Place::new(config);
    std::fs::create_dir(place.0.path().join("plugins")).unwrap();
    std::fs::copy(component(), place.0.path().join("plugins/dingtalk.wasm")).unwrap();
    let mut command = place.command(&["validate"]);
    for name in ["ILERT_WEBHOOK_PASSWORD", "ALERTMANAGER_TOKEN", "DINGTALK_OPS_SECRET", "DINGTALK_WEBHOOK1_SECRET"] {
        command.env(name, "SECs");
    }
    for name in ["DINGTALK_OPS_URL", "DINGTALK_WEBHOOK1_URL", "DINGTALK_WEBHOOK2_URL"] {
        command.env(name, "https://oapi.dingtalk.com/robot/send?access_token=t");
    }
    let text = worked(&command.env("NATS_URL", "nats://127.0.0.1:4222").output().unwrap());
    assert!(text.contains("valid (") && !text.contains("warning"), "{text}");
}

#[test]
fn our_configs_are_valid() {
    for name in ["alertmanager.toml", "nats.toml", "webhook.toml"] {
        validate(&read(name));
    }
    let page = read("from-prometheus-webhook-dingtalk.md");
    let configs = blocks(&page, "toml");
    assert_eq!(configs.len(), 1);
    validate(&configs[0]);
}

#[test]
fn every_file_is_in_the_table_and_says_whether_it_is_run() {
    let table = read("README.md");
    for file in std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()) {
        assert!(file == "README.md" || table.contains(&format!("({file})")), "{file} is not in docs/pipelines/README.md");
        let ours = file.ends_with(".md") || ["alertmanager.toml", "webhook.toml"].contains(&file.as_str());
        let text = read(&file);
        assert!(
            ours || text.contains("Run by the tests") || text.contains("Not run by the tests"),
            "{file} does not say whether it is run"
        );
    }
}

#[test]
fn the_others_configs_can_be_parsed() {
    toml::from_str::<toml::Table>(&read("vector.toml")).unwrap();
    for name in ["alertmanager.yml", "otel-collector.yaml"] {
        // No crate of ours reads YAML of others; ours does.
        use incident_sink::config::{Document, Format};
        Document::parse(&read(name), Format::Yaml, name, Path::new(""), &|_| None).unwrap();
    }
    for line in read("fluent-bit.conf").lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '['])) {
        assert!(line.split_whitespace().count() >= 2, "{line}");
    }
}
