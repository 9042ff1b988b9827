//! The conformance suite: our own plugin passes it, and it finds what is wrong with others.

use incident_sink::delivery::upgrade::conformance;
use incident_sink::plugin::Limits;
use incident_sink::plugin::units::Wait;

use super::stage::{chameleon, engine, limits};

#[test]
fn the_dingtalk_plugin_conforms() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/plugins/dingtalk.wasm");
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}; run `cargo xtask build-plugins` first"));
    // The figures are for a machine that does nothing else.
    let patient = Limits { deadline: Wait::millis(5_000), ..Limits::default() };
    let found = conformance::run(&engine(), &bytes, &patient, None);
    assert!(found.passed(), "{found}");
    assert!(found.checks.len() >= 8, "{found}");
}

#[test]
fn the_suite_finds_what_is_wrong() {
    for (behaviour, words) in [
        ("good", ""),
        ("bad-version", "its version"),
        ("check-complains", "does not like this"),
        ("trap-begin", "crashed"),
        ("covers-too-many", "covers 2 of 1"),
        ("bad-json", "is not JSON"),
        ("spin-resume", "ran longer"),
        ("endless-steps", "more than 8 requests"),
        ("host-header", "is the host's"),
        ("sign-fails", "wrong form"),
    ] {
        let found = conformance::run(&engine(), &chameleon(behaviour), &limits(), None);
        assert_eq!(found.passed(), words.is_empty(), "{behaviour}: {found}");
        assert!(found.to_string().contains(words), "{behaviour}: {found}");
    }
}
