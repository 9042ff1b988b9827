//! From bytes to a plugin: everything that is checked before the first event.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use semver::Version;
use sha2::{Digest, Sha256};

use super::call::{CallError, Core, Loaded, Plugin};
use super::contract::{self, DescribeIn, DescribeOut};
use super::descriptor::{Descriptor, DescriptorError};
use super::engine::Engine;
use super::limits::{LimitError, Limits};
use super::signature::SignatureError;
use super::text;
use super::units::Size;

/// The most of wasmtime's words that a message carries.
const DETAIL: usize = 500;

/// Why a file is not a plugin.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is too large.
    #[error("the file has {size} bytes, more than {limit}; raise `limits.component` if that is expected")]
    TooLarge {
        /// How large.
        size: u64,
        /// The limit.
        limit: Size,
    },
    /// A limit of the config makes no sense.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// Not the file that was pinned.
    #[error("the file's SHA-256 is {found}, but `sha256` pins {expected}")]
    Digest {
        /// The pin.
        expected: String,
        /// The file's.
        found: String,
    },
    /// Not signed, or not by whom it must be.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Something else.
    #[error("the file is not WebAssembly")]
    NotWasm,
    /// WebAssembly without the component model.
    #[error("the file is a core module, not a component; encode it with `wasm-tools component new` or build it with `cargo xtask build`")]
    CoreModule,
    /// It does not compile, or does not fit.
    #[error("the component is damaged, cut short, or asks for what the sandbox does not offer: {0}")]
    Invalid(String),
    /// The system gives no threads to compile it on.
    #[error("the threads that compile plugins cannot be started: {0}")]
    Threads(String),
    /// It wants something of the host.
    #[error("the component imports `{0}`; a plugin may import nothing but `incident-sink:plugin/types`")]
    Import(String),
    /// A component for something else.
    #[error("the component is not an incident sink: it exports {}", list(.0))]
    OtherWorld(Vec<String>),
    /// Made for another version of the contract.
    #[error("the plugin speaks version {0} of the contract, this host speaks 1.x; is there a newer host?")]
    Contract(Version),
    /// Half a plugin.
    #[error("the plugin does not export the interface `incident-sink:plugin/{0}@1`")]
    MissingInterface(&'static str),
    /// An interface with a hole.
    #[error("the plugin's interface `{interface}` has no function `{name}`")]
    MissingFunction {
        /// The interface.
        interface: &'static str,
        /// The function.
        name: &'static str,
    },
    /// A function of another shape.
    #[error("the plugin's function `{function}` is not the contract's: {detail}")]
    Shape {
        /// The function.
        function: &'static str,
        /// What differs.
        detail: String,
    },
    /// It cannot even start.
    #[error("the plugin cannot be started: {0}")]
    Instantiate(#[source] CallError),
    /// It cannot say what it is.
    #[error("the plugin's `describe` fails: {0}")]
    Describe(#[source] CallError),
    /// What it says makes no sense.
    #[error("the plugin's description is refused: {0}")]
    Descriptor(#[from] DescriptorError),
    /// Another plugin than was asked for.
    #[error("the plugin calls itself `{found}`, but `{expected}` was expected")]
    Name {
        /// Asked for.
        expected: String,
        /// What it is.
        found: String,
    },
}

fn list(exports: &[String]) -> String {
    match exports {
        [] => "nothing".to_owned(),
        names => names.iter().take(5).map(|name| format!("`{}`", text::line(name))).collect::<Vec<_>>().join(", "),
    }
}

impl LoadError {
    /// What wasmtime finds wrong with a component.
    pub(super) fn invalid(error: &wasmtime::Error) -> LoadError {
        LoadError::Invalid(text::line(text::prefix(&format!("{error:#}"), DETAIL)))
    }
}

impl Plugin {
    /// Makes a plugin of a component's bytes: size, compilation, imports, exports, a trial instance, `describe`. Blocks while it compiles,
    /// some tens of milliseconds: not for an executor's thread.
    pub fn load(engine: &Engine, bytes: &[u8], limits: &Limits) -> Result<Plugin, LoadError> {
        limits.validate()?;
        if bytes.len() > limits.component.0 {
            return Err(LoadError::TooLarge { size: bytes.len() as u64, limit: limits.component });
        }
        check_header(bytes)?;
        let component = engine.compile(bytes)?;
        let (outside, exports) = contract::inspect(engine.wasm(), &component)?;
        let pre = engine.linker().instantiate_pre(&component).map_err(|error| LoadError::invalid(&error))?;
        let core = Core { engine: engine.clone(), pre, exports, limits: limits.clone() };
        try_out(&core)?;
        let (raw,): DescribeOut = core.call::<DescribeIn, _>(&core.exports.describe, ()).map_err(LoadError::Describe)?;
        let descriptor = Descriptor::check(raw)?;
        Ok(Plugin(Arc::new(Loaded { core, descriptor, outside, digest: digest(bytes), size: bytes.len(), meter: OnceLock::new() })))
    }

    /// As [`Plugin::load`], for a plugin that must be called `name`.
    pub fn load_as(engine: &Engine, bytes: &[u8], limits: &Limits, name: &str) -> Result<Plugin, LoadError> {
        let plugin = Plugin::load(engine, bytes, limits)?;
        let found = &plugin.descriptor().name;
        if found != name {
            return Err(LoadError::Name { expected: name.to_owned(), found: found.clone() });
        }
        Ok(plugin)
    }
}

/// SHA-256 in hexadecimal, as `sha256sum` prints it.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `\0asm`, a version, and the layer: 0 for a module, 1 for a component.
fn check_header(bytes: &[u8]) -> Result<(), LoadError> {
    let Some(rest) = bytes.strip_prefix(b"\0asm") else { return Err(LoadError::NotWasm) };
    match rest.get(2..4) {
        Some([0, 0]) => Err(LoadError::CoreModule),
        _ => Ok(()),
    }
}

/// An instance that is not used: only it can tell whether records and variants have the contract's shape.
fn try_out(core: &Core) -> Result<(), LoadError> {
    let _pass = core.engine.gate().enter().ok_or(LoadError::Instantiate(CallError::Busy))?;
    let mut store = core.engine.store(&core.limits);
    match core.pre.instantiate(&mut store) {
        Ok(instance) => core.exports.check(&mut store, &instance),
        Err(error) => Err(match store.data().explain(&error, &core.limits) {
            // Nothing ran: there is more of a table, or are more parts, than the limits have room for.
            CallError::Malformed(detail) => LoadError::Invalid(detail),
            fault => LoadError::Instantiate(fault),
        }),
    }
}
