//! The conformance suite: what an author runs on a component, `incident-sink plugin test FILE`.
//!
//! It goes the way that a message goes (write, sign, egress, read the answer) with nothing sent: every kind of event, digests, hostile text, every
//! class of answers, each twice. A config for it comes from the author, or from the examples and defaults of the plugin's schema.

mod sample;
mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value};

use super::golden;
use crate::delivery::connector::ConnectorConfig;
use crate::delivery::draft::{PluginDraft, Sending, Work};
use crate::delivery::http::{HttpClient, Proxy};
use crate::delivery::links::OpenLinks;
use crate::delivery::plugin_sink::{PluginSink, Refused};
use crate::delivery::plugin_sinks::PluginSinks;
use crate::delivery::{Item, MessageContext};
use crate::outbox::Reason;
use crate::plugin::{Engine, Limits, Plugin, Registry, wit};

/// Where the messages would go; never resolved.
const URL: &str = "https://receiver.invalid/send?token=conformance";
/// The time in the suite: any, but always the same.
const NOW: i64 = 1_780_000_000_000;

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What is checked, as a sentence.
    pub name: &'static str,
    /// What is wrong; `None` where it passed.
    pub failure: Option<String>,
}

/// What the suite found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conformance {
    /// The plugin's name and version, if it could be loaded.
    pub plugin: Option<String>,
    /// Each check that could be made, in order. One that fails at the start leaves the others out.
    pub checks: Vec<Check>,
    /// The longest call of the plugin in microseconds, and what it may take at the most.
    pub slowest_us: u64,
    /// The deadline of its limits, in microseconds.
    pub deadline_us: u64,
}

impl Conformance {
    /// Whether everything was as it should be.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.failure.is_none())
    }

    fn check(&mut self, name: &'static str, result: Result<(), String>) -> bool {
        let failure = result.err();
        let passed = failure.is_none();
        self.checks.push(Check { name, failure });
        passed
    }
}

impl fmt::Display for Conformance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.plugin.as_deref().unwrap_or("not a plugin"))?;
        for Check { name, failure } in &self.checks {
            match failure {
                None => writeln!(f, "  ok      {name}")?,
                Some(text) => writeln!(f, "  FAILED  {name}: {text}")?,
            }
        }
        let (good, all) = (self.checks.iter().filter(|check| check.failure.is_none()).count(), self.checks.len());
        writeln!(f, "{good} of {all} checks passed; the slowest message took {} us of {} us", self.slowest_us, self.deadline_us)
    }
}

/// Runs the suite on a component. `connector` is a connector's table in the form of the config file; the schema's examples fill in for none.
/// Blocks, for as long as the plugin takes.
pub fn run(engine: &Engine, bytes: &[u8], limits: &Limits, connector: Option<&Value>) -> Conformance {
    let deadline_us = u64::try_from(limits.deadline.0.as_micros()).unwrap_or(u64::MAX);
    let mut found = Conformance { plugin: None, checks: Vec::new(), slowest_us: 0, deadline_us };
    let plugin = match Plugin::load(engine, bytes, limits) {
        Ok(plugin) => plugin,
        Err(error) => {
            found.check("it is a plugin of this contract", Err(error.to_string()));
            return found;
        }
    };
    found.plugin = Some(format!("{} {}", plugin.descriptor().name, plugin.descriptor().version));
    found.check("it is a plugin of this contract", Ok(()));
    let again = Plugin::load(engine, bytes, limits).map_err(|error| error.to_string());
    let constant = again.and_then(|again| same("its description", plugin.descriptor(), again.descriptor()));
    found.check("it describes itself alike every time", constant);
    match sink(&plugin, connector) {
        Ok(sink) => {
            found.check("it takes the config", Ok(()));
            Bench { sink, plugin, slowest: Duration::ZERO }.run(&mut found);
        }
        Err(text) => {
            found.check("it takes the config", Err(text));
        }
    }
    found
}

/// A connector of the plugin, with the given config or a sample.
fn sink(plugin: &Plugin, connector: Option<&Value>) -> Result<PluginSink, String> {
    let descriptor = plugin.descriptor();
    let mut table = match connector {
        Some(Value::Object(table)) => table.clone(),
        Some(_) => return Err("a connector's config is a table".to_owned()),
        None => sample::of(&descriptor.config_schema).as_object().cloned().unwrap_or_default(),
    };
    table.entry("type").or_insert_with(|| descriptor.name.as_str().into());
    table.entry("url").or_insert_with(|| URL.into());
    build(plugin, table)
}

fn build(plugin: &Plugin, table: Map<String, Value>) -> Result<PluginSink, String> {
    let lines = |problems: Vec<crate::delivery::problem::Problem>| {
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ") + " (give a config with --connector-config)"
    };
    let registry = Registry::default();
    registry.swap(&plugin.descriptor().name, plugin.clone());
    let http = HttpClient::new(&Proxy::Direct).map_err(|error| error.to_string())?;
    let sinks = PluginSinks::new(registry, &BTreeMap::new(), http, Arc::new(OpenLinks));
    let config = ConnectorConfig::parse(&Value::Object(table)).map_err(lines)?;
    sinks.build("conformance".into(), Arc::new(config)).map(PluginSink::candid).map_err(lines)
}

/// A plugin behind a connector.
struct Bench {
    sink: PluginSink,
    plugin: Plugin,
    slowest: Duration,
}

impl Bench {
    fn run(mut self, found: &mut Conformance) {
        let kinds = golden::batches(&self.plugin).into_iter().try_for_each(|(what, batch)| self.message(&what, &batch).map(|_| ()));
        found.check("it writes every kind of event, alone and in digests, the same way every time", kinds);
        let hostile = text::hostile().into_iter().try_for_each(|(what, batch)| self.message(what, &batch).map(|_| ()));
        found.check("it writes whatever text an event holds", hostile);
        let bounded = text::huge(self.plugin.descriptor().max_batch as usize)
            .into_iter()
            .try_for_each(|(what, batch)| self.message(what, &batch).map(|_| ()));
        found.check("it keeps within its limits with the largest events", bounded);
        let (_, batch) = golden::batches(&self.plugin).swap_remove(0);
        match self.message("an event", &batch) {
            Ok(Some(sending)) => {
                found.check("it reads every status with any body", self.answers(&sending));
                found.check("it takes no refusal for a delivery", self.refusals(&sending));
            }
            Ok(None) => drop(found.check("it sends a message for a new incident", Err("it decides without sending".to_owned()))),
            Err(text) => drop(found.check("it sends a message for a new incident", Err(text))),
        }
        found.slowest_us = u64::try_from(self.slowest.as_micros()).unwrap_or(u64::MAX);
    }

    /// Writes and signs one message twice; `None` where the plugin decides without sending.
    fn message(&mut self, what: &str, batch: &[Item]) -> Result<Option<Sending>, String> {
        let cx = golden::context(NOW);
        let wrong = |reason: Reason| format!("{what}: {}", reason.text);
        let (first, second) = (self.once(batch, &cx).map_err(wrong)?, self.once(batch, &cx).map_err(wrong)?);
        if first.0 != second.0 || first.1 != second.1 {
            return Err(format!("{what}: the same call gave two different answers"));
        }
        match PluginDraft::open(&crate::outbox::Draft { prepared: first.0, author: String::new() }) {
            Ok(PluginDraft { work: Work::Send(sending), .. }) => Ok(Some(sending)),
            Ok(_) => Ok(None),
            Err(error) => Err(format!("{what}: {error}")),
        }
    }

    /// A draft, and the signed request as text.
    fn once(&mut self, batch: &[Item], cx: &MessageContext) -> Result<(Vec<u8>, String), Reason> {
        let began = Instant::now();
        let written = self.sink.write(&self.plugin, batch, cx)?;
        self.slowest = self.slowest.max(began.elapsed());
        if written.alone {
            return Err(Reason { code: "digest".into(), text: "it cannot write a digest".into(), advice: String::new() });
        }
        let signed = match &written.work {
            Work::Send(sending) => {
                let (outgoing, _) = self.sink.signed(&self.plugin, &sending.request, cx.now).map_err(|refused| match refused {
                    Refused::ByPlugin(reason) | Refused::ByEgress(reason) => reason,
                })?;
                golden::is_what_it_says(&outgoing)?;
                let headers: Vec<_> = outgoing.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
                format!("{} {headers:?} {:?}", outgoing.url, outgoing.body())
            }
            Work::Decided(_) => String::new(),
        };
        Ok((PluginDraft::new(written.work).seal("").prepared, signed))
    }

    /// Every status, each with every body, twice.
    fn answers(&self, sending: &Sending) -> Result<(), String> {
        for status in 100..600 {
            for (what, body) in text::answers() {
                let wrong = |reason: Reason| format!("status {status} with {what}: {}", reason.text);
                let first = self.end(sending, status, &body).map_err(wrong)?;
                // Each status once in a while is enough to see an answer that differs.
                if status % 50 == 0 && format!("{first:?}") != format!("{:?}", self.end(sending, status, &body).map_err(wrong)?) {
                    return Err(format!("status {status} with {what}: the same call gave two different answers"));
                }
            }
        }
        Ok(())
    }

    /// An answer of 4xx or 5xx without a word is no delivery.
    fn refusals(&self, sending: &Sending) -> Result<(), String> {
        for status in (400..600).step_by(10) {
            let outcome = self.end(sending, status, b"").map_err(|reason| reason.text)?;
            if matches!(outcome, wit::Outcome::Delivered(_)) {
                return Err(format!("status {status} with an empty body counts as delivered"));
            }
        }
        Ok(())
    }

    fn end(&self, sending: &Sending, status: u16, body: &[u8]) -> Result<wit::Outcome, Reason> {
        self.sink.read_to_the_end(&self.plugin, sending, status, body, &golden::context(NOW))
    }
}

fn same<T: PartialEq>(what: &str, first: &T, second: &T) -> Result<(), String> {
    if first == second { Ok(()) } else { Err(format!("{what} differs from call to call")) }
}
