//! Whether a plugin's answer keeps to the rules. Pure.
//!
//! What goes into a request is refused when it breaks a rule; what is only shown to people is cleaned and cut.

use http::{HeaderName, HeaderValue};

use super::limits::Limits;
use super::{text, wit};

/// The most query parameters that a request or a signature may add.
const QUERY: usize = 32;
/// The longest name of a query parameter or of a member of a body.
const NAME: usize = 256;
/// The longest URL.
const URL: usize = 2048;
/// The most commands in one callback.
const COMMANDS: usize = 16;
/// The most problems of one config.
const PROBLEMS: usize = 100;
/// The longest text of a command: a comment.
const COMMAND: usize = 16 << 10;

/// What only the host may say: where a request goes, and how the connection to it works.
const CONNECTION: &[&str] =
    &["connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];
/// What the half that writes messages may not say: it is to know no credential.
const CREDENTIALS: &[&str] = &["authorization", "cookie", "set-cookie"];

/// A rule that an answer breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutputRule {
    /// `covers` is 0, or more than was handed over.
    #[error("it covers {covers} of {batch} events")]
    Covers {
        /// What it says.
        covers: u32,
        /// What is possible.
        batch: usize,
    },
    /// Something is too large.
    #[error("its {what} has {size} bytes, more than {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How large.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// There is too much of something.
    #[error("it has {count} {what}, more than {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// No header's name.
    #[error("`{0}` is not a header name")]
    HeaderName(String),
    /// Control characters in a header; the value is not shown, it may be a credential.
    #[error("the value of header `{0}` has characters that a header cannot have")]
    HeaderValue(String),
    /// A header that is the host's.
    #[error("header `{0}` is the host's to set")]
    HostHeader(String),
    /// A header that carries a credential, from the half that may know none.
    #[error("header `{0}` carries a credential, which only `sign` may add")]
    CredentialHeader(String),
    /// No name.
    #[error("the name of a {0} is empty, too long or has control characters")]
    Name(&'static str),
    /// No URL.
    #[error("its target is longer than 2048 bytes or has spaces or control characters")]
    Target,
    /// A late answer to the connector itself.
    #[error("a late answer must go to an allowed URL, not to the connector")]
    LateTarget,
    /// No HTTP status.
    #[error("{0} is not a status that an answer can have")]
    Status(u16),
}

impl OutputRule {
    /// The same without a name that the plugin chose.
    pub(super) fn without_words(self) -> OutputRule {
        let hidden = || "(not shown)".to_owned();
        match self {
            OutputRule::HeaderName(_) => OutputRule::HeaderName(hidden()),
            OutputRule::HeaderValue(_) => OutputRule::HeaderValue(hidden()),
            OutputRule::HostHeader(name) if !CONNECTION.contains(&name.as_str()) => OutputRule::HostHeader(hidden()),
            rule => rule,
        }
    }
}

fn at_most(what: &'static str, size: usize, limit: usize) -> Result<(), OutputRule> {
    if size > limit { Err(OutputRule::TooLarge { what, size, limit }) } else { Ok(()) }
}

fn no_more(what: &'static str, count: usize, limit: usize) -> Result<(), OutputRule> {
    if count > limit { Err(OutputRule::TooMany { what, count, limit }) } else { Ok(()) }
}

fn name(what: &'static str, name: &str) -> Result<(), OutputRule> {
    let good = !name.is_empty() && name.len() <= NAME && !name.chars().any(char::is_control);
    if good { Ok(()) } else { Err(OutputRule::Name(what)) }
}

/// One step. `batch` is what `begin` was handed; after an answer a step covers what the first one did.
pub fn step(step: wit::Step, batch: Option<usize>, max_body: usize, limits: &Limits) -> Result<wit::Step, OutputRule> {
    match step {
        wit::Step::Send(sending) => {
            if let Some(batch) = batch {
                covers(sending.covers, batch)?;
            }
            request(&sending.request, max_body, limits)?;
            at_most("continuation", sending.continuation.len(), limits.continuation.0)?;
            Ok(wit::Step::Send(sending))
        }
        wit::Step::Done(end) => Ok(wit::Step::Done(outcome(end, limits)?)),
    }
}

fn covers(covers: u32, batch: usize) -> Result<(), OutputRule> {
    let possible = usize::try_from(covers).is_ok_and(|covers| (1..=batch).contains(&covers));
    if possible { Ok(()) } else { Err(OutputRule::Covers { covers, batch }) }
}

/// A request, before it is signed.
pub fn request(request: &wit::Request, max_body: usize, limits: &Limits) -> Result<(), OutputRule> {
    at_most("body", request.body.len(), max_body)?;
    if let wit::Target::Allowed(url) = &request.target
        && (url.is_empty() || url.len() > URL || url.chars().any(|c| c.is_whitespace() || c.is_control()))
    {
        return Err(OutputRule::Target);
    }
    headers(&request.headers, limits)?;
    no_more("query parameters", request.query.len(), QUERY)?;
    request.query.iter().try_for_each(|(key, value)| {
        name("query parameter", key)?;
        at_most("query parameter", value.len(), limits.headers.0)
    })
}

/// Headers that the writing half sets.
fn headers(headers: &[(String, String)], limits: &Limits) -> Result<(), OutputRule> {
    at_most("headers", headers.iter().map(|(name, value)| name.len() + value.len()).sum(), limits.headers.0)?;
    headers.iter().try_for_each(|(name, value)| {
        let name = header(name, value)?;
        match CREDENTIALS.contains(&name.as_str()) {
            true => Err(OutputRule::CredentialHeader(name.to_string())),
            false => Ok(()),
        }
    })
}

/// A header's name, where both are well formed and not the host's.
fn header(name: &str, value: &str) -> Result<HeaderName, OutputRule> {
    let shown = || text::line(text::prefix(name, 64));
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| OutputRule::HeaderName(shown()))?;
    if CONNECTION.contains(&parsed.as_str()) || parsed.as_str().starts_with("proxy-") {
        return Err(OutputRule::HostHeader(shown()));
    }
    HeaderValue::from_str(value).map_err(|_| OutputRule::HeaderValue(shown()))?;
    Ok(parsed)
}

/// The parts of a signature. The half that signs may set `authorization`, but still not where a request goes.
pub fn stamps(stamps: &[wit::Stamp], limits: &Limits) -> Result<(), OutputRule> {
    no_more("stamps", stamps.len(), limits.stamps as usize)?;
    stamps.iter().try_for_each(|stamp| {
        at_most("stamp", stamp.value.len(), limits.stamp.0)?;
        match stamp.place {
            wit::Place::Query => name("query parameter", &stamp.name),
            wit::Place::BodyField => name("body field", &stamp.name),
            wit::Place::Header => match header(&stamp.name, &stamp.value)?.as_str() {
                name @ ("cookie" | "set-cookie") => Err(OutputRule::HostHeader(name.to_owned())),
                _ => Ok(()),
            },
        }
    })
}

/// An outcome: its memo is kept as it is or refused, its texts are cleaned.
fn outcome(outcome: wit::Outcome, limits: &Limits) -> Result<wit::Outcome, OutputRule> {
    let again = |again: wit::Again| wit::Again { reason: text::line(&again.reason), ..again };
    Ok(match outcome {
        wit::Outcome::Delivered(receipt) => {
            at_most("memo", receipt.memo.as_ref().map_or(0, String::len), limits.memo.0)?;
            wit::Outcome::Delivered(wit::Receipt { id: receipt.id.as_deref().map(text::line), memo: receipt.memo })
        }
        wit::Outcome::Retry(reason) => wit::Outcome::Retry(again(reason)),
        wit::Outcome::Throttled(reason) => wit::Outcome::Throttled(again(reason)),
        wit::Outcome::Rejected(reason) => wit::Outcome::Rejected(wit::Reason {
            code: text::line(&reason.code),
            text: text::line(&reason.text),
            advice: text::line(&reason.advice),
        }),
    })
}

/// What is wrong with a config: the first hundred, cleaned.
pub fn problems(problems: Vec<wit::Problem>) -> Vec<wit::Problem> {
    let clean = |problem: wit::Problem| wit::Problem { path: text::line(&problem.path), text: text::line(&problem.text) };
    problems.into_iter().take(PROBLEMS).map(clean).collect()
}

/// Why a callback is not taken.
pub fn refusal(refusal: wit::Refusal) -> Result<wit::Refusal, OutputRule> {
    if !(400..=599).contains(&refusal.status) {
        return Err(OutputRule::Status(refusal.status));
    }
    Ok(wit::Refusal { status: refusal.status, text: text::line(&refusal.text) })
}

/// What a callback asks for.
pub fn received(received: wit::Received, limits: &Limits) -> Result<wit::Received, OutputRule> {
    no_more("commands", received.commands.len(), COMMANDS)?;
    if let Some(id) = &received.id {
        at_most("request id", id.len(), NAME)?;
    }
    answer(&received.answer, limits)?;
    let clean = |command: wit::Command| wit::Command { text: text::block(&command.text, COMMAND), ..command };
    Ok(wit::Received { commands: received.commands.into_iter().map(clean).collect(), ..received })
}

/// What is told a chat system once the commands were carried out.
pub fn replied(replied: wit::Replied, max_body: usize, limits: &Limits) -> Result<wit::Replied, OutputRule> {
    answer(&replied.answer, limits)?;
    if let Some(late) = &replied.late {
        request(late, max_body, limits)?;
        if matches!(late.target, wit::Target::Connector) {
            return Err(OutputRule::LateTarget);
        }
    }
    Ok(replied)
}

fn answer(answer: &wit::Answer, limits: &Limits) -> Result<(), OutputRule> {
    if !(200..=599).contains(&answer.status) {
        return Err(OutputRule::Status(answer.status));
    }
    at_most("answer", answer.body.len(), limits.body.0)?;
    headers(&answer.headers, limits)
}
