//! What a plugin sink writes into the outbox: a request before it is signed, and what its answer will be read with.
//!
//! A draft holds no secret of the config and no address of a connector: signing and addressing belong to each attempt.

use serde::{Deserialize, Serialize};

use super::Outcome;
use super::request::Request;
use crate::outbox;

/// The form of a draft. Later forms read the earlier ones.
const FORM: u32 = 1;

/// A written draft, opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginDraft {
    form: u32,
    /// What happens next.
    #[serde(flatten)]
    pub work: Work,
}

/// What an attempt has to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// Sign, send, and hand the answer over.
    Send(Sending),
    /// Nothing: the plugin had decided without sending.
    Decided(Decided),
}

/// One request of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sending {
    /// 1 for the message's first request.
    pub step: u32,
    /// The request, before it is signed.
    pub request: Request,
    /// The plugin's notes, for reading the answer.
    #[serde(with = "bytes")]
    pub continuation: Vec<u8>,
}

/// [`Outcome`], in a form that can be written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "outcome")]
pub enum Decided {
    /// See [`Outcome::Delivered`].
    Delivered {
        /// The receiver's own id.
        receipt: Option<String>,
        /// To be kept.
        memo: Option<String>,
    },
    /// See [`Outcome::Retry`].
    Retry {
        /// Milliseconds.
        after_ms: u64,
        /// Why.
        reason: outbox::Reason,
    },
    /// See [`Outcome::Throttled`].
    Throttled {
        /// Milliseconds.
        after_ms: u64,
        /// Why.
        reason: outbox::Reason,
    },
    /// See [`Outcome::Rejected`].
    Rejected {
        /// Why.
        reason: outbox::Reason,
    },
}

impl From<Decided> for Outcome {
    fn from(decided: Decided) -> Self {
        match decided {
            Decided::Delivered { receipt, memo } => Outcome::Delivered { receipt, memo },
            Decided::Retry { after_ms, reason } => Outcome::Retry { after_ms, reason },
            Decided::Throttled { after_ms, reason } => Outcome::Throttled { after_ms, reason },
            Decided::Rejected { reason } => Outcome::Rejected { reason },
        }
    }
}

/// A draft that cannot be opened: of another version of the host, or damaged.
#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    /// Not ours at all.
    #[error("the stored message cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// Ours, from later.
    #[error("the stored message has form {0}; this version of incident-sink knows forms up to {FORM}")]
    Newer(u32),
}

impl PluginDraft {
    /// Takes the work over.
    pub fn new(work: Work) -> Self {
        PluginDraft { form: FORM, work }
    }

    /// As the outbox keeps it; `author` is the digest of the plugin that wrote it.
    pub fn seal(&self, author: &str) -> outbox::Draft {
        let prepared = serde_json::to_vec(self).expect("plain data with text keys always becomes JSON");
        outbox::Draft { prepared, author: author.to_owned() }
    }

    /// Reads one that [`PluginDraft::seal`] wrote.
    pub fn open(draft: &outbox::Draft) -> Result<Self, DraftError> {
        let opened: PluginDraft = serde_json::from_slice(&draft.prepared)?;
        if opened.form > FORM { Err(DraftError::Newer(opened.form)) } else { Ok(opened) }
    }
}

/// Bytes in JSON: text where they are text, so that people can read a stored message, base64 elsewhere. Either way they come back as they were.
pub(super) mod bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Form {
        Text(String),
        Base64 { base64: String },
    }

    pub(in super::super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Form::Base64 { base64: STANDARD.encode(bytes) }.serialize(serializer),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Text(text) => Ok(text.into_bytes()),
            Form::Base64 { base64 } => STANDARD.decode(base64).map_err(de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::request::{Method, Target};
    use super::*;

    proptest! {
        #[test]
        fn a_draft_comes_back_byte_by_byte(body: Vec<u8>, text: String, continuation: Vec<u8>, step in 1u32..8, put: bool) {
            let request = Request {
                target: if put { Target::Allowed(text.clone()) } else { Target::Connector },
                method: if put { Method::Put } else { Method::Post },
                headers: vec![("content-type".into(), text.clone())],
                query: vec![(text, "v".into())],
                body,
            };
            let draft = PluginDraft::new(Work::Send(Sending { step, request, continuation }));
            let sealed = draft.seal("digest");
            prop_assert_eq!(PluginDraft::open(&sealed).unwrap(), draft);
            prop_assert_eq!(sealed.author, "digest");
        }
    }

    #[test]
    fn a_decision_comes_back() {
        let reason = outbox::Reason { code: "c".into(), text: "t".into(), advice: "a".into() };
        let draft = PluginDraft::new(Work::Decided(Decided::Rejected { reason }));
        assert_eq!(PluginDraft::open(&draft.seal("d")).unwrap(), draft);
    }

    #[test]
    fn a_draft_of_a_later_form_is_told_from_a_damaged_one() {
        let later = outbox::Draft {
            prepared: br#"{"form":2,"decided":{"outcome":"delivered","receipt":null,"memo":null}}"#.to_vec(),
            author: String::new(),
        };
        assert!(matches!(PluginDraft::open(&later), Err(DraftError::Newer(2))));
        let damaged = outbox::Draft { prepared: b"{".to_vec(), author: String::new() };
        assert!(matches!(PluginDraft::open(&damaged), Err(DraftError::Unreadable(_))));
    }
}
