//! What is wrong with a connector's config, and where: for the config room to place.

use std::fmt;

/// One thing that is wrong with a connector's config, or worth a warning. No text holds a value of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: a JSON Pointer into the connector's table; empty for the table itself.
    pub pointer: String,
    /// What.
    pub text: String,
}

impl Problem {
    /// With a pointer made from keys.
    pub fn at(keys: &[&str], text: impl Into<String>) -> Self {
        let pointer = keys.iter().fold(String::new(), |pointer, key| pointer + "/" + &escape(key));
        Problem { pointer, text: text.into() }
    }

    /// The keys that the pointer names, from the connector's table down.
    pub fn keys(&self) -> Vec<String> {
        self.pointer.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~")).collect()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str(&self.text),
            pointer => write!(f, "{pointer}: {}", self.text),
        }
    }
}

/// A key as a JSON Pointer has it.
pub(super) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_reads_back_as_keys() {
        let problem = Problem::at(&["people", "a/b~c"], "x");
        assert_eq!(problem.pointer, "/people/a~1b~0c");
        assert_eq!(problem.keys(), ["people", "a/b~c"]);
    }
}
