//! What is wrong is said in one clear message, and exit code 2 says that it is the config.

use crate::harness::{Place, failed};

const HEAD: &str = "[plugins.dingtalk]\npath = \"{plugin}\"\n";

fn complaint(config: &str) -> String {
    failed(&Place::new(config).run(&["validate"]), 2)
}

#[test]
fn a_wrong_key_is_named_with_its_place_and_the_right_one() {
    let text = complaint(&format!("{HEAD}[server]\nlisten = \"127.0.0.1:0\"\npublic_ulr = \"https://x.example\"\n"));
    assert!(text.contains("incident-sink.toml:5:1: server.public_ulr:") && text.contains("did you mean `public_url`?"), "{text}");
}

#[test]
fn a_wrong_key_of_the_plugins_part_is_named_with_its_place() {
    let text = complaint(&format!("{HEAD}[connectors.ops]\ntype = \"dingtalk\"\nurl = \"https://x.example/send\"\nlanguge = \"en\"\n"));
    assert!(text.contains("incident-sink.toml:6:11: connectors.ops.languge:") && text.contains("did you mean `language`?"), "{text}");
}

#[test]
fn an_unknown_connector_is_named() {
    let text = complaint(&format!(
        "{HEAD}[connectors.ops]\ntype = \"dingtalk\"\nurl = \"https://x.example/send\"\n[[actions]]\nconnector = \"opps\"\n"
    ));
    assert!(text.contains("incident-sink.toml:7:13: actions[0].connector: there is no connector `opps`; did you mean `ops`?"), "{text}");
    let place = Place::new(&format!("{HEAD}[connectors.ops]\ntype = \"dingtalk\"\nurl = \"https://x.example/send\"\n"));
    let text = failed(&place.run(&["test-connection", "opps"]), 2);
    assert!(text.contains("there is no connector `opps`; did you mean `ops`?"), "{text}");
}

#[test]
fn a_missing_secret_file_is_named() {
    let text = complaint(&format!(
        "{HEAD}[connectors.ops]\ntype = \"dingtalk\"\nurl = \"https://x.example/send\"\nsecret = {{ file = \"no/such/file\" }}\n"
    ));
    assert!(text.contains("connectors.ops.secret") && text.contains("no/such/file"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn an_unset_variable_is_named() {
    let text = complaint(&format!("{HEAD}[connectors.ops]\ntype = \"dingtalk\"\nurl = {{ env = \"NO_SUCH_VARIABLE_HERE\" }}\n"));
    assert!(text.contains("connectors.ops.url") && text.contains("NO_SUCH_VARIABLE_HERE"), "{text}");
}

#[test]
fn a_plugin_that_does_not_exist_is_named() {
    let text = complaint("[plugins.dingtalk]\npath = \"no/such.wasm\"\n");
    assert!(text.contains("incident-sink.toml:2:8: plugins.dingtalk.path:") && text.contains("no/such.wasm"), "{text}");
    let text = complaint(&format!("{HEAD}[connectors.ops]\ntype = \"dingtlk\"\nurl = \"https://x.example/send\"\n"));
    assert!(text.contains("there is no plugin `dingtlk`; did you mean `dingtalk`?"), "{text}");
}

#[test]
fn a_config_that_is_not_there_is_named() {
    let place = Place::new("");
    let text = failed(&place.run(&["run", "--config", "nowhere.toml"]), 2);
    assert!(text.contains("nowhere.toml"), "{text}");
}

#[test]
fn a_wrong_usage_is_exit_code_2() {
    let place = Place::new("");
    failed(&place.run(&["frobnicate"]), 2);
}
