//! Programs of the system that some tests need.

use crate::process::{in_path, say};
use crate::{axe, debian};

/// Tells tests which programs they have to do without, separated by commas. A test that needs one of them reports itself as left out.
pub(crate) const LEFT_OUT: &str = "INCIDENT_SINK_LEFT_OUT";

/// A program that tests start.
struct Needed {
    /// The package of Debian and Ubuntu that has it.
    package: &'static str,
    /// What tests start.
    binary: &'static str,
    /// What is left out without it.
    used_by: &'static str,
}

/// To add one: a line here, and in the test a look at [`LEFT_OUT`].
const NEEDED: &[Needed] = &[
    Needed { package: "chromium", binary: "chromium", used_by: "the console's pages" },
    Needed { package: "chromium-driver", binary: "chromedriver", used_by: "the console's pages" },
    Needed { package: "nats-server", binary: "nats-server", used_by: "the tests of the NATS source" },
    Needed { package: "npm", binary: "npm", used_by: "fetching axe-core, which looks for barriers in the console's pages" },
    Needed { package: "postgresql", binary: "postgres", used_by: "the tests of the outbox that hosts share" },
    Needed { package: "prometheus", binary: "promtool", used_by: "the checks of metrics and alert rules" },
    Needed { package: "prometheus-alertmanager", binary: "prometheus-alertmanager", used_by: "the tests of Alertmanager's webhook" },
    Needed { package: "strace", binary: "strace", used_by: "the test of a disk that fails to sync" },
    Needed { package: "systemd", binary: "systemd-analyze", used_by: "the systemd unit and the Debian package" },
    Needed { package: "dpkg", binary: "dpkg-deb", used_by: "the Debian package" },
    Needed { package: "binutils", binary: "strip", used_by: "the size of the container image" },
    Needed { package: "bsdutils", binary: "script", used_by: "what commands draw on a terminal" },
];

/// What benchmarks start.
const BENCH: &[Needed] = &[
    Needed { package: "nginx-light", binary: "nginx", used_by: "the comparisons of `cargo xtask bench`" },
    Needed { package: "postgresql", binary: "postgres", used_by: "what the outbox that hosts share costs" },
    Needed { package: "strace", binary: "strace", used_by: "the hand-over on a slow disk" },
    Needed { package: "wrk", binary: "wrk", used_by: "the load of `cargo xtask bench`" },
];

/// Installs what tests need. Returns the programs that they have to do without.
pub(crate) fn prepare() -> Vec<&'static str> {
    let mut left_out = install(NEEDED);
    if !axe::prepare() {
        left_out.push(axe::NAME);
    }
    left_out
}

/// Installs what benchmarks need. Returns the packages that are missing.
pub(crate) fn prepare_bench() -> Vec<&'static str> {
    let missing = install(BENCH);
    BENCH.iter().filter(|needed| missing.contains(&needed.binary)).map(|needed| needed.package).collect()
}

/// Installs what is missing where that is possible. Returns the programs that still are.
fn install(needed: &'static [Needed]) -> Vec<&'static str> {
    let missing: Vec<&Needed> = needed.iter().filter(|needed| is_missing(needed)).collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let packages: Vec<&str> = missing.iter().map(|needed| needed.package).collect();
    if debian::has_apt() {
        debian::install(&packages);
    }
    let missing: Vec<&Needed> = missing.into_iter().filter(|needed| is_missing(needed)).collect();
    if !missing.is_empty() {
        let list: Vec<String> = missing.iter().map(|needed| format!("{} (for {})", needed.package, needed.used_by)).collect();
        say(format_args!("without them something is left out: {}", list.join(", ")));
    }
    missing.into_iter().map(|needed| needed.binary).collect()
}

fn is_missing(needed: &Needed) -> bool {
    // Debian keeps some servers out of the search path, those of PostgreSQL in a folder for each version.
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|version| version.path().join("bin"));
    in_path(needed.binary).is_none() && !versions.chain(["/usr/sbin".into()]).any(|folder| folder.join(needed.binary).is_file())
}
