//! Label values that come from outside: only so many different ones.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

/// What stands for every further one.
const OTHER: &str = "other";
/// The longest value that is taken as it is.
const LONGEST: usize = 48;

/// A bounded set of label values. Clones share it.
#[derive(Clone, Debug)]
pub struct Names {
    most: usize,
    known: Arc<RwLock<HashSet<Arc<str>>>>,
}

impl Names {
    /// At most so many, and `other`.
    pub fn at_most(most: usize) -> Names {
        Names { most, known: Arc::default() }
    }

    /// The label for a value: itself, as long as there is room and it looks like a code.
    pub fn label(&self, value: &str) -> Arc<str> {
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(value) {
            return Arc::clone(known);
        }
        let is_code =
            !value.is_empty() && value.len() <= LONGEST && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have noted it meanwhile; then it stays as it is.
        if !is_code || (known.len() >= self.most && !known.contains(value)) {
            return Arc::from(OTHER);
        }
        let label: Arc<str> = value.into();
        known.insert(Arc::clone(&label));
        label
    }

    /// Those given out so far, and `other`.
    pub fn all(&self) -> Vec<Arc<str>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().cloned().chain([Arc::from(OTHER)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_never_more_label_values_than_allowed() {
        let names = Names::at_most(3);
        let labels: HashSet<Arc<str>> = (0..1_000).map(|n| names.label(&n.to_string())).collect();
        assert_eq!(labels.len(), 4);
        assert_eq!((&*names.label("1"), &*names.label("999")), ("1", "other"));
    }

    #[test]
    fn what_is_no_code_is_other() {
        let names = Names::at_most(9);
        for value in ["", "a b", "a\"b", "中文", &"x".repeat(49)] {
            assert_eq!(&*names.label(value), "other");
        }
        assert_eq!(&*names.label("plugin-trap"), "plugin-trap");
    }
}
