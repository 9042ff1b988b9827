//! `plugin install`, `list` and `rollback`: which version is in use.
//!
//! They work on the plugin's file and the versions kept beside it, with or without a running host, which notices the changed file, verifies it
//! once more and swaps.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::client::Store;
use super::plugin::read;
use super::{Failure, output, plugin_table, setup};
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

/// Lists the kept versions, and what the running host, if there is one, knows of trials and failures.
pub(super) fn list(json: bool, config: &Path) -> Result<(), Failure> {
    let plan = plan(config)?;
    let states = setup::runtime()?.block_on(async {
        match Store::plugins(&plan).await? {
            Some(states) => Ok(states),
            None => {
                let states = upgrader(&plan).await?.states();
                states.iter().map(serde_json::to_value).collect::<Result<_, _>>().map_err(|error| Failure::Failed(error.to_string()))
            }
        }
    })?;
    if json { output::say_json(&states) } else { output::say(&plugin_table::draw(&states)) }
}

/// Goes back one version.
pub(super) fn rollback(name: &str, json: bool, config: &Path) -> Result<(), Failure> {
    let plan = plan(config)?;
    let back = setup::runtime()?.block_on(async { upgrader(&plan).await?.rollback(name, Who::Cli).await.map_err(failed) })?;
    tell(&back, json)
}
