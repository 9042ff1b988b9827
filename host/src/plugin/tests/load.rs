//! What is refused at the door, and with which words.

use serde_json::json;

use super::super::testing::{Guest, WIT, context, engine, event, limits};
use super::super::units::{Size, Wait};
use super::super::{Limits, LoadError, Plugin, wit};

fn refused(bytes: &[u8]) -> String {
    refused_with(bytes, &limits())
}

fn refused_with(bytes: &[u8], limits: &Limits) -> String {
    match Plugin::load(engine(), bytes, limits) {
        Ok(plugin) => panic!("{plugin:?} was loaded"),
        Err(error) => error.to_string(),
    }
}

fn component(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap()
}

#[test]
fn a_good_plugin_is_loaded_and_described() {
    let bytes = Guest::default().build();
    let plugin = Plugin::load(engine(), &bytes, &limits()).unwrap();
    assert_eq!(plugin.descriptor().name, "chat");
    assert_eq!(plugin.descriptor().version, semver::Version::new(1, 0, 0));
    assert_eq!(plugin.descriptor().pace.map(|pace| pace.messages), Some(20));
    assert_eq!(plugin.world(), "incident-sink:plugin/incident-sink@1.0.0");
    assert_eq!(plugin.size(), bytes.len());
    assert_eq!(plugin.digest().len(), 64);
    assert!(!plugin.has_inbox());
    assert!(Guest::default().interactive().load().has_inbox());
}

#[test]
fn what_is_no_component_is_told_apart() {
    assert_eq!(refused(b""), "the file is not WebAssembly");
    assert_eq!(refused(b"<html>404</html>"), "the file is not WebAssembly");
    assert!(refused(&component("(module)")).starts_with("the file is a core module, not a component"));
    assert!(refused(&component("(component)")).ends_with("it exports nothing"));
}

#[test]
fn a_file_that_is_cut_short_anywhere_is_refused() {
    let bytes = Guest::default().build();
    for length in [5, 8, 9, bytes.len() / 3, bytes.len() / 2, bytes.len() - 1] {
        let error = Plugin::load(engine(), &bytes[..length], &limits()).unwrap_err();
        // Cut between two sections, a component may still be whole: then it lacks what the contract asks for.
        assert!(matches!(error, LoadError::Invalid(_) | LoadError::OtherWorld(_) | LoadError::MissingInterface(_)), "{length}: {error}");
    }
}

#[test]
fn a_damaged_file_never_makes_the_host_panic() {
    let bytes = Guest::default().build();
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut damaged = bytes.clone();
        for _ in 0..4 {
            damaged[random.usize(8..bytes.len())] = random.u8(..);
        }
        // Whatever comes of it: an answer.
        let _ = Plugin::load(engine(), &damaged, &limits());
    }
}

#[test]
fn a_file_over_the_size_limit_is_not_even_compiled() {
    let limits = Limits { component: Size::kib(1), ..limits() };
    assert!(refused_with(&vec![0; 2048], &limits).starts_with("the file has 2048 bytes, more than 1 KiB"));
}

#[test]
fn an_impossible_limit_is_refused_before_anything_else() {
    let limits = Limits { deadline: Wait::millis(0), ..limits() };
    assert_eq!(refused_with(b"", &limits), "limits.deadline must be between 1ms and 10s");
}

#[test]
fn any_import_but_the_types_is_refused_by_name() {
    let table = [
        (
            r#"(component (import "wasi:clocks/monotonic-clock@0.2.0" (instance (export "now" (func (result u64))))))"#,
            "wasi:clocks/monotonic-clock@0.2.0",
        ),
        (r#"(component (import "log" (func (param "m" string))))"#, "log"),
        (
            r#"(component (import "incident-sink:plugin/types@1.0.0" (instance (export "spy" (func)))))"#,
            "incident-sink:plugin/types@1.0.0#spy",
        ),
        (
            r#"(component (import "incident-sink:plugin/types@1.0.0" (instance (export "r" (type (sub resource))))))"#,
            "incident-sink:plugin/types@1.0.0#r",
        ),
        (r#"(component (import "incident-sink:plugin/host@1.0.0" (instance)))"#, "incident-sink:plugin/host@1.0.0"),
    ];
    for (wat, import) in table {
        assert!(refused(&component(wat)).starts_with(&format!("the component imports `{import}`")), "{wat}");
    }
}

#[test]
fn a_component_for_something_else_is_refused_with_its_exports() {
    let bytes = component(r#"(component (component $c) (instance $i (instantiate $c)) (export "wasi:http/handler@0.3.0" (instance $i)))"#);
    assert_eq!(refused(&bytes), "the component is not an incident sink: it exports `wasi:http/handler@0.3.0`");
}

#[test]
fn a_newer_contract_is_refused_and_a_newer_minor_version_runs() {
    let newer = Guest::default().wit(WIT.replace("plugin@1.0.0", "plugin@2.0.0")).build();
    assert!(refused(&newer).starts_with("the plugin speaks version 2.0.0 of the contract, this host speaks 1.x"));
    let minor = Guest::default().wit(WIT.replace("plugin@1.0.0", "plugin@1.7.2")).build();
    let plugin = Plugin::load(engine(), &minor, &limits()).unwrap();
    assert_eq!(plugin.world(), "incident-sink:plugin/incident-sink@1.7.2");
    assert!(plugin.check("{}").unwrap().is_empty());
}

#[test]
fn a_function_that_this_host_does_not_know_is_no_reason_to_refuse() {
    let wit = WIT.replace("interface signer {", "interface signer {\n later: func() -> list<string>;");
    Guest::default().wit(wit).answer("later", json!([])).load();
}

#[test]
fn half_a_plugin_is_refused_by_what_is_missing() {
    let no_signer = Guest::default().wit(WIT.replace("  export signer;\n", "")).build();
    assert_eq!(refused(&no_signer), "the plugin does not export the interface `incident-sink:plugin/signer@1`");
    let no_check = WIT.replace("check: func(config: string) -> list<problem>;", "");
    assert_eq!(refused(&Guest::default().wit(no_check).build()), "the plugin's interface `sink` has no function `check`");
}

#[test]
fn a_record_of_another_shape_is_found_by_the_trial_instance() {
    let wit = WIT.replace("covers: u32,", "covers: u32, urgent: bool,");
    let begin = json!({ "ok": { "send": {
        "request": { "target": "connector", "method": "post", "headers": [], "query": [], "body": "" },
        "covers": 1, "urgent": true, "continuation": "",
    } } });
    let error = refused(&Guest::default().wit(wit).answer("begin", begin).build());
    assert!(error.starts_with("the plugin's function `begin` is not the contract's:"), "{error}");
}

#[test]
fn a_plugin_that_cannot_start_is_refused() {
    let crash = Guest::default().fields("(func $crash unreachable) (start $crash)").build();
    assert!(refused(&crash).starts_with("the plugin cannot be started: the plugin crashed"));
    let spin = Guest::default().fields("(func $spin (loop $l (br $l))) (start $spin)").build();
    let limits = Limits { deadline: Wait::millis(20), ..limits() };
    assert!(refused_with(&spin, &limits).starts_with("the plugin cannot be started: the plugin ran longer than 20ms"));
    let fat = Guest::default().pages(100).build();
    assert!(refused(&fat).starts_with("the plugin cannot be started: the plugin needs more memory than 4 MiB"));
}

#[test]
fn tables_and_parts_beyond_the_limits_are_refused() {
    for fields in ["(table 20000 funcref)", "(table 200000 funcref)", "(table 1 funcref) (table 1 funcref) (table 1 funcref)"] {
        let error = Plugin::load(engine(), &Guest::default().fields(fields).build(), &limits()).unwrap_err();
        assert!(matches!(error, LoadError::Invalid(_)), "{fields}: {error}");
    }
}

#[test]
fn a_describe_that_fails_or_lies_is_refused() {
    let crash = Guest::default().runs("describe", "unreachable").build();
    assert!(refused(&crash).starts_with("the plugin's `describe` fails: the plugin crashed"));
    let version = Guest::default().describe("version", json!("one")).build();
    assert!(refused(&version).starts_with("the plugin's description is refused: its version `one`"));
    let huge = Guest::default().describe("config-schema", json!(" ".repeat(600 << 10))).build();
    assert!(refused(&huge).starts_with("the plugin's `describe` fails: the plugin answered with more than 512 KiB"));
}

#[test]
fn a_plugin_of_another_name_is_refused_where_a_name_is_asked_for() {
    let error = Plugin::load_as(engine(), &Guest::default().build(), &limits(), "mail").unwrap_err();
    assert_eq!(error.to_string(), "the plugin calls itself `chat`, but `mail` was expected");
}

#[test]
fn the_host_was_built_with_the_contract_in_the_repository() {
    assert!(WIT.contains(&format!("package incident-sink:plugin@{};", super::super::contract::VERSION)));
}

/// Plugins that were made for earlier contracts, and are never made anew: what runs once runs with every later 1.x host.
fn kept() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/plugins")
}

#[test]
fn a_plugin_of_every_released_contract_still_runs() {
    let mut versions = Vec::new();
    for entry in std::fs::read_dir(kept()).unwrap() {
        let path = entry.unwrap().path();
        let plugin = Plugin::load(engine(), &std::fs::read(&path).unwrap(), &limits()).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        versions.push(plugin.world().to_owned());
        assert!(plugin.check("{}").unwrap().is_empty());
        let wit::Step::Send(sending) = plugin.begin("{}", &[event()], &context()).unwrap() else { panic!("no request") };
        let outline = wit::Outline { method: wit::Method::Post, query: vec![], body_sha256: vec![0; 32] };
        assert_eq!(plugin.sign(&[], &outline, 1).unwrap().len(), 1);
        let answer = wit::Response { status: 200, headers: vec![], body: vec![] };
        let step = plugin.resume("{}", &sending.continuation, &answer, &context()).unwrap();
        assert!(matches!(step, wit::Step::Done(wit::Outcome::Delivered(_))), "{step:?}");
        let request = wit::Incoming { method: "POST".into(), path: "/".into(), headers: vec![], query: vec![], body: vec![] };
        assert_eq!(plugin.inbox_verify(&[], &request, 1), Ok(Ok(())));
        assert_eq!(plugin.inbox_read("{}", &request, &context()).unwrap().unwrap().id.as_deref(), Some("q1"));
        assert_eq!(plugin.inbox_reply("{}", &request, &[Ok("done".into())], &context()).unwrap().answer.status, 200);
    }
    assert!(versions.contains(&"incident-sink:plugin/interactive-incident-sink@1.0.0".to_owned()), "{versions:?}");
}

#[test]
fn a_plugin_of_this_contract_is_kept() {
    let path = kept().join(format!("contract-{}.wasm", super::super::contract::VERSION));
    if std::env::var_os("INCIDENT_SINK_KEEP_PLUGIN").is_some() && !path.exists() {
        std::fs::write(&path, Guest::default().interactive().build()).unwrap();
    }
    assert!(path.exists(), "{path:?} is missing: wit/VERSIONING.md says how it is made when a version of the contract is released");
}
