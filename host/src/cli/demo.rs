//! `demo`: everything on loopback.

use std::path::PathBuf;

use super::{Failure, output, setup};
use crate::simulator::demo;

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// The component.
    #[arg(long, value_name = "FILE", default_value = "target/plugins/dingtalk.wasm")]
    plugin: PathBuf,
    /// How many times as fast the clocks run.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1000))]
    speed: u32,
    /// How many incidents the storm has.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=5000))]
    storm: u32,
    /// Writes the conversation as a picture.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Runs the demo.
pub(super) fn demo(args: &DemoArgs) -> Result<(), Failure> {
    let options = demo::Options {
        plugin: args.plugin.clone(),
        speed: args.speed,
        colour: output::colour(),
        svg: args.svg.clone(),
        storm: args.storm as usize,
    };
    // A reader that went away ends nothing: the demo counts to its end.
    let say = |line: &str| drop(output::say(line));
    let total = setup::runtime()?.block_on(demo::run(&options, &say)).map_err(Failure::Failed)?;
    output::say(&format!(
        "{} events in, {} messages out, {} dead letter(s) with a reason, lost {}",
        total.events, total.messages, total.dead, total.lost
    ))?;
    if total.lost > 0 { Err(Failure::Failed("something was lost".to_owned())) } else { Ok(()) }
}
