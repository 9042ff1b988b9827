//! The first messages of a new version, watched: canary and shadow.
//!
//! A *canary* is a version in use whose first messages are compared with what the version before would have done. A fault convicts it at
//! once. A message that it has rejected gets a second opinion: it is written again by the version before, and if that one delivers, the new
//! version is convicted; if that one is rejected too, it was not the new version's doing. A *shadow* is not in use: it writes the same messages,
//! and the differences are noted.
//!
//! Pure state under one lock that is not taken while nothing is on trial.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::Notify;

use super::call::Plugin;

/// Convicted versions of a plugin that are remembered, so that what they wrote is written anew.
const CONVICTS: usize = 16;
/// Differences of a shadow that are kept for people.
const SAMPLES: usize = 20;
/// Rejected messages that wait for a second opinion at a time.
const DOUBTS: usize = 64;

/// All trials of a registry.
#[derive(Debug, Default)]
pub struct Trials {
    /// Whether there may be anything to look at.
    busy: AtomicBool,
    table: Mutex<BTreeMap<String, Docket>>,
    verdicts: Mutex<VecDeque<Verdict>>,
    news: Notify,
}

/// One plugin's trials.
#[derive(Debug, Default)]
struct Docket {
    canary: Option<Canary>,
    shadow: Option<Shadow>,
    convicts: VecDeque<String>,
}

#[derive(Debug)]
struct Canary {
    new: Plugin,
    old: Plugin,
    left: u32,
    of: u32,
    doubts: Vec<Doubt>,
}

/// A message that waits for its second opinion.
#[derive(Clone, Debug)]
struct Doubt {
    key: String,
    draft: Vec<u8>,
    why: String,
}

#[derive(Debug)]
struct Shadow {
    plugin: Plugin,
    state: ShadowState,
}

/// A version that was taken out of use by itself.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The plugin.
    pub name: String,
    /// The version that failed.
    pub failed: Plugin,
    /// The one that is in use again.
    pub back: Plugin,
    /// Why.
    pub why: String,
}

/// A canary, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CanaryState {
    /// The version that is watched.
    pub version: String,
    /// The one that it is compared with.
    pub before: String,
    /// Messages that are still to be watched.
    pub left: u32,
    /// Of so many.
    pub of: u32,
    /// Rejected messages that the version before is asked about.
    pub doubts: usize,
}

/// A shadow, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShadowState {
    /// The version that writes along.
    pub version: String,
    /// Its digest.
    pub digest: String,
    /// Messages that are still to be compared.
    pub left: u32,
    /// Messages that both wrote alike.
    pub same: u32,
    /// Messages that they wrote differently.
    pub different: u32,
    /// Messages that the shadow failed to write.
    pub failed: u32,
    /// The first differences.
    pub samples: Vec<String>,
}

/// How a shadow did with one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Alike.
    Same,
    /// Not alike: where.
    Different(String),
    /// It failed: why.
    Failed(String),
}

impl Trials {
    fn table(&self) -> MutexGuard<'_, BTreeMap<String, Docket>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The docket of a plugin, if there is anything on trial at all.
    fn docket<T>(&self, name: &str, look: impl FnOnce(&mut Docket) -> Option<T>) -> Option<T> {
        if !self.busy.load(Ordering::Acquire) {
            return None;
        }
        self.table().get_mut(name).and_then(look)
    }

    fn open<T>(&self, name: &str, change: impl FnOnce(&mut Docket) -> T) -> T {
        let mut table = self.table();
        let answer = change(table.entry(name.to_owned()).or_default());
        self.busy.store(true, Ordering::Release);
        answer
    }

    /// Watches the next `messages` of `new`; 0 watches none. A trial of another version ends without a verdict.
    pub fn watch(&self, name: &str, new: &Plugin, old: &Plugin, messages: u32) {
        self.open(name, |docket| {
            docket.convicts.retain(|digest| digest != new.digest());
            docket.shadow = None;
            docket.canary =
                (messages > 0).then(|| Canary { new: new.clone(), old: old.clone(), left: messages, of: messages, doubts: Vec::new() });
        });
    }

    /// Ends whatever is on trial.
    pub fn end(&self, name: &str) {
        self.docket(name, |docket| {
            (docket.canary, docket.shadow) = (None, None);
            Some(())
        });
    }

    /// The version to compare with, while `digest` is watched.
    pub fn watched(&self, name: &str, digest: &str) -> Option<Plugin> {
        self.docket(name, |docket| docket.canary.as_ref().filter(|canary| canary.new.digest() == digest).map(|canary| canary.old.clone()))
    }

    /// Whether a version was taken out of use by itself: what it wrote is not to be sent.
    pub fn is_convicted(&self, name: &str, digest: &str) -> bool {
        self.docket(name, |docket| docket.convicts.iter().any(|other| other == digest).then_some(())).is_some()
    }

    /// Whether a draft is about to get a second opinion.
    pub fn is_doubted(&self, name: &str, draft: &[u8]) -> bool {
        self.docket(name, |docket| docket.canary.as_ref()?.doubts.iter().any(|doubt| doubt.draft == draft).then_some(())).is_some()
    }

    /// The version that gives a message its second opinion.
    pub fn second(&self, name: &str, key: &str) -> Option<Plugin> {
        self.docket(name, |docket| {
            let canary = docket.canary.as_ref()?;
            canary.doubts.iter().any(|doubt| doubt.key == key).then(|| canary.old.clone())
        })
    }

    /// A watched version had a message rejected. Whether it gets a second opinion.
    pub fn doubt(&self, name: &str, digest: &str, key: &str, draft: &[u8], why: &str) -> bool {
        self.docket(name, |docket| {
            let canary = docket.canary.as_mut().filter(|canary| canary.new.digest() == digest && canary.doubts.len() < DOUBTS)?;
            canary.doubts.push(Doubt { key: key.to_owned(), draft: draft.to_owned(), why: why.to_owned() });
            Some(())
        })
        .is_some()
    }

    /// The version before delivered what the watched one had rejected: the version to convict, and why.
    pub fn contradicted(&self, name: &str, key: &str) -> Option<(Plugin, String)> {
        self.docket(name, |docket| {
            let canary = docket.canary.as_ref()?;
            let doubt = canary.doubts.iter().find(|doubt| doubt.key == key)?;
            Some((canary.new.clone(), format!("a message was rejected ({}) that the version before delivered", doubt.why)))
        })
    }

    /// A watched message ended well, or as it would have ended before. Answers the version, when that was the last one to be watched.
    pub fn passed(&self, name: &str, key: &str) -> Option<Plugin> {
        self.docket(name, |docket| {
            let canary = docket.canary.as_mut()?;
            canary.doubts.retain(|doubt| doubt.key != key);
            canary.left = canary.left.saturating_sub(1);
            (canary.left == 0 && canary.doubts.is_empty()).then(|| docket.canary.take().map(|canary| canary.new))?
        })
    }

    /// Convicts a watched version; answers the one to go back to. `None` where it is not watched (any more).
    pub(super) fn convict(&self, name: &str, digest: &str, why: &str) -> Option<Plugin> {
        let canary = self.docket(name, |docket| {
            let canary = docket.canary.take_if(|canary| canary.new.digest() == digest)?;
            docket.convicts.push_front(digest.to_owned());
            docket.convicts.truncate(CONVICTS);
            Some(canary)
        })?;
        let verdict = Verdict { name: name.to_owned(), failed: canary.new, back: canary.old.clone(), why: why.to_owned() };
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner).push_back(verdict);
        self.news.notify_one();
        Some(canary.old)
    }

    /// Has a version write along for so many messages.
    pub fn shadow(&self, name: &str, plugin: &Plugin, messages: u32) {
        let state = ShadowState {
            version: plugin.descriptor().version.to_string(),
            digest: plugin.digest().to_owned(),
            left: messages,
            same: 0,
            different: 0,
            failed: 0,
            samples: Vec::new(),
        };
        self.open(name, |docket| docket.shadow = Some(Shadow { plugin: plugin.clone(), state }));
    }

    /// The version that writes along.
    pub fn shadowing(&self, name: &str) -> Option<Plugin> {
        self.docket(name, |docket| docket.shadow.as_ref().filter(|shadow| shadow.state.left > 0).map(|shadow| shadow.plugin.clone()))
    }

    /// Notes how a shadow did with a message; the state where that was the last one.
    pub fn compared(&self, name: &str, digest: &str, comparison: Comparison) -> Option<ShadowState> {
        self.docket(name, |docket| {
            let shadow = docket.shadow.as_mut().filter(|shadow| shadow.plugin.digest() == digest && shadow.state.left > 0)?;
            let state = &mut shadow.state;
            state.left -= 1;
            let sample = match comparison {
                Comparison::Same => {
                    state.same += 1;
                    None
                }
                Comparison::Different(text) => {
                    state.different += 1;
                    Some(text)
                }
                Comparison::Failed(text) => {
                    state.failed += 1;
                    Some(text)
                }
            };
            state.samples.extend(sample.filter(|_| state.samples.len() < SAMPLES));
            (state.left == 0).then(|| state.clone())
        })
    }

    /// For people.
    pub fn canary_state(&self, name: &str) -> Option<CanaryState> {
        self.docket(name, |docket| {
            docket.canary.as_ref().map(|canary| CanaryState {
                version: canary.new.descriptor().version.to_string(),
                before: canary.old.descriptor().version.to_string(),
                left: canary.left,
                of: canary.of,
                doubts: canary.doubts.len(),
            })
        })
    }

    /// For people.
    pub fn shadow_state(&self, name: &str) -> Option<ShadowState> {
        self.docket(name, |docket| docket.shadow.as_ref().map(|shadow| shadow.state.clone()))
    }

    /// Verdicts that nobody has taken yet.
    pub fn take_verdicts(&self) -> Vec<Verdict> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    /// Waits for a verdict. Cancel-safe.
    pub async fn verdict(&self) {
        self.news.notified().await;
    }
}
