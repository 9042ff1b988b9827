//! What became of a form, shown once on the page that the browser is sent to. Kept here, for a text in an address could be anybody's.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// So many are kept; an older one is not shown any more.
const KEPT: usize = 64;

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    Bad,
}

/// What became of a form.
#[derive(Clone, Debug)]
pub(super) struct Flash {
    pub(super) mood: Mood,
    /// What it was about: a connector's or a plugin's name.
    pub(super) about: Option<String>,
    pub(super) title: String,
    pub(super) text: String,
}

impl Flash {
    pub(super) fn new(mood: Mood, title: impl Into<String>, text: impl Into<String>) -> Self {
        Flash { mood, about: None, title: title.into(), text: text.into() }
    }

    pub(super) fn about(self, name: &str) -> Self {
        Flash { about: Some(name.to_owned()), ..self }
    }
}

/// The last ones.
#[derive(Default)]
pub(super) struct Flashes(Mutex<VecDeque<(String, Flash)>>);

impl Flashes {
    /// Keeps one; its id goes into the address of the next page.
    pub(super) fn keep(&self, flash: Flash) -> String {
        let id = format!("{:016x}", fastrand::u64(..));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((id.clone(), flash));
        id
    }

    /// Stays until it is pushed out, since a live page asks for itself again.
    pub(super) fn get(&self, id: &str) -> Option<Flash> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(known, _)| known == id).map(|(_, flash)| flash.clone())
    }
}
