//! The first messages of a new version, watched: canary and shadow.
//!
//! A *canary* is a version in use whose first messages are compared with what the version before would have done ([`canary`]). A fault convicts
//! it at once. A *shadow* is not in use: it writes the same messages, and the differences are noted ([`shadow`]).
//!
//! Pure state under one lock that is not taken while nothing is on trial.

pub mod canary;
pub mod shadow;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use self::canary::Canary;
pub use self::canary::{CanaryState, Complaint};
use self::shadow::Shadow;
pub use self::shadow::{Comparison, ShadowState};
use super::call::Plugin;

/// Convicted versions of a plugin that are remembered, so that what they wrote is written anew.
const CONVICTS: usize = 16;

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
            docket.canary = (messages > 0).then(|| Canary::new(new, old, messages));
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
        self.docket(name, |docket| docket.canary.as_ref()?.is_doubted(draft).then_some(())).is_some()
    }

    /// The version that gives a message its second opinion.
    pub fn second(&self, name: &str, key: &str) -> Option<Plugin> {
        self.docket(name, |docket| {
            let canary = docket.canary.as_ref()?;
            canary.is_asked_about(key).then(|| canary.old.clone())
        })
    }

    /// A watched version did not have a message delivered. Whether it gets a second opinion.
    pub fn doubt(&self, name: &str, digest: &str, key: &str, draft: &[u8], why: &str, complaint: Complaint) -> bool {
        self.docket(name, |docket| {
            let canary = docket.canary.as_mut().filter(|canary| canary.new.digest() == digest)?;
            canary.doubt(key, draft, why, complaint).then_some(())
        })
        .is_some()
    }

    /// The version before delivered what the watched one had not: the version to convict, and why, if that does it.
    pub fn contradicted(&self, name: &str, key: &str) -> Option<(Plugin, String)> {
        self.docket(name, |docket| {
            let canary = docket.canary.as_mut()?;
            let why = canary.contradicted(key)?;
            Some((canary.new.clone(), why))
        })
    }

    /// The version before put a message off too.
    pub fn agreed(&self, name: &str, key: &str) {
        self.docket(name, |docket| {
            docket.canary.as_mut()?.agreed(key);
            Some(())
        });
    }

    /// The watched version delivered a message. Answers the version, when that was the last one to be watched.
    pub fn delivered(&self, name: &str, key: &str) -> Option<Plugin> {
        self.ended(name, |canary| canary.delivered(key))
    }

    /// A watched message ended as it would have ended before. Answers the version, when that was the last one to be watched.
    pub fn passed(&self, name: &str, key: &str) -> Option<Plugin> {
        self.ended(name, |canary| canary.passed(key))
    }

    fn ended(&self, name: &str, last: impl FnOnce(&mut Canary) -> bool) -> Option<Plugin> {
        self.docket(name, |docket| {
            let last = last(docket.canary.as_mut()?);
            last.then(|| docket.canary.take().map(|canary| canary.new))?
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
        self.open(name, |docket| docket.shadow = Some(Shadow::new(plugin, messages)));
    }

    /// The version that writes along.
    pub fn shadowing(&self, name: &str) -> Option<Plugin> {
        self.docket(name, |docket| docket.shadow.as_ref().filter(|shadow| shadow.state.left > 0).map(|shadow| shadow.plugin.clone()))
    }

    /// Notes how a shadow did with a message; the state where that was the last one.
    pub fn compared(&self, name: &str, digest: &str, comparison: Comparison) -> Option<ShadowState> {
        self.docket(name, |docket| {
            let shadow = docket.shadow.as_mut().filter(|shadow| shadow.plugin.digest() == digest && shadow.state.left > 0)?;
            shadow.compared(comparison).then(|| shadow.state.clone())
        })
    }

    /// For people.
    pub fn canary_state(&self, name: &str) -> Option<CanaryState> {
        self.docket(name, |docket| docket.canary.as_ref().map(Canary::state))
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
