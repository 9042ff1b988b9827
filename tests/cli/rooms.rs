//! The host knows no chat system: everything that names one lives in its plugin, or in the simulators.

use std::path::{Path, PathBuf};

/// Words that only somebody who knows the chat system would write.
const WORDS: [&str; 14] = [
    "dingtalk",
    "access_token",
    "errcode",
    "errmsg",
    "msgtype",
    "msguuid",
    "actioncard",
    "feedcard",
    "atmobiles",
    "isatall",
    "130101",
    "310000",
    "sessionwebhook",
    "dtmd",
];

/// A credential in a URL is hidden in logs whatever its receiver calls it; these files list the usual names of parameters.
const REDACTION: [&str; 1] = ["telemetry"];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn nothing_of_the_host_outside_the_simulator_knows_the_chat_system() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&root, &mut all);
    let mut told = Vec::new();
    for path in all {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let is_test = name.contains("test");
        if name.starts_with("simulator/") || is_test || REDACTION.iter().any(|room| name.starts_with(room)) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_lowercase();
        for (number, line) in code.lines().enumerate() {
            // An example of a command line or of a config has to name some plugin.
            let example = line.contains("example: ")
                || line.contains("after_help")
                || line.contains("default_value")
                || line.trim_start().starts_with("//");
            for word in WORDS.iter().filter(|word| line.contains(**word) && !example) {
                told.push(format!("{name}:{}: {word}", number + 1));
            }
        }
    }
    assert!(told.is_empty(), "the host knows the chat system:\n{}", told.join("\n"));
}
