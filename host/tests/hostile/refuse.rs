//! One test a broken upgrade: the version in use goes on, and everybody is told why.

use incident_sink::delivery::upgrade::{InstallOptions, UpgradeError};
use incident_sink::plugin::units::{Size, Wait};
use incident_sink::plugin::{Limits, load, signature};

use super::slow::slow;
use super::stage::{Receiver, Stage, chameleon, limits};

/// Offers a component; it must be refused at this step, with these words.
async fn refused(bytes: Vec<u8>, step: &str, words: &str) {
    let (receiver, url) = Receiver::start().await;
    // Nothing here but the endless loops comes near it, on a busy machine either.
    let limits = Limits { deadline: Wait::millis(500), ..limits() };
    let mut stage = Stage::with(|config| config.limits = limits).await;
    stage.connect("ops", "chameleon", &url, "hush-secret");
    let before = stage.upgrader.state("chameleon").unwrap();
    let error = stage.install_bytes(bytes.clone(), InstallOptions::default()).await.unwrap_err();
    assert_eq!(error.step(), step, "{error}");
    assert!(error.to_string().contains(words), "{error}");
    assert!(!error.to_string().contains("hush"), "{error}");
    let state = stage.upgrader.state("chameleon").unwrap();
    assert_eq!((state.digest, state.counts.refused, state.counts.swaps), (before.digest, 1, 0));
    let failure = state.last_failure.unwrap();
    assert_eq!((failure.step, failure.digest, failure.error), (step, load::digest(&bytes), error.to_string()));
    assert_eq!(std::fs::read(stage.file()).unwrap(), chameleon("good"));
    stage.emit("after", 1, &["ops"]).await;
    stage.drained().await;
    assert_eq!(receiver.got()[0].json()["version"], "1.0.0");
}

macro_rules! refused {
    ($($name:ident: $bytes:expr => $step:literal, $words:literal;)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            refused($bytes, $step, $words).await;
        })*
    };
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// A component that imports one function of an interface.
fn importing(interface: &str, function: &str) -> Vec<u8> {
    wat(&format!(r#"(component (import "{interface}" (instance (export "{function}" (func (result u64))))))"#))
}

refused! {
    no_webassembly: b"<html>404</html>".to_vec() => "load", "not WebAssembly";
    a_core_module: wat("(module)") => "load", "core module";
    half_a_file: chameleon("good")[..40_000].to_vec() => "load", "damaged, cut short";
    an_empty_component: wat("(component)") => "load", "it exports nothing";
    a_clock: importing("wasi:clocks/monotonic-clock@0.2.0", "now") => "load", "imports `wasi:clocks/monotonic-clock@0.2.0`";
    random_numbers: importing("wasi:random/random@0.2.0", "get-random-u64") => "load", "imports `wasi:random/random@0.2.0`";
    sockets: importing("wasi:sockets/tcp@0.2.0", "start") => "load", "imports `wasi:sockets/tcp@0.2.0`";
    files: importing("wasi:filesystem/preopens@0.2.0", "open") => "load", "imports `wasi:filesystem/preopens@0.2.0`";
    the_environment: importing("wasi:cli/environment@0.2.0", "get") => "load", "imports `wasi:cli/environment@0.2.0`";
    a_table_bomb: wat("(component (core module $m (table 90000000 funcref)) (core instance (instantiate $m)))") => "load", "damaged, cut short, or asks for";
    a_table_of_the_contracts_names: wat(
        r#"(component (component $c) (instance $i (instantiate $c))
            (export "incident-sink:plugin/sink@1.0.0" (instance $i)) (export "incident-sink:plugin/signer@1.0.0" (instance $i)))"#
    ) => "load", "has no function";
    functions_of_other_types: wat(
        r#"(component
            (core module $m (func (export "f")))
            (core instance $m (instantiate $m))
            (func $f (canon lift (core func $m "f")))
            (instance $sink (export "describe" (func $f)) (export "check" (func $f)) (export "begin" (func $f)) (export "resume" (func $f)))
            (instance $signer (export "sign" (func $f)))
            (export "incident-sink:plugin/sink@1.0.0" (instance $sink))
            (export "incident-sink:plugin/signer@1.0.0" (instance $signer)))"#
    ) => "load", "is not the contract's";
    a_false_name: chameleon("wrong-name") => "load", "calls itself `impostor`";
    a_false_version: chameleon("bad-version") => "load", "its version";
    a_schema_that_is_none: chameleon("bad-schema") => "load", "config schema is not JSON";
    a_schema_of_ten_mebibytes: chameleon("huge-describe") => "load", "memory";
    an_endless_describe: chameleon("spin-describe") => "load", "ran longer";
    a_describe_that_traps: chameleon("trap-describe") => "load", "crashed";
    an_endless_check: chameleon("spin-check") => "config", "ran longer";
    a_check_that_traps: chameleon("trap-check") => "config", "crashed";
    a_version_that_a_connector_cannot_use: chameleon("check-complains") => "config", "`ops` does not fit the new version: /secret";
    an_endless_begin: chameleon("spin-begin") => "golden", "ran longer";
    a_begin_that_traps: chameleon("trap-begin") => "golden", "crashed";
    a_begin_that_fails: chameleon("begin-fails") => "golden", "no form that the chameleon knows";
    an_endless_sign: chameleon("spin-sign") => "golden", "ran longer";
    a_sign_that_traps: chameleon("trap-sign") => "golden", "crashed";
    a_sign_that_fails: chameleon("sign-fails") => "golden", "cannot work with these secrets";
    a_secret_in_the_words_of_a_failure: chameleon("secret-to-error") => "golden", "its own words are not shown";
    a_secret_in_a_header_that_is_refused: chameleon("secret-to-rule") => "golden", "header `(not shown)`";
    an_endless_resume: chameleon("spin-resume") => "golden", "ran longer";
    a_resume_that_traps: chameleon("trap-resume") => "golden", "crashed";
    a_memory_bomb: chameleon("memory-bomb") => "golden", "needs more memory";
    a_stack_overflow: chameleon("stack-overflow") => "golden", "crashed";
    a_huge_body: chameleon("huge-body") => "golden", "memory";
    a_huge_continuation: chameleon("huge-continuation") => "golden", "memory";
    a_body_that_is_cut_off: chameleon("bad-json") => "golden", "is not JSON";
    a_body_that_is_no_text: chameleon("not-utf8-body") => "golden", "is not JSON";
    another_host: chameleon("other-host") => "golden", "evil.example";
    another_path: chameleon("other-path") => "golden", "not an absolute URL";
    a_file: chameleon("other-scheme") => "golden", "no `allow` prefix";
    a_stamp_for_another_token: chameleon("stamp-token") => "golden", "access_token";
    another_token: chameleon("token-query") => "golden", "access_token";
    a_host_header: chameleon("host-header") => "golden", "`host` is the host's";
    a_credential_header: chameleon("auth-header") => "golden", "carries a credential";
    a_line_break_in_a_header: chameleon("crlf-header") => "golden", "characters that a header cannot have";
    endless_steps: chameleon("endless-steps") => "golden", "more than 8 requests";
    a_message_that_covers_nothing: chameleon("covers-zero") => "golden", "covers 0 of";
    a_message_that_covers_too_much: chameleon("covers-too-many") => "golden", "covers 2 of 1";
    ten_thousand_stamps: chameleon("many-stamps") => "golden", "more than 512 KiB of data";
    a_stamp_for_another_host: chameleon("stamp-host-header") => "golden", "`host` is the host's";
    a_stamp_that_overwrites_the_body: chameleon("stamp-body-overwrite") => "golden", "summary";
    a_version_that_wants_nothing: chameleon("drops-all") => "golden", "wants no events";
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_of_twenty_megabytes_is_not_even_compiled() {
    refused(slow(chameleon("good-2"), 20), "size", "more than 8 MiB").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_compilation_holds_up_no_message() {
    let (receiver, url) = Receiver::start().await;
    let mut stage = Stage::with(|config| config.limits.component = Size::mib(64)).await;
    stage.connect("ops", "chameleon", &url, "hush-secret");
    let upgrader = stage.upgrader.clone();
    let installing = tokio::spawn(async move {
        let who = incident_sink::delivery::upgrade::Who::Api;
        upgrader.install("chameleon", slow(chameleon("good-2"), 2), None, who, InstallOptions::default()).await
    });
    let mut rounds = 0;
    while !installing.is_finished() || rounds == 0 {
        stage.emit(&format!("{rounds:04}"), 1, &["ops"]).await;
        stage.drained().await;
        rounds += 1;
    }
    assert!(installing.await.unwrap().unwrap().changed);
    assert_eq!(receiver.events().len(), rounds);
    assert!(receiver.got()[0].json()["version"] == "1.0.0", "messages went out before it was compiled");
    println!("{rounds} messages went out, one after the other, while 2 MiB of code were compiled");
}

#[tokio::test]
async fn a_pin_and_a_signature_hold_for_uploads() {
    let pair = signature::generate().unwrap();
    let stage = Stage::with(|config| config.sha256 = Some(load::digest(&chameleon("good")))).await;
    assert_eq!(stage.install("good-2").await.unwrap_err().step(), "pin");

    let folder = tempfile::tempdir().unwrap();
    let (file, signed) = (folder.path().join("chameleon.wasm"), |bytes: &[u8]| signature::sign(&pair.private_pem, bytes).unwrap());
    std::fs::write(&file, chameleon("good")).unwrap();
    std::fs::write(signature::path_of(&file), signed(&chameleon("good"))).unwrap();
    let stage = Stage::again(folder, |config| config.trusted_keys = vec![pair.public_pem.clone()]).await;
    assert_eq!(stage.install("good-2").await.unwrap_err().step(), "signature");
    let install = |bytes: Vec<u8>, signature| {
        stage.upgrader.install("chameleon", bytes, Some(signature), incident_sink::delivery::upgrade::Who::Api, InstallOptions::default())
    };
    assert_eq!(install(chameleon("good-2"), signed(b"another file")).await.unwrap_err().step(), "signature");
    assert!(install(chameleon("good-2"), signed(&chameleon("good-2"))).await.unwrap().changed);
    assert_eq!(signature::read(&stage.file()).unwrap(), signed(&chameleon("good-2")));
}

#[tokio::test]
async fn a_plugin_that_the_config_does_not_know_is_not_installed() {
    let stage = Stage::new().await;
    let install =
        stage.upgrader.install("other", chameleon("good"), None, incident_sink::delivery::upgrade::Who::Api, InstallOptions::default());
    assert!(matches!(install.await, Err(UpgradeError::Unknown(name)) if name == "other"));
    assert!(stage.upgrader.counts().iter().all(|(name, _)| name == "chameleon"));
}
