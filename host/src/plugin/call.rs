//! One loaded version of a plugin, and its calls.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use wasmtime::component::{ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Lower};

use super::contract::{
    BeginIn, CheckIn, CheckOut, Exports, Inbox, Outside, ReadIn, ReadOut, ReplyIn, ReplyOut, ResumeIn, SignIn, SignOut, StepOut, VerifyIn,
    VerifyOut,
};
use super::descriptor::Descriptor;
use super::engine::Engine;
use super::limits::Limits;
use super::meter::{Function, Meter};
use super::output::{self, OutputRule};
use super::sandbox::Sandbox;
use super::units::{Size, Wait};
use super::{text, wit};

/// Why a call has no answer. Always a fault of the plugin or of its limits, never of the receiver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The plugin says so itself.
    #[error("the plugin failed: {text} ({code})")]
    Failure {
        /// The plugin's code.
        code: String,
        /// The plugin's words.
        text: String,
    },
    /// It ran too long.
    #[error("the plugin ran longer than {limit}; raise `limits.deadline` if the machine is slow")]
    Deadline {
        /// The limit.
        limit: Wait,
    },
    /// It needed too much memory.
    #[error("the plugin needs more memory than {limit}; raise `limits.memory` if that is expected")]
    Memory {
        /// The limit.
        limit: Size,
    },
    /// It crashed.
    #[error("the plugin crashed: {kind}{}", at(frames))]
    Trap {
        /// What happened.
        kind: String,
        /// Where, innermost first.
        frames: Vec<String>,
    },
    /// It called itself too deep.
    #[error("the plugin crashed: call stack exhausted{}", at(frames))]
    Stack {
        /// Where, innermost first.
        frames: Vec<String>,
    },
    /// It answered with more data than it may.
    #[error("the plugin answered with more than {limit} of data; raise `limits.lifted` if that is expected")]
    TooMuchData {
        /// The limit.
        limit: Size,
    },
    /// Its answer breaks the binary format of the contract.
    #[error("the plugin's answer cannot be read: {0}")]
    Malformed(String),
    /// Its answer breaks a rule.
    #[error("the plugin's answer is refused: {0}")]
    Output(#[from] OutputRule),
    /// Too many calls at once.
    #[error("too many plugin calls are running; this one did not get its turn")]
    Busy,
    /// It does not listen.
    #[error("the plugin has no inbox: it does not take callbacks")]
    NoInbox,
}

/// What a caller is told whose callback does not hold.
const UNVERIFIED: &str =
    "The signature or token is missing, wrong or too old. The operator: compare the connector's secrets and the machine's clock.";

fn at(frames: &[String]) -> String {
    frames.first().map(|frame| format!(" in `{frame}`")).unwrap_or_default()
}

impl CallError {
    /// A word for metrics and for the code of a reason.
    pub fn code(&self) -> &'static str {
        match self {
            CallError::Failure { .. } => "plugin-failure",
            CallError::Deadline { .. } => "plugin-deadline",
            CallError::Memory { .. } => "plugin-memory",
            CallError::Trap { .. } => "plugin-trap",
            CallError::Stack { .. } => "plugin-stack",
            CallError::TooMuchData { .. } => "plugin-too-much-data",
            CallError::Malformed(_) => "plugin-malformed",
            CallError::Output(_) => "plugin-output",
            CallError::Busy => "plugin-busy",
            CallError::NoInbox => "plugin-no-inbox",
        }
    }
}

impl CallError {
    /// The same without the plugin's own words: for a call that saw secrets, whose words may be made of them.
    pub fn without_words(self) -> CallError {
        match self {
            CallError::Failure { .. } => {
                let text = "it cannot work with these secrets; its own words are not shown, since it has seen them";
                CallError::Failure { code: "not shown".to_owned(), text: text.to_owned() }
            }
            CallError::Malformed(_) => CallError::Malformed("it breaks the binary format of the contract".to_owned()),
            CallError::Output(rule) => CallError::Output(rule.without_words()),
            error => error,
        }
    }
}

impl From<wit::Failure> for CallError {
    fn from(failure: wit::Failure) -> Self {
        CallError::Failure { code: text::line(&failure.code), text: text::line(&failure.text) }
    }
}

/// A compiled component, its exports, and what its calls may use.
pub(super) struct Core {
    pub(super) engine: Engine,
    pub(super) pre: InstancePre<Sandbox>,
    pub(super) exports: Exports,
    pub(super) limits: Limits,
}

impl Core {
    /// Runs one function in an instance of its own. Takes microseconds, and the deadline at the most.
    pub(super) fn call<P, R>(&self, export: &ComponentExportIndex, params: P) -> Result<R, CallError>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        // Declared before the store, so given back after the slot is.
        let _pass = self.engine.gate().enter().ok_or(CallError::Busy)?;
        let mut store = self.engine.store(&self.limits);
        let result = self.pre.instantiate(&mut store).and_then(|instance| {
            let function = instance.get_typed_func::<P, R>(&mut store, export)?;
            self.engine.arm(&mut store, &self.limits);
            function.call(&mut store, params)
        });
        result.map_err(|error| store.data().explain(&error, &self.limits))
    }
}

/// One loaded version of a plugin. Cheap to clone; a call holds the version that it began with.
#[derive(Clone)]
pub struct Plugin(pub(super) Arc<Loaded>);

pub(super) struct Loaded {
    pub(super) core: Core,
    pub(super) descriptor: Descriptor,
    pub(super) outside: Outside,
    pub(super) digest: String,
    pub(super) size: usize,
    /// Where calls are counted, once it is in use.
    pub(super) meter: OnceLock<Arc<Meter>>,
}

impl Loaded {
    /// Makes a call, and counts it with all that is checked about its answer.
    fn call<T>(&self, function: Function, call: impl FnOnce(&Core) -> Result<T, CallError>) -> Result<T, CallError> {
        let Some(meter) = self.meter.get() else { return call(&self.core) };
        let began = Instant::now();
        let result = call(&self.core);
        meter.ended(function, began.elapsed(), &result);
        result
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Descriptor { name, version, .. } = &self.0.descriptor;
        write!(f, "Plugin({name} {version} {})", self.0.digest)
    }
}

impl PartialEq for Plugin {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Plugin {
    /// What the plugin says of itself, checked.
    pub fn descriptor(&self) -> &Descriptor {
        &self.0.descriptor
    }

    /// SHA-256 of the component, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// The component's size in bytes.
    pub fn size(&self) -> usize {
        self.0.size
    }

    /// The world that it implements, such as `incident-sink:plugin/incident-sink@1.0.0`.
    pub fn world(&self) -> &str {
        &self.0.outside.world
    }

    /// What it imports: types of the contract at most.
    pub fn imports(&self) -> &[String] {
        &self.0.outside.imports
    }

    /// What it exports.
    pub fn exports(&self) -> &[String] {
        &self.0.outside.exports
    }

    /// Whether it takes callbacks of its chat system.
    pub fn has_inbox(&self) -> bool {
        self.0.core.exports.inbox.is_some()
    }

    /// The limits that its calls keep to.
    pub fn limits(&self) -> &Limits {
        &self.0.core.limits
    }

    /// The largest body that a request may have: the plugin's word, or the operator's if that is less.
    pub fn max_body(&self) -> usize {
        (self.0.descriptor.max_body as usize).min(self.0.core.limits.body.0)
    }

    /// Counts its calls from now on; the first meter stays.
    pub(super) fn count_by(&self, meter: Arc<Meter>) {
        let _ = self.0.meter.set(meter);
    }

    /// Everything wrong with a connector's config that its schema cannot say.
    pub fn check(&self, config: &str) -> Result<Vec<wit::Problem>, CallError> {
        self.0.call(Function::Check, |core| {
            let (problems,): CheckOut = core.call::<CheckIn, _>(&core.exports.check, (config,))?;
            Ok(output::problems(problems))
        })
    }

    /// Starts one message for as many events of the batch as fit.
    pub fn begin(&self, config: &str, batch: &[wit::Event], cx: &wit::Context) -> Result<wit::Step, CallError> {
        self.0.call(Function::Begin, |core| {
            let (step,): StepOut = core.call::<BeginIn, _>(&core.exports.begin, (config, batch, cx))?;
            Ok(output::step(step?, Some(batch.len()), self.max_body(), &core.limits)?)
        })
    }

    /// Goes on after an answer. A further request covers what the first one did: its `covers` is to be ignored.
    pub fn resume(&self, config: &str, continuation: &[u8], answer: &wit::Response, cx: &wit::Context) -> Result<wit::Step, CallError> {
        self.0.call(Function::Resume, |core| {
            let (step,): StepOut = core.call::<ResumeIn, _>(&core.exports.resume, (config, continuation, answer, cx))?;
            Ok(output::step(step?, None, self.max_body(), &core.limits)?)
        })
    }

    /// Signs a request that it does not see. `secrets` are the config's `writeOnly` members, by JSON Pointer.
    pub fn sign(&self, secrets: &[(String, String)], outline: &wit::Outline, now_ms: u64) -> Result<Vec<wit::Stamp>, CallError> {
        self.0.call(Function::Sign, |core| {
            let (stamps,): SignOut = core.call::<SignIn, _>(&core.exports.sign, (secrets, outline, now_ms))?;
            let stamps = stamps?;
            output::stamps(&stamps, &core.limits)?;
            Ok(stamps)
        })
    }

    /// Whether a callback comes from whom it claims, lately. The inner `Err` is a refusal, in the host's words: the plugin's go to whoever called,
    /// and may be made of secrets.
    pub fn inbox_verify(
        &self,
        secrets: &[(String, String)],
        request: &wit::Incoming,
        now_ms: u64,
    ) -> Result<Result<(), wit::Refusal>, CallError> {
        let verify = &self.inbox()?.verify;
        self.0
            .call(Function::Verify, |core| {
                let (verdict,): VerifyOut = core.call::<VerifyIn, _>(verify, (secrets, request, now_ms))?;
                Ok(verdict.map_err(|_| wit::Refusal { status: 401, text: UNVERIFIED.to_owned() }))
            })
            .map_err(CallError::without_words)
    }

    /// What a verified callback asks for. The inner `Err` is the plugin's refusal.
    pub fn inbox_read(
        &self,
        config: &str,
        request: &wit::Incoming,
        cx: &wit::Context,
    ) -> Result<Result<wit::Received, wit::Refusal>, CallError> {
        let read = &self.inbox()?.read;
        self.0.call(Function::Read, |core| {
            let (received,): ReadOut = core.call::<ReadIn, _>(read, (config, request, cx))?;
            match received {
                Ok(received) => Ok(Ok(output::received(received, &core.limits)?)),
                Err(refusal) => Ok(Err(output::refusal(refusal)?)),
            }
        })
    }

    /// The answer to give once the commands were carried out, one result each.
    pub fn inbox_reply(
        &self,
        config: &str,
        request: &wit::Incoming,
        results: &[Result<String, String>],
        cx: &wit::Context,
    ) -> Result<wit::Replied, CallError> {
        let reply = &self.inbox()?.reply;
        self.0.call(Function::Reply, |core| {
            let (replied,): ReplyOut = core.call::<ReplyIn, _>(reply, (config, request, results, cx))?;
            Ok(output::replied(replied?, self.max_body(), &core.limits)?)
        })
    }

    fn inbox(&self) -> Result<&Inbox, CallError> {
        self.0.core.exports.inbox.as_ref().ok_or(CallError::NoInbox)
    }
}
