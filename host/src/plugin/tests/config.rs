//! `[plugins.NAME]`, files, pins, signatures, and the table of versions.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::super::inspect::{Inspection, SignatureState};
use super::super::testing::{Guest, engine, limits};
use super::super::{LoadError, Plugin, PluginConfig, Registry, load, signature};

fn version(version: &str) -> Plugin {
    Guest::default().describe("version", json!(version)).load()
}

fn write(folder: &Path, name: &str, guest: &Guest) -> PluginConfig {
    std::fs::write(folder.join(name), guest.build()).unwrap();
    PluginConfig { limits: limits(), ..PluginConfig::at(name) }
}

#[test]
fn a_config_is_read_with_its_defaults_and_unknown_keys_are_refused() {
    let config: PluginConfig = toml::from_str("path = 'chat.wasm'").unwrap();
    assert_eq!(config, PluginConfig::at("chat.wasm"));
    assert!(config.validate().is_empty());
    assert!(toml::from_str::<PluginConfig>("path = 'x'\nsha265 = ''").unwrap_err().to_string().contains("sha265"));
    for allow in ["ftp://x/", "https://u:p@x/", "https://x/?a=1", "https://x/#a", "data:x"] {
        let error = toml::from_str::<PluginConfig>(&format!("path = 'x'\nallow = ['https://ok/', '{allow}']")).unwrap_err();
        assert!(error.to_string().contains("allow[1]"), "{allow}: {error}");
    }
}

#[test]
fn everything_wrong_with_a_config_is_told_at_once() {
    let text = "path = ''\nsha256 = 'abc'\ntrusted_keys = ['x']\n[limits]\nsteps = 0";
    let config: PluginConfig = toml::from_str(text).unwrap();
    let keys: Vec<String> = config.validate().into_iter().map(|error| error.key).collect();
    assert_eq!(keys, ["path", "sha256", "limits.steps", "trusted_keys"]);
}

#[test]
fn a_pin_holds_in_any_case_and_for_uploads() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = write(folder.path(), "chat.wasm", &Guest::default());
    let bytes = Guest::default().build();
    config.sha256 = Some(load::digest(&bytes).to_uppercase());
    config.load(engine(), "chat", folder.path()).unwrap();
    let other = Guest::default().describe("version", json!("2.0.0")).build();
    assert!(matches!(config.load_bytes(engine(), "chat", &other, None), Err(LoadError::Digest { .. })));
}

#[test]
fn a_file_that_is_missing_or_too_large_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = PluginConfig::at("none.wasm").load(engine(), "chat", folder.path()).unwrap_err().to_string();
    assert!(error.starts_with("cannot read ") && error.contains("none.wasm"), "{error}");
    let mut config = write(folder.path(), "chat.wasm", &Guest::default());
    config.limits.component = super::super::units::Size::kib(1);
    assert!(matches!(config.load(engine(), "chat", folder.path()), Err(LoadError::TooLarge { .. })));
}

#[test]
fn with_trusted_keys_only_a_signed_file_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = write(folder.path(), "chat.wasm", &Guest::default());
    let pair = signature::generate().unwrap();
    config.trusted_keys = vec![pair.public_pem.clone()];
    let error = config.load(engine(), "chat", folder.path()).unwrap_err().to_string();
    assert!(error.contains("must be signed") && error.contains("chat.wasm.sig"), "{error}");
    let bytes = std::fs::read(folder.path().join("chat.wasm")).unwrap();
    std::fs::write(folder.path().join("chat.wasm.sig"), signature::sign(&pair.private_pem, &bytes).unwrap()).unwrap();
    config.load(engine(), "chat", folder.path()).unwrap();
    config.trusted_keys = vec![signature::generate().unwrap().public.to_base64()];
    let error = config.load(engine(), "chat", folder.path()).unwrap_err();
    assert!(matches!(error, LoadError::Signature(signature::SignatureError::Untrusted)));
    assert!(matches!(config.load_bytes(engine(), "chat", &bytes, None), Err(LoadError::Signature(_))));
}

#[test]
fn a_registry_loads_all_plugins_or_tells_every_error() {
    let folder = tempfile::tempdir().unwrap();
    let chat = write(folder.path(), "chat.wasm", &Guest::default());
    let mail = write(folder.path(), "mail.wasm", &Guest::default().describe("name", json!("mail")));
    let mut configs = BTreeMap::from([("chat".to_owned(), chat.clone()), ("mail".to_owned(), mail)]);
    let registry = Registry::load(engine(), &configs, folder.path()).unwrap();
    assert_eq!(registry.names(), ["chat", "mail"]);
    assert_eq!(registry.current("mail").unwrap().descriptor().name, "mail");
    configs.insert("pager".into(), chat);
    configs.insert("absent".into(), PluginConfig::at("absent.wasm"));
    let errors = Registry::load(engine(), &configs, folder.path()).unwrap_err();
    assert_eq!(errors.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["absent", "pager"]);
}

#[test]
fn a_swap_is_seen_at_once_and_the_last_versions_are_kept() {
    let registry = Registry::default();
    let versions: Vec<Plugin> = ["1.0.0", "1.0.1", "1.0.2", "1.0.3", "1.0.4"].iter().map(|name| version(name)).collect();
    assert_eq!(registry.swap("chat", versions[0].clone()), None);
    for pair in versions.windows(2) {
        assert_eq!(registry.swap("chat", pair[1].clone()), Some(pair[0].clone()));
        assert_eq!(registry.current("chat"), Some(pair[1].clone()));
    }
    assert_eq!(registry.versions("chat").len(), 4);
    assert_eq!(registry.version("chat", versions[3].digest()), Some(versions[3].clone()));
    assert_eq!(registry.version("chat", versions[0].digest()), None);
}

#[test]
fn a_rollback_goes_back_one_version_and_only_from_the_one_that_failed() {
    let registry = Registry::default();
    let (old, new) = (version("1.0.0"), version("1.1.0"));
    registry.swap("chat", old.clone());
    assert_eq!(registry.rollback("chat"), None);
    registry.swap("chat", new.clone());
    assert_eq!(registry.rollback_from("chat", &old), None);
    assert_eq!(registry.rollback_from("chat", &new), Some(old.clone()));
    assert_eq!(registry.current("chat"), Some(old.clone()));
    assert_eq!(registry.versions("chat"), [old.clone(), new.clone()]);
    assert_eq!(registry.rollback("chat"), Some(new));
    assert_eq!(registry.remove("mail"), None);
}

#[test]
fn versions_can_be_swapped_while_they_are_called() {
    let registry = Registry::default();
    let versions = [version("1.0.0"), version("1.1.0")];
    registry.swap("chat", versions[0].clone());
    std::thread::scope(|scope| {
        let callers = [(); 2].map(|()| scope.spawn(|| (0..300).all(|_| registry.current("chat").unwrap().check("{}").is_ok())));
        for turn in 0..50 {
            registry.swap("chat", versions[turn % 2].clone());
        }
        assert!(callers.into_iter().all(|caller| caller.join().unwrap()));
    });
}

#[test]
fn an_inspection_shows_all_that_an_operator_decides_by() {
    let inspection = Inspection::of(&Guest::default().load(), SignatureState::Unsigned);
    let text = inspection.to_string();
    for words in ["chat 1.0.0", "incident-sink:plugin/sink@1.0.0", "20 messages in any 60 s", "signature  none"] {
        assert!(text.contains(words), "{text}");
    }
    let json = serde_json::to_value(&inspection).unwrap();
    assert_eq!(json["signature"]["state"], "unsigned");
    assert_eq!(json["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn an_inspection_of_a_file_tells_how_it_is_signed() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "chat.wasm", &Guest::default());
    let file = folder.path().join("chat.wasm");
    let pair = signature::generate().unwrap();
    let state = |keys: &[signature::PublicKey]| Inspection::read(engine(), &file, &limits(), keys).unwrap().signature;
    assert_eq!(state(&[]), SignatureState::Unsigned);
    let signed = signature::sign(&pair.private_pem, &std::fs::read(&file).unwrap()).unwrap();
    std::fs::write(signature::path_of(&file), signed).unwrap();
    assert_eq!(state(&[]), SignatureState::Unchecked);
    assert_eq!(state(std::slice::from_ref(&pair.public)), SignatureState::Trusted { key: pair.public.to_base64() });
    assert!(matches!(state(&[signature::generate().unwrap().public]), SignatureState::Untrusted { .. }));
    std::fs::write(signature::path_of(&file), [0xff; 9]).unwrap();
    assert!(matches!(state(&[pair.public]), SignatureState::Untrusted { .. }));
}

#[test]
fn the_schema_of_a_plugins_section_names_every_key() {
    let schema = serde_json::to_value(schemars::schema_for!(PluginConfig)).unwrap();
    let mut keys: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["allow", "canary", "limits", "path", "sha256", "trusted_keys"]);
    assert_eq!(schema["required"], json!(["path"]));
}
