//! `plugin install`, `list` and `rollback`: which version is in use.
//!
//! They work on the plugin's file and the versions kept beside it, with or without a running host, which notices the changed file, verifies it
//! once more and swaps.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::client::Store;
use super::plugin::read;
use super::{Failure, output, setup};
use crate::clock::Clock;
use crate::delivery::links::OpenLinks;
use crate::delivery::upgrade::{InstallOptions, Installed, UpgradeError, Upgrader, Who};
use crate::host::{Plan, Sinks};
use crate::plugin::{Engine, EngineOptions, Limits, Plugin, signature};

fn failed(error: UpgradeError) -> Failure {
    match error {
        UpgradeError::Unknown(_) => Failure::Config(error.to_string()),
        UpgradeError::Load(_) | UpgradeError::Golden { .. } => Failure::Failed(format!("{error}; nothing was changed"))
            .next("`incident-sink plugin test FILE` runs every check on a component"),
        UpgradeError::NoEarlier(_) => {
            Failure::Failed(error.to_string()).next("`incident-sink plugin list` shows the versions that are kept")
        }
        error => Failure::Failed(format!("{error}; nothing was changed")),
    }
}

fn plan(config: &Path) -> Result<Plan, Failure> {
    let plan = setup::plan(config)?;
    setup::quiet_logs(&plan)?;
    Ok(plan)
}

/// With the versions in use and every connector.
async fn upgrader(plan: &Plan) -> Result<Upgrader, Failure> {
    Ok(Sinks::build(plan, &Clock::system(), Arc::new(OpenLinks)).await?.upgrader)
}

/// How to install, and how to tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    /// Also an older version.
    pub(super) force: bool,
    /// Only write so many messages along.
    pub(super) shadow: Option<u32>,
    /// As JSON.
    pub(super) json: bool,
}

/// Verifies a component and puts it to use, under the name that it gives itself.
pub(super) fn install(file: &Path, how: How, config: &Path) -> Result<(), Failure> {
    let plan = plan(config)?;
    let bytes = read(file)?;
    let signature = signature::read(file).ok();
    let engine = Engine::new(EngineOptions::default()).map_err(|error| Failure::Failed(error.to_string()))?;
    let most = plan.plugins.values().map(|config| config.limits.component).max().unwrap_or(Limits::default().component);
    let limits = Limits { component: most, ..Limits::default() };
    let seen = Plugin::load(&engine, &bytes, &limits).map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))?;
    let name = seen.descriptor().name.clone();
    let Some(there) = plan.plugins.get(&name) else { return Err(failed(UpgradeError::Unknown(name))) };
    if let Some(messages) = how.shadow {
        setup::runtime()?.block_on(Store::shadow(&plan, &name, bytes, signature, messages))?;
        let version = seen.descriptor().version.to_string();
        let told = json!({ "name": name, "version": version, "shadow": messages, "changed": false });
        return output::say_either(how.json, &told, || {
            format!("{name} {version} writes the next {messages} messages along; nothing is swapped")
        });
    }
    let first = !plan.document.base().join(&there.path).exists();
    let installed = setup::runtime()?.block_on(async {
        let upgrader = match first {
            true => Upgrader::empty(engine, plan.plugins.clone(), plan.document.base(), Clock::system()),
            false => upgrader(&plan).await?,
        };
        let options = InstallOptions { force: how.force, shadow: None };
        upgrader.install(&name, bytes, signature, Who::Cli, options).await.map_err(failed)
    })?;
    tell(&installed, how.json)
}

fn tell(installed: &Installed, json: bool) -> Result<(), Failure> {
    let Installed { name, version, digest, before, changed } = installed;
    output::say_either(json, installed, || match (changed, before) {
        (false, _) => format!("{name} {version} is in use already ({digest})"),
        (true, Some(before)) => format!("{name} {version} is in use instead of {before} ({digest})"),
        (true, None) => format!("{name} {version} is in use ({digest})"),
    })
}

/// Lists the kept versions.
pub(super) fn list(json: bool, config: &Path) -> Result<(), Failure> {
    let plan = plan(config)?;
    let states = setup::runtime()?.block_on(async { Ok::<_, Failure>(upgrader(&plan).await?.states()) })?;
    if json {
        return output::say_json(&states);
    }
    let mut rows = Vec::new();
    for state in states {
        if !state.versions.iter().any(|version| version.current) {
            rows.push([state.name.clone(), state.version, short(&state.digest), "-".into(), "config".into(), "in use".into()].to_vec());
        }
        for version in state.versions {
            let note = match (version.current, version.failed) {
                (true, _) => "in use".to_owned(),
                (false, Some(failed)) => format!("failed: {failed}"),
                (false, None) => String::new(),
            };
            let (at, who) = (output::moment(version.at), version.who.to_string());
            rows.push([state.name.clone(), version.version, short(&version.digest), at, who, note].to_vec());
        }
    }
    output::say(&output::table(&["PLUGIN", "VERSION", "SHA-256", "INSTALLED", "BY", ""], &rows))
}

fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

/// Goes back one version.
pub(super) fn rollback(name: &str, json: bool, config: &Path) -> Result<(), Failure> {
    let plan = plan(config)?;
    let back = setup::runtime()?.block_on(async { upgrader(&plan).await?.rollback(name, Who::Cli).await.map_err(failed) })?;
    tell(&back, json)
}
