//! What the documents show works as it stands: every config is valid, every command is run, or it is said why not.

use std::path::{Path, PathBuf};
use std::process::Command;

use incident_sink::config::{Document, Format};
use incident_sink::simulator::dingtalk::DingTalk;

use crate::harness::{Place, SECRET, component, fixture, group, worked};
use crate::markdown::{Block, blocks, documents, links, root, shown};

/// Languages whose blocks are for the eye.
const FOR_THE_EYE: [&str; 3] = ["text", "wit", "promql"];

fn all() -> impl Iterator<Item = Block> {
    documents().into_iter().flat_map(|path| blocks(&path))
}

fn of(language: &str) -> Vec<Block> {
    all().filter(|block| block.language == language).collect()
}

/// A folder as the documents suppose it: a config, the component, an event, and the secrets in the environment.
struct Desk {
    place: Place,
    url: String,
}

impl Desk {
    fn new(config: &str, url: &str) -> Desk {
        let place = Place::new(config);
        let folder = place.0.path();
        for made in ["plugins", "target/plugins"] {
            std::fs::create_dir_all(folder.join(made)).unwrap();
            std::fs::copy(component(), folder.join(made).join("dingtalk.wasm")).unwrap();
        }
        let mut event: serde_json::Value =
            serde_json::from_slice(&std::fs::read(fixture("ilert/2026-created-rich.json")).unwrap()).unwrap();
        // One that the documents' actions take.
        event["alertSource"]["name"] = "Zabbix".into();
        std::fs::write(folder.join("event.json"), event.to_string()).unwrap();
        std::fs::write(folder.join("events.ndjson"), format!("{event}\n")).unwrap();
        Desk { place, url: url.to_owned() }
    }

    /// With every variable that a text asks for.
    fn with_environment(&self, mut command: Command, text: &str) -> Command {
        for rest in text.split("env = \"").skip(1) {
            let name = rest.split('"').next().unwrap();
            let value = match name {
                _ if name.ends_with("_URL") => &self.url,
                _ if name.ends_with("_SECRET") => SECRET,
                _ => "a-value",
            };
            command.env(name, value);
        }
        command
    }
}

/// A piece of a config with what it supposes around it: the plugin, and the connectors that it names.
fn completed(text: &str) -> String {
    let mut whole = text.to_owned();
    let mut missing = Vec::new();
    if !text.contains("[plugins.dingtalk") {
        whole.push_str("\n[plugins.dingtalk]\npath = \"plugins/dingtalk.wasm\"\n");
    }
    let named = text.lines().filter_map(|line| line.strip_prefix("connector = \""));
    let tables = text.lines().filter_map(|line| line.strip_prefix("[connectors."));
    for name in named.chain(tables).filter_map(|rest| rest.split(['"', '.', ']']).next()) {
        if !text.contains(&format!("[connectors.{name}]")) && !missing.contains(&name) {
            missing.push(name);
        }
    }
    for name in missing {
        whole.push_str(&format!("\n[connectors.{name}]\ntype = \"dingtalk\"\nurl = {{ env = \"DINGTALK_URL\" }}\n"));
    }
    whole
}

/// Files that a config names get a place within the folder.
fn with_files(config: &str, folder: &Path) -> String {
    let mut out = config.to_owned();
    for rest in config.split("file = \"").skip(1) {
        let name = rest.split('"').next().unwrap();
        let inside = folder.join(name.trim_start_matches('/').replace('/', "-"));
        std::fs::write(&inside, "a-secret\n").unwrap();
        out = out.replace(&format!("file = \"{name}\""), &format!("file = \"{}\"", inside.display()));
    }
    out
}

#[test]
fn every_config_in_the_documents_is_valid() {
    let blocks: Vec<Block> = of("toml").into_iter().filter(|block| block.not_run.is_none()).collect();
    assert!(blocks.len() >= 5, "{}", blocks.len());
    let desk = Desk::new("", "https://oapi.dingtalk.com/robot/send?access_token=t");
    for block in blocks {
        let config = with_files(&completed(&block.text), desk.place.0.path());
        std::fs::write(desk.place.config(), &config).unwrap();
        let output = desk.with_environment(desk.place.command(&["validate"]), &config).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && complaint.is_empty(), "{}: {complaint}\n{config}", block.place);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_in_the_documents_runs() {
    let group: DingTalk = group().await;
    let readme = blocks(&root().join("README.md")).into_iter().find(|block| block.language == "toml").unwrap().text;
    for path in documents() {
        let mut desk = None;
        for block in blocks(&path).into_iter().filter(|block| block.language == "sh" && block.not_run.is_none()) {
            let desk = desk.get_or_insert_with(|| Desk::new(&readme, &group.url_of("ops").unwrap()));
            let mut shell = Command::new("bash");
            shell.args(["-euo", "pipefail", "-c", &block.text]).current_dir(desk.place.0.path()).stdin(std::process::Stdio::null());
            let program = Path::new(env!("CARGO_BIN_EXE_incident-sink")).parent().unwrap();
            let search = std::env::join_paths(
                std::iter::once(program.to_owned()).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
            );
            shell.env("PATH", search.unwrap()).env_remove("RUST_LOG").env_remove("INCIDENT_SINK_CONFIG");
            let output = desk.with_environment(shell, &readme).output().unwrap();
            assert!(output.status.success(), "{}: {}\n{}", block.place, String::from_utf8_lossy(&output.stderr), block.text);
        }
    }
}

#[test]
fn what_is_not_run_exists_all_the_same() {
    let usage = std::fs::read_to_string(root().join("xtask/src/main.rs")).unwrap();
    for block in of("sh") {
        for line in block.text.lines() {
            if let Some(rest) = line.trim_start().strip_prefix("cargo xtask ") {
                let command = rest.split_whitespace().next().unwrap();
                assert!(usage.contains(&format!("\n  {command} ")), "{}: there is no `cargo xtask {command}`", block.place);
            }
            if block.not_run.is_some()
                && let Some(words) = called(line)
                && let Err(error) = incident_sink::cli::command().try_get_matches_from(&words)
            {
                panic!("{}: {words:?}: {error}", block.place);
            }
        }
    }
}

/// The words of a call of the program within a line of shell, without what follows it.
fn called(line: &str) -> Option<Vec<String>> {
    let line = line.split(" #").next()?;
    let words: Vec<String> = line.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned()).collect();
    let start = words.iter().position(|word| word == "incident-sink" || word.ends_with("/incident-sink"))?;
    let before_is_a_caller = words[..start].iter().all(|word| word != "systemctl" && word != "install" && word != "cp");
    let is_command = words.get(start + 1).is_some_and(|word| incident_sink::cli::command().find_subcommand(word).is_some());
    let end = words.iter().position(|word| ["|", "<", ">", ">>", "&&", "&", ";"].contains(&word.as_str())).unwrap_or(words.len());
    (before_is_a_caller && is_command && start < end).then(|| words[start..end].to_vec())
}

#[test]
fn a_block_says_its_language_and_what_cannot_be_run_says_why() {
    for block in all() {
        match block.language.as_str() {
            "sh" | "toml" => {
                assert!(block.not_run.as_ref().is_none_or(|reason| reason.len() > 5), "{}: say why it is not run", block.place);
            }
            "json" => {
                serde_json::from_str::<serde_json::Value>(&block.text).unwrap_or_else(|error| panic!("{}: {error}", block.place));
            }
            "yaml" => {
                let read = Document::parse(&block.text, Format::Yaml, &block.place, ".".as_ref(), &|_| None);
                assert!(read.is_ok(), "{}: {read:?}", block.place);
            }
            "rust" => assert!(block.not_run.is_some(), "{}: Rust is compiled elsewhere: say where", block.place),
            language => {
                assert!(FOR_THE_EYE.contains(&language), "{}: say the language of the block (found `{language}`)", block.place);
            }
        }
    }
}

#[test]
fn every_link_within_the_repository_leads_somewhere() {
    for path in documents() {
        let folder = path.parent().unwrap();
        for link in links(&path) {
            let file = link.split('#').next().unwrap();
            let elsewhere = file.is_empty() || file.contains("://") || file.starts_with("mailto:");
            let target: PathBuf = folder.join(file);
            assert!(elsewhere || target.exists(), "{}: there is no {link}", shown(&path));
        }
    }
}

#[test]
fn the_readmes_config_is_what_it_says() {
    let readme = blocks(&root().join("README.md")).into_iter().find(|block| block.language == "toml").unwrap().text;
    let desk = Desk::new(&readme, "https://oapi.dingtalk.com/robot/send?access_token=t");
    let text = worked(&desk.with_environment(desk.place.command(&["validate"]), &readme).output().unwrap());
    assert!(text.contains("valid (1 source, 1 connector, 1 action, 1 plugin)"), "{text}");
}

/// Test code of the whole repository.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let page = std::fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let mut code = String::new();
    ["host", "tests", "plugin"].iter().for_each(|folder| sources(&root().join(folder), &mut code));
    let names: Vec<&str> = page.split('`').skip(1).step_by(2).collect();
    let files = names.iter().filter(|name| name.ends_with(".rs"));
    let tests = names.iter().filter(|name| name.matches('_').count() >= 3 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
    files.for_each(|file| assert!(root().join(file).is_file(), "there is no {file}"));
    let mut count = 0;
    for test in tests {
        assert!(code.contains(&format!("fn {test}(")), "there is no test {test}");
        count += 1;
    }
    assert!(count >= 20, "{count}");
}
