//! A version in use whose first messages are watched. Pure.
//!
//! What it has rejected, or puts off, may be the receiver's doing. So such a message gets a second opinion: the version before writes and sends it
//! at the next attempt. A rejection that the version before delivers convicts at once. To be put off may be chance, a receiver that recovered
//! between two attempts: that takes several messages in a row without one that the new version delivers, looked at one at a time.

use serde::Serialize;

use super::super::call::Plugin;

/// Rejected messages that wait for a second opinion at a time.
const DOUBTS: usize = 64;

/// So many messages in a row that were put off, and delivered by the version before, are no chance.
const MISSES: u32 = 3;

/// What a watched version made of a message that is not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// It is never to be delivered as it is.
    Rejected,
    /// It is to be tried again: `retry`, `throttled`.
    PutOff,
}

#[derive(Debug)]
pub(super) struct Canary {
    pub(super) new: Plugin,
    pub(super) old: Plugin,
    left: u32,
    of: u32,
    doubts: Vec<Doubt>,
    misses: u32,
}

/// A message that waits for its second opinion.
#[derive(Clone, Debug)]
struct Doubt {
    key: String,
    draft: Vec<u8>,
    why: String,
    complaint: Complaint,
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
    /// Messages that the version before is asked about.
    pub doubts: usize,
    /// Messages in a row that were put off, and delivered by the version before.
    pub misses: u32,
}

impl Canary {
    pub(super) fn new(new: &Plugin, old: &Plugin, messages: u32) -> Canary {
        Canary { new: new.clone(), old: old.clone(), left: messages, of: messages, doubts: Vec::new(), misses: 0 }
    }

    /// A message was not delivered. Whether it gets a second opinion.
    pub(super) fn doubt(&mut self, key: &str, draft: &[u8], why: &str, complaint: Complaint) -> bool {
        let known = self.doubts.iter().any(|doubt| doubt.key == key);
        let busy = complaint == Complaint::PutOff && self.doubts.iter().any(|doubt| doubt.complaint == Complaint::PutOff);
        if known || busy || self.doubts.len() >= DOUBTS {
            return false;
        }
        self.doubts.push(Doubt { key: key.to_owned(), draft: draft.to_owned(), why: why.to_owned(), complaint });
        true
    }

    /// Whether a draft is about to get a second opinion.
    pub(super) fn is_doubted(&self, draft: &[u8]) -> bool {
        self.doubts.iter().any(|doubt| doubt.draft == draft)
    }

    /// Whether a message is.
    pub(super) fn is_asked_about(&self, key: &str) -> bool {
        self.doubts.iter().any(|doubt| doubt.key == key)
    }

    /// The version before delivered a message: why the new one is to be convicted, if that does it.
    pub(super) fn contradicted(&mut self, key: &str) -> Option<String> {
        let at = self.doubts.iter().position(|doubt| doubt.key == key)?;
        let doubt = self.doubts.remove(at);
        match doubt.complaint {
            Complaint::Rejected => Some(format!("a message was rejected ({}) that the version before delivered", doubt.why)),
            Complaint::PutOff => {
                self.misses += 1;
                let why = || format!("{MISSES} messages in a row were put off ({}) that the version before delivered", doubt.why);
                (self.misses >= MISSES).then(why)
            }
        }
    }

    /// The version before put a message off too: then that is the receiver's wish. What it was asked about for a rejection is still open.
    pub(super) fn agreed(&mut self, key: &str) {
        self.doubts.retain(|doubt| doubt.key != key || doubt.complaint == Complaint::Rejected);
    }

    /// The new version delivered a message.
    pub(super) fn delivered(&mut self, key: &str) -> bool {
        self.misses = 0;
        self.passed(key)
    }

    /// A message ended well, or as it would have ended before. Whether that was the last one to be watched.
    pub(super) fn passed(&mut self, key: &str) -> bool {
        self.doubts.retain(|doubt| doubt.key != key);
        self.left = self.left.saturating_sub(1);
        self.left == 0 && self.doubts.is_empty()
    }

    pub(super) fn state(&self) -> CanaryState {
        CanaryState {
            version: self.new.descriptor().version.to_string(),
            before: self.old.descriptor().version.to_string(),
            left: self.left,
            of: self.of,
            doubts: self.doubts.len(),
            misses: self.misses,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::testing::Guest;
    use super::*;

    fn canary() -> Canary {
        let plugin = Guest::default().load();
        Canary::new(&plugin, &plugin, 20)
    }

    #[test]
    fn a_rejection_that_the_version_before_delivers_convicts_at_once() {
        let mut canary = canary();
        assert!(canary.doubt("a", b"draft", "400", Complaint::Rejected) && canary.is_doubted(b"draft") && canary.is_asked_about("a"));
        assert!(canary.contradicted("a").is_some_and(|why| why.contains("400")));
        assert_eq!(canary.contradicted("a"), None);
    }

    #[test]
    fn to_put_off_convicts_when_it_happens_again_and_again() {
        let mut canary = canary();
        for (key, convicts) in [("a", false), ("b", false), ("c", true)] {
            assert!(canary.doubt(key, key.as_bytes(), "503", Complaint::PutOff));
            assert!(!canary.doubt("another", b"x", "503", Complaint::PutOff), "one at a time");
            assert_eq!(canary.contradicted(key).is_some(), convicts);
        }
    }

    #[test]
    fn what_the_version_before_puts_off_too_is_the_receivers_wish() {
        let mut canary = canary();
        canary.doubt("a", b"a", "503", Complaint::PutOff);
        canary.agreed("a");
        assert!(!canary.is_asked_about("a") && canary.contradicted("a").is_none());
        canary.doubt("r", b"r", "400", Complaint::Rejected);
        canary.agreed("r");
        assert!(canary.is_asked_about("r"));
    }

    proptest! {
        #[test]
        fn a_version_that_delivers_in_between_is_never_convicted_for_putting_off(misses in proptest::collection::vec(0..3_u32, 0..20)) {
            let mut canary = canary();
            for (round, misses) in misses.into_iter().enumerate() {
                for miss in 0..misses {
                    let key = format!("{round}-{miss}");
                    canary.doubt(&key, key.as_bytes(), "503", Complaint::PutOff);
                    prop_assert_eq!(canary.contradicted(&key), None);
                }
                canary.delivered("good");
            }
        }
    }
}
