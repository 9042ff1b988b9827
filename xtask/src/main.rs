//! The developer's commands: `cargo xtask demo`, `test`, `build`, `bench`, and their parts.
#![forbid(unsafe_code)]

mod author;
mod axe;
mod bench;
mod commands;
mod component;
#[cfg(unix)]
mod deb;
mod debian;
mod guest;
mod names;
mod process;
mod rustup;
mod stamp;
mod system;
mod toolchain;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask <COMMAND> [ARGS]

Commands:
  demo [ARGS]      build everything, then run `incident-sink demo ARGS`
  test [ARGS]      the same set-up, then every test; ARGS go to `cargo test`
  build            target/plugins/dingtalk.wasm and target/release/incident-sink
  bench [NAMES]    the benchmarks and one table of them; --short: the form for every change
  build-plugins    only the plugins: target/plugins/*.wasm and the tests' fixtures
  deb [ARGS]       the Debian package, in target/deb; --binary FILE takes a program that is there, --out FOLDER, --fast
  docs             writes the pages of docs/reference anew
  new-plugin DIR   a plugin of your own: a copy of plugin/template, named as its folder
  build-plugin DIR the component of a plugin anywhere: DIR/NAME.wasm
  ci               what has to pass before a change lands: format, lints, tests
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let result = match command.as_str() {
        "demo" => commands::demo(&rest),
        "test" => commands::test(&rest),
        "build" => commands::build(&rest),
        "bench" => bench::bench(&rest),
        "build-plugins" => commands::build_plugins(&rest),
        "deb" => commands::deb(&rest),
        "docs" => commands::docs(&rest),
        "new-plugin" => author::new_plugin(&rest),
        "build-plugin" => author::build_plugin(&rest),
        "ci" => commands::ci(&rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
