//! A plugin from a real compiler that misbehaves as it is told: `tests/plugins/chameleon`, built by `cargo xtask build-plugins`.

use std::path::Path;
use std::sync::OnceLock;

use super::super::testing::{context, engine, event, limits};
use super::super::units::{Size, Wait};
use super::super::{CallError, Limits, LoadError, OutputRule, Plugin, wit};

fn component() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins/fixtures/chameleon.wasm");
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask build-plugins` first", path.display()))
    })
}

/// The component with another name in its marker.
fn patched(behaviour: &str) -> Vec<u8> {
    let mut bytes = component().to_vec();
    let marker = b"BEHAVIOUR=";
    let at = bytes.windows(marker.len()).position(|window| window == marker).expect("the chameleon has a marker") + marker.len();
    bytes[at..at + 54].fill(b'#');
    bytes[at..at + behaviour.len()].copy_from_slice(behaviour.as_bytes());
    bytes
}

fn try_load(behaviour: &str) -> Result<Plugin, LoadError> {
    let limits = Limits { deadline: Wait::millis(if behaviour.starts_with("spin") { 300 } else { 5000 }), ..limits() };
    Plugin::load_as(engine(), &patched(behaviour), &limits, "chameleon")
}

fn plugin(behaviour: &str) -> Plugin {
    try_load(behaviour).unwrap_or_else(|error| panic!("{behaviour}: {error}"))
}

fn begin(behaviour: &str) -> Result<wit::Step, CallError> {
    plugin(behaviour).begin("{}", &[event(), event()], &context())
}

fn sign(plugin: &Plugin) -> Result<Vec<wit::Stamp>, CallError> {
    let outline = wit::Outline { method: wit::Method::Post, query: vec![], body_sha256: vec![0; 32] };
    plugin.sign(&[("/secret".into(), "SEC-17".into())], &outline, 1)
}

fn body(step: wit::Step) -> String {
    let wit::Step::Send(sending) = step else { panic!("{step:?}") };
    String::from_utf8(sending.request.body).unwrap()
}

#[test]
fn a_plugin_that_behaves_is_served() {
    let plugin = plugin("good");
    assert_eq!(plugin.descriptor().secrets, ["/secret"]);
    assert!(body(plugin.begin("{}", &[event()], &context()).unwrap()).contains("Disk full"));
    assert_eq!(sign(&plugin).unwrap().len(), 1);
}

#[test]
fn no_bad_description_is_taken() {
    for (behaviour, words) in [
        ("wrong-name", "calls itself `impostor`"),
        ("bad-version", "its version `one point oh`"),
        ("bad-schema", "is not JSON"),
        ("huge-describe", "needs more memory"),
        ("trap-describe", "the plugin crashed"),
        ("spin-describe", "ran longer than 300ms"),
    ] {
        let error = try_load(behaviour).unwrap_err().to_string();
        assert!(error.contains(words), "{behaviour}: {error}");
    }
}

#[test]
fn whatever_it_does_with_the_machine_ends_its_own_call_only() {
    assert_eq!(begin("spin-begin").unwrap_err(), CallError::Deadline { limit: Wait::millis(300) });
    assert!(matches!(begin("trap-begin").unwrap_err(), CallError::Trap { .. }));
    assert!(begin("trap-begin").unwrap_err().to_string().ends_with("in `chameleon::havoc::at`"));
    // Its own stack, in its own memory, ends before wasmtime's does.
    assert!(matches!(begin("stack-overflow").unwrap_err(), CallError::Trap { kind, .. } if kind == "out of bounds memory access"));
    assert_eq!(begin("memory-bomb").unwrap_err(), CallError::Memory { limit: Size::mib(4) });
    assert!(matches!(begin("huge-string").unwrap_err(), CallError::Memory { .. } | CallError::TooMuchData { .. }));
    assert!(begin("memory-bomb-quiet").is_ok());
    assert_eq!(sign(&plugin("spin-sign")).unwrap_err(), CallError::Deadline { limit: Wait::millis(300) });
}

#[test]
fn no_request_that_breaks_a_rule_leaves_the_sandbox() {
    for behaviour in ["covers-zero", "covers-too-many", "host-header", "crlf-header", "auth-header", "hop-header"] {
        assert!(matches!(begin(behaviour).unwrap_err(), CallError::Output(_)), "{behaviour}");
    }
    for behaviour in ["huge-body", "huge-continuation"] {
        let error = begin(behaviour).unwrap_err();
        assert!(matches!(error, CallError::Output(_) | CallError::TooMuchData { .. } | CallError::Memory { .. }), "{behaviour}: {error}");
    }
    assert!(matches!(sign(&plugin("many-stamps")).unwrap_err(), CallError::Output(_) | CallError::TooMuchData { .. }));
    assert_eq!(sign(&plugin("stamp-host-header")).unwrap_err(), CallError::Output(OutputRule::HostHeader("host".into())));
}

#[test]
fn a_secret_that_sign_hides_is_not_there_for_begin() {
    let plugin = plugin("secret-in-static");
    for _ in 0..20 {
        sign(&plugin).unwrap();
        let body = body(plugin.begin("{}", &[event()], &context()).unwrap());
        assert!(body.contains(r#""kept":"""#) && !body.contains("SEC-17"), "{body}");
    }
}

#[test]
fn every_call_is_the_first_of_its_instance() {
    let plugin = plugin("keeps-state");
    for _ in 0..20 {
        assert!(body(plugin.begin("{}", &[event()], &context()).unwrap()).contains(r#""calls":1"#));
    }
}
