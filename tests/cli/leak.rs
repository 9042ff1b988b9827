//! Looks for the secrets of a config in whatever the program puts out: every run of these tests is looked through.

use std::path::Path;

/// Keys of a config whose values are credentials.
const KEYS: [&str; 6] = ["secret", "app_secret", "password", "token", "api_key", "integration_key"];

/// Shorter ones are words of other texts too.
const SHORTEST: usize = 6;

/// Panics where a text shows a secret of the configs in a folder.
pub(crate) fn check(folder: &Path, what: &str, text: &str) {
    for secret in secrets(folder) {
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for spelling in [&secret, &encoded] {
            if let Some(at) = text.find(spelling.as_str()) {
                let line = text[..at].rfind('\n').map_or(0, |line| line + 1);
                let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
                panic!("{what} shows a secret of the config ({} bytes of it): {}", spelling.len(), &text[line..end]);
            }
        }
    }
}

/// The credentials in a folder's configs, and in the files that they name. Read as text, so that a config that is broken has secrets too.
fn secrets(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_config = path.extension().is_some_and(|ending| ["toml", "yaml", "yml", "json"].iter().any(|config| ending == *config));
        if !is_config {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        found.extend(text.lines().filter_map(value).map(str::to_owned));
        let tokens = text.split("access_token=").skip(1);
        found.extend(tokens.map(|rest| rest.split(['"', '\'', '&', '\n']).next().unwrap_or_default().to_owned()));
        let files = text.split("file = \"").skip(1).filter_map(|rest| rest.split('"').next());
        found.extend(files.filter_map(|file| std::fs::read_to_string(folder.join(file)).ok()).map(|text| text.trim().to_owned()));
    }
    found.retain(|secret| secret.len() >= SHORTEST);
    found
}

/// The value of a credential's line, `key = "value"` or `key: value`.
fn value(line: &str) -> Option<&str> {
    let (key, value) = line.split_once(['=', ':'])?;
    KEYS.contains(&key.trim().trim_matches('"'))
        .then(|| value.trim().trim_end_matches(',').trim_matches('"'))
        .filter(|value| !value.starts_with('{'))
}

#[test]
fn a_secret_that_is_shown_is_found() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "from-a-file\n").unwrap();
    let config = "secret = \"SEC+12345\"\nurl = \"https://x/?access_token=tok-1234567\"\napi_key = { file = \"key\" }\n";
    std::fs::write(folder.path().join("a.toml"), config).unwrap();
    check(folder.path(), "a log", "nothing of it: secret = …");
    for shown in ["x SEC+12345 y", "sign=SEC%2B12345", "?access_token=tok-1234567&a", "from-a-file"] {
        let found = std::panic::catch_unwind(|| check(folder.path(), "a log", shown));
        assert!(found.is_err(), "{shown}");
    }
}
