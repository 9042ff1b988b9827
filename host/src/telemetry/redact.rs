//! Takes secrets out of a text.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroize;

use super::credential::credential;
use crate::secret::Secret;

/// What stands in the place of a secret.
pub(super) const MASK: &str = "…";

/// Shorter secrets are not looked for: they would take letters out of every other word.
const SHORTEST: usize = 4;

/// Configs whose secrets are kept out.
const CONFIGS: usize = 8;

/// Replaces every secret that it was told of, the credentials in parameters (`access_token=`, `sign=`, `session=` …) and the user and
/// password of an address by `…`. Clones share their secrets.
///
/// ```
/// use incident_sink::{secret::Secret, telemetry::Redactor};
/// let redactor = Redactor::default();
/// redactor.set(&[Secret::new("SEC123")]);
/// assert_eq!(redactor.redact("SEC123 signs https://x.example/?access_token=abc&n=1."), "… signs https://x.example/?access_token=…&n=1.");
/// ```
#[derive(Clone, Default)]
pub struct Redactor(Arc<Inner>);

#[derive(Default)]
struct Inner {
    known: ArcSwap<Known>,
    /// The secrets of the last configs, the newest last.
    told: Mutex<VecDeque<Vec<Secret>>>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor")
    }
}

impl Redactor {
    /// Takes the place of all secrets told before: those of a config that was read anew.
    pub fn set(&self, secrets: &[Secret]) {
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        *told = VecDeque::from([secrets.to_vec()]);
        self.0.known.store(Arc::new(Known::new(secrets)));
    }

    /// Adds those of a config that was read anew. The earlier ones are looked for too, since a message that is in flight may still use them;
    /// those of the oldest of many configs are forgotten.
    pub fn add(&self, secrets: &[Secret]) {
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.push_back(secrets.to_vec());
        if told.len() > CONFIGS {
            told.pop_front();
        }
        // Most are those of before.
        let mut all: Vec<Secret> = told.iter().flatten().cloned().collect();
        all.sort_unstable_by(|a, b| a.expose().cmp(b.expose()));
        all.dedup_by(|a, b| a.expose() == b.expose());
        self.0.known.store(Arc::new(Known::new(&all)));
    }

    /// The text without secrets; the text itself where it has none.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let known = self.0.known.load();
        let mut redacted = String::new();
        let mut copied = 0;
        let mut at = 0;
        while at < text.len() {
            let rest = text.get(at..).unwrap_or_default();
            let Some((skip, length)) = known.longest_prefix(rest).map(|length| (0, length)).or_else(|| credential(text, at)) else {
                at += rest.chars().next().map_or(1, char::len_utf8);
                continue;
            };
            let begin = at + skip;
            redacted.push_str(text.get(copied..begin).unwrap_or_default());
            redacted.push_str(MASK);
            at = known.extended(text, begin, begin + length);
            copied = at;
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        redacted.push_str(text.get(copied..).unwrap_or_default());
        Cow::Owned(redacted)
    }
}

/// All spellings of all secrets, in order, so that the longest one at a place is found by halving, however many there are.
struct Known {
    spellings: Vec<String>,
    /// For each the index of the longest other one that it begins with.
    shorter: Vec<Option<usize>>,
    /// Whether any begins with these two bytes: most places of a text are passed with one look.
    begins: Vec<bool>,
}

impl Default for Known {
    fn default() -> Self {
        Known::new(&[])
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.spellings.zeroize();
    }
}

impl Known {
    fn new(secrets: &[Secret]) -> Self {
        let mut spellings: Vec<String> = secrets.iter().flat_map(|secret| spellings(secret.expose())).collect();
        spellings.sort_unstable();
        spellings.dedup();
        let mut begins = vec![false; if spellings.is_empty() { 0 } else { 1 << 16 }];
        let mut shorter = Vec::with_capacity(spellings.len());
        // What the current spelling begins with, the longest last: sorted, those stand before it.
        let mut open: Vec<usize> = Vec::new();
        for (index, spelling) in spellings.iter().enumerate() {
            while open.last().and_then(|last| spellings.get(*last)).is_some_and(|last| !spelling.starts_with(last.as_str())) {
                open.pop();
            }
            shorter.push(open.last().copied());
            open.push(index);
            if let Some(begins) = pair(spelling).and_then(|pair| begins.get_mut(pair)) {
                *begins = true;
            }
        }
        Known { spellings, shorter, begins }
    }

    /// The end of what is to be masked: a secret that begins in there may go on behind it.
    fn extended(&self, text: &str, begin: usize, mut end: usize) -> usize {
        let mut at = begin;
        while at < end {
            let rest = text.get(at..).unwrap_or_default();
            end = end.max(at + self.longest_prefix(rest).unwrap_or_default());
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
        end
    }

    /// The length of the longest spelling that the text begins with.
    fn longest_prefix(&self, text: &str) -> Option<usize> {
        if !self.begins.get(pair(text)?).copied()? {
            return None;
        }
        // Whatever the text begins with is not after it; and the last of those begins with all the others.
        let mut index = self.spellings.partition_point(|spelling| spelling.as_str() <= text).checked_sub(1);
        while let Some(spelling) = index.and_then(|index| self.spellings.get(index)) {
            if text.starts_with(spelling.as_str()) {
                return Some(spelling.len());
            }
            index = index.and_then(|index| self.shorter.get(index).copied().flatten());
        }
        None
    }
}

fn pair(text: &str) -> Option<usize> {
    let [first, second] = *text.as_bytes().first_chunk::<2>()?;
    Some(usize::from(u16::from_be_bytes([first, second])))
}

/// A secret as it is, as JSON and Rust quote it, and as an address and a form have it.
fn spellings(secret: &str) -> Vec<String> {
    // A line break at the end is cut off by many who send or print it.
    let secret = secret.trim_end();
    if secret.len() < SHORTEST {
        return Vec::new();
    }
    let inner = |quoted: String| quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned();
    vec![
        secret.to_owned(),
        inner(serde_json::Value::from(secret).to_string()),
        inner(format!("{secret:?}")),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redact(secrets: &[&str], text: &str) -> String {
        let redactor = Redactor::default();
        redactor.set(&secrets.iter().map(|secret| Secret::new(*secret)).collect::<Vec<_>>());
        redactor.redact(text).into_owned()
    }

    #[test]
    fn secrets_of_the_last_configs_are_kept_out_and_the_oldest_forgotten() {
        let redactor = Redactor::default();
        redactor.set(&[Secret::new("first-secret")]);
        redactor.add(&[Secret::new("second-secret")]);
        assert_eq!(redactor.redact("first-secret second-secret"), "… …");
        (0..CONFIGS).for_each(|_| redactor.add(&[Secret::new("last-secret")]));
        assert_eq!(redactor.redact("first-secret last-secret"), "first-secret …");
    }

    #[test]
    fn a_secret_is_found_as_json_and_addresses_spell_it() {
        let secret = "a\"b\\c/d e";
        for text in [
            secret.to_owned(),
            serde_json::Value::from(secret).to_string(),
            format!("{secret:?}"),
            "a%22b%5Cc%2Fd%20e".to_owned(),
            "a%22b%5Cc%2Fd+e".to_owned(),
        ] {
            let shown = redact(&[secret], &text);
            assert!(!shown.contains('b'), "{shown}");
        }
    }

    #[test]
    fn a_secret_that_begins_in_another_is_masked_to_its_end() {
        assert_eq!(redact(&["abcd", "cdef"], "abcdefg"), "…g");
        assert_eq!(redact(&["ab&cdef"], "sign=ab&cdef&x"), "sign=…&x");
    }

    #[test]
    fn the_longest_secret_is_taken() {
        assert_eq!(redact(&["abcd", "abcdef", "abcdefgh"], "abcdefg abcdx abcdefghi"), "…g …x …i");
        assert_eq!(redact(&["abc"], "abc"), "abc");
    }

    #[test]
    fn secrets_of_a_new_config_take_the_place_of_the_old_ones() {
        let redactor = Redactor::default();
        let copy = redactor.clone();
        redactor.set(&[Secret::new("first")]);
        redactor.set(&[Secret::new("second")]);
        assert_eq!(copy.redact("first second"), "first …");
    }

    proptest! {
        /// As a plain search for each secret has it.
        #[test]
        fn no_secret_is_left(secrets in prop::collection::vec("[ab]{4,7}", 0..6), text in "[abc ]{0,60}") {
            let known: Vec<&str> = secrets.iter().map(String::as_str).collect();
            let shown = redact(&known, &text);
            for secret in &known {
                prop_assert!(!shown.contains(secret), "{secret} in {shown}");
            }
            if !known.iter().any(|secret| text.contains(secret)) {
                prop_assert_eq!(shown, text);
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}", tail in "(sign=|://|@|&|%3D|\"|é|…){0,12}") {
            let _ = redact(&["sign", "…=é"], &(text + &tail));
        }
    }
}
