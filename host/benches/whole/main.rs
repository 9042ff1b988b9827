//! The whole program against the limits of the machine: `cargo bench --workspace --bench whole -- [--short] [ROW…]`.
//!
//! Every row compares two things measured in the same run: rounds alternate, medians are compared, the spread is that of the rounds' ratios.
//! Rows: `enqueue`, `slow-disk`, `ingest`, `path`, `latency`, `start`, `memory`, `digest`, `growth`. Needs nginx, wrk and strace (`cargo xtask bench` installs them on Debian).

mod digest;
mod enqueue;
mod growth;
mod http;
mod ingest;
mod latency;
mod memory;
mod nginx;
mod path;
mod raw_log;
mod slow_disk;
mod stage;
mod start;
mod store;
#[expect(dead_code, reason = "other programs use the rest of it")]
mod table;
mod wrk;

use std::process::ExitCode;

use clap::Parser;

use table::Table;

/// What the short form is held against.
const KEPT: &str = include_str!("short.toml");

/// Any error: a benchmark that cannot measure ends with its text.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What the short form measures: what needs no minutes.
const SHORT: [&str; 4] = ["enqueue", "ingest", "path", "digest"];

#[derive(Parser)]
pub(crate) struct Args {
    /// Rows to measure; all of them when none is named.
    rows: Vec<String>,
    /// Seconds rather than minutes; fails when a ratio is twice as bad as the one kept for this form.
    #[arg(long)]
    pub(crate) short: bool,
    /// Ten million delivered rows for `growth` rather than one million.
    #[arg(long)]
    pub(crate) long: bool,
    /// Rounds of each kind.
    #[arg(long)]
    rounds: Option<usize>,
    /// Given by `slow-disk` to its own process.
    #[arg(long, hide = true)]
    pub(crate) slow_disk: bool,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Args {
    fn wants(&self, row: &str) -> bool {
        let all = if self.short { SHORT.contains(&row) } else { true };
        if self.rows.is_empty() { all } else { self.rows.iter().any(|name| name == row) }
    }

    /// Rounds of each kind.
    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.short { 3 } else { 5 }).max(1)
    }

    /// Seconds of a round under load.
    pub(crate) fn seconds(&self) -> u64 {
        if self.short { 1 } else { 3 }
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    let args = Args::parse();
    let table = measure(&args).await?;
    if !args.short || table.holds(KEPT)? {
        return Ok(ExitCode::SUCCESS);
    }
    println!("once more, since something else may have been busy on this machine:");
    Ok(if measure(&args).await?.holds(KEPT)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures what is wanted.
async fn measure(args: &Args) -> Result<Table, Failure> {
    let mut table = Table::default();
    if args.wants("enqueue") {
        enqueue::measure(args, &mut table).await?;
    }
    if args.wants("slow-disk") {
        slow_disk::measure(args)?;
    }
    if args.wants("ingest") {
        ingest::measure(args, &mut table).await?;
    }
    if args.wants("path") {
        path::measure(args, &mut table).await?;
    }
    if args.wants("latency") {
        latency::measure(args, &mut table).await?;
    }
    if args.wants("start") {
        start::measure(args, &mut table).await?;
    }
    if args.wants("memory") {
        memory::measure(&mut table).await?;
    }
    if args.wants("digest") {
        digest::measure(args, &mut table)?;
    }
    if args.wants("growth") {
        growth::measure(args, &mut table).await?;
    }
    Ok(table)
}
