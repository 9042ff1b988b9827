//! `cargo xtask bench`: every benchmark of the host, and one table of what they found.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use crate::process::{cargo, say};
use crate::{guest, system, workspace};

const HEAD: &str = "| what | ours | against | ratio (spread) | goal | reached |\n|---|---|---|---|---|---|";

/// What the short form measures.
const SHORT: [&str; 2] = ["call", "whole"];
/// The rows of `whole` in the short form that need no other program.
const ALONE: [&str; 2] = ["enqueue", "digest"];

/// The page that shows the table, and what stands before and behind it there.
const PAGE: &str = "docs/performance.md";
const MARKS: [&str; 2] = ["<!-- table: cargo xtask bench --docs -->\n", "<!-- end of the table -->"];

/// Benchmarks that are named, else all of them; `--short` is the form for every change, `--docs` puts the table into its page. What follows `--` goes
/// to the benchmarks.
pub(crate) fn bench(args: &[String]) -> Result<()> {
    let (own, theirs) = match args.iter().position(|arg| arg == "--") {
        Some(at) => (&args[..at], &args[at + 1..]),
        None => (args, &[][..]),
    };
    let has = |flag: &str| own.iter().any(|arg| arg == flag);
    let (short, docs) = (has("--short"), has("--docs"));
    let mut names: Vec<String> = own.iter().filter(|arg| !["--short", "--docs"].contains(&arg.as_str())).cloned().collect();
    if let Some(unknown) = names.iter().find(|name| name.starts_with('-')) {
        bail!("`bench` does not know `{unknown}`; what is meant for the benchmarks goes after `--`");
    }
    guest::build_all()?;
    let missing = system::prepare_bench();
    let mut theirs = theirs.to_vec();
    if short && !missing.is_empty() && theirs.is_empty() {
        // A change is not refused because a machine has no nginx.
        say(format_args!("left out, for want of {}: what is compared with them", missing.join(" and ")));
        theirs = ALONE.map(str::to_owned).to_vec();
    } else if !missing.is_empty() {
        bail!("the benchmarks need {}", missing.join(" and "));
    }
    if names.is_empty() {
        names = if short { SHORT.map(str::to_owned).to_vec() } else { all()? };
    }
    let mut table = Vec::new();
    let mut failed = Vec::new();
    for name in &names {
        if !run(name, short, &theirs, &mut table)? {
            failed.push(name.as_str());
        }
    }
    let table = format!("{HEAD}\n{}\n", table.join("\n"));
    let file = workspace::target().join("bench.md");
    std::fs::write(&file, &table).with_context(|| format!("cannot write {}", file.display()))?;
    print!("\n{table}");
    say(format_args!("this table is in {}", file.display()));
    if docs {
        show(&table)?;
    }
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

/// Puts the table into its page, in place of the one before.
fn show(table: &str) -> Result<()> {
    let file = workspace::root().join(PAGE);
    let page = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let [begin, end] = MARKS;
    let parts = page.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
    let (before, after) = parts.with_context(|| format!("{PAGE} has no place for the table: `{}` and `{end}`", begin.trim_end()))?;
    std::fs::write(&file, format!("{before}{begin}{table}{end}{after}")).with_context(|| format!("cannot write {}", file.display()))?;
    say(format_args!("and in {PAGE}"));
    Ok(())
}

/// The names of the benchmarks, as cargo knows them: one file or folder each.
fn all() -> Result<Vec<String>> {
    let folder = workspace::root().join("host/benches");
    let entries = folder.read_dir().with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

/// Runs one, passes its output on and keeps its lines of the table; says whether it succeeded.
fn run(name: &str, short: bool, args: &[String], table: &mut Vec<String>) -> Result<bool> {
    say(format_args!("benchmark `{name}`"));
    let mut command = cargo();
    command.args(["bench", "--workspace", "--bench", name]);
    if short {
        // The profile of the tests: nothing more to compile.
        command.args(["--profile", "dev"]);
    }
    command.arg("--").args(short.then_some("--short")).args(args);
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let output = child.stdout.take().context("cargo has no output")?;
    for line in BufReader::new(output).lines() {
        let line = line.context("cannot read a benchmark's output")?;
        println!("{line}");
        if line.starts_with("| ") {
            table.push(line);
        }
    }
    Ok(child.wait().context("cannot wait for cargo")?.success())
}
