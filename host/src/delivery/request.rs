//! A request as a plugin writes it, and the stamps of its signature: not yet judged, its address not yet known.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::redact::redact_url;

/// Where a plugin wants its request to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The connector's URL.
    Connector,
    /// A URL under one of the operator's prefixes.
    Allowed(String),
}

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// POST.
    Post,
    /// PUT.
    Put,
}

/// A request as a plugin wrote it: not yet signed, its address not yet known.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Where to.
    pub target: Target,
    /// How.
    pub method: Method,
    /// Headers, in their order.
    pub headers: Vec<(String, String)>,
    /// Query parameters to add, not yet encoded.
    pub query: Vec<(String, String)>,
    /// The body, to be sent byte by byte as it is.
    #[serde(with = "super::draft::bytes")]
    pub body: Vec<u8>,
}

/// Without values: a query or a header of an allowed target may hold a token that an earlier step fetched.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |list: &[(String, String)]| list.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let target = match &self.target {
            Target::Connector => "connector".to_owned(),
            Target::Allowed(url) => redact_url(url),
        };
        f.debug_struct("Request")
            .field("target", &target)
            .field("method", &self.method)
            .field("headers", &names(&self.headers))
            .field("query", &names(&self.query))
            .field("body", &self.body.len())
            .finish()
    }
}

/// Where a stamp goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A query parameter.
    Query,
    /// A header.
    Header,
    /// A top-level member of a JSON body.
    BodyField,
}

/// What the signing half of a plugin adds.
#[derive(Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Where to.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// Its value, not yet encoded.
    pub value: String,
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stamp").field("place", &self.place).field("name", &self.name).finish_non_exhaustive()
    }
}
