//! A connector whose messages a plugin writes.
//!
//! `prepare` has the plugin write a request from events and the config without secrets. `attempt` has its other half sign that request from the
//! secrets, lets egress judge the result, sends it, and has the plugin read the answer. Both halves are of the version that wrote the draft.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tracing::warn;
use zeroize::Zeroize;

use super::answers::{self, fault, reason};
use super::connector::ConnectorConfig;
use super::draft::{PluginDraft, Sending, Work};
use super::egress::{self, Outgoing};
use super::http::{Answer, SendError};
use super::plugin_sinks::PluginSinks;
use super::problem::Problem;
use super::request::{Request, Stamp, Target};
use super::schema::Split;
use super::scrub::Scrub;
use super::template::Template;
use super::variables::Variables;
use super::{Attempt, Healthcheck, IncidentSink, Item, MessageContext, Outcome, Pace, Prepared, Profile};
use crate::outbox::{Draft, Reason};
use crate::plugin::{CallError, Plugin, Registry, convert, wit};
use crate::telemetry::traces::{self, OpenStep};

/// One connector.
pub struct PluginSink {
    sinks: PluginSinks,
    name: Arc<str>,
    config: Arc<ConnectorConfig>,
    /// The config as the version used last sees it.
    split: ArcSwapOption<Versioned>,
    /// Shows what a plugin says of secrets: they are samples.
    candid: bool,
}

pub(super) struct Versioned {
    digest: Box<str>,
    pub(super) split: Split,
}

/// For whom a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    /// Those who may respond.
    Group,
    /// Somebody who looks at what would be sent.
    Operator,
}

/// What the plugin wrote.
pub(super) struct Written {
    pub(super) work: Work,
    pub(super) covers: usize,
    /// A digest could not be written, so it is about the first item only.
    pub(super) alone: bool,
}

impl PluginSink {
    /// With the config as `plugin` sees it, checked.
    pub(super) fn new(sinks: PluginSinks, name: Arc<str>, config: Arc<ConnectorConfig>, plugin: &Plugin, split: Split) -> Self {
        let split = Versioned { digest: plugin.digest().into(), split };
        PluginSink { sinks, name, config, split: ArcSwapOption::from_pointee(split), candid: false }
    }

    /// With secrets that are none, so that an author is told what the plugin says of them.
    pub(super) fn candid(self) -> Self {
        PluginSink { candid: true, ..self }
    }

    /// The connector's config.
    pub fn config(&self) -> &Arc<ConnectorConfig> {
        &self.config
    }

    /// The connector's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What works, but most likely not as it was meant.
    pub fn warnings(&self) -> Vec<Problem> {
        self.config.warnings(&self.profile())
    }

    /// Looks whether the receiver can be reached and the plugin still takes the config. Sends no message.
    pub fn healthcheck(&self) -> Healthcheck {
        let (sinks, config) = (self.sinks.clone(), Arc::clone(&self.config));
        Box::pin(async move {
            let plugin = sinks.registry().current(config.kind()).ok_or_else(|| no_plugin(config.kind()))?;
            if let Err(problems) = sinks.check(&plugin, &config) {
                return Err(wrong_config(&problems));
            }
            sinks.http().probe(config.url(), config.timeout()).await.map_err(|error| unsent(&error))
        })
    }

    /// Which versions there are.
    pub(super) fn registry(&self) -> &Registry {
        self.sinks.registry()
    }

    /// A version by its digest. One that an earlier run used is compiled first, once.
    fn version(&self, digest: &str) -> Option<Plugin> {
        let (registry, kind) = (self.sinks.registry(), self.config.kind());
        registry.at_hand(kind, digest).or_else(|| blocking(|| registry.version(kind, digest)))
    }

    /// Everything wrong with the connector's config in the eyes of a version that need not be in use.
    pub fn check_with(&self, plugin: &Plugin) -> Result<(), Vec<Problem>> {
        self.sinks.check(plugin, &self.config).map(|_| ())
    }

    pub(super) fn http(&self) -> &super::http::HttpClient {
        self.sinks.http()
    }

    pub(super) fn current(&self) -> Result<Plugin, Reason> {
        self.sinks.registry().current(self.config.kind()).ok_or_else(|| no_plugin(self.config.kind()))
    }

    /// The config as a version sees it.
    pub(super) fn split(&self, plugin: &Plugin) -> Result<Arc<Versioned>, Reason> {
        if let Some(known) = self.split.load_full().filter(|known| *known.digest == *plugin.digest()) {
            return Ok(known);
        }
        let split = self.sinks.split(plugin, &self.config).map_err(|problems| wrong_config(&problems))?;
        let versioned = Arc::new(Versioned { digest: plugin.digest().into(), split });
        self.split.store(Some(Arc::clone(&versioned)));
        Ok(versioned)
    }

    /// Has the plugin write one message. What it refuses or fails to write for a batch is asked for again for the first item alone, so that
    /// the fault of one event is not another's, and a verdict is always about the event that it is given for.
    pub(super) fn write(&self, plugin: &Plugin, batch: &[Item], cx: &MessageContext) -> Result<Written, Reason> {
        self.write_for(Readers::Group, plugin, batch, cx)
    }

    /// As [`PluginSink::write`], for those readers.
    pub(super) fn write_for(&self, readers: Readers, plugin: &Plugin, batch: &[Item], cx: &MessageContext) -> Result<Written, Reason> {
        let split = self.split(plugin)?;
        let begin = |batch| self.begin(readers, plugin, &split.split, batch, cx);
        let mut step = begin(batch);
        let mut covered = batch.len();
        // One that spins is not asked twice in a row: others wait for this thread. The lane asks for one event alone, later.
        let alone = batch.len() > 1 && !matches!(step, Ok(wit::Step::Send(_)) | Err(CallError::Busy | CallError::Deadline { .. }));
        if alone && self.is_watched(plugin) {
            return Err(step.map_or_else(|error| fault(&error), |_| reason("digest", "a digest was refused", "")));
        }
        if alone {
            warn!(connector = %self.name, events = batch.len(), "A digest could not be written; the first event is sent alone.");
            step = begin(&batch[..1]);
            covered = 1;
        }
        match step.map_err(|error| fault(&error))? {
            wit::Step::Send(sending) => {
                let covers = (sending.covers as usize).clamp(1, covered.max(1));
                self.first_request(sending).map(|work| Written { work, covers, alone })
            }
            wit::Step::Done(outcome) => Ok(Written { work: Work::Decided(answers::decided(outcome)), covers: 1, alone }),
        }
    }

    fn begin(&self, readers: Readers, plugin: &Plugin, split: &Split, batch: &[Item], cx: &MessageContext) -> Result<wit::Step, CallError> {
        let zone = self.config.zone();
        let events: Vec<wit::Event> = batch.iter().map(|item| convert::event(&item.event, item.folded, batch.len(), zone)).collect();
        let mut context = self.context(cx);
        let maker = self.sinks.links();
        let links = |item: &Item| match readers {
            Readers::Group => maker.links(&self.name, &item.event, cx.now),
            Readers::Operator => maker.shown(&self.name, &item.event, cx.now),
        };
        context.links = batch.iter().flat_map(links).collect();
        if let [item] = batch {
            context.title = self.render("title", self.config.title(), item);
            context.text = self.render("text", self.config.text(), item);
        }
        let mut step = traces::step("begin");
        step.iter_mut()
            .for_each(|step| step.note("incident_sink.plugin", format!("{} {}", self.config.kind(), plugin.descriptor().version)));
        let begun = plugin.begin(&split.config, &events, &context);
        failed(&mut step, &begun);
        begun
    }

    /// What every call may know. Links and rendered templates belong to the events, so only `begin` gets them.
    pub(super) fn context(&self, cx: &MessageContext) -> wit::Context {
        let zone = self.config.zone();
        wit::Context {
            connector: self.name.to_string(),
            now: convert::timestamp_ms(cx.now, zone),
            attempt: cx.attempt,
            message_id: cx.key.clone(),
            memo: cx.memo.clone(),
            waiting: cx.waiting,
            links: Vec::new(),
            title: None,
            text: None,
            extra: zone.iana_name().map(|name| ("time-zone".to_owned(), name.to_owned())).into_iter().collect(),
        }
    }

    /// A template that fails with this event does not keep it back: the plugin's own look takes its place.
    fn render(&self, key: &str, template: Option<&Template>, item: &Item) -> Option<Vec<wit::Part>> {
        let variables =
            || Variables { event: Arc::clone(&item.event), connector: Arc::clone(&self.name), zone: self.config.zone().clone() };
        match template?.render(variables()) {
            Ok(parts) => Some(parts.into_iter().map(answers::part).collect()),
            Err(error) => {
                warn!(connector = %self.name, key, %error, "A template could not be rendered; the plugin's own look is used.");
                None
            }
        }
    }

    fn first_request(&self, sending: wit::Sending) -> Result<Work, Reason> {
        let work = Sending { step: 1, request: answers::request(sending.request), continuation: sending.continuation };
        // Refused here already, the message is not opened at all.
        self.admit(&work.request, &[])?;
        Ok(Work::Send(work))
    }

    /// The one rule that says where a request may go.
    pub(super) fn admit(&self, request: &Request, stamps: &[Stamp]) -> Result<Outgoing, Reason> {
        egress::admit(request, stamps, self.config.url(), &self.sinks.allow(self.config.kind()))
            .map_err(|error| reason("egress", error.to_string(), "Report it to the plugin's author; nothing was sent."))
    }

    /// Has the plugin's other half sign: it sees the secrets and an outline of the request.
    pub(super) fn sign(&self, plugin: &Plugin, request: &Request, now: i64) -> Result<Vec<Stamp>, Reason> {
        let split = self.split(plugin)?;
        let mut secrets: Vec<(String, String)> =
            split.split.secrets.iter().map(|(pointer, secret)| (pointer.to_string(), secret.expose().to_owned())).collect();
        let outline = wit::Outline {
            method: answers::method(request.method),
            query: request.query.clone(),
            body_sha256: Sha256::digest(&request.body).to_vec(),
        };
        let mut step = traces::step("sign");
        let stamps = plugin.sign(&secrets, &outline, u64::try_from(now).unwrap_or_default());
        if let (Some(step), Err(_)) = (&mut step, &stamps) {
            step.fail("the plugin did not sign");
        }
        drop(step);
        secrets.iter_mut().for_each(|(_, secret)| secret.zeroize());
        let shown = |error: CallError| if self.candid { error } else { error.without_words() };
        Ok(stamps.map_err(|error| fault(&shown(error)))?.into_iter().map(answers::stamp).collect())
    }

    /// Signs anew, since a signature is as old as its attempt. Also answers what must not come back.
    pub(super) fn signed(&self, plugin: &Plugin, request: &Request, now: i64) -> Result<(Outgoing, Scrub), Refused> {
        let stamps = self.sign(plugin, request, now).map_err(Refused::ByPlugin)?;
        let split = self.split(plugin).map_err(Refused::ByPlugin)?;
        let scrub = Scrub::new(split.split.secrets.iter().map(|(_, secret)| secret.expose()), &stamps);
        Ok((self.admit(request, &stamps).map_err(Refused::ByEgress)?, scrub))
    }

    async fn send(&self, plugin: &Plugin, sending: &Sending, cx: &MessageContext) -> Attempt {
        let (outgoing, scrub) = match self.signed(plugin, &sending.request, cx.now) {
            Ok(signed) => signed,
            // Nothing was sent: another version of the plugin may do better.
            Err(Refused::ByPlugin(reason)) => {
                self.accuse_of_signing(plugin, &sending.request, cx.now, &reason);
                return Attempt::Done(Outcome::Retry { after_ms: 0, reason });
            }
            Err(Refused::ByEgress(reason)) if self.accuse_of_signing(plugin, &sending.request, cx.now, &reason) => {
                return Attempt::Done(Outcome::Retry { after_ms: 0, reason });
            }
            Err(Refused::ByEgress(reason)) => return Attempt::Done(Outcome::Rejected { reason }),
        };
        let mut step = traces::step("POST").map(OpenStep::outward);
        let sent = self.sinks.http().send(&outgoing, self.config.timeout()).await;
        step.iter_mut().for_each(|step| tell_of_request(step, &outgoing, &sent));
        drop(step);
        let mut answer = match sent {
            Ok(answer) => answer,
            Err(error @ SendError::NotSent(_)) => return Attempt::Done(Outcome::Retry { after_ms: 0, reason: unsent(&error) }),
            Err(error @ SendError::Unknown(_)) => {
                let reason = reason("no-answer", error.to_string(), "The message is sent again unchanged; it may arrive twice.");
                return Attempt::Done(Outcome::Unknown { reason });
            }
        };
        scrub.clean(&mut answer);
        let (status, hint) = (answer.status.to_string(), answers::retry_after_ms(&answer.headers, cx.now));
        match self.resume_patiently(plugin, sending, &answers::response(answer), cx).await {
            Ok(wit::Step::Done(outcome)) => Attempt::Done(answers::judged(outcome, &status, hint).into()),
            Ok(wit::Step::Send(next)) => self.next_request(plugin, sending.step, next),
            // It was sent, and nobody can read the answer.
            Err(reason) => {
                self.accuse(plugin, &reason);
                Attempt::Done(Outcome::Unknown { reason })
            }
        }
    }

    /// Has the plugin read an answer.
    pub(super) fn resume(
        &self,
        plugin: &Plugin,
        sending: &Sending,
        answer: &wit::Response,
        cx: &MessageContext,
    ) -> Result<wit::Step, CallError> {
        let split = self.split(plugin).map_err(|reason| CallError::Malformed(reason.text))?;
        let mut step = traces::step("read answer");
        let resumed = plugin.resume(&split.split.config, &sending.continuation, answer, &self.context(cx));
        failed(&mut step, &resumed);
        resumed
    }

    /// Twice where it did not get the time, since the answer cannot be had again. In between others have as much time as the plugin took, so that
    /// no message of theirs meets both. Cancel-safe.
    async fn resume_patiently(
        &self,
        plugin: &Plugin,
        sending: &Sending,
        answer: &wit::Response,
        cx: &MessageContext,
    ) -> Result<wit::Step, Reason> {
        let step = match self.resume(plugin, sending, answer, cx) {
            Err(CallError::Busy | CallError::Deadline { .. }) => {
                tokio::time::sleep(plugin.limits().deadline.0).await;
                self.resume(plugin, sending, answer, cx)
            }
            step => step,
        };
        step.map_err(|error| fault(&error))
    }

    /// The same where nobody waits.
    pub(super) fn resume_now(
        &self,
        plugin: &Plugin,
        sending: &Sending,
        answer: &wit::Response,
        cx: &MessageContext,
    ) -> Result<wit::Step, Reason> {
        match self.resume(plugin, sending, answer, cx) {
            Err(CallError::Busy | CallError::Deadline { .. }) => self.resume(plugin, sending, answer, cx),
            step => step,
        }
        .map_err(|error| fault(&error))
    }

    fn next_request(&self, plugin: &Plugin, step: u32, next: wit::Sending) -> Attempt {
        let request = answers::request(next.request);
        let limit = plugin.limits().steps;
        if step >= limit {
            let text = format!("the plugin wants more than {limit} requests for one message");
            let reason = reason("too-many-steps", text, "Report it to the plugin's author.");
            return Attempt::Done(Outcome::Rejected { reason });
        }
        if let Err(reason) = self.admit(&request, &[]) {
            return Attempt::Done(Outcome::Rejected { reason });
        }
        let paced = request.target == Target::Connector;
        let work = Work::Send(Sending { step: step + 1, request, continuation: next.continuation });
        Attempt::Next { draft: PluginDraft::new(work).seal(plugin.digest()), paced }
    }
}

/// What a trace knows of a request: never its path and query, which hold credentials.
fn tell_of_request(step: &mut OpenStep, outgoing: &Outgoing, sent: &Result<Answer, SendError>) {
    step.note("http.request.method", outgoing.method.as_str());
    step.note("server.address", outgoing.url.host_str().unwrap_or_default());
    match sent {
        Ok(answer) => step.note("http.response.status_code", i64::from(answer.status)),
        Err(error) => step.fail(&error.to_string()),
    }
}

fn failed<T>(step: &mut Option<OpenStep>, called: &Result<T, CallError>) {
    if let (Some(step), Err(error)) = (step, called) {
        step.fail(&error.to_string());
    }
}

/// Runs what takes some tens of milliseconds without holding up other tasks, where the runtime has threads to spare.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match tokio::runtime::Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// Who did not let a request go.
pub(super) enum Refused {
    ByPlugin(Reason),
    ByEgress(Reason),
}

fn no_plugin(kind: &str) -> Reason {
    reason("plugin-missing", format!("the plugin `{kind}` is not installed"), "Install it with `incident-sink plugin install`.")
}

fn wrong_config(problems: &[Problem]) -> Reason {
    let texts: Vec<String> = problems.iter().map(Problem::to_string).collect();
    reason("config", texts.join("; "), "Correct the connector's config, or go back to the plugin's earlier version.")
}

fn unsent(error: &SendError) -> Reason {
    reason("unreachable", error.to_string(), "Check the connector's URL, the network and the proxy.")
}

#[async_trait]
impl IncidentSink for PluginSink {
    fn profile(&self) -> Profile {
        let Some(plugin) = self.sinks.registry().current(self.config.kind()) else { return Profile { pace: None, max_batch: 1 } };
        let descriptor = plugin.descriptor();
        let ms = |ms: u64| u32::try_from(ms).unwrap_or(u32::MAX);
        let pace = |pace: &wit::Pace| Pace { messages: pace.messages, window_ms: ms(pace.window_ms), penalty_ms: ms(pace.penalty_ms) };
        Profile { pace: descriptor.pace.as_ref().map(pace), max_batch: descriptor.max_batch as usize }
    }

    fn prepare(&self, batch: &[Item], cx: &MessageContext) -> Result<Prepared, Reason> {
        let (plugin, written) = self.write_on_trial(batch, cx)?;
        Ok(Prepared { draft: PluginDraft::new(written.work).seal(plugin.digest()), covers: written.covers })
    }

    fn blames_event(&self, reason: &Reason) -> bool {
        // No plugin, a config that it does not take, no slot in time: no event can help that.
        !matches!(reason.code.as_str(), "plugin-missing" | "config" | "plugin-busy")
    }

    fn can_attempt(&self, draft: &Draft) -> bool {
        if self.is_doubtful(draft) {
            return false;
        }
        match PluginDraft::open(draft) {
            Ok(PluginDraft { work: Work::Decided(_), .. }) => true,
            Ok(_) => self.version(&draft.author).is_some(),
            Err(_) => false,
        }
    }

    async fn attempt(&self, draft: &Draft, cx: &MessageContext) -> Attempt {
        let again = |reason| Attempt::Done(Outcome::Retry { after_ms: 0, reason });
        let attempt = match PluginDraft::open(draft) {
            Ok(PluginDraft { work: Work::Decided(decided), .. }) => Attempt::Done(decided.into()),
            Ok(PluginDraft { work: Work::Send(sending), .. }) => match self.version(&draft.author) {
                Some(plugin) => self.send(&plugin, &sending, cx).await,
                None => again(no_plugin(self.config.kind())),
            },
            Err(error) => again(reason("draft", error.to_string(), "The message is written anew.")),
        };
        self.judge(draft, cx, attempt)
    }
}
