//! Egress: the one rule that says where a request may go and what it may carry. Pure.
//!
//! A plugin names no host of its own. Its request goes to the connector's URL, which it never sees, or to a URL that lies under a prefix the
//! operator allowed. What it adds is encoded here, once; what a header or a query could smuggle is refused here, whatever was checked before.

use std::fmt;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::value::RawValue;
use url::Url;

use super::redact::redact_parsed;
use super::request::{Method, Place, Request, Stamp, Target};

/// Everything but RFC 3986's unreserved characters, so that a value survives any reader: a space is `%20`, never `+`.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Headers that belong to the connection or to the host. `proxy-…` is refused besides.
const HOST_HEADERS: [&str; 9] =
    ["host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length", "expect"];

/// Headers that carry credentials: the half of a plugin that writes has none, the half that signs may.
const CREDENTIAL_HEADERS: [&str; 2] = ["authorization", "cookie"];

/// What may be sent: the only value that the HTTP client takes.
#[derive(Clone)]
pub struct Outgoing {
    pub(super) method: http::Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Outgoing {
    /// The method.
    pub fn method(&self) -> &http::Method {
        &self.method
    }

    /// The address as people may see it: no value of a query, no user, no long path segment.
    pub fn redacted_url(&self) -> String {
        redact_parsed(&self.url)
    }

    /// The headers; those that a stamp made are marked sensitive.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The request for another HTTP client. Its address and its headers hold credentials.
    pub fn into_http(self) -> Result<http::Request<Vec<u8>>, EgressError> {
        let mut request = http::Request::new(self.body);
        *request.uri_mut() = self.url.as_str().parse().map_err(|_| EgressError::BadUrl("it is too long for a request"))?;
        *request.method_mut() = self.method;
        *request.headers_mut() = self.headers;
        Ok(request)
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        write!(f, "{self} headers {names:?} body {} bytes", self.body.len())
    }
}

impl fmt::Display for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.redacted_url())
    }
}

/// Why a request may not be sent. No text holds a value that came from a signature or a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// Not a URL, or one with parts that no request may have.
    #[error("the plugin asked for a URL that cannot be used: {0}")]
    BadUrl(&'static str),
    /// Not under a prefix that the operator allowed.
    #[error("the plugin asked for {0}, which no `allow` prefix of this plugin covers")]
    NotAllowed(String),
    /// Not a name or value that HTTP knows.
    #[error("the header `{0}` has a name or a value that HTTP does not allow")]
    BadHeader(String),
    /// Not the plugin's to set.
    #[error("the header `{0}` is the host's to set")]
    ForbiddenHeader(String),
    /// Set twice.
    #[error("the header `{0}` is set twice")]
    RepeatedHeader(String),
    /// Already there.
    #[error("the query parameter `{0}` is already part of the URL")]
    RepeatedQuery(String),
    /// A query parameter without a name.
    #[error("a query parameter has no name")]
    NamelessQuery,
    /// A stamp in a body that has no members.
    #[error("the signature belongs into the body, which is not a JSON object")]
    BodyIsNoObject,
    /// A stamp over a member of the body.
    #[error("the signature's field `{0}` is already part of the body")]
    RepeatedField(String),
}

/// Makes a request ready to be sent, or says why it may not be.
///
/// `connector` is the connector's own URL, `allow` the operator's prefixes for the plugin.
pub fn admit(request: &Request, stamps: &[Stamp], connector: &Url, allow: &[Url]) -> Result<Outgoing, EgressError> {
    let mut url = match &request.target {
        Target::Connector => connector.clone(),
        Target::Allowed(asked) => allowed(asked, allow)?,
    };
    url.set_fragment(None);
    let stamped = |place| stamps.iter().filter(move |stamp| stamp.place == place).map(|stamp| (stamp.name.as_str(), stamp.value.as_str()));
    add_query(&mut url, &request.query, stamped(Place::Query))?;
    let headers = headers(request, stamped(Place::Header), !url.username().is_empty() || url.password().is_some())?;
    let body = stamp_body(&request.body, stamped(Place::BodyField))?;
    let method = match request.method {
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
    };
    Ok(Outgoing { method, url, headers, body })
}

/// A URL that a plugin named itself: only under a prefix, compared part by part after parsing.
fn allowed(asked: &str, allow: &[Url]) -> Result<Url, EgressError> {
    let url = Url::parse(asked).map_err(|_| EgressError::BadUrl("it is not an absolute URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(EgressError::BadUrl("it names a user"));
    }
    // What a parser folds away and a server may read otherwise is refused before it matters who is right.
    let path = asked.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    if ["..", "%2e", "%2f", "%5c", "\\"].iter().any(|trick| path.contains(trick)) {
        return Err(EgressError::BadUrl("its path holds `..`, a backslash or an encoded separator"));
    }
    if allow.iter().any(|prefix| covers(prefix, &url)) { Ok(url) } else { Err(EgressError::NotAllowed(redact_parsed(&url))) }
}

fn covers(prefix: &Url, url: &Url) -> bool {
    let same_place =
        prefix.scheme() == url.scheme() && prefix.host() == url.host() && prefix.port_or_known_default() == url.port_or_known_default();
    let known = matches!(url.scheme(), "http" | "https") && url.host().is_some();
    let on_boundary =
        url.path().strip_prefix(prefix.path()).is_some_and(|rest| rest.is_empty() || prefix.path().ends_with('/') || rest.starts_with('/'));
    known && same_place && on_boundary
}

fn add_query<'a>(
    url: &mut Url,
    asked: &'a [(String, String)],
    stamps: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(), EgressError> {
    let own: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    let mut query = url.query().unwrap_or_default().to_owned();
    let mut add = |name: &str, value: &str| {
        if !query.is_empty() {
            query.push('&');
        }
        query.extend(utf8_percent_encode(name, COMPONENT));
        query.push('=');
        query.extend(utf8_percent_encode(value, COMPONENT));
    };
    let mut taken: Vec<&str> = own.iter().map(String::as_str).collect();
    let is_taken = |taken: &[&str], name: &str| taken.iter().any(|other| other.eq_ignore_ascii_case(name));
    for (name, value) in asked {
        named(name, is_taken(&taken, name))?;
        add(name, value);
    }
    // The plugin's own list may say a name twice; a stamp may repeat neither it nor another stamp.
    taken.extend(asked.iter().map(|(name, _)| name.as_str()));
    for (name, value) in stamps {
        named(name, is_taken(&taken, name))?;
        add(name, value);
        taken.push(name);
    }
    if !query.is_empty() {
        url.set_query(Some(&query));
    }
    Ok(())
}

fn named(name: &str, repeated: bool) -> Result<(), EgressError> {
    match (name.is_empty(), repeated) {
        (true, _) => Err(EgressError::NamelessQuery),
        (_, true) => Err(EgressError::RepeatedQuery(name.to_owned())),
        _ => Ok(()),
    }
}

fn headers<'a>(request: &Request, stamps: impl Iterator<Item = (&'a str, &'a str)>, url_has_user: bool) -> Result<HeaderMap, EgressError> {
    let mut map = HeaderMap::with_capacity(request.headers.len() + 4);
    for (name, value) in &request.headers {
        let (header, value) = header(name, value)?;
        if CREDENTIAL_HEADERS.contains(&header.as_str()) {
            return Err(EgressError::ForbiddenHeader(header.to_string()));
        }
        map.append(header, value);
    }
    for (name, value) in stamps {
        let (header, mut value) = header(name, value)?;
        // A URL's user and password become this header: two credentials are one too many.
        if map.contains_key(&header) || (url_has_user && header == http::header::AUTHORIZATION) {
            return Err(EgressError::RepeatedHeader(header.to_string()));
        }
        value.set_sensitive(true);
        map.insert(header, value);
    }
    Ok(map)
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), EgressError> {
    let bad = || EgressError::BadHeader(name.chars().filter(|c| !c.is_control()).take(64).collect());
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
    let value = HeaderValue::from_str(value).map_err(|_| bad())?;
    if HOST_HEADERS.contains(&header.as_str()) || header.as_str().starts_with("proxy-") {
        return Err(EgressError::ForbiddenHeader(header.to_string()));
    }
    Ok((header, value))
}

/// Adds members at the end of a JSON object and leaves every other byte as it is.
fn stamp_body<'a>(body: &[u8], stamps: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Vec<u8>, EgressError> {
    let stamps: Vec<_> = stamps.collect();
    if stamps.is_empty() {
        return Ok(body.to_vec());
    }
    let members: std::collections::BTreeMap<String, &RawValue> = serde_json::from_slice(body).map_err(|_| EgressError::BodyIsNoObject)?;
    let end = body.iter().rposition(|byte| *byte == b'}').ok_or(EgressError::BodyIsNoObject)?;
    let mut out = body[..end].to_vec();
    let mut first = members.is_empty();
    let mut written: Vec<&str> = Vec::new();
    for (name, value) in stamps {
        if members.contains_key(name) || written.contains(&name) {
            return Err(EgressError::RepeatedField(name.to_owned()));
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        let member = serde_json::Value::from(name).to_string() + ":" + &serde_json::Value::from(value).to_string();
        out.extend_from_slice(member.as_bytes());
        written.push(name);
    }
    out.extend_from_slice(&body[end..]);
    Ok(out)
}

#[cfg(test)]
#[path = "egress_tests.rs"]
mod tests;
