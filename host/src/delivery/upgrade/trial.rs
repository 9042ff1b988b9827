//! What a connector's sink does while a version of its plugin is on trial.

use tracing::{error, info};

use crate::delivery::draft::Work;
use crate::delivery::plugin_sink::{PluginSink, Written};
use crate::delivery::request::Request;
use crate::delivery::{Attempt, Item, MessageContext, Outcome};
use crate::outbox::{Draft, Reason};
use crate::plugin::Plugin;
use crate::plugin::trials::{Comparison, Complaint, Trials};

/// What is shown of a body that differs, in bytes.
const SHOWN: usize = 80;

impl PluginSink {
    fn trials(&self) -> &Trials {
        self.registry().trials()
    }

    fn kind(&self) -> &str {
        self.config().kind()
    }

    /// Whether a version is watched.
    pub(in super::super) fn is_watched(&self, plugin: &Plugin) -> bool {
        self.trials().watched(self.kind(), plugin.digest()).is_some()
    }

    /// Has the current version write a message, or the one before where that is to be asked; a shadow writes along.
    pub(in super::super) fn write_on_trial(&self, batch: &[Item], cx: &MessageContext) -> Result<(Plugin, Written), Reason> {
        let plugin = match self.trials().second(self.kind(), &cx.key) {
            Some(before) => before,
            None => self.current()?,
        };
        let (plugin, written) = match self.write(&plugin, batch, cx) {
            Ok(written) => (plugin, written),
            Err(reason) => self.write_instead(plugin, reason, batch, cx)?,
        };
        self.compare(&written, batch, cx);
        Ok((plugin, written))
    }

    /// A watched version failed: the one before writes the message. If it can, the watched one is to blame.
    fn write_instead(&self, plugin: Plugin, reason: Reason, batch: &[Item], cx: &MessageContext) -> Result<(Plugin, Written), Reason> {
        let Some(before) = self.trials().watched(self.kind(), plugin.digest()).filter(|_| is_fault(&reason)) else { return Err(reason) };
        let Ok(written) = self.write(&before, batch, cx) else { return Err(reason) };
        // Alone, it could not write the whole batch either.
        if !written.alone {
            self.convict(&plugin, &reason.text);
        }
        Ok((before, written))
    }

    /// A fault of a version after it wrote a message: it is taken out of use where it is watched. Whether it was.
    pub(in super::super) fn accuse(&self, plugin: &Plugin, reason: &Reason) -> bool {
        is_fault(reason) && self.convict(plugin, &reason.text)
    }

    /// As [`PluginSink::accuse`], where the version before can sign.
    pub(in super::super) fn accuse_of_signing(&self, plugin: &Plugin, request: &Request, now: i64, reason: &Reason) -> bool {
        let before = self.trials().watched(self.kind(), plugin.digest());
        before.is_some_and(|before| self.signed(&before, request, now).is_ok()) && self.accuse(plugin, reason)
    }

    fn convict(&self, plugin: &Plugin, why: &str) -> bool {
        let Some(before) = self.registry().convict(self.kind(), plugin.digest(), why) else { return false };
        error!(
            plugin = self.kind(),
            version = %plugin.descriptor().version,
            digest = plugin.digest(),
            back_to = %before.descriptor().version,
            error = why,
            "The plugin's new version failed on its first messages; the version before is in use again."
        );
        true
    }

    /// Whether a draft is not to be sent as it is: its author was taken out of use, or the version before is asked about it.
    pub(in super::super) fn is_doubtful(&self, draft: &Draft) -> bool {
        let trials = self.trials();
        trials.is_convicted(self.kind(), &draft.author) || trials.is_doubted(self.kind(), &draft.prepared)
    }

    /// What an attempt says about the version that is watched. A rejection becomes a retry with the version before; what is put off is tried
    /// again anyway.
    pub(in super::super) fn judge(&self, draft: &Draft, cx: &MessageContext, attempt: Attempt) -> Attempt {
        let Attempt::Done(outcome) = attempt else { return attempt };
        let (trials, kind) = (self.trials(), self.kind());
        if trials.watched(kind, &draft.author).is_some() {
            return Attempt::Done(self.judge_watched(draft, cx, outcome));
        }
        if trials.second(kind, &cx.key).is_none() {
            return Attempt::Done(outcome);
        }
        // It was the version before that was asked.
        match &outcome {
            Outcome::Delivered { .. } => {
                if let Some((new, why)) = trials.contradicted(kind, &cx.key) {
                    self.convict(&new, &why);
                }
            }
            Outcome::Rejected { .. } => self.passed(trials.passed(kind, &cx.key)),
            Outcome::Retry { .. } | Outcome::Throttled { .. } => trials.agreed(kind, &cx.key),
            Outcome::Unknown { .. } => {}
        }
        Attempt::Done(outcome)
    }

    fn judge_watched(&self, draft: &Draft, cx: &MessageContext, outcome: Outcome) -> Outcome {
        let (trials, kind) = (self.trials(), self.kind());
        let doubt = |reason: &Reason, complaint| {
            let why = format!("{}: {}", reason.code, reason.text);
            trials.doubt(kind, &draft.author, &cx.key, &draft.prepared, &why, complaint)
        };
        match outcome {
            Outcome::Delivered { .. } => self.passed(trials.delivered(kind, &cx.key)),
            Outcome::Rejected { reason } if doubt(&reason, Complaint::Rejected) => {
                let text = format!("{}; the plugin's version before is asked", reason.text);
                return Outcome::Retry { after_ms: 0, reason: Reason { text, ..reason } };
            }
            Outcome::Retry { ref reason, .. } | Outcome::Throttled { ref reason, .. } if is_of_the_plugin(reason) => {
                doubt(reason, Complaint::PutOff);
            }
            _ => {}
        }
        outcome
    }

    fn passed(&self, last: Option<Plugin>) {
        if let Some(plugin) = last {
            info!(plugin = self.kind(), version = %plugin.descriptor().version, "The plugin's new version passed its first messages.");
        }
    }

    /// Has a shadow write the same message, and notes what differs.
    fn compare(&self, written: &Written, batch: &[Item], cx: &MessageContext) {
        let Some(shadow) = self.trials().shadowing(self.kind()) else { return };
        let comparison = match self.write(&shadow, batch, cx) {
            Err(reason) => Comparison::Failed(format!("connector {}: {}", self.name(), reason.text)),
            Ok(other) => match difference(written, &other) {
                Some(text) => Comparison::Different(format!("connector {}: {text}", self.name())),
                None => Comparison::Same,
            },
        };
        if let Some(state) = self.trials().compared(self.kind(), shadow.digest(), comparison) {
            let (same, different, failed) = (state.same, state.different, state.failed);
            info!(plugin = self.kind(), version = state.version, same, different, failed, "The plugin's shadow has written its messages.");
        }
    }
}

/// Whether a reason is the plugin's fault. Too many calls at once are not, and neither is a config.
fn is_fault(reason: &Reason) -> bool {
    !matches!(reason.code.as_str(), "plugin-busy" | "plugin-missing" | "config")
}

/// Whether it was the plugin that put a message off, without an answer or because of one: `plugin`, or the answer's status. The host's own
/// reasons, such as that the receiver cannot be reached, say nothing about a version.
fn is_of_the_plugin(reason: &Reason) -> bool {
    reason.code == "plugin" || reason.code.bytes().all(|digit| digit.is_ascii_digit())
}

/// The first thing that two versions wrote differently, in words.
fn difference(old: &Written, new: &Written) -> Option<String> {
    if old.covers != new.covers {
        return Some(format!("covers {} events instead of {}", new.covers, old.covers));
    }
    let (old, new) = match (&old.work, &new.work) {
        (Work::Send(old), Work::Send(new)) => (&old.request, &new.request),
        (Work::Decided(old), Work::Decided(new)) => return (old != new).then(|| "decides otherwise without sending".to_owned()),
        (Work::Send(_), Work::Decided(_)) => return Some("sends nothing".to_owned()),
        (Work::Decided(_), Work::Send(_)) => return Some("sends what was not sent".to_owned()),
    };
    let other = |what: &str, differs: bool| differs.then(|| format!("another {what}"));
    other("target", old.target != new.target)
        .or_else(|| other("method", old.method != new.method))
        .or_else(|| other("set of headers", old.headers != new.headers))
        .or_else(|| other("query", old.query != new.query))
        .or_else(|| body_difference(&old.body, &new.body))
}

fn body_difference(old: &[u8], new: &[u8]) -> Option<String> {
    let at = old.iter().zip(new).position(|(a, b)| a != b).or((old.len() != new.len()).then(|| old.len().min(new.len())))?;
    let shown = |body: &[u8]| {
        let from = at.saturating_sub(SHOWN / 2);
        String::from_utf8_lossy(&body[from.min(body.len())..(from + SHOWN).min(body.len())]).into_owned()
    };
    Some(format!("the body differs at byte {at}: {:?} became {:?}", shown(old), shown(new)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn two_bodies_differ_exactly_where_they_do(old: Vec<u8>, new: Vec<u8>) {
            prop_assert_eq!(body_difference(&old, &new).is_some(), old != new);
            prop_assert_eq!(body_difference(&old, &old), None);
        }
    }

    #[test]
    fn a_difference_is_shown_with_what_stands_around_it() {
        let text = body_difference(br#"{"title":"Disk full"}"#, br#"{"title":"Disc full"}"#).unwrap();
        assert!(text.starts_with("the body differs at byte 13") && text.contains("Disc full"), "{text}");
    }
}
