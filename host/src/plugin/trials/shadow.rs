//! A version that is not in use, and writes the same messages as the one that is. Pure.

use serde::Serialize;

use super::super::call::Plugin;

/// Differences of a shadow that are kept for people.
const SAMPLES: usize = 20;

#[derive(Debug)]
pub(super) struct Shadow {
    pub(super) plugin: Plugin,
    pub(super) state: ShadowState,
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

impl Shadow {
    pub(super) fn new(plugin: &Plugin, messages: u32) -> Shadow {
        let state = ShadowState {
            version: plugin.descriptor().version.to_string(),
            digest: plugin.digest().to_owned(),
            left: messages,
            same: 0,
            different: 0,
            failed: 0,
            samples: Vec::new(),
        };
        Shadow { plugin: plugin.clone(), state }
    }

    /// Notes a comparison. Whether that was the last one.
    pub(super) fn compared(&mut self, comparison: Comparison) -> bool {
        let state = &mut self.state;
        state.left = state.left.saturating_sub(1);
        let (count, sample) = match comparison {
            Comparison::Same => (&mut state.same, None),
            Comparison::Different(text) => (&mut state.different, Some(text)),
            Comparison::Failed(text) => (&mut state.failed, Some(text)),
        };
        *count += 1;
        state.samples.extend(sample.filter(|_| state.samples.len() < SAMPLES));
        state.left == 0
    }
}
