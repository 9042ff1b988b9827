//! The documents of this repository, and the blocks of code in them.

use std::path::{Path, PathBuf};

/// A block of code.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) text: String,
    /// `file:line` of its first line.
    pub(crate) place: String,
    /// What the comment before it says: why it is not run here.
    pub(crate) not_run: Option<String>,
}

/// The repository's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Every document for people.
pub(crate) fn documents() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| is_markdown(path)).collect();
    for folder in ["docs", "wit", "plugin", "host/packaging"] {
        below(&root().join(folder), &mut found);
    }
    found.sort();
    found
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            below(&path, found);
        } else if is_markdown(&path) {
            found.push(path);
        }
    }
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "md")
}

/// As people would name it.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// The blocks of a document. A comment `<!-- not run: REASON -->` on the line before a block says why it is not run.
pub(crate) fn blocks(path: &Path) -> Vec<Block> {
    let text = std::fs::read_to_string(path).unwrap();
    let (mut blocks, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
    let mut reason = None;
    for (number, line) in text.lines().enumerate() {
        let bare = line.trim();
        match (&mut open, bare.strip_prefix("```")) {
            (None, Some(language)) => {
                let place = format!("{}:{}", shown(path), number + 2);
                open = Some(Block { language: language.trim().to_owned(), text: String::new(), place, not_run: reason.take() });
            }
            (Some(_), Some("")) => blocks.extend(open.take()),
            (Some(block), _) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) if bare.is_empty() => {}
            (None, None) => {
                reason = bare.strip_prefix("<!-- not run: ").and_then(|rest| rest.strip_suffix(" -->")).map(str::to_owned);
            }
        }
    }
    assert!(open.is_none(), "{}: a block is not closed", shown(path));
    blocks
}

/// What links and pictures lead to.
pub(crate) fn links(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        inside ^= line.trim_start().starts_with("```");
        if inside {
            continue;
        }
        found.extend(line.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned));
        found.extend(line.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned));
    }
    found
}
