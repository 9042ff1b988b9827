//! `version`: what this program is, for people and for programs.

use serde::Serialize;

use super::{Failure, output};

/// Arguments of `version`.
#[derive(Debug, clap::Args)]
pub(super) struct VersionArgs {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Version {
    version: &'static str,
    contract: String,
    features: Vec<&'static str>,
    platform: String,
}

fn this() -> Version {
    let features = [
        ("console", cfg!(feature = "console")),
        ("nats", cfg!(feature = "nats")),
        ("postgres", cfg!(feature = "postgres")),
        ("simulator", cfg!(feature = "simulator")),
    ];
    Version {
        version: env!("CARGO_PKG_VERSION"),
        contract: format!("incident-sink:plugin@{}", crate::plugin::CONTRACT_VERSION),
        features: features.into_iter().filter_map(|(name, on)| on.then_some(name)).collect(),
        platform: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
    }
}

/// Prints it.
pub(super) fn version(args: &VersionArgs) -> Result<(), Failure> {
    let this = this();
    output::say_either(args.json, &this, || {
        let features = if this.features.is_empty() { "none".to_owned() } else { this.features.join(", ") };
        format!(
            "incident-sink {}\ncontract  {} (plugins of any 1.x run)\nfeatures  {features}\nplatform  {}",
            this.version, this.contract, this.platform
        )
    })
}
