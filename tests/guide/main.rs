//! `docs/first-plugin.md`, followed word by word: its files written, its commands run, in its order.
//!
//! Only places differ: the plugin's folder lies in a temporary one instead of beside the clone, and the chat system listens on a free port.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::JoinHandle;

fn clone() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// What the page shows, in its order: the language of a block, or the file that it is, and its text.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut file = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix('`').and_then(|rest| rest.strip_suffix("`:")) {
            name.clone_into(&mut file);
        }
        if let Some(language) = line.strip_prefix("```") {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let kind = if language == "sh" || file.is_empty() { language.to_owned() } else { std::mem::take(&mut file) };
            blocks.push((kind, text.join("\n") + "\n"));
        }
    }
    blocks
}

/// A chat system: takes one message, and answers 200. Its head and body are the result.
fn chat() -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heard = std::thread::spawn(move || {
        // Healthchecks connect and say nothing.
        loop {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let (mut head, mut length) = (String::new(), 0);
            while reader.read_line(&mut head).unwrap_or(0) > 0 && !head.ends_with("\r\n\r\n") {
                let line = head.lines().last().unwrap_or_default().to_ascii_lowercase();
                length = line.strip_prefix("content-length: ").map_or(length, |value| value.parse().unwrap());
            }
            if !head.starts_with("POST") {
                continue;
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            return head + &String::from_utf8(body).unwrap();
        }
    });
    (address, heard)
}

/// A shell as an author has it: in the clone, the program on its path, nothing of the cargo that runs this test.
fn shell(script: &str, folder: &Path) -> std::process::Output {
    let program = Path::new(env!("CARGO_BIN_EXE_incident-sink")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new("bash");
    command.args(["-euc", script]).current_dir(clone()).env("PATH", format!("{}:{path}", program.display())).env("HERE", folder);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| text.starts_with(prefix)) || text == "LD_LIBRARY_PATH" {
            command.env_remove(name);
        }
    }
    command.output().unwrap()
}

#[test]
fn a_reader_of_the_guide_gets_from_nothing_to_a_message_of_an_own_plugin() {
    let page = std::fs::read_to_string(clone().join("docs/first-plugin.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().to_string_lossy().into_owned();
    let (address, heard) = chat();
    let (mut written, mut script, mut shown) = (0, String::new(), String::new());
    for (kind, text) in blocks(&page) {
        match kind.as_str() {
            "my-chat.toml" | "event.json" => {
                let text = text.replace("../my-chat/", &format!("{here}/my-chat/")).replace("127.0.0.1:9000", &address);
                // Several tests may run hosts at the same time.
                std::fs::write(folder.path().join(&kind), text.replace("127.0.0.1:8740", "127.0.0.1:0")).unwrap();
                written += 1;
            }
            "sh" => {
                let places = [
                    ("../my-chat", format!("{here}/my-chat")),
                    ("my-chat.toml", format!("{here}/my-chat.toml")),
                    ("event.json", format!("{here}/event.json")),
                ];
                script += &places.into_iter().fold(text, |text, (theirs, ours)| text.replace(theirs, &ours));
                // A shell forgets what was exported when it ends.
                let output = shell(&script, folder.path());
                let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
                assert!(output.status.success(), "{script}\n{text}");
                shown += &text;
                script = script.lines().filter(|line| line.starts_with("export ")).map(|line| format!("{line}\n")).collect();
            }
            "text" => {
                let first = text.lines().next().unwrap();
                assert!(shown.contains(first), "{first:?} is not in\n{shown}");
            }
            other => panic!("nobody knows what to do with a block of {other:?}"),
        }
    }
    assert_eq!(written, 2);
    let message = heard.join().unwrap();
    assert!(
        message.starts_with("POST /hook HTTP/1.1\r\n") && message.to_lowercase().contains("authorization: bearer t0ken\r\n"),
        "{message}"
    );
    assert!(message.contains(r#""channel":"ops""#) && message.contains("[created] #7 Disk of db-1 is full"), "{message}");
    assert!(!shown.contains("t0ken"), "{shown}");
}
